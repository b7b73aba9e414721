"""The head for texts: it computes a prefix that a language model continues (Tsimpoukelli et al.,
2021; Mokady et al., 2021).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape
from mmml.errors import UserError
from mmml.methods.learned_optimizer.heads.base import Head, heads
from mmml.methods.learned_optimizer.language_models import LanguageModel, Prefixes, language_models
from mmml.tasks import Task

# Limits of what is adapted to at a time; they do not change the result.
EPISODES = 16
ADAPTED = 2**19  # number of support texts × vocabulary size


@heads.register("text")
class TextHead(Head):
    """A head with one row for each number of a prefix. All tasks share the language model, which is
    learned across tasks or frozen.

    Args:
        language_model: name and options of a part of
            :mod:`mmml.methods.learned_optimizer.language_models`.
    """

    def __init__(self, width: int, init: str, scale: float, language_model: Mapping[str, Any]):
        if init == "prototype":
            message = "method.init=prototype computes a head, and there is none for texts"
            raise UserError(f"{message}: set method.init=learned")
        model: LanguageModel = language_models.build_section(
            language_model, "method.language_model"
        )
        super().__init__(width, init, scale, rows=model.decoding.prefix * model.width)
        self.language_model = model

    def fit(self, samples: Samples, task: Task) -> None:
        self.language_model.fit(samples.columns[str(task.target)])

    def max_episodes(self, shape: EpisodeShape) -> int:
        return max(
            1,
            min(
                EPISODES,
                ADAPTED // (shape.ways * shape.shots * self.language_model.tokens.vocabulary),
            ),
        )

    def output_size(self, task: Task, support_targets: Tensor) -> int:
        return self.rows

    def decode(self, task: Task, outputs: Tensor) -> Prefixes:
        return Prefixes(outputs.to(self.language_model.dtype), self.language_model)

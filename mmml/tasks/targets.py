"""Base classes of tasks whose samples have their own targets: scores, or values of a modality."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from mmml.config.schema import EpisodeConfig
from mmml.data.base import SCORE, Dataset, Granularity
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError, did_you_mean
from mmml.tasks.base import Task, ways_of


class ScoreTarget(Task):
    """A task whose answers are the scores of samples.

    A sample's label says which quantity its score measures, so an episode has one way.
    """

    form: ClassVar[str] = "scalar"
    target: str = SCORE

    def format(self, predictions: Tensor) -> list[dict[str, Any]]:
        return [{"score": score} for score in predictions[0].tolist()]

    def check_dataset(self, dataset: Dataset) -> None:
        super().check_dataset(dataset)
        if not dataset.scored:
            raise UserError(
                f"task={self.name} needs a score for each sample, and dataset={dataset.name} "
                "has none"
            )

    def check(self, episodes: EpisodeConfig) -> None:
        super().check(episodes)
        for side, _, _, most in ways_of(episodes):
            if most > 1:
                raise UserError(
                    f"episode.{side}.ways={most} would mix scores of different things: use 1"
                )


class ModalityTarget(Task):
    """A task whose answers are values of a modality of the dataset, such as its texts."""

    target: str

    def check_mappings(
        self, mappings: Iterable[EpisodeMapping], modalities: Mapping[str, Granularity]
    ) -> None:
        mappings = list(mappings)
        if self.target not in modalities:
            known = ", ".join(m for m, per in modalities.items() if per is Granularity.SAMPLE)
            hint = did_you_mean(self.target, modalities)
            raise UserError(f"task.target={self.target}: this dataset has {known}{hint}")
        if modalities[self.target] is Granularity.CLASS:
            raise UserError(
                f"task.target={self.target} belongs to whole classes here, and task={self.name} "
                "needs one for each sample: choose another dataset, or other samples of it "
                "(dataset.samples)"
            )
        super().check_mappings(mappings, modalities)
        for mapping in mappings:
            if self.target in mapping.modalities:
                message = (
                    f"{mapping} shows {self.target}, and task.target={self.target} asks for it"
                )
                raise UserError(f"{message}: leave it out, or set episode=pairs")

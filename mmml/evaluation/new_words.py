"""Scores for class names with a word that does not occur in training.

Names of classes often have words in common (LATIN SMALL LETTER A, LATIN SMALL LETTER E). So the
score over all names mostly measures the recognition of words of the training split.
"""

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.episodes import Episodes, Mapping
from mmml.evaluation.predictions import EpisodePredictions
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner
from mmml.tasks import Metric
from mmml.text.words import words

NEW_WORDS = "new words"


class NewWords:
    """Records the scores of queries about names with new words while episodes are played.

    Args:
        train, test: the splits; texts with one value per class are names.
    """

    def __init__(self, train: Samples | None, test: Samples):
        self._test, self._new = test, {}
        for modality, column in test.columns.items():
            if (
                train is not None
                and column.per_class
                and base_modality(modality) == "text"
                and not column.encoded
            ):
                known = {w for text in train.columns[modality].values[:] for w in words(str(text))}
                self._new[modality] = np.array(
                    [not set(words(str(text))) <= known for text in column.values[:]], bool
                )
        self._parts: dict[
            tuple[EvalSetting, Mapping], list[tuple[np.ndarray, dict[Metric, Tensor]]]
        ] = defaultdict(list)

    def of(self, mapping: Mapping, classes: np.ndarray, pick: np.ndarray) -> np.ndarray | None:
        """Return which classes have a name with a new word, bool ``[B, ways]``; None if neither
        side of the mapping shows names alone.

        Args:
            mapping: of the episodes.
            classes: of the episodes, ``[B, ways]``.
            pick: chooses among several names of a class.
        """
        for side in (mapping.support, mapping.query):
            if len(side) == 1 and side[0] in self._new:
                at = self._test.columns[side[0]].index(classes, classes, pick)
                return np.asarray(self._new[side[0]][at])
        return None

    def subset(self, mapping: Mapping, drawn: Episodes) -> dict[str, np.ndarray]:
        """Return the classes of one episode that have new words, by the name of this subset; empty
        if they are fewer than two.
        """
        new = self.of(mapping, drawn.classes, drawn.pick)
        return {} if new is None or new.sum() < 2 else {NEW_WORDS: new[0]}

    def watch(
        self, setting: EvalSetting, played: EpisodePredictions, scores: dict[Metric, Tensor]
    ) -> None:
        """Record the scores of the queries of some episodes, ``[B, q]``."""
        if setting.task.per_sample_target:
            return
        new = self.of(played.mapping, played.drawn.classes, played.drawn.pick)
        if new is not None:
            counts = np.take_along_axis(new, played.targets.cpu().numpy(), axis=1)
            self._parts[setting, played.mapping].append(
                (counts, {m: scores[m].cpu() for m in setting.task.metrics})
            )

    def results(self, learner: Learner, split: str) -> Results:
        """Return a row of each metric for each recorded setting and mapping: the mean over the
        episodes with queries of such names.
        """
        results = Results()
        for (setting, mapping), several in self._parts.items():
            new = np.concatenate([counts for counts, _ in several])
            some = new.any(1)
            about = {
                "subset": NEW_WORDS,
                "answers": round(new[some].sum(1).mean()) if some.any() else 0,
            }
            for metric in setting.task.metrics if some.sum() > 1 else ():
                each = torch.cat([scores[metric] for _, scores in several]).double().numpy()
                scores = np.array([e[n].mean() for e, n in zip(each[some], new[some], strict=True)])
                results.add(setting.mean_of(scores, None, split, mapping, metric, learner, **about))
        return results

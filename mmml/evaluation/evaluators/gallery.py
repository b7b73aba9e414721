"""``gallery``: ranking across modalities. What is the rank of the right class
among all test classes?
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.episodes import Episodes, EpisodeShape, Mapping, gather
from mmml.errors import require
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.new_words import NewWords
from mmml.evaluation.predictions import chance_results
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting
from mmml.evaluation.statistics import interval
from mmml.methods import Learner, Role
from mmml.tasks import Ranking

SHOWN, RETRIEVED = 12, 6  # queries in a report, and what they find


@evaluators.register("gallery")
class Gallery(Evaluator):
    """R@1, R@5, R@10 and the median rank for each mapping of one modality on each side,
    two different ones.

    As everywhere the support side comes first: ``image:text`` is a gallery of images that is
    searched by texts. Each gallery shows another sample of every class, and scores are averaged
    over galleries. The interval of a recall is over queries, each averaged over galleries first:
    the galleries show the same classes and are not independent. Queries about names with a word
    that training never saw have rows of their own besides.

    Args:
        galleries: at most; 1 or more.
    """

    name = "gallery"
    plays = EpisodeContext

    def __init__(self, galleries: int):
        require(galleries > 0, "evaluation.gallery.galleries", galleries, "a positive whole number")
        self.galleries = galleries

    @torch.no_grad()
    def run(self, player: Player, context: EpisodeContext) -> Results:
        learner, embedded, setting = player.learner, player.samples, self.setting(context)
        assert embedded is not None
        new = (
            NewWords(context.train, context.samples["test"])
            if learner.role is Role.LEARNED
            else None
        )
        number = min(self.galleries, int(embedded.counts.min()))
        results = Results()
        for mapping in setting.known_to(learner) if learner.ranks else ():
            parts = [
                setting.task.scores(*rank(learner, embedded, mapping, g)) for g in range(number)
            ]
            every = np.ones(len(embedded.classes), bool)
            subsets = {None: every} | (
                {} if new is None else new.subset(mapping, gallery(embedded, 0))
            )
            for (subset, queries), metric in product(subsets.items(), setting.task.metrics):
                # [galleries, queries]
                by_query = torch.cat([p[metric] for p in parts]).double()[:, queries]
                scores = metric.of_episodes(by_query).numpy()
                mean, ci95 = (
                    (float(scores.mean()), None)
                    if metric.median
                    else interval(by_query.mean(0).numpy(), 1)
                )
                about = {
                    "n": number,
                    "unit": "galleries",
                    "mean": mean,
                    "ci95": ci95,
                    "scores": scores,
                }
                about |= {"candidates": setting.shape.ways, "subset": subset}
                results.add(setting.result("test", mapping, metric, learner, **about))
        return results

    def references(self, context: EpisodeContext) -> Results:
        setting = self.setting(context)
        about = {"unit": "galleries", "candidates": setting.shape.ways}
        return chance_results(context.sampler(), [setting], context.options.episodes, **about)

    @torch.no_grad()
    def examples(self, players: Sequence[Player], context: EpisodeContext) -> dict[str, Any]:
        """Evenly spaced queries with their first candidates, in the first gallery."""
        learner, embedded = players[0].learner, players[0].samples
        assert embedded is not None
        mappings = self.setting(context).mappings if learner.ranks else ()
        return {"galleries": [_shown(learner, embedded, mapping) for mapping in mappings]}

    def setting(self, context: EpisodeContext) -> EvalSetting:
        """All classes are candidates; no mapping where each sample has a target of its own."""
        mappings = [] if context.task.per_sample_target else context.mappings
        pairs = tuple(
            m for m in mappings if len(m.support) == len(m.query) == 1 and m.support != m.query
        )
        return EvalSetting(
            self.name, Ranking(), EpisodeShape(len(context.samples["test"].classes), 1, 1), pairs
        )


def gallery(samples: Samples, number: int) -> Episodes:
    """The episode of all classes in order that shows sample ``number`` of every class,
    and its first name.
    """
    classes = np.arange(len(samples.classes))[None]
    rows = (samples.starts[:-1] + number)[None, :, None]
    return Episodes(EpisodeShape(classes.size, 1, 1), classes, rows, rows, np.zeros(classes.shape))


def rank(
    learner: Learner, embedded: Samples, mapping: Mapping, number: int
) -> tuple[Tensor, Tensor]:
    """How well every candidate of a gallery fits every query, ``[1, queries, candidates]``,
    and the right ones.
    """
    support, query = gather(embedded, gallery(embedded, number), [mapping]).view(mapping)
    return learner.adapt(support, Ranking())(query).cpu(), query.labels


def _shown(learner: Learner, embedded: Samples, mapping: Mapping) -> dict[str, Any]:
    fits = rank(learner, embedded, mapping, 0)[0][0]
    rows = []
    for q in evenly_spaced(len(fits), SHOWN).tolist():
        order = fits[q].argsort(descending=True, stable=True).tolist()
        rows.append({"query": q, "retrieved": order[:RETRIEVED], "rank": order.index(q) + 1})
    return {"mapping": str(mapping), "candidates": fits.shape[-1], "rows": rows}

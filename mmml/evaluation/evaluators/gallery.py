"""``gallery``: ranking across modalities; the rank of the right class among all test classes."""

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

SHOWN, RETRIEVED = 12, 6  # queries in a report, and candidates of each


@evaluators.register("gallery")
class Gallery(Evaluator):
    """R@1, R@5, R@10 and the median rank for each mapping of two different modalities, one on each
    side.

    As in all mappings the support side comes first: ``image:text`` is a gallery of images that is
    searched by texts. Each gallery has another sample of each class, and scores are averaged over
    galleries. The galleries have the same classes and are not independent, so the score of each
    query is first averaged over galleries, and the interval of a recall is over queries. Queries
    about names with words that do not occur in training have additional rows.

    Args:
        galleries: maximum number of galleries, 1 or more.
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
        """Return evenly spaced queries of the first gallery with their first candidates."""
        learner, embedded = players[0].learner, players[0].samples
        assert embedded is not None
        mappings = self.setting(context).mappings if learner.ranks else ()
        return {"galleries": [_shown(learner, embedded, mapping) for mapping in mappings]}

    def setting(self, context: EpisodeContext) -> EvalSetting:
        """Return the setting with all classes as candidates; it has no mappings if each sample has
        its own target.
        """
        mappings = [] if context.task.per_sample_target else context.mappings
        pairs = tuple(
            m for m in mappings if len(m.support) == len(m.query) == 1 and m.support != m.query
        )
        return EvalSetting(
            self.name, Ranking(), EpisodeShape(len(context.samples["test"].classes), 1, 1), pairs
        )


def gallery(samples: Samples, number: int) -> Episodes:
    """Return the episode with all classes in order, sample ``number`` of each class, and its first
    name.
    """
    classes = np.arange(len(samples.classes))[None]
    rows = (samples.starts[:-1] + number)[None, :, None]
    return Episodes(EpisodeShape(classes.size, 1, 1), classes, rows, rows, np.zeros(classes.shape))


def rank(
    learner: Learner, embedded: Samples, mapping: Mapping, number: int
) -> tuple[Tensor, Tensor]:
    """Return the fit of each candidate of a gallery to each query, ``[1, queries, candidates]``,
    and the numbers of the right candidates.
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

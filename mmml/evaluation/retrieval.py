"""Retrieval across modalities: at what rank among all classes does the right one come?"""

from collections.abc import Iterable
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.episodes import Episodes, EpisodeShape, Mapping, gather
from mmml.evaluation.new_words import NewWords
from mmml.evaluation.panel import Panel, Setting
from mmml.evaluation.statistics import interval
from mmml.methods import Learner
from mmml.tasks.gallery import Gallery

GALLERIES = 12  # at most; each shows another sample of every class


def retrieval_setting(samples: Samples, mappings: Iterable[Mapping]) -> Setting:
    """All classes are candidates; the mappings are those with one modality on each side, two different ones.

    As everywhere the support side comes first: ``image:text`` is a gallery of images that is
    searched by texts.
    """
    pairs = tuple(m for m in mappings if len(m.support) == len(m.query) == 1 and m.support != m.query)
    return Setting(Gallery(), EpisodeShape(len(samples.classes), 1, 1), pairs)


def gallery(samples: Samples, number: int) -> Episodes:
    """The episode of all classes in order that shows sample ``number`` of every class, and its first name."""
    classes = np.arange(len(samples.classes))[None]
    rows = (samples.starts[:-1] + number)[None, :, None]
    return Episodes(EpisodeShape(classes.size, 1, 1), classes, rows, rows, np.zeros(classes.shape))


@torch.no_grad()
def retrieval_panel(
    learner: Learner, embedded: Samples, split: str, setting: Setting, new: NewWords | None = None
) -> Panel:
    """R@1, R@5, R@10 and the median rank, each averaged over the galleries.

    The interval of a recall is over queries, each averaged over galleries first: the galleries
    show the same classes and are not independent.

    Queries about names with a ``new`` word have cells of their own besides.
    """
    panel = Panel()
    number = min(GALLERIES, int(embedded.counts.min()))
    for mapping in setting.known_to(learner) if learner.ranks else ():
        parts = [setting.task.scores(*rank(learner, embedded, mapping, g)) for g in range(number)]
        every = np.ones(len(embedded.classes), bool)
        subsets = {None: every} | ({} if new is None else new.subset(mapping, gallery(embedded, 0)))
        for (subset, queries), metric in product(subsets.items(), setting.task.metrics):
            by_query = torch.cat([p[metric] for p in parts]).double()[:, queries]  # [galleries, queries]
            scores = metric.of_episodes(by_query).numpy()
            mean, ci95 = (float(scores.mean()), None) if metric.median else interval(by_query.mean(0).numpy(), 1)
            about = {"episodes": number, "mean": mean, "ci95": ci95, "subset": subset}
            panel.add(setting.cell(split, mapping, metric, learner, **about), scores)
    return panel


def rank(learner: Learner, embedded: Samples, mapping: Mapping, number: int) -> tuple[Tensor, Tensor]:
    """How well every candidate of a gallery fits every query, ``[1, queries, candidates]``, and the right ones."""
    support, query = gather(embedded, gallery(embedded, number), [mapping]).view(mapping)
    return learner.adapt(support, Gallery())(query).cpu(), query.labels

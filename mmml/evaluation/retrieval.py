"""Retrieval across modalities: at what rank among all classes does the right one come?"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from mmml.datasets import Samples
from mmml.episodes import Batch, Episodes, Mapping, Shape, gather
from mmml.evaluation.embed import embed_all
from mmml.evaluation.panel import Cell, Column, Panel
from mmml.evaluation.statistics import interval
from mmml.methods import Learner
from mmml.tasks.retrieval import RANK, Retrieval

GALLERIES = 12  # at most; each shows another sample of every class


def retrieval_column(samples: Samples, mappings: Iterable[Mapping]) -> Column:
    """All classes are candidates; the mappings are those with one modality on each side, two different ones.

    As everywhere the support side comes first: ``image:text`` is a gallery of images that is
    searched by texts.
    """
    pairs = tuple(m for m in mappings if len(m.support) == len(m.query) == 1 and m.support != m.query)
    return Column(Retrieval(), Shape(len(samples.classes), 1, 1), pairs)


def galleries(samples: Samples) -> Episodes:
    """Episodes of all classes in order, whose j-th shows the j-th sample of every class, and its first name."""
    number, ways = min(GALLERIES, int(samples.counts.min())), len(samples.classes)
    classes = np.broadcast_to(np.arange(ways), (number, ways))
    rows = (samples.starts[:-1] + np.arange(number)[:, None])[..., None]
    return Episodes(Shape(ways, 1, 1), classes, rows, rows, np.zeros(classes.shape))


@torch.no_grad()
def retrieval_panel(learner: Learner, samples: Samples, split: str, column: Column) -> Panel:
    """R@1, R@5, R@10 and the median rank, each averaged over the galleries."""
    panel = Panel()
    known = [m for m in column.mappings if m.modalities <= set(learner.embedder.encoders)]
    if not known:
        return panel
    embedded = embed_all(learner, samples, {m for mapping in known for m in mapping.modalities})
    batch = gather(embedded, galleries(samples), known, encoded=True)
    for mapping in known:
        predictions, targets = rank(learner, batch, mapping)
        for metric, scores in column.task.scores(predictions, targets).items():
            panel.cells.append(_cell(learner, column, split, mapping, metric, scores.double().numpy()))
            panel.scores.append(scores.double().mean(1).numpy())
    return panel


def rank(learner: Learner, batch: Batch, mapping: Mapping) -> tuple[Tensor, Tensor]:
    """How well every candidate fits every query, ``[galleries, queries, candidates]``, and the right ones."""
    support, query = batch.view(mapping)
    return learner.adapt(support, Retrieval())(query).cpu(), query.slots


def _cell(learner: Learner, column: Column, split: str, mapping: Mapping, metric: str, scores: np.ndarray) -> Cell:
    """The interval is over queries, each averaged over galleries first: galleries share their classes."""
    mean, ci95 = (float(np.median(scores, axis=1).mean()), None) if metric == RANK else interval(scores.mean(axis=0))
    return column.cell(split, mapping, metric, learner, episodes=len(scores), mean=mean, ci95=ci95)

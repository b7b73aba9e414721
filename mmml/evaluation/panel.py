"""The panel: each mapping × ways × shots, judged on fixed episodes that all learners share."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import torch

from mmml.config.schema import EvalEpisodes
from mmml.datasets import Per, Samples
from mmml.episodes import Mapping as Modalities
from mmml.episodes import Sampler, Shape, gather
from mmml.evaluation.embed import embed_all
from mmml.evaluation.statistics import interval
from mmml.methods import Learner
from mmml.tasks import Task

CHUNK = 100  # episodes predicted at a time; the result does not depend on it


@dataclass(frozen=True)
class Cell:
    """One number of the panel.

    Attributes:
        predictor: ``metric/prototype``, ``raw/nearest``, ``chance``.
        support, query: the mapping.
        episodes: played; 0 for chance, which is exact.
        candidates: that a retrieval ranks, else None.
        transductive: whether the queries of an episode may have influenced one another.
        mean, ci95: the score and half the width of its 95 % interval (None: there is none).
    """

    split: str
    task: str
    predictor: str
    support: list[str]
    query: list[str]
    ways: int
    shots: int
    episodes: int
    candidates: int | None
    transductive: bool
    metric: str
    mean: float
    ci95: float | None

    @property
    def mapping(self) -> str:
        """As it is written in configs."""
        return str(Modalities(tuple(self.support), tuple(self.query)))


@dataclass
class Panel:
    """Cells, and the score of every episode behind them.

    Attributes:
        cells: in the order of the table.
        scores: for each cell, ``[episodes]``.
    """

    cells: list[Cell] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)

    def extend(self, other: "Panel") -> None:
        """Append another panel."""
        self.cells += other.cells
        self.scores += other.scores

    def plain(self) -> list[dict[str, Any]]:
        """For ``result.json``."""
        return [asdict(c) for c in self.cells]


@dataclass(frozen=True)
class Column:
    """One column of the panel: a shape of episodes, and the mappings that are judged with it."""

    task: Task
    shape: Shape
    mappings: tuple[Modalities, ...]

    def cell(self, split: str, mapping: Modalities, metric: str, learner: Learner | None, **values: Any) -> Cell:
        """A cell of this column; without a learner, of chance."""
        return Cell(
            split=split,
            task=self.task.name,
            predictor=learner.predictor_name if learner else "chance",
            support=list(mapping.support),
            query=list(mapping.query),
            ways=self.shape.ways,
            shots=self.shape.shots,
            candidates=self.shape.ways if self.task.is_ranking else None,
            transductive=learner.transductive if learner else False,
            metric=metric,
            **values,
        )


def episode_columns(options: EvalEpisodes, modalities: Mapping[str, Per], task: Task) -> list[Column]:
    """The columns that a config asks for.

    A mapping whose supports are the same for a whole class has one shot only: it stands in the
    column of the fewest shots and in no other.
    """
    mappings = [Modalities.parse(m) for m in options.mappings]
    found = []
    for ways, shots in product(options.ways, options.shots):
        fit = tuple(m for m in mappings if shots == options.shots[0] or not m.per_class(modalities)[0])
        if fit:
            found.append(Column(task, Shape(ways, shots, options.queries), fit))
    return found


@torch.no_grad()
def episode_panel(
    learner: Learner, samples: Samples, sampler: Sampler, columns: Iterable[Column], episodes: int
) -> Panel:
    """Judge a learner on every column; mappings that it has no encoder for are left out.

    Args:
        learner: in any mode.
        samples: of the split that ``sampler`` draws from.
        sampler: of the test or validation episodes.
        columns: see :func:`episode_columns`.
        episodes: of each cell; episode i is the same for all learners and mappings.
    """
    known = set(learner.embedder.encoders)
    columns = [replace(c, mappings=tuple(m for m in c.mappings if m.modalities <= known)) for c in columns]
    embedded = embed_all(learner, samples, {m for c in columns for mapping in c.mappings for m in mapping.modalities})
    panel = Panel()
    for column in (c for c in columns if c.mappings):
        for mapping, metrics in play(learner, embedded, sampler, column, episodes).items():
            for metric, scores in metrics.items():
                mean, ci95 = interval(scores)
                cell = column.cell(sampler.split, mapping, metric, learner, episodes=len(scores), mean=mean, ci95=ci95)
                panel.cells.append(cell)
                panel.scores.append(scores)
    return panel


def play(
    learner: Learner, embedded: Samples, sampler: Sampler, column: Column, episodes: int
) -> dict[Modalities, dict[str, np.ndarray]]:
    """The score of every episode, ``[episodes]``, by mapping and metric."""
    parts: dict[Modalities, list[dict[str, torch.Tensor]]] = {m: [] for m in column.mappings}
    for start in range(0, episodes, CHUNK):
        drawn = sampler.draw(range(start, min(start + CHUNK, episodes)), column.shape)
        batch = gather(embedded, drawn, column.mappings, encoded=True)
        for mapping in column.mappings:
            support, query = batch.view(mapping)
            predictions = learner.adapt(support)(query)
            parts[mapping].append(column.task.scores(predictions, query.slots.to(predictions.device)))
    return {
        mapping: {k: torch.cat([p[k].double().mean(-1) for p in several]).cpu().numpy() for k in several[0]}
        for mapping, several in parts.items()
    }


def chance_panel(split: str, columns: Iterable[Column]) -> Panel:
    """Guessing: known exactly, without episodes."""
    panel = Panel()
    for column in columns:
        for mapping in column.mappings:
            for metric, mean in column.task.chance(column.shape.ways).items():
                panel.cells.append(column.cell(split, mapping, metric, None, episodes=0, mean=mean, ci95=0.0))
                panel.scores.append(np.empty(0))
    return panel

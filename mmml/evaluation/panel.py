"""The panel: each mapping × ways × shots, judged on fixed episodes that all learners share."""

import collections.abc
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmml.config.schema import EvalEpisodes
from mmml.data.base import Granularity, Samples
from mmml.episodes import Episodes, EpisodeShape, Mapping, Sampler
from mmml.episodes.setup import eval_shapes
from mmml.evaluation.batching import chunks, few_threads
from mmml.evaluation.candidates import candidate_rows, expected
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.statistics import class_interval, finite, interval
from mmml.methods import Learner, Role
from mmml.progress import progress
from mmml.tasks import Metric, Task


@dataclass(frozen=True)
class Cell:
    """One number of the panel.

    Attributes:
        predictor: ``metric/prototype``, ``raw/nearest``, ``chance``.
        baseline: whether the predictor is only there to be compared with.
        role: what its row is there for.
        support, query: the mapping.
        episodes: played; 0 for chance, which is exact.
        candidates: that a ranking ranks, else None.
        transductive: whether the queries of an episode may have influenced one another.
        percent: whether the metric is shown times 100.
        higher_is_better: whether more is better.
        mean, ci95: the score and half the width of its 95 % interval (None: there is none).
        ci95_classes: the same, if the classes are taken for a sample too; None where that is not known.
        step: of a problem's loss, how many steps were taken; None for episodes.
        target: the modality of what was to be found or written; None for classes and scores.
        answers: of an episode whose score is the share of them that are right; None for other scores.
        subset: of the queries, if only some of them count.
    """

    split: str
    task: str
    predictor: str
    baseline: bool
    role: Role
    support: list[str]
    query: list[str]
    ways: int
    shots: int
    episodes: int
    candidates: int | None
    transductive: bool
    metric: str
    percent: bool
    higher_is_better: bool
    mean: float
    ci95: float | None
    ci95_classes: float | None = None
    step: int | None = None
    target: str | None = None
    answers: int | None = None
    subset: str | None = None

    @property
    def mapping(self) -> str:
        """As it is written in configs."""
        return str(Mapping(tuple(self.support), tuple(self.query)))


@dataclass
class Panel:
    """Cells, and the score of every episode behind them.

    Attributes:
        cells: in the order of the table.
        scores: for each cell, ``[episodes]``; empty for what is no mean over episodes.
        classes: for each cell, of its episodes, ``[episodes, ways]``; None where classes are not drawn.
    """

    cells: list[Cell] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    classes: list[np.ndarray | None] = field(default_factory=list)

    def add(self, cell: Cell, scores: np.ndarray, classes: np.ndarray | None = None) -> None:
        """Append one cell."""
        self.cells.append(cell)
        self.scores.append(scores)
        self.classes.append(classes)

    def extend(self, other: "Panel") -> None:
        """Append another panel."""
        self.cells += other.cells
        self.scores += other.scores
        self.classes += other.classes

    def of(self, predictor: str) -> "Panel":
        """The part of one predictor."""
        part = Panel()
        for cell, scores, classes in zip(self.cells, self.scores, self.classes, strict=True):
            if cell.predictor == predictor:
                part.add(cell, scores, classes)
        return part

    def plain(self) -> list[dict[str, Any]]:
        """For ``result.json``: a mean that is no finite number, where an inner loop diverged, is None."""
        return [asdict(c) | {"mean": finite(c.mean), "ci95": finite(c.ci95)} for c in self.cells]


@dataclass(frozen=True)
class Setting:
    """A task and a shape of episodes, a column of the panel, and the mappings that are judged with it."""

    task: Task
    shape: EpisodeShape
    mappings: tuple[Mapping, ...]

    def known_to(self, learner: Learner) -> list[Mapping]:
        """The mappings that a learner has encoders for; none if it cannot play the shape."""
        if not learner.can_play(self.shape):
            return []
        return [m for m in self.mappings if m.modalities <= set(learner.embedder.encoders)]

    def cell(self, split: str, mapping: Mapping, metric: Metric, learner: Learner | None, **values: Any) -> Cell:
        """A cell of this column; without a learner, of chance."""
        return Cell(
            split=split,
            task=self.task.name,
            predictor=learner.predictor_name if learner else "chance",
            baseline=learner.baseline if learner else True,
            role=learner.role if learner else Role.CHANCE,
            support=list(mapping.support),
            query=list(mapping.query),
            ways=self.shape.ways,
            shots=self.shape.shots,
            candidates=self.shape.ways if self.task.is_ranking else None,
            target=self.task.target,
            transductive=learner.transductive if learner else False,
            metric=metric.name,
            percent=metric.percent,
            higher_is_better=metric.higher_is_better,
            **values,
        )

    def mean_of(
        self,
        scores: np.ndarray,
        classes: np.ndarray | None,
        split: str,
        mapping: Mapping,
        metric: Metric,
        learner: Learner,
        **values: Any,
    ) -> Cell:
        """The cell of the scores of some episodes, ``[episodes]``, of these classes, ``[episodes, ways]``."""
        values = {"answers": self.shape.ways * self.shape.queries if metric.share else None} | values
        mean, ci95 = interval(scores, values["answers"])
        wide = None if classes is None else class_interval(scores, classes, ci95)
        values |= {"episodes": len(scores), "mean": mean, "ci95": ci95, "ci95_classes": wide}
        return self.cell(split, mapping, metric, learner, **values)


def episode_settings(
    options: EvalEpisodes, modalities: collections.abc.Mapping[str, Granularity], task: Task
) -> list[Setting]:
    """The columns that a config asks for.

    A mapping whose supports are the same for a whole class has one shot only: it stands in the
    column of the fewest shots and in no other.
    """
    mappings = [Mapping.parse(m) for m in options.mappings]
    found = []
    for shape in eval_shapes(options):
        fit = tuple(m for m in mappings if shape.shots == options.shots[0] or not m.per_class(modalities)[0])
        if fit:
            found.append(Setting(task, shape, fit))
    return found


def every_mapping(settings: Iterable[Setting]) -> list[Mapping]:
    """The mappings of some settings, each once, in order."""
    return list(dict.fromkeys(m for s in settings for m in s.mappings))


class EpisodePredictions(NamedTuple):
    """Some episodes under a mapping: the learner's predictions ``[B, q, …]``, the targets ``[B, q, …]``."""

    mapping: Mapping
    drawn: Episodes
    predictions: Tensor
    targets: Tensor


Watch = collections.abc.Callable[[Setting, EpisodePredictions, dict[Metric, Tensor]], None]
"""Is shown some episodes as they were played, and the scores of every query."""


@torch.no_grad()
def episode_panel(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    settings: Iterable[Setting],
    episodes: int,
    watch: Iterable[Watch] = (),
) -> Panel:
    """Judge a learner on every setting; mappings that it has no encoder for are left out.

    Args:
        learner: in any mode.
        embedded: the samples of the split, by :func:`mmml.evaluation.embed.embed_all`.
        sampler: of the test or validation episodes.
        settings: see :func:`episode_settings`.
        episodes: of each cell; episode i is the same for all learners and mappings.
        watch: called with all that is played besides.
    """
    panel = Panel()
    for setting in settings:
        for mapping, (classes, metrics) in play(learner, embedded, sampler, setting, episodes, watch).items():
            for metric, scores in metrics.items():
                panel.add(setting.mean_of(scores, classes, sampler.split, mapping, metric, learner), scores, classes)
    return panel


@torch.no_grad()
def play(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    setting: Setting,
    episodes: int,
    watch: Iterable[Watch] = (),
) -> dict[Mapping, tuple[np.ndarray, dict[Metric, np.ndarray]]]:
    """By mapping the classes of every episode, ``[episodes, ways]``, and by metric its scores, ``[episodes]``.

    Arguments are those of :func:`episode_panel`.
    """
    parts: dict[Mapping, list[dict[Metric, Tensor]]] = {}
    classes: dict[Mapping, list[np.ndarray]] = {}
    with few_threads(setting.shape, embedded, learner):
        for played in predict(learner, embedded, sampler, setting, episodes):
            scores = score(setting.task, learner, embedded, played)
            parts.setdefault(played.mapping, []).append(scores)
            classes.setdefault(played.mapping, []).append(played.drawn.classes)
            for watcher in watch:
                watcher(setting, played, scores)
    return {
        mapping: (
            np.concatenate(classes[mapping]),
            {m: torch.cat([m.of_episodes(p[m]) for p in several]).cpu().numpy() for m in several[0]},
        )
        for mapping, several in parts.items()
    }


def score(task: Task, learner: Learner, embedded: Samples, played: EpisodePredictions) -> dict[Metric, Tensor]:
    """The task's scores of every query, and the loss of every episode, ``[B, 1]``, of a learner that descends it."""
    _, drawn, predictions, targets = played
    left = {task.loss_metric: task.loss(predictions, targets).unsqueeze(-1)} if learner.has_inner_loop else {}
    if not task.embeds_target:
        return task.scores(predictions, targets) | left
    answers = embedded.columns[str(task.target)].values.to(predictions.device)
    return task.scores_among_candidates(predictions, answers, candidate_rows(embedded, drawn)) | left


def predict(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: Setting, episodes: int
) -> Iterator[EpisodePredictions]:
    """Play some episodes at a time, under each mapping."""
    mappings = setting.known_to(learner)
    parts = chunks(sampler.at_most(episodes) if mappings else 0, setting.shape, learner)
    for numbers in progress(parts, f"judging {learner.predictor_name}", len(parts)):
        drawn = sampler.draw(numbers, setting.shape)
        batch = gather_encoded(learner, embedded, drawn, mappings)
        for mapping in mappings:
            support, query = batch.view(mapping)
            predictions = learner.adapt(support)(query)
            targets = setting.task.targets(query.answered(learner.embedder.encode))
            yield EpisodePredictions(mapping, drawn, predictions, targets.to(learner.embedder.device))


def chance_panel(sampler: Sampler, settings: Iterable[Setting], episodes: int) -> Panel:
    """Guessing: known exactly; of the number of episodes only where they differ in what there is to choose from."""
    panel = Panel()
    for setting in settings:
        guessed = expected(setting.task, setting.shape, sampler, episodes) if setting.mappings else {}
        for mapping in setting.mappings:
            for metric, mean in guessed.items():
                cell = setting.cell(sampler.split, mapping, metric, None, episodes=0, mean=mean, ci95=0.0)
                panel.add(cell, np.empty(0))
    return panel

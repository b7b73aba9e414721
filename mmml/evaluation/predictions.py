"""Predictions and scores of a learner on the fixed episodes that all learners share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.episodes import Episodes, Mapping, Sampler
from mmml.evaluation.batching import chunks, few_threads
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner
from mmml.progress import progress
from mmml.tasks import Metric, Task


class EpisodePredictions(NamedTuple):
    """The predictions ``[B, q, …]`` of a learner for some episodes under a mapping, and their
    targets ``[B, q, …]``.
    """

    mapping: Mapping
    drawn: Episodes
    predictions: Tensor
    targets: Tensor


Scores = Callable[[EpisodePredictions], dict[Metric, Tensor]]
"""The scores of every query of some episodes, ``[B, q]``, or of every episode, ``[B, 1]``."""

Watch = Callable[[EvalSetting, EpisodePredictions, dict[Metric, Tensor]], None]
"""A function that is called with the setting, the predictions of some episodes, and the scores of
each query.
"""


@torch.no_grad()
def episode_results(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    settings: Iterable[EvalSetting],
    episodes: int,
    watch: Iterable[Watch] = (),
    scores: Scores | None = None,
) -> Results:
    """Return the mean score of a learner in each setting; mappings without an encoder of the
    learner are skipped.

    Args:
        learner: in any mode.
        embedded: the samples of the split, from :func:`mmml.evaluation.embed.materialize`.
        sampler: of the test or validation episodes.
        settings: see :func:`mmml.evaluation.setting.episode_settings`.
        episodes: number of episodes for each row; episode i is the same for all learners and
            mappings.
        watch: functions that are called with all predictions and scores.
        scores: what is measured; None for the scores of the task.
    """
    results = Results()
    for setting in settings:
        for mapping, (classes, metrics) in score_episodes(
            learner, embedded, sampler, setting, episodes, watch, scores
        ).items():
            for metric, values in metrics.items():
                results.add(
                    setting.mean_of(values, classes, sampler.split, mapping, metric, learner)
                )
    return results


@torch.no_grad()
def score_episodes(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    setting: EvalSetting,
    episodes: int,
    watch: Iterable[Watch] = (),
    scores: Scores | None = None,
) -> dict[Mapping, tuple[np.ndarray, dict[Metric, np.ndarray]]]:
    """Return, for each mapping, the classes of each episode ``[episodes, ways]``, and its scores by
    metric, ``[episodes]``.

    For the arguments see :func:`episode_results`.
    """
    parts: dict[Mapping, list[dict[Metric, Tensor]]] = {}
    classes: dict[Mapping, list[np.ndarray]] = {}
    with few_threads(setting.shape, embedded, learner):
        for played in predict(learner, embedded, sampler, setting, episodes):
            found = scores(played) if scores else score(setting.task, learner, embedded, played)
            parts.setdefault(played.mapping, []).append(found)
            classes.setdefault(played.mapping, []).append(played.drawn.classes)
            for watcher in watch:
                watcher(setting, played, found)
    return {
        mapping: (
            np.concatenate(classes[mapping]),
            {
                m: torch.cat([m.of_episodes(p[m]) for p in several]).cpu().numpy()
                for m in several[0]
            },
        )
        for mapping, several in parts.items()
    }


def score(
    task: Task, learner: Learner, embedded: Samples, played: EpisodePredictions
) -> dict[Metric, Tensor]:
    """Return the task's scores of each query; with an inner loop, also the loss of each episode,
    ``[B, 1]``.
    """
    _, drawn, predictions, targets = played
    left = (
        {task.loss_metric: task.loss(predictions, targets).unsqueeze(-1)}
        if learner.has_inner_loop
        else {}
    )
    return task.scores_of_episodes(predictions, targets, embedded, drawn) | left


def predict(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: EvalSetting, episodes: int
) -> Iterator[EpisodePredictions]:
    """Yield the predictions of some episodes at a time, under each mapping."""
    mappings = setting.known_to(learner)
    parts = chunks(sampler.at_most(episodes) if mappings else 0, setting.shape, learner)
    for numbers in progress(parts, f"testing {learner.predictor_name}", len(parts)):
        drawn = sampler.draw(numbers, setting.shape)
        batch = gather_encoded(learner, embedded, drawn, mappings)
        for mapping in mappings:
            support, query = batch.view(mapping)
            predictions = learner.adapt(support)(query)
            targets = setting.task.targets(query.answered(learner.embedder.encode))
            yield EpisodePredictions(
                mapping, drawn, predictions, targets.to(learner.embedder.device)
            )


def chance_results(
    sampler: Sampler, settings: Iterable[EvalSetting], episodes: int, **values: Any
) -> Results:
    """Return rows with the exact score of chance. ``episodes`` only matters if episodes differ in
    their number of candidates.
    """
    results = Results()
    for setting in settings:
        guessed = (
            setting.task.chance_of_episodes(setting.shape, sampler, episodes)
            if setting.mappings
            else {}
        )
        for mapping in setting.mappings:
            for metric, mean in guessed.items():
                results.add(
                    setting.result(
                        sampler.split, mapping, metric, None, n=0, mean=mean, ci95=0.0, **values
                    )
                )
    return results

"""Matching across modalities by pairs: one example of each class in both, and nothing that compares the two.

Which image belongs to what is said? What is said resembles the sound of one of the pairs, and the image of that pair
resembles one of the candidates (Eloff, Engelbrecht and Kamper, 2019). No common space of the modalities is
needed, so that it works for classes whose pairing was never learned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Granularity, Samples
from mmml.episodes import Batch, Episodes, Sampler, gather
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError
from mmml.evaluation.batching import chunks
from mmml.evaluation.panel import Panel, Setting
from mmml.methods import Learner
from mmml.progress import progress
from mmml.tasks.matching import MATCHING, Matching

EmbeddedLearners = Sequence[tuple[Learner, Samples]]
"""Learners, each with the split as it embeds it; of a modality the first that has an encoder for it is asked."""


def matching_settings(
    texts: Iterable[str], settings: Sequence[Setting], modalities: Mapping[str, Granularity]
) -> list[Setting]:
    """What ``evaluation.matching`` asks for, in episodes of the shapes that are judged anyway.

    Args:
        texts: such as ``image:audio``: as everywhere the support side, the candidates, comes first.
        settings: of the panel.
        modalities: of the dataset.
    """
    texts = [*texts]
    if texts and settings[0].task.per_sample_target:
        raise UserError(f"evaluation.matching needs classes, and task={settings[0].task.name} has none: leave it empty")
    judged = {m for setting in settings for mapping in setting.mappings for m in mapping.modalities}
    mappings = [EpisodeMapping.parse(text, "evaluation.matching") for text in texts]
    for mapping in mappings:
        if len(mapping.support) > 1 or len(mapping.query) > 1 or mapping.support == mapping.query:
            raise UserError(f"evaluation.matching: {mapping} is not one modality on each side, two different ones")
        for modality in sorted(mapping.modalities):
            if modality not in judged:
                hint = f"name it in episode.eval.mappings too, as {modality}:{modality}"
                raise UserError(f"evaluation.matching: {mapping} needs {modality}, which no mapping has: {hint}")
            if modalities[modality] is Granularity.CLASS:
                message = "it is the same for a whole class, so that a pair and a candidate would be one"
                raise UserError(f"evaluation.matching: {mapping} cannot match {modality}: {message}")
    shapes = dict.fromkeys(setting.shape for setting in settings)
    return [Setting(Matching(), shape, tuple(mappings)) for shape in shapes if mappings]


@torch.no_grad()
def matching_panel(known: EmbeddedLearners, sampler: Sampler, settings: Iterable[Setting], episodes: int) -> Panel:
    """The accuracy of matching; what is not known in both modalities is left out.

    Args:
        known: in evaluation mode.
        sampler: of the test episodes.
        settings: by :func:`matching_settings`.
        episodes: of each cell.
    """
    panel = Panel()
    for setting in settings:
        for mapping in setting.mappings:
            queries, candidates = (of_modality(known, side[0]) for side in (mapping.query, mapping.support))
            if queries and candidates:
                scores, classes = matched(queries, candidates, mapping, sampler, setting, episodes)
                cell = setting.mean_of(scores, classes, sampler.split, mapping, MATCHING, queries[0])
                panel.add(cell, scores, classes)
    return panel


def of_modality(known: EmbeddedLearners, modality: str) -> tuple[Learner, Samples] | None:
    """The first that has an encoder of it, if any."""
    return next(((learner, s) for learner, s in known if modality in learner.embedder.encoders), None)


def matched(
    of_queries: tuple[Learner, Samples],
    of_candidates: tuple[Learner, Samples],
    mapping: EpisodeMapping,
    sampler: Sampler,
    setting: Setting,
    episodes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each episode, ``[episodes]``, and its classes, ``[episodes, ways]``."""
    (first, query_samples), (second, candidate_samples) = of_queries, of_candidates
    scores, classes = [], []
    parts = chunks(sampler.at_most(episodes), setting.shape, first)
    for numbers in progress(parts, f"matching {mapping}", len(parts)):
        drawn = sampler.draw(numbers, setting.shape)
        queries = alike(query_samples, drawn, mapping.query)
        candidates = alike(candidate_samples, replace(drawn, query=drawn.query[..., :1]), mapping.support)
        right = setting.task.scores(match(first, second, queries, candidates), queries.query.labels)[MATCHING]
        scores.append(MATCHING.of_episodes(right).numpy())
        classes.append(drawn.classes)
    return np.concatenate(scores), np.concatenate(classes)


def alike(samples: Samples, drawn: Episodes, side: tuple[str, ...]) -> Batch:
    """Episodes that show the same modality on both sides."""
    return gather(samples, drawn, [EpisodeMapping(side, side)])


def match(first: Learner, second: Learner, queries: Batch, candidates: Batch) -> Tensor:
    """Log-probabilities of the candidates, ``[B, q, ways]``.

    Args:
        first: of the modality of the queries.
        second: of the modality of the candidates.
        queries: pairs and queries, as the first modality shows them.
        candidates: pairs and one candidate of each class, as the second shows them.
    """
    pair = first.adapt(queries.support)(queries.query).argmax(-1).cpu()  # the class whose pair a query resembles
    onwards = second.adapt(candidates.query)(candidates.support).cpu()  # [B, ways * shots, ways]
    of_class = onwards.unflatten(1, (onwards.shape[-1], -1)).exp().mean(2).log()
    return of_class.gather(1, pair.unsqueeze(-1).expand(-1, -1, of_class.shape[-1]))

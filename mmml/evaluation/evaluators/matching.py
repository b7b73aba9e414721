"""``matching``: matching across modalities with one pair of each class, without a model that
compares the two modalities.

For example, which image belongs to a spoken word? The word is most similar to the sound of one of
the pairs, and the image of that pair is most similar to one of the candidates (Eloff, Engelbrecht
and Kamper, 2019). The modalities need no shared space, so this works for pairings that were never
trained.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Granularity, Samples
from mmml.episodes import Batch, Episodes, Sampler, gather
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError
from mmml.evaluation.baselines import baselines
from mmml.evaluation.batching import chunks
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.predictions import chance_results
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner, Role
from mmml.progress import progress
from mmml.tasks.matching import MATCHING, Matching

OPTION = "evaluation.matching.mappings"


@evaluators.register("matching")
class MatchingByPairs(Evaluator):
    """The accuracy of matching in episodes of the few-shot shapes.

    Args:
        mappings: such as ``image:audio``. As in all mappings the support side comes first; it has
            the candidates.
    """

    name = "matching"
    plays = EpisodeContext

    def __init__(self, mappings: list[str]):
        self.mappings = tuple(EpisodeMapping.parse(text, OPTION) for text in mappings)
        if not mappings:
            raise UserError(f"{OPTION} is empty: name what to match, such as [image:audio]")

    def check(self, learner: Learner, context: EpisodeContext) -> None:
        if context.task.per_sample_target:
            raise UserError(
                f"evaluation.matching needs classes, and task={context.task.name} has none: "
                "leave matching out of evaluation/evaluators"
            )
        played = {m for mapping in context.mappings for m in mapping.modalities}
        for mapping in self.mappings:
            if (
                len(mapping.support) > 1
                or len(mapping.query) > 1
                or mapping.support == mapping.query
            ):
                raise UserError(
                    f"{OPTION}: {mapping} is not one modality on each side, two different ones"
                )
            for modality in sorted(mapping.modalities):
                if modality not in played:
                    hint = f"name it in episode.eval.mappings too, as {modality}:{modality}"
                    raise UserError(
                        f"{OPTION}: {mapping} needs {modality}, which no mapping has: {hint}"
                    )
                if context.modalities[modality] is Granularity.CLASS:
                    message = (
                        "it is the same for a whole class, so that a pair and "
                        "a candidate would be one"
                    )
                    raise UserError(f"{OPTION}: {mapping} cannot match {modality}: {message}")

    def run(self, player: Player, context: EpisodeContext) -> Results:
        return self.of([player], context) if player.learner.role is Role.LEARNED else Results()

    def references(self, context: EpisodeContext) -> Results:
        """Return the rows of chance and of baselines. A baseline sees one modality, so all
        baselines of one name match together.
        """
        results = Results()
        for name in context.options.baselines:
            known = baselines.get(name, "evaluation.baselines")(context.modalities, context.task)
            results.extend(self.of([Player(b, context.embed(b)) for b in known], context))
        results.extend(
            chance_results(context.sampler(), self.settings(context), context.options.episodes)
        )
        return results

    def settings(self, context: EpisodeContext) -> list[EvalSetting]:
        """Return one setting with all mappings for each few-shot shape."""
        shapes = dict.fromkeys(setting.shape for setting in context.settings)
        return [EvalSetting(self.name, Matching(), shape, self.mappings) for shape in shapes]

    @torch.no_grad()
    def of(self, known: Sequence[Player], context: EpisodeContext) -> Results:
        """Return the rows of players that match together; mappings without a player for both
        modalities are skipped.
        """
        results, sampler = Results(), context.sampler()
        for setting in self.settings(context):
            for mapping in setting.mappings:
                queries, candidates = (
                    of_modality(known, side[0]) for side in (mapping.query, mapping.support)
                )
                if queries and candidates:
                    scores, classes = matched(
                        queries, candidates, mapping, sampler, setting, context.options.episodes
                    )
                    results.add(
                        setting.mean_of(
                            scores, classes, sampler.split, mapping, MATCHING, queries.learner
                        )
                    )
        return results


def of_modality(known: Sequence[Player], modality: str) -> Player | None:
    """Return the first player with an encoder of the modality; None if there is none."""
    return next((p for p in known if modality in p.learner.embedder.encoders), None)


def matched(
    queries: Player,
    candidates: Player,
    mapping: EpisodeMapping,
    sampler: Sampler,
    setting: EvalSetting,
    episodes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each episode, ``[episodes]``, and its classes, ``[episodes, ways]``."""
    assert queries.samples is not None and candidates.samples is not None
    scores, classes = [], []
    parts = chunks(sampler.at_most(episodes), setting.shape, queries.learner)
    for numbers in progress(parts, f"matching {mapping}", len(parts)):
        drawn = sampler.draw(numbers, setting.shape)
        query_batch = alike(queries.samples, drawn, mapping.query)
        candidate_batch = alike(
            candidates.samples, replace(drawn, query=drawn.query[..., :1]), mapping.support
        )
        right = setting.task.scores(
            match(queries.learner, candidates.learner, query_batch, candidate_batch),
            query_batch.query.labels,
        )
        scores.append(MATCHING.of_episodes(right[MATCHING]).numpy())
        classes.append(drawn.classes)
    return np.concatenate(scores), np.concatenate(classes)


def alike(samples: Samples, drawn: Episodes, side: tuple[str, ...]) -> Batch:
    """Gather episodes with the same modality on both sides."""
    return gather(samples, drawn, [EpisodeMapping(side, side)])


def match(first: Learner, second: Learner, queries: Batch, candidates: Batch) -> Tensor:
    """Return log-probabilities of the candidates, ``[B, q, ways]``.

    Args:
        first: the learner for the modality of the queries.
        second: the learner for the modality of the candidates.
        queries: the pairs and the queries, in the first modality.
        candidates: the pairs and one candidate of each class, in the second modality.
    """
    # The class whose pair is most similar to the query.
    pair = first.adapt(queries.support)(queries.query).argmax(-1).cpu()
    onwards = second.adapt(candidates.query)(candidates.support).cpu()  # [B, ways * shots, ways]
    of_class = onwards.unflatten(1, (onwards.shape[-1], -1)).exp().mean(2).log()
    return of_class.gather(1, pair.unsqueeze(-1).expand(-1, -1, of_class.shape[-1]))

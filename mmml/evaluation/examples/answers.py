"""Queries with right and predicted answers for the report, for retrieval and text generation."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from mmml.data.base import Samples, base_modality
from mmml.episodes import Episodes, Sampler
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.examples.thumbnails import picture
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner

EPISODES, PAIRS, QUERIES = 4, 3, 6  # numbers of examples shown
LOOKED_AT = 200  # episodes to search for different classes


@torch.no_grad()
def answer_examples(
    learners: Sequence[Learner],
    samples: Samples,
    embedded: Samples,
    sampler: Sampler,
    setting: EvalSetting,
) -> dict[str, Any] | None:
    """Return some queries of some episodes with the answer of each learner, as JSON values; None if
    the task shows no answers.

    Args:
        learners: all on the same samples.
        samples: of the split, to show them.
        embedded: the same samples with the learners' embeddings.
        sampler: of that split.
        setting: its first mapping is used.
    """
    target, mapping = setting.task.target, setting.mappings[0]
    learners = [learner for learner in learners if learner.can_play(setting.shape)]
    if target is None or not learners:
        return None
    episodes = []
    for drawn in of_different_classes(sampler, setting):
        episode = _episode(learners, samples, embedded, drawn, setting)
        if episode is None:
            return None
        episodes.append(episode)
    names = [learner.predictor_name for learner in learners]
    return {
        "mapping": f"{mapping} → {target}",
        "shots": setting.shape.shots,
        "by": names,
        "episodes": episodes,
    }


def _episode(
    learners: Sequence[Learner],
    samples: Samples,
    embedded: Samples,
    drawn: Episodes,
    setting: EvalSetting,
) -> dict[str, Any] | None:
    """Return one episode: its class, some pairs of its support set, and some queries."""
    mapping, target = setting.mappings[0], str(setting.task.target)
    support, query = gather_encoded(learners[0], embedded, drawn, [mapping]).view(mapping)
    queried, known = drawn.query[0].ravel(), drawn.support[0].ravel()[:PAIRS]
    given = []
    for learner in learners:
        answers = setting.task.answers(learner.adapt(support)(query), embedded, drawn)
        if answers is None:
            return None
        given.append(answers)

    def answer(found: str | int) -> dict[str, Any]:
        return {"text": found} if isinstance(found, str) else one(samples, found, target)

    queries = [
        {
            "shown": several(samples, r, mapping.query),
            "reference": one(samples, r, target),
            "given": [answer(g) for g in by],
        }
        for r, *by in list(zip(queried, *given, strict=True))[:QUERIES]
    ]
    pairs = [[several(samples, row, mapping.support), one(samples, row, target)] for row in known]
    return {"class": samples.classes[drawn.classes[0, 0]], "pairs": pairs, "queries": queries}


def of_different_classes(sampler: Sampler, setting: EvalSetting) -> Iterator[Episodes]:
    """Yield some episodes, each of a different class."""
    known: set[int] = set()
    for number in range(sampler.at_most(LOOKED_AT)):
        drawn = sampler.draw([number], setting.shape)
        first = int(drawn.classes[0, 0])
        if first not in known:
            known.add(first)
            yield drawn
        if len(known) == EPISODES:
            return


def several(samples: Samples, row: int, modalities: Iterable[str]) -> list[dict[str, Any]]:
    """Return the values of a row that are present, as texts or pictures."""
    found = [(m, samples.columns[m].take(slice(row, row + 1)).present[:]) for m in modalities]
    return [
        {"text": str(value[0])}
        if base_modality(m) == "text"
        else picture(base_modality(m), value[0])
        for m, value in found
        if len(value)
    ]


def one(samples: Samples, row: int, modality: str) -> dict[str, Any]:
    """Return one value of a row, which must be present, as a text or picture."""
    return several(samples, row, [modality])[0]

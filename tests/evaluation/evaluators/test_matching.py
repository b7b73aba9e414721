from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.episodes import Batch
from mmml.errors import UserError
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.matching import MatchingByPairs, match
from tests.conftest import make_learner
from tests.evaluation import making
from tests.evaluation.making import measure, settings_of

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.SAMPLE}


class Told:
    """Answers what it is told, whatever it is shown."""

    def __init__(self, log_probabilities):
        self.answer = torch.tensor(log_probabilities).log()

    def adapt(self, support):
        return lambda query: self.answer


def test_a_query_goes_to_the_candidate_that_the_image_of_its_pair_resembles():
    # Two queries: the pair of class 1, then of class 0.
    first = Told([[[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]])
    second = Told(
        [[[0.1, 0.2, 0.7], [0.3, 0.1, 0.6], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [1, 0, 0], [1, 0, 0]]]
    )
    nothing = Batch(None, None, ())
    found = match(first, second, nothing, nothing).exp()
    # Means over two shots each.
    assert torch.allclose(found, torch.tensor([[[0.2, 0.7, 0.1], [0.2, 0.15, 0.65]]]))


def unrelated(per_class: int = 4) -> Samples:
    """Six classes; images of class c are unit vector c, texts of class c unit vector 5 - c."""
    labels = np.repeat(np.arange(6), per_class)
    image, text = torch.eye(16)[labels], torch.eye(16)[5 - labels]
    columns = {m: Column(v, encoded=True) for m, v in (("image", image), ("text", text))}
    return Samples([f"class {c}" for c in range(6)], np.arange(7) * per_class, columns)


def context_of(samples, ways=3, queries=1, shots=(1,), modalities=MODALITIES):
    shape = {
        "ways": [ways],
        "shots": list(shots),
        "queries": queries,
        "mappings": ["image:image", "text:text"],
    }
    return making.context_of(samples, settings_of(modalities, **shape), modalities)


def of(samples: Samples) -> float:
    learner = make_learner(classifier="nearest").eval()
    (row,) = MatchingByPairs(["image:text"]).run(
        Player(learner, samples), context_of(samples, 6, queries=2)
    )
    assert (row.key.task, row.key.metric, row.key.mapping, row.n) == (
        "matching",
        "matching accuracy",
        "image:text",
        20,
    )
    return row.mean


def test_modalities_without_a_common_space_are_matched_by_pairs():
    assert of(unrelated()) == 1


def test_a_query_that_resembles_another_pair_is_matched_wrongly():
    samples = unrelated()
    values = samples.columns["text"].values.clone()
    # Class 0 sounds like class 1: of ties the first label wins, and labels are shuffled.
    values[0:4] = values[4:8]
    confused = replace(samples, columns=samples.columns | {"text": Column(values, encoded=True)})
    assert of(confused) == pytest.approx(5 / 6)


def test_only_what_is_known_in_both_modalities_is_matched():
    samples = unrelated()
    learner = make_learner().eval()
    del learner.embedder.encoders["text"]
    matching = MatchingByPairs(["image:text"])
    context = context_of(samples)
    other = make_learner().eval()
    assert len(matching.of([Player(learner, samples)], context)) == 0
    assert len(matching.of([Player(learner, samples), Player(other, samples)], context)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image:image", "image:image is not one modality on each side, two different ones"),
        ("image+text:image", "image.text:image is not one modality on each side"),
        (
            "image:audio",
            (
                "image:audio needs audio, which no mapping has: name it in episode.eval.mappings "
                "too, as audio:audio"
            ),
        ),
        ("text:image", "text:image cannot match text: it is the same for a whole class"),
    ],
)
def test_what_cannot_be_matched_is_refused(text, message, learner):
    context = context_of(unrelated(), modalities=MODALITIES | {"text": Granularity.CLASS})
    with pytest.raises(UserError, match=f"evaluation.matching.mappings: {message}"):
        MatchingByPairs([text]).check(learner, context)
    with pytest.raises(
        UserError, match="evaluation.matching.mappings is empty: name what to match"
    ):
        MatchingByPairs([])


def test_the_table_has_it_beside_chance():
    samples = unrelated()
    matching = MatchingByPairs(["image:text"])
    found = measure(
        context_of(samples, shots=(1, 2)), make_learner(classifier="nearest"), None, [matching]
    )
    means = {(r.key.predictor, r.key.shots): r.mean for r in found.where(task="matching")}
    assert means == {
        ("metric/nearest", 1): 1,
        ("metric/nearest", 2): 1,
        ("chance", 1): 1 / 3,
        ("chance", 2): 1 / 3,
    }

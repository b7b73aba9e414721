"""What the report shows of tasks with a target."""

from dataclasses import replace

import torch

from mmml.episodes import EpisodeShape, Sampler
from mmml.evaluation.embed import materialize
from mmml.evaluation.examples.answers import answer_examples
from mmml.evaluation.setting import EvalSetting
from mmml.methods.controls import PermutedTargets
from tests.tasks.making import MAPPING, SHAPE, WORDS, metric, named  # noqa: F401

NAMES = {*WORDS, *(f"{word}o" for word in WORDS)}


def answers(learners, samples, shape):
    encoded = materialize(learners[0], samples, ["features", "text"])
    return answer_examples(
        learners,
        samples,
        encoded,
        Sampler(samples, 0, "test"),
        EvalSetting("few_shot", learners[0].task, shape, (MAPPING,)),
    )


def test_what_a_sample_lacks_is_not_shown(named):  # noqa: F811
    mask = torch.arange(len(named.labels)) % 2 == 0
    gappy = replace(
        named, columns={**named.columns, "features": replace(named.columns["features"], mask=mask)}
    )
    learner = metric().eval()
    learner.fit(gappy)
    queries = [
        query
        for episode in answers([learner], gappy, SHAPE)["episodes"]
        for query in episode["queries"]
    ]
    assert {len(query["shown"]) for query in queries} == {0, 1}
    assert all(query["reference"]["text"] in NAMES for query in queries)


def test_a_learner_that_cannot_play_the_shape_shows_nothing(named):  # noqa: F811
    learner = metric().eval()
    learner.fit(named)
    both = [learner, PermutedTargets(learner)]
    assert len(answers(both, named, SHAPE)["by"]) == 2
    # One pair cannot be shuffled.
    assert answers(both, named, EpisodeShape(1, 1, 6))["by"] == [learner.predictor_name]
    assert answers(both[1:], named, EpisodeShape(1, 1, 6)) is None

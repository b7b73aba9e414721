import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, Sampler, gather
from mmml.evaluation.setting import EvalSetting
from mmml.methods.controls import (
    NoSupport,
    PermutedTargets,
    TrainSetSupport,
    constants,
    dealt,
    in_wrong_places,
    permute_targets,
    shuffled_classes,
)
from mmml.tasks import tasks
from mmml.text.tokens import BYTES
from tests.conftest import metric_learner, with_scores

MAPPING, SHAPE = Mapping.parse("features:features"), EpisodeShape(1, 6, 4)


@pytest.fixture
def scored() -> Samples:
    """One quantity: the score is the number of the feature that is 1."""
    kinds = np.arange(24) % 4
    values = Column(torch.eye(4)[kinds])
    return with_scores(Samples(["a"], np.array([0, 24]), {"features": values}), kinds)


def learner(task=None):
    task = task or tasks.build("regression", {}, "task")
    sections = {
        "width": 4,
        "normalize": False,
        "fusion": "mean",
        "features": {"name": "raw_features"},
    }
    return metric_learner(
        build_embedder(sections, ["features"]), task, "euclidean", temperature=0.01
    )


def view(samples, target="score"):
    return gather(samples, Sampler(samples, 0, "test").draw([0, 1], SHAPE), [MAPPING], target).view(
        MAPPING
    )


def scores_of(examples):
    return examples.answers.items("score")


def test_answers_belong_to_other_items(scored):
    support, _ = view(scored)
    wrong = permute_targets(support)
    assert not torch.equal(scores_of(wrong), scores_of(support))
    assert torch.equal(scores_of(wrong).sort().values, scores_of(support).sort().values)
    assert torch.equal(wrong.values["features"], support.values["features"])


@pytest.mark.parametrize("videos", [2, 3, 5])
def test_scores_of_whole_videos_in_the_order_of_time_are_wrong_too(videos):
    scores = torch.cat([torch.linspace(0, 1, 12).square()] * videos)[None]
    positions = torch.arange(scores.shape[1], dtype=torch.float32)[None]
    assert (in_wrong_places(positions) != positions).all() and in_wrong_places(
        positions
    ).unique().numel() == positions.numel()
    assert abs(torch.corrcoef(torch.cat([scores, in_wrong_places(scores)]))[0, 1]) < 0.35


def test_no_answer_stays_with_its_item():
    for items in range(2, 60):
        positions = torch.arange(items)[None]
        assert (in_wrong_places(positions) != positions).all() and in_wrong_places(
            positions
        ).unique().numel() == items


def test_answers_of_a_modality_are_moved_within_their_episode(scored):
    named = {**scored.columns, "text": Column(torch.arange(24.0)[:, None], encoded=True)}
    support, _ = view(Samples(scored.classes, scored.starts, named), "text")
    before, after = (s.answers.items("text")[..., 0] for s in (support, permute_targets(support)))
    assert torch.equal(after.sort().values, before.sort().values) and (after != before).all()


def test_constant_answers_are_the_mean_and_the_median_of_the_scores(scored):
    support, query = view(scored)
    mean, median = (c.adapt(support)(query) for c in constants(learner()))
    assert torch.allclose(mean, scores_of(support).mean(1, keepdim=True).expand(2, 4))
    assert torch.allclose(median, scores_of(support).quantile(0.5, 1, keepdim=True).expand(2, 4))
    assert [c.predictor_name for c in constants(learner())] == ["constant/mean", "constant/median"]
    assert constants(learner(tasks.build("classification", {}, "task"))) == []


def test_one_pair_is_not_played():
    setting = EvalSetting("few_shot", learner().task, EpisodeShape(1, 1, 4), (MAPPING,))
    assert setting.known_to(learner()) and not setting.known_to(PermutedTargets(learner()))


def test_classes_are_dealt_to_one_another():
    items = torch.tensor([[[0, 1, 2, 3], [10, 11, 12, 13]]])
    assert dealt(items).tolist() == [[[0, 11, 2, 13], [10, 1, 12, 3]]]


def test_a_name_that_a_class_has_alone_says_nothing():
    names = ExampleSet({"text": Column(torch.randn(1, 5, 1, 4), encoded=True)}, {"text": (1, 5, 1)})
    dealt_names = shuffled_classes(names).values["text"]
    assert dealt_names.shape == (1, 5, 1, 4) and torch.equal(
        dealt_names, dealt_names[:, :1].expand_as(dealt_names)
    )


def test_what_is_missing_is_dealt_too():
    mask = torch.ones(1, 2, 2, dtype=torch.bool)
    mask[0, 1, 1] = False
    images = ExampleSet(
        {"image": Column(torch.ones(1, 2, 2, 4), mask, encoded=True)}, {"image": (1, 2, 2)}
    )
    assert shuffled_classes(images).columns["image"].mask.tolist() == [
        [[True, False], [True, True]]
    ]
    names = ExampleSet(
        {"text": Column(torch.ones(1, 2, 1, 4), mask[:, :, 1:], encoded=True)}, {"text": (1, 2, 1)}
    )
    # A mean of which a part is missing is missing.
    assert not shuffled_classes(names).columns["text"].mask.any()


@pytest.mark.parametrize(
    ("ways", "shots", "even"),
    [(2, 6, True), (5, 5, True), (2, 5, False), (5, 2, False), (5, 6, False)],
)
def test_classes_that_cannot_be_dealt_evenly_are_not_played(ways, shots, even):
    own = learner(tasks.build("classification", {}, "task"))
    assert PermutedTargets(own).can_play(EpisodeShape(ways, shots, 1)) == even


def test_samples_in_wrong_classes_leave_chance():
    samples = Samples(
        ["a", "b"],
        np.array([0, 12, 24]),
        {"features": Column(torch.eye(2).repeat_interleave(12, 0))},
    )
    shape = EpisodeShape(2, 6, 6)
    drawn = gather(samples, Sampler(samples, 0, "test").draw([0, 1], shape), [MAPPING]).view(
        MAPPING
    )
    own = learner(tasks.build("classification", {}, "task"))
    right, wrong = (one.adapt(drawn[0])(drawn[1]).exp() for one in (own, PermutedTargets(own)))
    assert right.amax(-1).min() > 0.99 and torch.allclose(wrong, torch.tensor(0.5))
    assert not PermutedTargets(own).can_play(EpisodeShape(2, 1, 6)) and PermutedTargets(
        own
    ).can_play(shape)


def test_wrong_pairs_corrupt_a_learner(scored):
    support, query = view(scored)
    own = learner()
    right, wrong = (
        own.task.targets(query) - one.adapt(support)(query) for one in (own, PermutedTargets(own))
    )
    assert right.abs().max() < 0.1 < 0.5 < wrong.abs().mean()
    assert (
        PermutedTargets(own).baseline
        and PermutedTargets(own).predictor_name == "metric/attention, permuted targets"
    )


def test_what_is_known_from_training_does_not_depend_on_the_support_set(scored):
    train = with_scores(scored, scored.columns["score"].values + 10)
    support, query = view(scored)
    own = TrainSetSupport(learner(), train)
    predictions = own.adapt(support)(query)
    assert torch.allclose(predictions, scores_of(query) + 10, atol=0.1)
    assert torch.equal(predictions, own.adapt(permute_targets(support))(query))


def test_what_is_known_from_training_is_of_all_of_it(scored, monkeypatch):
    """Of more samples than are shown, those that are shown lie evenly among all,
    from the first to the last.
    """
    monkeypatch.setattr("mmml.methods.controls.KNOWN", 4)
    train = with_scores(scored, np.arange(24))
    shown = TrainSetSupport(learner(), train)._support(("features",))
    assert scores_of(shown).tolist() == [[0, 8, 15, 23]]
    assert shown.values["features"].flatten(0, 2).argmax(-1).tolist() == [0, 0, 3, 3]


def test_texts_that_training_knows_are_answers_in_any_language(scored):
    kinds = np.arange(24) % 4
    names = {
        "train": objects([f"kind {k}" for k in kinds]),
        "test": objects([f"art {k}" for k in kinds]),
    }
    parts = {
        split: Samples(["a"], scored.starts, {**scored.columns, "text": Column(texts)})
        for split, texts in names.items()
    }
    own = learner(tasks.build("generation", {"target": "text"}, "task"))
    support, query = view(own.task.prepare(parts["test"]), "text")
    right = own.adapt(support)(query).texts()
    known = TrainSetSupport(own, parts["train"]).adapt(support)(query).texts()
    assert right == [BYTES.decode(t) for t in own.task.targets(query)]
    assert known == [[text.replace("art", "kind") for text in texts] for texts in right]


def test_where_nothing_is_shown_answers_are_sought_where_the_query_is(scored):
    own = learner(
        tasks.build("retrieval", {"target": "found_features", "temperature": 0.1}, "task")
    )
    support, query = view(scored)
    assert torch.equal(
        NoSupport(own).adapt(support)(query), own.embedder.fuse(query.encode(own.embedder.encode))
    )

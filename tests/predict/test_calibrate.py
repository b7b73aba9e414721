"""What is left out of a support set, and what it tells; on unit vectors, whose cosine
distances are 0 and 1.
"""

from functools import cache

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.episodes import Mapping
from mmml.evaluation.calibration import HOTTEST, with_one_wrong
from mmml.predict.calibrate import calibrate_on_support, folds_of, rows_of, spared
from tests.predict.test_model import model_of

ROWS = Mapping.parse("features:features")


def samples_of(*classes, groups=None):
    """A support set; of each class, the numbers of the unit vectors that it has."""
    vectors = torch.eye(8)[[n for several in classes for n in several]]
    starts = np.cumsum([0, *map(len, classes)])
    columns = {"features": Column(vectors, encoded=True)}
    return Samples([f"c{c}" for c in range(len(classes))], starts, columns, groups=groups)


@cache
def learner_of(classifier):
    return model_of(f"method/classifier={classifier}").learner


def told_of(samples, classifier="prototype"):
    return calibrate_on_support(learner_of(classifier), samples, ROWS)


def test_a_group_is_in_one_fold():
    samples = samples_of([0, 0, 1], [1, 2, 2], groups=np.array([0, 0, 1, 1, 2, 2]))
    assert folds_of(samples).tolist() == [0, 0, 1, 1, 2, 2]
    far = samples_of([0, 0, 1], [1, 2, 2], groups=np.array([9, 9, 4, 4, 7, 4]))
    assert folds_of(far).tolist() == [2, 2, 0, 0, 1, 0]


def test_the_fifth_fold_is_the_last():
    many = samples_of([0] * 7, [1] * 2)
    assert folds_of(many).tolist() == [0, 1, 2, 3, 4, 0, 1, 0, 1]
    grouped = samples_of([0] * 7, [1] * 2, groups=np.arange(9))
    assert folds_of(grouped).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_without_groups_each_class_is_spread_over_the_folds():
    assert folds_of(samples_of([0] * 3, [1], [2] * 2)).tolist() == [0, 1, 2, 0, 0, 1]
    assert folds_of(samples_of([0] * 2, [1] * 2)).tolist() == [0, 1, 0, 1]


def test_a_class_keeps_a_sample():
    samples = samples_of([0, 1], [2], [3, 4])
    assert spared(samples, np.array([1, 0, 1, 1, 1], bool)).tolist() == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert spared(samples, np.array([0, 1, 0, 0, 1], bool)).tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_classes_keep_their_numbers_when_rows_are_left_out():
    part = rows_of(samples_of([0, 1, 2], [3], [4, 5]), np.array([0, 1, 1, 0, 1, 0], bool))
    assert part.starts.tolist() == [0, 2, 2, 3] and part.classes == ["c0", "c1", "c2"]
    assert part.columns["features"].values.argmax(-1).tolist() == [1, 2, 4]


def test_what_is_left_out_is_not_learned_from():
    """All samples are at right angles, so that a sample is near a class just if it is in it."""
    entry = told_of(samples_of([0, 1], [2, 3]))
    assert entry.known == pytest.approx([1.0] * 101) and entry.unknown == pytest.approx([1.0] * 101)


def test_near_duplicates_are_left_out_together():
    classes = [0, 0, 1, 1], [2, 2, 3, 3]
    together = told_of(samples_of(*classes, groups=np.repeat(np.arange(4), 2)))
    assert together.known == pytest.approx([1.0] * 101)
    assert max(told_of(samples_of(*classes)).known) < 0.9


def test_the_unknown_are_far_from_the_other_classes_alone():
    entry = told_of(samples_of([0, 0], [1, 1], [2, 2]))
    assert entry.known == pytest.approx([0.0] * 101) and entry.unknown == pytest.approx([1.0] * 101)
    assert (entry.ways, entry.shots, entry.met) == (3, 2, 2)


def test_rules_are_cross_validated_as_they_are():
    """Of samples whose nearest neighbour is of the other class, nothing is sure."""
    wrong = told_of(samples_of([0, 1], [1, 0]), "nearest")
    right = told_of(samples_of([0, 0], [1, 1]), "nearest")
    assert right.temperature < 20 and wrong.temperature == HOTTEST


def test_the_median_prediction_is_counted_once_more_with_its_runner_up():
    logits = np.log([[0.5, 0.1, 0.4], [0.9, 0.07, 0.03], [0.1, 0.6, 0.3]])
    more, targets = with_one_wrong(logits, np.array([0, 0, 1]))
    assert np.array_equal(more, [*logits, logits[2]]) and targets.tolist() == [0, 0, 1, 2]
    even, _ = with_one_wrong(logits[:2], np.array([0, 0]))
    assert np.array_equal(even[2], logits[1])


def test_a_few_right_predictions_make_no_certainty():
    """Six sure and right ones, and one of them that is wrong: odds of 6 to 1."""
    # In logarithms, of a distance of 0 to one of 1.
    odds = 1 / learner_of("prototype")._loss.temperature.item()
    assert told_of(samples_of([0] * 3, [1] * 3)).temperature == pytest.approx(
        odds / np.log(6), rel=1e-3
    )


@pytest.mark.parametrize(
    "classes", [[[0], [1], [2]], [[0, 1, 2]]], ids=["one of each", "one class"]
)
def test_nothing_is_told_where_nothing_can_be_left_out(classes):
    assert told_of(samples_of(*classes)) is None

"""Among what retrieval ranks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import Subset, objects
from mmml.episodes import Episodes, EpisodeShape, of_one_class
from mmml.episodes.candidates import candidate_rows
from mmml.tasks import tasks

TASK = tasks.build("retrieval", {"target": "text", "temperature": 0.1}, "task")
TEXTS = ["hen", "dog", "hen", "cat", "cow", "cat"]


@pytest.fixture
def samples() -> Samples:
    """Two domains, of four and two rows."""
    columns = {"text": Column(objects(TEXTS))}
    return TASK.prepare(Samples(["a", "b"], np.array([0, 4, 6]), columns))


def found(samples: Samples, drawn: Episodes) -> tuple[list[str], list[str]]:
    """The candidates of one episode, and those that its queries have."""
    ((rows, right),) = candidate_rows(samples, "text", drawn)
    texts = [TEXTS[row] for row in rows]
    return sorted(texts), [texts[own] for own in right]


def test_equal_answers_are_one_candidate(samples):
    assert found(samples, of_one_class(np.array([1]), np.array([0, 2]))) == (
        ["cat", "hen"],
        ["hen", "hen"],
    )


def test_what_the_support_set_shows_is_none_of_them(samples):
    assert found(samples, of_one_class(np.array([3, 2]), np.array([1]))) == (["dog"], ["dog"])


def test_what_the_support_set_shows_may_be_asked_for_in_another_row(samples):
    assert found(samples, of_one_class(np.array([3, 2]), np.array([0]))) == (
        ["dog", "hen"],
        ["hen"],
    )


def test_near_duplicates_of_the_support_set_are_none_of_them(samples):
    grouped = replace(samples, groups=np.array([0, 1, 2, 0, 3, 4]))
    assert found(grouped, of_one_class(np.array([0]), np.array([1]))) == (["dog"], ["dog"])


def test_all_classes_of_an_episode_have_candidates(samples):
    support, query = np.array([[[0], [4]]]), np.array([[[1], [5]]])
    drawn = Episodes(EpisodeShape(2, 1, 1), np.array([[0, 1]]), support, query, np.zeros((1, 2)))
    assert found(samples, drawn) == (["cat", "dog"], ["dog", "cat"])


def test_rows_that_are_no_queries_are_no_candidates(samples):
    only = Samples(
        samples.classes,
        samples.starts,
        samples.columns,
        query_only=np.array([0, 1, 1, 0, 1, 1], bool),
    )
    assert found(TASK.prepare(only), of_one_class(np.array([3]), np.array([1]))) == (
        ["dog", "hen"],
        ["dog"],
    )


def test_rows_of_one_file_have_equal_answers():
    task = tasks.build("retrieval", {"target": "image", "temperature": 0.1}, "task")
    pictures = torch.zeros(2, 4, 4, dtype=torch.uint8)
    columns = {"image": Column(Subset(pictures, np.array([0, 0, 1, 1, 1])))}
    samples = task.prepare(Samples(["a"], np.array([0, 5]), columns))
    ((rows, right),) = candidate_rows(
        samples, "image", of_one_class(np.array([0]), np.array([1, 3]))
    )
    assert rows.tolist() == [0, 2] and right.tolist() == [0, 1]


def test_of_what_cannot_be_compared_all_are_different():
    task = tasks.build("retrieval", {"target": "features", "temperature": 0.1}, "task")
    columns = {"features": Column(torch.zeros(3, 2), encoded=True)}
    samples = task.prepare(Samples(["a"], np.array([0, 3]), columns))
    ((rows, right),) = candidate_rows(
        samples, "features", of_one_class(np.array([1]), np.array([2]))
    )
    assert rows.tolist() == [0, 2] and right.tolist() == [1]

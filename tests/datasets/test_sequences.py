"""``dataset=traits`` and ``dataset=reviews``."""

import pytest

from mmml.datasets import datasets
from mmml.errors import UserError

TRAITS = {"name": "traits", "streams": ["audio"], "split_seed": 0, "val": 0.2, "test": 0.2}
REVIEWS = {"name": "reviews", "streams": ["audio", "video"]}


def load(root, section, **options):
    return datasets.build_section(section | {"root": str(root)} | options, "dataset").load(["features"], scores=True)


def test_traits_are_tasks_over_the_same_clips(real_data):
    parts = load(real_data, TRAITS)
    assert {s: len(p.classes) for s, p in parts.items()} == {"train": 11, "val": 3, "test": 3}
    assert parts["train"].counts.tolist() == [600] * 11 and parts["test"].counts.tolist() == [203] * 3
    features = parts["train"].columns["features"].values
    assert features.shape == (6600, 20, 43)
    assert (features[:600] == features[600:1200]).all()  # the same clips, other scores
    scores = parts["train"].targets
    assert scores.min() >= 1 and scores.max() <= 7 and not (scores[:600] == scores[600:1200]).all()


def test_clips_without_video_are_left_out_with_it(real_data):
    parts = load(real_data, TRAITS, streams=["audio", "video"])
    counts = [int(p.counts[0]) for p in parts.values()]
    assert 0.4 < sum(counts) / 903 < 0.5
    features = parts["test"].columns["features"].values
    assert features.shape[-1] == 84 and features[..., 43:].abs().sum((1, 2)).min() > 0


def test_reviews_have_one_quantity_and_the_published_splits(real_data):
    parts = load(real_data, REVIEWS)
    assert [p.classes for p in parts.values()] == [["sentiment, train"], ["sentiment, val"], ["sentiment, test"]]
    assert parts["test"].columns["features"].values.shape[1:] == (20, 110)
    assert sum(int(p.counts[0]) for p in parts.values()) <= 340
    assert parts["train"].targets.min() >= 1 and parts["train"].targets.max() <= 5


def test_a_stream_that_the_copy_lacks_is_told(real_data):
    with pytest.raises(UserError, match=r"lacks one of them for the train split"):
        load(real_data, REVIEWS, streams=["audio", "text"])
    with pytest.raises(UserError, match=r"dataset.streams=\['smell'\] must be a list of audio, video, text"):
        load(real_data, REVIEWS, streams=["smell"])

"""``dataset=pom`` and ``dataset=ict_mmmo``."""

import pytest

from mmml.data.base import datasets
from mmml.errors import UserError
from tests.conftest import scores_of

TRAITS = {"name": "pom", "split_seed": 0, "val": 0.12, "test": 0.24}
REVIEWS = {"name": "ict_mmmo"}


def load(root, section, *modalities):
    return datasets.build_section(section | {"root": str(root)}, "dataset").load(
        {*modalities, "score"}
    )


def test_traits_are_tasks_over_the_same_clips(real_data):
    parts = load(real_data, TRAITS, "audio_features")
    assert {s: len(p.classes) for s, p in parts.items()} == {"train": 11, "val": 2, "test": 4}
    assert (
        parts["train"].counts.tolist() == [600] * 11 and parts["test"].counts.tolist() == [203] * 4
    )
    features = parts["train"].columns["audio_features"].values[:]
    assert features.shape == (6600, 20, 43)
    assert (features[:600] == features[600:1200]).all()  # the same clips, other scores
    assert parts["train"].groups.tolist() == [*range(600)] * 11
    scores = scores_of(parts["train"])
    assert scores.min() >= 1 and scores.max() <= 7 and not (scores[:600] == scores[600:1200]).all()


def test_no_clip_is_in_two_splits(real_data):
    parts = load(real_data, TRAITS, "audio_features", "video_features")
    clips = []
    for part in parts.values():
        sound = part.columns["audio_features"].take(slice(0, part.counts[0]))
        clips += [clip.numpy().tobytes() for clip in sound.present[:]]
    assert len(clips) > 890 and len(set(clips)) == len(clips)


def test_half_of_the_clips_have_no_video(real_data):
    together = load(real_data, TRAITS, "audio_features", "video_features")
    assert [p.counts.tolist() for p in together.values()] == [[600] * 11, [100] * 2, [203] * 4]
    video = together["test"].columns["video_features"]
    alone = load(real_data, TRAITS, "video_features")["test"]
    assert alone.counts[0] == video.mask[:203].sum() and 0.4 < video.mask.float().mean() < 0.6
    clips = video.take(slice(0, 203)).present[:]
    assert (clips == alone.columns["video_features"].values[: alone.counts[0]]).all()
    assert clips[:5].shape == (5, 20, 41) and clips[:5].abs().sum((1, 2)).min() > 0
    scores = scores_of(together["test"])[:203][video.mask[:203].numpy()]
    assert (scores == scores_of(alone)[: len(scores)]).all()


def test_reviews_have_one_quantity_and_the_published_splits(real_data):
    parts = load(real_data, REVIEWS, "audio_features", "video_features")
    assert [p.classes for p in parts.values()] == [
        ["sentiment, train"],
        ["sentiment, val"],
        ["sentiment, test"],
    ]
    shapes = {m: column.values[:1].shape[1:] for m, column in parts["test"].columns.items()}
    assert shapes == {"audio_features": (20, 74), "video_features": (20, 36), "score": ()}
    assert sum(int(p.counts[0]) for p in parts.values()) <= 340
    assert scores_of(parts["train"]).min() >= 1 and scores_of(parts["train"]).max() <= 5


def test_a_stream_that_the_copy_lacks_is_told(real_data):
    with pytest.raises(UserError, match=r"has no text_features of the train split"):
        load(real_data, REVIEWS, "audio_features", "text_features")


def test_the_scores_of_a_trait_are_those_that_its_clips_have_on_it(real_data):
    dataset = datasets.build_section(TRAITS | {"root": str(real_data)}, "dataset")
    read, parts = dataset.read(["audio_features"]), dataset.load(["audio_features", "score"])
    for split, part in parts.items():
        for c, name in enumerate(part.classes):
            wanted = read[split].scores[:, int(name.removeprefix("trait")) - 1]
            assert scores_of(part)[part.starts[c] : part.starts[c + 1]].tolist() == wanted.tolist()

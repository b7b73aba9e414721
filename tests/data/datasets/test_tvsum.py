import shutil

import h5py
import numpy as np
import pytest

from mmml.data.annotated_video import Footage, summary
from mmml.data.base import datasets
from mmml.data.datasets.tvsum import CATEGORIES, read_annotations
from mmml.errors import UserError
from tests.conftest import scores_of
from tests.data.making_footage import EVERY, write_eccv16


@pytest.fixture(scope="module")
def root(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "tvsum_annotations"
    folder.mkdir()
    shutil.copy(real_data / "tvsum_annotations" / "ydata-tvsum50.mat", folder)
    write_eccv16(folder / "ydata-tvsum50.mat", folder / "features.h5")
    return folder.parent


def build(root, **options):
    section = {
        "name": "tvsum",
        "root": str(root),
        "val_categories": ["BK"],
        "test_categories": ["DS", "VT"],
    }
    return datasets.build_section(section | options, "dataset")


def test_fifty_videos_of_ten_categories(root):
    videos = read_annotations(root / "tvsum_annotations" / "ydata-tvsum50.mat")
    assert len(videos) == 50 and {v.category for v in videos} == set(CATEGORIES)
    first = videos[0]
    assert first.title.startswith("#1306 How to change tires") and first.importance.shape == (
        20,
        10_597,
    )
    assert {v.importance.min() for v in videos} == {1.0} and {
        v.importance.max() for v in videos
    } == {5.0}


def test_frames_of_a_split_are_of_its_categories(root):
    parts = build(root).load()
    assert parts["val"].classes == ["BK"] and parts["test"].classes == ["DS", "VT"]
    assert [len(p.footage) for p in parts.values()] == [35, 5, 10]
    test = parts["test"]
    video = test.footage[7]
    assert (test.labels[video.rows] == 1).all() and len(set(test.groups[video.rows])) == 1
    assert scores_of(test)[video.rows] == pytest.approx((video.annotations.mean(0) - 1) / 4)
    assert scores_of(test).min() >= 0 and scores_of(test).max() <= 1
    assert (
        len(test.labels)
        == sum(len(v.rows) for v in test.footage)
        == len(test.columns["features"].values)
    )
    assert video.frames == video.segments[-1, 1] + 1 == video.spread(video.annotations).shape[1]


def test_what_people_think_is_told_of_the_very_frames_that_have_features(root):
    known = {v.title: v for v in read_annotations(root / "tvsum_annotations" / "ydata-tvsum50.mat")}
    val = build(root).load()["val"]
    for video in val.footage:
        assert video.picks[1] == EVERY and len(video.picks) == len(video.rows)
        assert np.array_equal(video.annotations, known[video.name].importance[:, video.picks])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_categories": ["XX"]}, "must be some of VT, VU"),
        ({"test_categories": ["BK"]}, "BK is among dataset.val_categories too"),
        ({"val_categories": []}, r"dataset.val_categories=\[\] must be some of"),
    ],
)
def test_wrong_categories_are_refused(root, options, message):
    with pytest.raises(UserError, match=message):
        build(root, **options)


def test_a_file_of_another_layout_is_refused(root, tmp_path):
    folder = tmp_path / "tvsum_annotations"
    shutil.copytree(root / "tvsum_annotations", folder)
    with h5py.File(folder / "features.h5", "r+") as file:
        del file["video_3"]["change_points"]
    with pytest.raises(UserError, match="video_3 has no change_points"):
        build(tmp_path).load()
    with h5py.File(folder / "features.h5", "w") as file:
        group = file.create_group("video_1")
        for name in ("features", "picks", "n_frames", "change_points", "user_summary"):
            group[name] = 5
    with pytest.raises(UserError, match="video_1 has 5 frames, as 0 annotated videos have"):
        build(tmp_path).load()


def test_features_that_are_not_there_are_asked_for(tmp_path, real_data):
    folder = tmp_path / "tvsum_annotations"
    folder.mkdir()
    shutil.copy(real_data / "tvsum_annotations" / "ydata-tvsum50.mat", folder)
    with pytest.raises(UserError, match=r"has no \*.h5: put there features of its frames"):
        build(tmp_path).load()


class TestSummary:
    segments = np.array([[0, 1], [2, 5], [6, 6], [7, 9]])
    importance = np.array([4, 4, 5, 5, 5, 5, 9, 1, 1, 1.0])

    @pytest.mark.parametrize(
        ("budget", "frames"), [(0.1, [6]), (0.3, [0, 1, 6]), (0.5, [2, 3, 4, 5, 6]), (0.05, [])]
    )
    def test_the_best_segments_that_fit_are_shown(self, budget, frames):
        assert np.flatnonzero(summary(self.importance, self.segments, budget)).tolist() == frames

    def test_a_budget_that_a_segment_fills_is_enough(self):
        """0.29 × 100 is below 29 in floating-point numbers."""
        shown = summary(np.ones(100), np.array([[0, 28], [29, 99]]), 0.29)
        assert shown[:29].all() and not shown[29:].any()

    def test_scores_that_are_no_numbers_or_below_zero(self):
        nothing = summary(np.full(10, np.nan), self.segments, 0.3)
        assert nothing.sum() <= 3
        assert (
            summary(self.importance - 9, self.segments, 0.3).tolist()
            == summary(self.importance, self.segments, 0.3).tolist()
        )

    def test_frames_stand_for_those_up_to_the_next(self):
        picks, shown = np.array([0, 4]), np.zeros((1, 10), bool)
        video = Footage("v", np.arange(2), picks, np.zeros((1, 2)), self.segments, shown, 0.1)
        assert video.spread(np.array([1.0, 2.0])).tolist() == [1] * 4 + [2] * 6

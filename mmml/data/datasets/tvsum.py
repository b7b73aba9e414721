"""``dataset=tvsum``: the importance of video frames, as rated by twenty people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from mmml.data.annotated_video import Footage
from mmml.data.base import SCORE, SPLITS, Granularity, Samples, check_held_out, datasets
from mmml.data.column import Column
from mmml.data.on_disk import OnDisk
from mmml.data.sequences import hdf5
from mmml.errors import UserError

CATEGORIES = ("VT", "VU", "GA", "MS", "PK", "PR", "FM", "BK", "BT", "DS")
LEVELS = 5  # number of levels of importance, from 1
BUDGET = 0.15  # share of a video that its summary may show (Song et al., 2015)


@dataclass(frozen=True)
class Annotated:
    """A video of TVSum50.

    Attributes:
        title: of the video on YouTube.
        category: one of ``CATEGORIES``.
        seconds: of the video.
        importance: of every frame, from 1 to 5, ``[20, frames]``.
    """

    title: str
    category: str
    seconds: float
    importance: np.ndarray


@datasets.register("tvsum")
class TVSum(OnDisk):
    """TVSum50 (Song et al., 2015): 50 videos of ten categories; a class is a category,
    a sample a frame.

    Features are files of the user, in the layout of ``eccv16_dataset_tvsum_google_pool5.h5`` (Zhang
    et al., 2016): for each video ``features``, ``picks``, ``n_frames``, ``change_points`` and
    ``user_summary``. A frame's score is the mean of the annotators' ratings, scaled to 0–1; all
    frames of a video are one group.

    Args:
        root: the folder that contains ``tvsum_annotations/``.
        val_categories, test_categories: held out for validation and test.
    """

    name = "tvsum"
    scored = True
    folder_name = "tvsum_annotations"
    by_hand: ClassVar[Mapping[str, str]] = {
        "*tvsum50.mat": "ydata-tvsum50.mat, the annotations of github.com/yalesong/tvsum",
        "*.h5": "features of its frames, in the layout of eccv16_dataset_tvsum_google_pool5.h5",
    }
    modalities: Mapping[str, Granularity] = {"features": Granularity.SAMPLE}

    def __init__(self, root: str | None, val_categories: list[str], test_categories: list[str]):
        super().__init__(root)
        check_held_out(val_categories, test_categories, CATEGORIES, "categories")
        self.held_out = {"val": val_categories, "test": test_categories}

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Features are float32 ``[n, width]``."""
        annotated, stored = read_annotations(self.annotations()), self._stored()
        of = match(annotated, stored)
        found = {}
        for split in SPLITS:
            held = [c for several in self.held_out.values() for c in several]
            classes = self.held_out.get(split, [c for c in CATEGORIES if c not in held])
            videos = [
                (annotated[i], stored[name])
                for i, name in of.items()
                if annotated[i].category in classes
            ]
            if not videos:
                raise UserError(
                    f"dataset.root has no video of {', '.join(classes)} for {split}: "
                    "name other categories"
                )
            found[split] = samples_of(
                [c for c in classes if any(v.category == c for v, _ in videos)], videos
            )
        return found

    def annotations(self) -> Path:
        """The path of the annotations."""
        return self.find("*tvsum50.mat")[0]

    def _stored(self) -> dict[str, dict[str, np.ndarray]]:
        wanted = ("features", "picks", "n_frames", "change_points", "user_summary")
        path = self.find("*.h5")[0]
        with opened(path) as file:
            for video, content in file.items():
                for name in wanted:
                    if name not in content:
                        raise UserError(
                            f"{path}: {video} has no {name}, which the layout of eccv16 has"
                        )
            return {
                video: {name: content[name][()] for name in wanted}
                for video, content in file.items()
            }


def opened(path: Path) -> Any:
    """Open an HDF5 file; raises ``UserError`` if it is none."""
    try:
        return hdf5().File(path)
    except OSError as error:
        raise UserError(f"{path} is no HDF5 file ({error}); get it anew") from None


def read_annotations(path: Path) -> list[Annotated]:
    """Read the annotations of all videos, in the order of the file."""
    with opened(path) as file:
        table = file["tvsum50"]

        def text(field: str, i: int) -> str:
            return "".join(map(chr, file[table[field][i, 0]][()].ravel()))

        return [
            Annotated(
                text("title", i),
                text("category", i),
                float(file[table["length"][i, 0]][0, 0]),
                file[table["user_anno"][i, 0]][()].astype(np.float32),
            )
            for i in range(len(table["title"]))
        ]


def match(
    annotated: list[Annotated], stored: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[int, str]:
    """Match stored videos to annotated ones by their numbers of frames, since their names differ.

    Returns:
        The name of the stored video by the position of the annotated one.

    Raises:
        UserError: no annotated video, or more than one, has a stored video's number of frames.
    """
    lengths = [a.importance.shape[1] for a in annotated]
    found: dict[int, str] = {}
    for name, content in stored.items():
        frames = int(content["n_frames"])
        if lengths.count(frames) != 1:
            raise UserError(
                f"dataset.root: {name} has {frames} frames, as {lengths.count(frames)} "
                "annotated videos have"
            )
        found[lengths.index(frames)] = name
    return dict(sorted(found.items()))


def samples_of(
    classes: list[str], videos: Sequence[tuple[Annotated, Mapping[str, np.ndarray]]]
) -> Samples:
    """Return the frames of the videos of some categories as samples."""
    features, scores, groups, footage, starts, first = [], [], [], [], [0], 0
    for category in classes:
        for annotated, content in videos:
            if annotated.category != category:
                continue
            picks = content["picks"].astype(np.int64)
            own = annotated.importance[:, picks]
            rows = first + np.arange(len(picks))
            segments = content["change_points"].astype(np.int64)
            shown = content["user_summary"].astype(bool)
            footage.append(Footage(annotated.title, rows, picks, own, segments, shown, BUDGET))
            features.append(content["features"].astype(np.float32))
            scores.append((own.mean(0) - 1) / (LEVELS - 1))
            groups.append(np.full(len(picks), len(footage) - 1))
            first += len(picks)
        starts.append(first)
    columns = {
        "features": Column(torch.from_numpy(np.concatenate(features))),
        SCORE: Column.of_scores(np.concatenate(scores)),
    }
    return Samples(
        list(classes), np.array(starts), columns, groups=np.concatenate(groups), footage=footage
    )

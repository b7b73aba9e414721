"""Features of TVSum's frames in the layout that everybody has them in, made up."""

from pathlib import Path

import h5py
import numpy as np

from mmml.data.datasets.tvsum import read_annotations

EVERY = 60  # frames


def write_eccv16(annotations: Path, target: Path, videos: int | None = None) -> None:
    """The first feature of a frame is what people think of it, with some noise;
    the others say nothing.
    """
    rng = np.random.default_rng(0)
    with h5py.File(target, "w") as file:
        for i, video in enumerate(read_annotations(annotations)[:videos]):
            frames = video.importance.shape[1]
            picks = np.arange(0, frames, EVERY)
            features = rng.standard_normal((len(picks), 4)).astype(np.float32)
            features[:, 0] = video.importance.mean(0)[picks] + 0.1 * features[:, 0]
            starts = np.arange(0, frames, 5 * EVERY)
            shown = video.importance >= np.quantile(video.importance, 0.85, axis=1, keepdims=True)
            group = file.create_group(f"video_{i + 1}")
            group["features"], group["picks"], group["n_frames"] = features, picks, frames
            group["change_points"] = np.stack([starts, np.append(starts[1:], frames) - 1], axis=1)
            group["user_summary"] = shown.astype(np.float32)

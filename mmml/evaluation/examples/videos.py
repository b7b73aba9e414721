"""Summaries of some test videos, frame by frame, for the report."""

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmml.data.annotated_video import Footage, summary
from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.evaluation.examples.thumbnails import thumbnail

FRAMES = 24  # maximum number shown of each video
SIDE, DURATION = 96, 500  # pixels of the animation's longer side, and milliseconds of a frame


def video_examples(
    samples: Samples, predicted: Iterable[tuple[Footage, np.ndarray]]
) -> list[dict[str, Any]]:
    """Return, for each video, its predicted and annotated importance and the frames of its summary,
    as JSON values.

    Args:
        samples: of the split, to show them.
        predicted: videos, each with the predicted importance of its frames, ``[f]``.
    """
    return [_sheet(samples, video, importance) for video, importance in predicted]


def _sheet(samples: Samples, video: Footage, importance: np.ndarray) -> dict[str, Any]:
    shown = summary(video.spread(importance), video.segments, video.budget)[video.picks]
    sheet: dict[str, Any] = {
        "name": video.name,
        "importance": _scaled(importance),
        "people": _scaled(video.annotations.mean(0)),
        "shown": shown.tolist(),
    }
    column = samples.columns.get("video")
    if column is None:
        return sheet
    clips = column.values[video.rows]
    frames = [np.asarray(clip)[len(clip) // 2] for clip in clips]
    kept = evenly_spaced(len(frames), FRAMES)
    strip = [{"image": thumbnail(frames[i]), "shown": bool(shown[i])} for i in kept]
    return sheet | {
        "frames": strip,
        "animation": animation([f for f, s in zip(frames, shown, strict=True) if s]),
    }


def _scaled(values: np.ndarray) -> list[float]:
    """Scale values to the range from 0 to 1."""
    spread = float(np.ptp(values))
    found: list[float] = ((values - values.min()) / (spread or 1.0)).round(3).tolist()
    return found


def animation(frames: Sequence[np.ndarray]) -> str | None:
    """Return frames ``[3, H, W]``, uint8, as an animated GIF (data URI); None if there are none."""
    from PIL import Image

    pages = [Image.fromarray(np.moveaxis(frame, 0, -1)) for frame in frames]
    for page in pages:
        page.thumbnail((SIDE, SIDE))
    if not pages:
        return None
    buffer = io.BytesIO()
    pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:], duration=DURATION, loop=0)
    return "data:image/gif;base64," + b64encode(buffer.getvalue()).decode()

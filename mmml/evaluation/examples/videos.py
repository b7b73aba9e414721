"""Contact sheets: summaries of some test videos, frame by frame, for the report."""

import io
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmml.data.annotated_video import Footage, summary
from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.evaluation.examples.thumbnails import thumbnail
from mmml.evaluation.panel import Setting
from mmml.evaluation.summaries import DRAWS, draws, predicted
from mmml.methods import Learner

SHEETS, FRAMES = 3, 24  # videos, and of each frames at most
SIDE, DURATION = 96, 500  # pixels of the animation's longer side, and milliseconds of a frame


@torch.no_grad()
def video_examples(
    learner: Learner, samples: Samples, embedded: Samples, settings: Sequence[Setting], seed: int
) -> list[dict[str, Any]]:
    """Some videos with what is predicted of each frame, what people say, and what a summary shows, as JSON values.

    Arguments as of :func:`mmml.evaluation.summaries.summary_panel`, and the samples, to show them; by the last setting.
    """
    if not settings:
        return []
    mapping, several = settings[-1].mappings[0], settings[-1].shape.shots
    every = list(draws(samples, several, seed))[::DRAWS]
    chosen = evenly_spaced(len(every), SHEETS)
    return [_sheet(samples, v, predicted(learner, embedded, mapping, v, s)) for v, s in (every[i] for i in chosen)]


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
    return sheet | {"frames": strip, "animation": animation([f for f, s in zip(frames, shown, strict=True) if s])}


def _scaled(values: np.ndarray) -> list[float]:
    """From 0 to 1."""
    spread = float(np.ptp(values))
    found: list[float] = ((values - values.min()) / (spread or 1.0)).round(3).tolist()
    return found


def animation(frames: Sequence[np.ndarray]) -> str | None:
    """Frames ``[3, H, W]``, uint8, as an animated GIF; None if there is none."""
    from PIL import Image

    pages = [Image.fromarray(np.moveaxis(frame, 0, -1)) for frame in frames]
    for page in pages:
        page.thumbnail((SIDE, SIDE))
    if not pages:
        return None
    buffer = io.BytesIO()
    pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:], duration=DURATION, loop=0)
    return "data:image/gif;base64," + b64encode(buffer.getvalue()).decode()

"""``name: stroke_transformer``: a small transformer over the points of a drawing."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.attention import AttentionEncoder, Transformer
from mmml.encoders.base import encoders
from mmml.encoders.strokes import resampled
from mmml.errors import require


@encoders.register("stroke_transformer")
class StrokeTransformer(AttentionEncoder):
    """Points along the ink, a convolution over neighbouring points, then a transformer.

    Drawings are centred and scaled. The features of a point are its position, its offset from the
    point before, and whether a stroke starts there (as in Graves, 2013; Ha and Eck, 2018).

    Args:
        width: of the embedding.
        points: number of points that each drawing is resampled to, evenly along its ink.
        channels: width of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        dropout: dropout rate in training, from 0 to below 1.
        augment: strength of the random changes in training, 0 for none; 1 reaches ±15°, ±15 % size,
            ±0.15 shear, and jitters points by 3 % of the drawing's size.
    """

    modality = "strokes"

    def __init__(
        self,
        width: int,
        points: int,
        channels: int,
        layers: int,
        heads: int,
        dropout: float,
        augment: float,
    ):
        super().__init__()
        require(points >= 4, "encoder.strokes.points", points, "4 or more")
        require(channels > 0, "encoder.strokes.channels", channels, "a positive whole number")
        require(0 <= augment <= 2, "encoder.strokes.augment", augment, "from 0 to 2")
        self.points, self.augment = points, augment
        self.positions = nn.Parameter(torch.randn(-(-points // 2), channels) * 0.02)
        self.pieces = nn.Conv1d(5, channels, 5, stride=2, padding=2)
        self.transformer = Transformer(channels, layers, heads, dropout, "encoder.strokes")
        self.head = nn.Linear(channels, width)

    def prepare(self, raw: Any) -> Tensor:
        points = resampled(raw, self.points).to(self.device)
        xy, starts = points[..., :2], points[..., 2:]
        if self.training and self.augment > 0:
            xy = warped(xy, self.augment)
        # Scale offsets to about the size of positions.
        moves = xy.diff(dim=1, prepend=xy[:, :1]) * (self.points / 8)
        return torch.cat([xy, moves, starts], dim=-1)

    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        x = F.gelu(self.pieces(prepared.mT).mT) + self.positions
        # All drawings have the same number of points.
        return x, torch.ones(*x.shape[:2], 1, dtype=torch.bool, device=x.device)


def warped(xy: Tensor, amount: float) -> Tensor:
    """Rotate, scale, shear and jitter each drawing of ``[n, points, 2]`` at random."""
    u = (torch.rand(len(xy), 4, device=xy.device) * 2 - 1) * amount
    angle = u[:, 0] * 0.26
    shear = u[:, 1] * 0.15
    scale_x, scale_y = (1 + 0.15 * u[:, 2:]).unbind(1)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack(
        [cos * scale_x, sin * scale_x, (shear - sin) * scale_y, cos * scale_y], 1
    ).view(-1, 2, 2)
    return xy @ matrix + torch.randn_like(xy) * 0.03 * amount

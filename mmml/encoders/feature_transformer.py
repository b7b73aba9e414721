"""``name: feature_transformer``: an encoder of precomputed feature vectors or sequences."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.attention import AttentionEncoder, Transformer
from mmml.encoders.base import Encoder, chunks, encoders
from mmml.encoders.sequences import as_float, pad, unpad
from mmml.errors import UserError, require

CLIP = 5.0  # in standard deviations: some features reach ±255 where most are below 1


@encoders.register("feature_transformer")
class FeatureTransformer(AttentionEncoder):
    """Standardised features, a linear layer, a transformer over the steps of sequences, and a
    linear layer.

    Means, standard deviations and the number of features come from the training split. A step whose
    features are all zero counts as missing: it is excluded from these statistics and from the
    attention.

    Args:
        width: of the embedding.
        steps: maximum number of steps read of each sequence.
        channels: width of the transformer; a multiple of ``heads``.
        layers: of the transformer; vectors skip it.
        heads: of the attention.
        dropout: dropout rate in training, from 0 to below 1.
    """

    modality = "features"

    def __init__(
        self, width: int, steps: int, channels: int, layers: int, heads: int, dropout: float
    ):
        super().__init__()
        require(steps > 0, "encoder.features.steps", steps, "a positive whole number")
        require(channels > 0, "encoder.features.channels", channels, "a positive whole number")
        self.steps = steps
        self.first = Standardised(channels)
        self.positions = nn.Parameter(torch.randn(steps, channels) * 0.02)
        self.transformer = Transformer(channels, layers, heads, dropout, "encoder.features")
        self.head = nn.Linear(channels, width)

    def fit(self, values: Any) -> None:
        self.first.fit(values)

    def prepare(self, raw: Any) -> Tensor:
        x = as_tensor(raw).to(self.device)
        if x.ndim == 3:
            x = x[:, : self.steps]
        absent = missing(x)
        x = self.first.standardise(x).masked_fill(absent.unsqueeze(-1), 0)
        if x.ndim == 3:
            absent[:, 0] &= ~absent.all(1)  # attention needs at least one step
            x = x.masked_fill(absent.unsqueeze(-1), torch.nan)
        return x

    def forward(self, prepared: Tensor) -> Tensor:
        """Return embeddings ``[n, width]``; vectors ``[n, d]`` skip the transformer."""
        if prepared.ndim == 2:
            return self.project(self.transformer.norm(self.first(prepared)))
        return super().forward(prepared)

    def sequence(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        return (
            Encoder.sequence(self, prepared) if prepared.ndim == 2 else super().sequence(prepared)
        )

    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = unpad(prepared)
        return self.first(x) + self.positions[: x.shape[1]], mask

    def project(self, states: Tensor) -> Tensor:
        return super().project(F.gelu(states))


class Standardised(nn.Linear):
    """A linear layer on standardised inputs. ``fit`` or a checkpoint sets the number of inputs."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, outputs: int):
        super().__init__(0, outputs)
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("deviation", torch.ones(0))

    def reset_parameters(self) -> None:
        """Initialise the layer as ``nn.Linear`` does, once the number of inputs is known."""
        if self.in_features:
            super().reset_parameters()
        else:
            nn.init.zeros_(self.bias)

    def materialise(self, inputs: int) -> None:
        """Set the number of inputs; the parameters stay the same objects, as optimizers need."""
        self.in_features = inputs
        self.weight.data = self.weight.data.new_empty(self.out_features, inputs)
        self.mean, self.deviation = self.mean.new_zeros(inputs), self.deviation.new_ones(inputs)
        self.reset_parameters()

    def fit(self, values: Any) -> None:
        """Set the number of inputs, their means and standard deviations, from all values that are
        not missing.
        """
        count, total, squares = (torch.zeros((), dtype=torch.float64) for _ in range(3))
        for raw in chunks(values):
            rows = as_tensor(raw).double().flatten(0, -2)
            rows = rows[~missing(rows)]
            count = count + rows.isfinite().sum(0)
            rows = rows.nan_to_num(0, 0, 0)
            total, squares = total + rows.sum(0), squares + rows.square().sum(0)
        mean = total / count.clamp_min(1)
        deviation = (squares / count.clamp_min(1) - mean.square()).clamp_min(0).sqrt()
        constant = deviation <= 1e-6 * mean.abs()
        self.materialise(len(mean))
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.masked_fill(constant, 1))

    def standardise(self, x: Tensor) -> Tensor:
        """Standardise ``[..., d]``: the mean becomes 0, the standard deviation 1; NaN becomes 0;
        values beyond ±``CLIP`` are clipped.
        """
        if x.shape[-1] != self.in_features:
            learnt = (
                f"{self.in_features} features were fitted"
                if self.in_features
                else "no training data was seen yet"
            )
            raise UserError(f"encoder.features: samples have {x.shape[-1]} features; {learnt}")
        return ((x - self.mean) / self.deviation).nan_to_num(0).clamp(-CLIP, CLIP)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and self.in_features == 0:
            self.materialise(weight.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *args)


def as_tensor(raw: Any) -> Tensor:
    """Return a raw batch of features as float32 ``[n, d]`` or ``[n, steps, d]``, with NaN after the
    last step of a sequence.
    """
    if isinstance(raw, Tensor):
        return raw.float()
    parts = [as_float(value) for value in raw]
    return torch.stack(parts) if parts[0].ndim == 1 else pad(parts)


def missing(rows: Tensor) -> Tensor:
    """Return which vectors of ``[..., d]`` contain only zeros or NaN, bool ``[...]``."""
    return ((rows == 0) | rows.isnan()).all(-1)

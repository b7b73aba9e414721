"""Fusion: combines the embeddings of the modalities of a sample into one embedding."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmml.data.column import Column, is_present
from mmml.encoders.attention import Layer
from mmml.errors import require
from mmml.registry import Registry

fusions = Registry("fusion", "mmml.encoders")


class Fusion(nn.Module, ABC):
    """Base class: fuses the embeddings of any subset of a run's modalities.

    A sample that lacks all of these modalities gets the embedding zero.

    Args:
        modalities: all modalities of the run.
        dropout: modality dropout in training: the probability that a modality of a sample is
            treated as missing, as long as another one is present; from 0 to below 1.
    """

    def __init__(self, modalities: Sequence[str], dropout: float):
        super().__init__()
        require(0 <= dropout < 1, "encoder.fusion.dropout", dropout, "from 0 to below 1")
        self.modalities, self.dropout = sorted(modalities), dropout

    def forward(self, parts: Mapping[str, Column]) -> Tensor:
        """Fuse embeddings ``[..., width]`` of some modalities, with masks ``[...]``, into
        ``[..., width]``.
        """
        shown = torch.stack([parts[m].values for m in sorted(parts)], dim=-2)
        present = torch.stack([is_present(parts[m]) for m in sorted(parts)], dim=-1).to(
            shown.device
        )
        if self.training and self.dropout and len(parts) > 1:
            present = self.without_some(present)
        modality_indices = [self.modalities.index(m) for m in sorted(parts)]
        shown = shown if present.all() else torch.where(present.unsqueeze(-1), shown, 0)
        return self.mix(shown, present, modality_indices)

    def without_some(self, present: Tensor) -> Tensor:
        """Modality dropout (Neverova et al., 2016): remove some modalities of each sample from a
        mask ``[..., M]``; at least one is kept.
        """
        luck = torch.rand(present.shape, device=present.device).masked_fill(~present, -1)
        return present & ((luck >= self.dropout) | (luck == luck.amax(-1, keepdim=True)))

    @abstractmethod
    def mix(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        """Return the embedding of each sample, ``[..., width]``.

        Args:
            shown: embeddings ``[..., M, width]``, zero where a modality is missing.
            present: mask ``[..., M]``, True where a modality is present.
            modality_indices: the positions of these M modalities among those of the run.
        """


def masked_mean(shown: Tensor, present: Tensor) -> Tensor:
    """Return the mean over the modalities that are present: ``[..., M, width]``, ``[..., M]`` →
    ``[..., width]``.
    """
    return shown.sum(-2) / present.sum(-1, keepdim=True).clamp_min(1)


@fusions.register("mean")
class Mean(Fusion):
    """The mean over the modalities that are present.

    Args:
        modalities, dropout: see :class:`Fusion`.
    """

    def __init__(self, modalities: Sequence[str], dropout: float = 0.0):
        super().__init__(modalities, dropout)

    def forward(self, parts: Mapping[str, Column]) -> Tensor:
        if len(parts) > 1:
            return super().forward(parts)
        (only,) = parts.values()  # a fast path for the usual case
        values: Tensor = only.values
        return (
            values
            if only.mask is None
            else values.masked_fill(~only.mask.to(values.device).unsqueeze(-1), 0)
        )

    def mix(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        return masked_mean(shown, present)


@fusions.register("concat")
class Concat(Fusion):
    """A linear layer on the concatenated embeddings, zero for missing ones, and the mask.

    Args:
        width: of the embeddings.
        modalities, dropout: see :class:`Fusion`.
    """

    def __init__(self, width: int, modalities: Sequence[str], dropout: float):
        super().__init__(modalities, dropout)
        self.linear = nn.Linear(len(self.modalities) * (width + 1), width)

    def mix(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        known = torch.cat([shown, present.unsqueeze(-1)], dim=-1)
        everything = known.new_zeros(*known.shape[:-2], len(self.modalities), known.shape[-1])
        everything[..., list(modality_indices), :] = known
        return self.linear(everything.flatten(-2))


@fusions.register("gated")
class Gated(Fusion):
    """A mean weighted by a gate: the weight of each modality depends on the sample.

    Adaptive mixing of modalities (Xing et al., 2019, equation 5; Arevalo et al., 2017) for any
    number of them. A perceptron reads the embedding of a modality and the mean of all; a softmax of
    its outputs over the modalities that are present gives the weights.

    Args:
        width: of the embeddings.
        hidden: number of hidden units of the perceptron.
        modalities, dropout: see :class:`Fusion`.
    """

    def __init__(self, width: int, modalities: Sequence[str], hidden: int, dropout: float):
        super().__init__(modalities, dropout)
        require(hidden > 0, "encoder.fusion.hidden", hidden, "a positive whole number")
        self.names = nn.Parameter(torch.zeros(len(self.modalities), hidden))
        self.read = nn.Linear(2 * width, hidden)
        self.weigh = nn.Linear(hidden, 1)
        nn.init.zeros_(self.weigh.weight)  # equal weights at first

    def mix(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        return (self.trust(shown, present, modality_indices).unsqueeze(-1) * shown).sum(-2)

    def trust(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        """Return the weight of each modality, ``[..., M]``, 0 where it is missing."""
        context = masked_mean(shown, present).unsqueeze(-2).expand_as(shown)
        hidden = self.read(torch.cat([shown, context], dim=-1)) + self.names[list(modality_indices)]
        weights = self.weigh(torch.nn.functional.gelu(hidden)).squeeze(-1)
        return weights.masked_fill(~present, -1e4).softmax(-1) * present


@fusions.register("attention")
class Attention(Fusion):
    """A small transformer over the modalities as tokens; its output is added to their mean.

    Args:
        width: of the embeddings; a multiple of ``heads``.
        layers: number of transformer layers.
        heads: number of attention heads.
        modalities, dropout: see :class:`Fusion`.
    """

    def __init__(
        self, width: int, modalities: Sequence[str], layers: int, heads: int, dropout: float
    ):
        super().__init__(modalities, dropout)
        require(layers > 0, "encoder.fusion.layers", layers, "a positive whole number")
        ok = heads > 0 and width % heads == 0
        require(ok, "encoder.fusion.heads", heads, f"a divisor of encoder.width={width}")
        self.names = nn.Parameter(0.02 * torch.randn(len(self.modalities), width))
        self.layers = nn.ModuleList(Layer(width, heads, dropout=0.0) for _ in range(layers))
        last = nn.Linear(width, width)
        nn.init.zeros_(last.weight)  # the output is the mean at first
        nn.init.zeros_(last.bias)
        self.out = nn.Sequential(nn.LayerNorm(width), last)

    def mix(self, shown: Tensor, present: Tensor, modality_indices: Sequence[int]) -> Tensor:
        tokens = (shown + self.names[list(modality_indices)]).flatten(0, -3)
        mask = present.flatten(0, -2).unsqueeze(-1)
        attended = mask | ~mask.any(1, keepdim=True)  # attention needs at least one token
        for layer in self.layers:
            tokens = layer(tokens, attended)
        return masked_mean(shown + self.out(tokens).view_as(shown) * present.unsqueeze(-1), present)

"""The transformer that all sequence encoders share."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder
from mmml.errors import require


class Transformer(nn.Module):
    """Pre-norm transformer layers (Vaswani et al., 2017; Xiong et al., 2020), then the masked mean
    over positions.

    Args:
        channels: width of each position; a multiple of ``heads``.
        layers: number of layers, 0 or more.
        heads: number of attention heads.
        dropout: dropout rate in training, from 0 to below 1.
        where: config path of the encoder's options, for error messages.
    """

    def __init__(self, channels: int, layers: int, heads: int, dropout: float, where: str):
        super().__init__()
        for name, value in (("channels", channels), ("heads", heads)):
            require(value > 0, f"{where}.{name}", value, "a positive whole number")
        require(
            channels % heads == 0, f"{where}.channels", channels, f"a multiple of heads={heads}"
        )
        require(layers >= 0, f"{where}.layers", layers, "0 or more")
        require(0 <= dropout < 1, f"{where}.dropout", dropout, "from 0 to below 1")
        self.layers = nn.ModuleList(Layer(channels, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the masked mean of the states, ``[n, channels]``.

        Args:
            x: ``[n, length, channels]``.
            mask: bool ``[n, length, 1]``, False on padding.
        """
        return (self.states(x, mask) * mask).sum(1) / mask.sum(1)

    def states(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the state of each position, ``[n, length, channels]``; for the arguments see
        :meth:`forward`.
        """
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.norm(x)
        return normed


class AttentionEncoder(Encoder):
    """Base class of sequence encoders: a transformer over positions, then a linear layer.

    A subclass sets ``transformer`` and ``head``, and defines the positions in ``embed_positions``.
    """

    transformer: Transformer
    head: nn.Linear

    @abstractmethod
    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vector of each position, ``[n, length, channels]``, and a mask
        ``[n, length, 1]``, False on padding, from the output of ``prepare``.
        """

    def forward(self, prepared: Tensor) -> Tensor:
        return self.project(self.transformer(*self.embed_positions(prepared)))

    def sequence(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = self.embed_positions(prepared)
        return self.project(self.transformer.states(x, mask)), mask.squeeze(-1)

    def project(self, states: Tensor) -> Tensor:
        """Map states ``[…, channels]`` to embeddings ``[…, width]``."""
        projected: Tensor = self.head(states)
        return projected


class Layer(nn.Module):
    """Masked self-attention, then a two-layer perceptron, each pre-normalised and with a residual
    connection.
    """

    def __init__(self, channels: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(channels), nn.LayerNorm(channels)])
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the states after the layer, ``[n, length, channels]``.

        Args:
            x: ``[n, length, channels]``.
            mask: bool ``[n, length, 1]``, False on padding.
        """
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in self.qkv(self.norms[0](x)).chunk(3, -1)
        )
        # In bfloat16 the fused kernel is ten times slower on CPUs.
        on_cpu = x.device.type == "cpu"
        with torch.autocast(x.device.type, enabled=not on_cpu):
            q, k, v = (
                t.to(torch.promote_types(x.dtype, torch.float32) if on_cpu else x.dtype)
                for t in (q, k, v)
            )
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.mT.unsqueeze(1))
        attended = attended.transpose(1, 2).flatten(2).to(x.dtype)
        x = x + F.dropout(self.out(attended), self.dropout, self.training)
        return x + F.dropout(self.mlp(self.norms[1](x)), self.dropout, self.training)

"""The transformer that encoders of sequences share."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder
from mmml.errors import require


class Transformer(nn.Module):
    """Pre-norm layers (Vaswani et al., 2017; Xiong et al., 2020), then the masked
    mean over positions.

    Args:
        channels: of every position; a multiple of ``heads``.
        layers: 0 or more.
        heads: of the attention.
        dropout: between 0 and 1, in training mode.
        where: the path of the encoder's options, for messages.
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
        """``x`` ``[n, length, channels]``, ``mask`` ``[n, length, 1]``, False on padding
        → ``[n, channels]``.
        """
        return (self.states(x, mask) * mask).sum(1) / mask.sum(1)

    def states(self, x: Tensor, mask: Tensor) -> Tensor:
        """The state of each position, ``[n, length, channels]``; arguments as
        of :meth:`forward`.
        """
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.norm(x)
        return normed


class AttentionEncoder(Encoder):
    """An encoder of sequences: a transformer over their positions, then a linear layer.

    A subclass makes ``transformer`` and ``head``, and says in ``embed_positions`` what
    the positions are.
    """

    transformer: Transformer
    head: nn.Linear

    @abstractmethod
    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """What ``prepare`` returned → ``[n, length, channels]`` and ``[n, length, 1]``,
        False on padding.
        """

    def forward(self, prepared: Tensor) -> Tensor:
        return self.project(self.transformer(*self.embed_positions(prepared)))

    def sequence(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = self.embed_positions(prepared)
        return self.project(self.transformer.states(x, mask)), mask.squeeze(-1)

    def project(self, states: Tensor) -> Tensor:
        """States ``[…, channels]`` → ``[…, width]``."""
        projected: Tensor = self.head(states)
        return projected


class Layer(nn.Module):
    """Masked self-attention and a perceptron, each normalised before and added after."""

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
        """``x`` ``[n, length, channels]``, ``mask`` ``[n, length, 1]``, False on padding."""
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

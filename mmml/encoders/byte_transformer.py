"""``name: byte_transformer``: a small transformer over the bytes of a text."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.errors import require
from mmml.text import PAD, VOCABULARY, to_bytes

BUCKET = 64  # texts embedded at a time


@encoders.register("byte_transformer")
class ByteTransformer(Encoder):
    """Bytes, a convolution that gathers neighbours into word pieces, then attention.

    A pre-norm transformer (Vaswani et al., 2017; Xiong et al., 2020) whose masked mean over
    positions is the embedding. No tokenizer to train, any language.

    Args:
        width: of the embedding.
        channels: of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        max_length: bytes read of each text.
        dropout: between 0 and 1, in training mode.
    """

    modality = "text"

    def __init__(self, width: int, channels: int, layers: int, heads: int, max_length: int, dropout: float):
        super().__init__()
        for name, value in (("channels", channels), ("heads", heads), ("max_length", max_length)):
            require(value > 0, f"encoder.text.{name}", value, "a positive whole number")
        require(channels % heads == 0, "encoder.text.channels", channels, f"a multiple of heads={heads}")
        require(layers >= 0, "encoder.text.layers", layers, "0 or more")
        require(0 <= dropout < 1, "encoder.text.dropout", dropout, "from 0 to below 1")
        self.max_length = max_length
        self.bytes = nn.Embedding(VOCABULARY, channels, padding_idx=PAD)
        self.positions = nn.Parameter(torch.randn(max_length, channels) * 0.02)
        self.pieces = nn.Conv1d(channels, channels, 5, stride=2, padding=2)
        self.layers = nn.ModuleList(Layer(channels, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, width)

    def prepare(self, raw: Sequence[str]) -> Tensor:
        return to_bytes(raw, self.max_length).to(self.positions.device)

    def forward(self, prepared: Tensor) -> Tensor:
        mask = (prepared != PAD).unsqueeze(-1)
        x = self.bytes(prepared) + self.positions[: prepared.shape[1]] * mask
        x, mask = F.gelu(self.pieces(x.mT).mT), mask[:, ::2]
        for layer in self.layers:
            x = layer(x, mask)
        x = (self.norm(x) * mask).sum(1) / mask.sum(1)
        return self.head(x)

    def encode(self, raw: Sequence[str]) -> Tensor:
        """Texts of like length together, so that little is spent on padding."""
        by_length = torch.tensor([len(text) for text in raw]).argsort(stable=True)
        parts = [self(self.prepare([raw[i] for i in some])) for some in by_length.split(BUCKET)]
        return torch.cat(parts)[by_length.argsort()]


class Layer(nn.Module):
    """Masked self-attention and a perceptron, each normalised before and added after."""

    def __init__(self, channels: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(channels), nn.LayerNorm(channels)])
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` ``[n, length, channels]``, ``mask`` ``[n, length, 1]``, False on padding."""
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norms[0](x)).chunk(3, -1))
        # In bfloat16 the fused kernel is ten times slower on CPUs.
        with torch.autocast(x.device.type, enabled=x.device.type != "cpu"):
            q, k, v = (t.to(x.dtype) for t in (q, k, v))
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.mT.unsqueeze(1))
        x = x + F.dropout(self.out(attended.transpose(1, 2).flatten(2)), self.dropout, self.training)
        return x + F.dropout(self.mlp(self.norms[1](x)), self.dropout, self.training)

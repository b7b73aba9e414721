"""Texts as tokens that a language model reads and writes."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from mmml.errors import require
from mmml.text import wordpiece as pieces
from mmml.text.bytes import PAD, to_bytes

END = 257
LONGEST = 1_000_000  # pieces of a text: none is cut


class Tokens(Protocol):
    """What a tokenizer has to say.

    Attributes:
        vocabulary: how many tokens there are.
        pad, end: of these, what fills rows and what ends a text.
    """

    vocabulary: int
    pad: int
    end: int

    def read(self, texts: Sequence[str]) -> Tensor:
        """Whole texts, each with its end, ``[n, longest]`` int64."""
        ...

    def write(self, tokens: Tensor) -> list[str]:
        """The texts of rows ``[n, length]``, each up to its end."""
        ...


class ByteTokens:
    """UTF-8 bytes: any text in any language, and nothing to be trained."""

    vocabulary, pad, end = 258, PAD, END

    def read(self, texts: Sequence[str]) -> Tensor:
        longest = max((len((t or " ").encode()) for t in texts), default=1)
        tokens = torch.full((len(texts), longest + 1), PAD)
        if len(texts):
            tokens[:, :-1] = to_bytes(texts, longest, longest)
            tokens[torch.arange(len(texts)), (tokens != PAD).sum(-1)] = END
        return tokens

    def write(self, tokens: Tensor) -> list[str]:
        return [_text(row) for row in tokens.tolist()]


def _text(row: list[int]) -> str:
    """Bytes that are no character are left out."""
    end = next((i for i, token in enumerate(row) if token >= PAD), len(row))
    return bytes(row[:end]).decode("utf-8", "ignore")


class PieceTokens:
    """Word pieces that are learned from the training texts: fewer tokens, of what was seen in training.

    Args:
        vocabulary: tokens at most; 32 or more.

    Attributes:
        pieces: None before ``fit``.
    """

    pad, end = pieces.PAD, len(pieces.SPECIAL)

    def __init__(self, vocabulary: int):
        require(vocabulary >= 32, "task.vocabulary", vocabulary, "32 or more, or null for bytes")
        self.vocabulary = vocabulary
        self.pieces: pieces.WordPieces | None = None

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces."""
        self.pieces = pieces.WordPieces.train(texts, self.vocabulary - 1, whole=True)

    @property
    def state(self) -> str:
        """For checkpoints; empty before ``fit``."""
        return self.pieces.state if self.pieces is not None else ""

    @state.setter
    def state(self, state: str) -> None:
        self.pieces = pieces.WordPieces(state) if state else None

    def read(self, texts: Sequence[str]) -> Tensor:
        assert self.pieces is not None
        found = self.pieces(texts, LONGEST) if len(texts) else torch.zeros(0, 1, dtype=torch.long)
        found = torch.where(found >= self.end, found + 1, found)  # makes room for the end
        tokens = torch.nn.functional.pad(found, (0, 1), value=self.pad)
        tokens[torch.arange(len(tokens)), (tokens != self.pad).sum(-1)] = self.end
        return tokens

    def write(self, tokens: Tensor) -> list[str]:
        assert self.pieces is not None
        rows = [row[: row.index(self.end)] if self.end in row else row for row in tokens.tolist()]
        return [self.pieces.text([t - 1 for t in row if t > self.end]) for row in rows]


class HubTokens:
    """The tokens of a pretrained model.

    Args:
        tokenizer: of transformers.
    """

    def __init__(self, tokenizer: object):
        self._tokenizer = tokenizer
        self.vocabulary = len(tokenizer)  # type: ignore[arg-type]
        self.end: int = tokenizer.eos_token_id  # type: ignore[attr-defined]
        pad = tokenizer.pad_token_id  # type: ignore[attr-defined]
        self.pad: int = -1 if pad is None or pad == self.end else pad

    def read(self, texts: Sequence[str]) -> Tensor:
        rows = [[*self._ids(text), self.end] for text in texts]
        length = max(map(len, rows), default=1)
        return torch.tensor([row + [self.pad] * (length - len(row)) for row in rows]).view(len(rows), length)

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(str(text), add_special_tokens=False)["input_ids"]  # type: ignore[operator]
        return found

    def write(self, tokens: Tensor) -> list[str]:
        rows = [row[: row.index(self.end)] if self.end in row else row for row in tokens.tolist()]
        kept = [[token for token in row if token != self.pad] for row in rows]
        decode = self._tokenizer.batch_decode  # type: ignore[attr-defined]
        return [text.strip() for text in decode(kept, skip_special_tokens=True)]

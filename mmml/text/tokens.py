"""Tokens that a language model reads and writes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from mmml.errors import require
from mmml.text import wordpiece as pieces
from mmml.text.bytes import PAD

END = 257
LONGEST = 1_000_000  # pieces of a text: no truncation


class Tokens(Protocol):
    """The interface of a tokenizer.

    Attributes:
        vocabulary: the number of tokens.
        pad, end: the tokens that pad rows and that end a text.
    """

    vocabulary: int
    pad: int
    end: int

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens of texts, each with its end, ``[n, longest]`` int64; −1 after the
        end.
        """
        ...

    def decode(self, tokens: Tensor) -> list[str]:
        """Return the texts of rows ``[n, length]``, each up to its end."""
        ...

    def of(self, texts: Tensor) -> Tensor:
        """Return the tokens of texts that :data:`BYTES` has encoded, in the form of ``encode``."""
        ...


def joined(rows: Sequence[Sequence[int]], end: int) -> Tensor:
    """Return rows of tokens as a tensor, each with its end, ``[n, longest]``; −1 after the end."""
    tokens = torch.full((len(rows), 1 + max(map(len, rows), default=0)), -1)
    for i, row in enumerate(rows):
        tokens[i, : len(row) + 1] = torch.tensor([*row, end])
    return tokens


def up_to_end(tokens: Tensor, end: int) -> list[list[int]]:
    """Return rows of tokens up to their end, without negative ones."""
    rows = [row[: row.index(end)] if end in row else row for row in tokens.tolist()]
    return [[token for token in row if token >= 0] for row in rows]


class ByteTokens:
    """UTF-8 bytes: a tokenizer for any text, without training."""

    vocabulary, pad, end = 258, PAD, END

    def encode(self, texts: Sequence[str]) -> Tensor:
        return joined([list((text or " ").encode()) for text in texts], self.end)

    def decode(self, tokens: Tensor) -> list[str]:
        """Return texts; bytes that form no valid character are left out."""
        rows = up_to_end(tokens, self.end)
        return [
            bytes(token for token in row if token < PAD).decode("utf-8", "ignore") for row in rows
        ]

    def of(self, texts: Tensor) -> Tensor:
        return texts


BYTES = ByteTokens()
"""The lossless form in which targets are stored, whatever tokens a model uses."""


class CachedTokenizer(ABC):
    """A tokenizer that stores the tokens of texts it has encoded."""

    end: int

    def __init__(self) -> None:
        self._known: dict[str, list[int]] = {}

    @abstractmethod
    def row(self, text: str) -> list[int]:
        """Return the tokens of a text, without its end."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """See :class:`Tokens`."""
        new = [text for text in texts if text not in self._known]
        self._known |= {text: self.row(text) for text in new}
        return joined([self._known[text] for text in texts], self.end)

    def of(self, texts: Tensor) -> Tensor:
        """See :class:`Tokens`."""
        return self.encode(BYTES.decode(texts)).to(texts.device)


class PieceTokens(CachedTokenizer):
    """Word pieces, which are learned from the training texts: fewer tokens than bytes.

    Args:
        vocabulary: the largest number of tokens; 32 or more.

    Attributes:
        pieces: the trained pieces; None before ``fit``.
    """

    pad, end = pieces.PAD, len(pieces.SPECIAL)

    def __init__(self, vocabulary: int):
        super().__init__()
        require(
            vocabulary >= 32,
            "method.language_model.vocabulary",
            vocabulary,
            "32 or more, or null for bytes",
        )
        self.vocabulary = vocabulary
        self.pieces: pieces.WordPieces | None = None

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces from texts."""
        self._known.clear()
        self.pieces = pieces.WordPieces.train(texts, self.vocabulary - 1, whole_words=True)

    @property
    def state(self) -> str:
        """The trained pieces for checkpoints; empty before ``fit``."""
        return self.pieces.state if self.pieces is not None else ""

    @state.setter
    def state(self, state: str) -> None:
        self._known.clear()
        self.pieces = pieces.WordPieces(state) if state else None

    def row(self, text: str) -> list[int]:
        assert self.pieces is not None
        found: list[int] = self.pieces([text], LONGEST)[0].tolist()
        return [t + (t >= self.end) for t in found]  # leaves the number of the end token free

    def decode(self, tokens: Tensor) -> list[str]:
        assert self.pieces is not None
        return [
            self.pieces.text([t - 1 for t in row if t > self.end])
            for row in up_to_end(tokens, self.end)
        ]


class HubTokens(CachedTokenizer):
    """The tokenizer of a pretrained model.

    Args:
        tokenizer: a tokenizer of transformers.
    """

    def __init__(self, tokenizer: object):
        super().__init__()
        self._tokenizer = tokenizer
        self.vocabulary = len(tokenizer)  # type: ignore[arg-type]
        self.end: int = tokenizer.eos_token_id  # type: ignore[attr-defined]
        pad = tokenizer.pad_token_id  # type: ignore[attr-defined]
        self.pad: int = self.end if pad is None else pad

    def __repr__(self) -> str:
        return repr(self._tokenizer)  # for fingerprints: class, sizes, special tokens

    def row(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
        return found

    def decode(self, tokens: Tensor) -> list[str]:
        kept = [
            [token for token in row if token != self.pad] for row in up_to_end(tokens, self.end)
        ]
        decode = self._tokenizer.batch_decode  # type: ignore[attr-defined]
        return [text.strip() for text in decode(kept, skip_special_tokens=True)]

"""The base class of encoders."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmml.registry import Registry

encoders = Registry("encoder", "mmml.encoders")

CHUNK = 512  # values read or encoded at a time; it does not change the result


class Encoder(nn.Module, ABC):
    """Maps a batch of raw values of one modality to embeddings.

    A subclass takes ``width`` (the embedding width that all encoders of a run share), which the
    program supplies, and its own options, which the config supplies. In evaluation mode the
    embedding of a sample must not depend on the other samples of the batch, nor on their lengths.

    Class attributes:
        modality: the modality that it reads. A raw batch of n values is

            - ``image``: uint8 ``[n, H, W]`` or ``[n, C, H, W]`` with C 1 or 3, or an object array
              of ``[C, H, W]`` whose sizes differ;
            - ``text``: an object array of strings;
            - ``audio``: an object array of float32 ``[samples]``, mono, 16 kHz, in [-1, 1], or
              ``[n, samples]``;
            - ``video``: an object array of uint8 ``[T, 3, H, W]``, or ``[n, T, 3, H, W]``;
            - ``strokes``: an object array of float32 ``[points, 4]`` (x, y, time, number of the
              stroke), or ``[n, points, 4]``;
            - ``features``: float ``[n, d]`` or ``[n, steps, d]``, or an object array of
              ``[steps, d]``.
        has_own_width: whether ``width`` may be None; embeddings then have width ``own_width``.
        has_fixed_width: whether the width of embeddings is ``width`` (or ``own_width``), whatever
            the values are.
        vectorizes: whether ``forward`` can run under ``torch.func.vmap``: its shapes and its
            control flow must not depend on values.
        distance: name of the distance for its embeddings, set by raw baselines and encoders of
            parts; None for most.
        has_gaps: whether embeddings contain NaN as padding: then only ``distance`` can compare
            them, and they cannot be averaged.

    Attributes:
        own_width: the width of embeddings, if ``has_own_width``.
        prepared_key: a key of everything that ``prepare`` depends on besides the raw values; None
            for most encoders. Encoders set it if ``prepare`` is slow, has no learned parameters,
            and does the same in training and evaluation. The output is then computed once for each
            sample and cached.
    """

    modality: ClassVar[str]
    has_own_width: ClassVar[bool] = False
    has_fixed_width: ClassVar[bool] = True
    vectorizes: ClassVar[bool] = True
    distance: ClassVar[str | None] = None
    has_gaps: ClassVar[bool] = False
    own_width: int
    prepared_key: str | None = None

    @property
    def device(self) -> torch.device:
        """The device of the parameters; the CPU if there are none."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def frozen_part(self) -> "tuple[str, Encoder] | None":
        """Return the name of the embedding space of the frozen pretrained part, and this part as an
        encoder; None if there is none.

        Embeddings of two encoders can be compared if their spaces have the same name.
        """
        return None

    def fit(self, values: Any) -> None:
        """Fit the preprocessing (a vocabulary, means) to the training split, and keep it in the
        state of the module.

        Called once before training, never on a finished run. Most encoders need nothing.

        Args:
            values: the values of the training split; has a length and gives raw batches by
                ``values[i:j]``.
        """

    @abstractmethod
    def prepare(self, raw: Any) -> Tensor:
        """Preprocess n raw values: return a tensor ``[n, …]`` on the device of the parameters.

        It has no gradient. Random augmentation belongs here, in training mode only. Padding is NaN,
        or a number that is no token.
        """

    @abstractmethod
    def forward(self, prepared: Tensor) -> Tensor:
        """Return the embeddings ``[n, width]`` of the output of ``prepare``; depends only on
        tensors and parameters.
        """

    def sequence(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens ``[n, length, width]`` of the output of ``prepare``, and a mask, bool
        ``[n, length]``, False on padding.

        An encoder without tokens returns its embedding as the only token.
        """
        embedded = self(prepared).unsqueeze(1)
        return embedded, torch.ones(embedded.shape[:2], dtype=torch.bool, device=embedded.device)

    def encode(self, raw: Any) -> Tensor:
        """Return the embeddings ``[n, width]`` of n raw values."""
        # Spectra and warps would be inexact in bf16.
        with torch.autocast(self.device.type, enabled=False):
            prepared = self.prepare(raw)
        return self(prepared)

    def lengths(self, raw: Any) -> tuple[list[int], int] | None:
        """Return the length of each of n raw values, and the length that is read; None if values
        are never truncated.

        Both are in the units of the option ``max_length``.
        """
        return None

    def together(self, views: Tensor) -> Tensor:
        """Combine the embeddings of several views of each value, ``[views, n, width]``, into
        ``[n, …]``; their mean by default.
        """
        return views.mean(0)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within this context, a module is in evaluation mode: no augmentation, no dropout. Each
    submodule then gets its former mode back.

    The modes are restored one by one, because modules may share submodules.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def chunks(values: Any) -> Iterator[Any]:
    """Yield all values of a column in raw batches of ``CHUNK``."""
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))

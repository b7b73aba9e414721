"""What an encoder is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmml.registry import Registry

encoders = Registry("encoder", "mmml.encoders")

CHUNK = 512  # values read or encoded at a time; of no influence on the result


class Encoder(nn.Module, ABC):
    """Turns a batch of raw values of one modality into embeddings.

    A subclass takes ``width`` (the embedding width that the encoders of a run share), which the
    program supplies, and options of its own, which the config supplies. In evaluation mode
    every sample is embedded independently of its neighbours in the batch, however long these are.

    Class attributes:
        modality: what it reads. A raw batch of n values is, by modality,

            - ``image``: uint8 ``[n, H, W]`` or ``[n, C, H, W]`` with C 1 or 3, or an object array
              of ``[C, H, W]`` whose sizes differ;
            - ``text``: an object array of strings;
            - ``audio``: an object array of float32 ``[samples]``, mono, 16 kHz, in [-1, 1], or
              ``[n, samples]``;
            - ``video``: an object array of uint8 ``[T, 3, H, W]``, or ``[n, T, 3, H, W]``;
            - ``strokes``: an object array of float32 ``[points, 4]`` (x, y, time, number of the
              stroke), or ``[n, points, 4]``;
            - ``features``: float ``[n, d]`` or ``[n, steps, d]``, or an object array
              of ``[steps, d]``.
        has_own_width: whether ``width`` may be None: the embedding is then ``own_width`` wide.
        has_fixed_width: whether embeddings are ``width`` (or ``own_width``) wide
            whatever the values.
        vectorizes: whether ``forward`` can run under ``torch.func.vmap``: its shapes and its
            control flow must not depend on values.
        distance: by which its embeddings are best compared, for those that learn nothing;
            None for most.
        has_gaps: whether embeddings hold NaN for what is missing: only ``distance`` can compare
            them, and they have no mean.

    Attributes:
        own_width: of embeddings, where ``has_own_width``.
        prepared_key: what ``prepare`` depends on besides the raw values, if it is slow, the same
            in training and evaluation, and without parameters to learn; it is then called once
            for each sample and remembered. None for most encoders.
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
        """Where the parameters are; the CPU if there are none."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def frozen_part(self) -> "tuple[str, Encoder] | None":
        """The pretrained part that stays frozen, as an encoder, and the name of its embedding
        space; None if there is none.

        Embeddings of two encoders can be compared if their spaces have the same name.
        """
        return None

    def fit(self, values: Any) -> None:
        """Learn what preprocessing needs (a vocabulary, means) from the training split,
        and keep it in the state.

        Called once before training, and never on a finished run. Most encoders need nothing.

        Args:
            values: of the training split alone; whatever has a length and gives raw batches
                by ``values[i:j]``.
        """

    @abstractmethod
    def prepare(self, raw: Any) -> Tensor:
        """Preprocess n values as the dataset keeps them → ``[n, …]``, on the device
        of the parameters.

        Has no gradient. Random augmentation belongs here, in training mode only. What pads
        shorter values is NaN, or a number that is no token.
        """

    @abstractmethod
    def forward(self, prepared: Tensor) -> Tensor:
        """The output of ``prepare`` → ``[n, width]``: a function of tensors
        and parameters alone.
        """

    def sequence(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """The output of ``prepare`` → tokens ``[n, length, width]``, and a mask that is False on
        padding, bool ``[n, length]``.

        An encoder that has no tokens gives its embedding as the only one.
        """
        embedded = self(prepared).unsqueeze(1)
        return embedded, torch.ones(embedded.shape[:2], dtype=torch.bool, device=embedded.device)

    def encode(self, raw: Any) -> Tensor:
        """Raw values → ``[n, width]``."""
        # A spectrum or a warp in bf16 would be another one.
        with torch.autocast(self.device.type, enabled=False):
            prepared = self.prepare(raw)
        return self(prepared)

    def lengths(self, raw: Any) -> tuple[list[int], int] | None:
        """The length of each of n values, and how much of it is read; None if values
        are never truncated.

        In units of the option ``max_length``.
        """
        return None

    def together(self, views: Tensor) -> Tensor:
        """Combine the embeddings of several views, ``[views, n, width]`` → ``[n, …]``;
        by default their mean.
        """
        return views.mean(0)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """A module in evaluation mode, without augmentation or dropout; afterwards each part is
    in the mode it was in.

    Parts may be shared: what wraps a learner that is being evaluated must not leave it
    in training mode.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def chunks(values: Any) -> Iterator[Any]:
    """The raw batches that make up a column of values."""
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))

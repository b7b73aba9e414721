"""What an encoder is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from mmml.registry import Registry

encoders = Registry("encoder", "mmml.encoders")


class Encoder(nn.Module, ABC):
    """Turns a batch of raw values of one modality into embeddings.

    A subclass takes ``width`` (the embedding width that the encoders of a run share), which the
    program supplies, and options of its own, which the config supplies. In evaluation mode
    every sample is embedded independently of its neighbours in the batch.

    Class attributes:
        modality: what it reads.
    """

    modality: ClassVar[str]

    @abstractmethod
    def prepare(self, raw: Any) -> Tensor:
        """Preprocess n values as the dataset keeps them → ``[n, …]``, on the device of the parameters.

        Has no gradient. Random augmentation belongs here, in training mode only.
        """

    @abstractmethod
    def forward(self, prepared: Tensor) -> Tensor:
        """What ``prepare`` returned → ``[n, width]``: a function of tensors and parameters alone."""

    def encode(self, raw: Any) -> Tensor:
        """Raw values → ``[n, width]``."""
        return self(self.prepare(raw))

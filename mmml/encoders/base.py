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
    def forward(self, raw: Any) -> Tensor:
        """``raw`` (n values as the dataset keeps them) → ``[n, width]``."""

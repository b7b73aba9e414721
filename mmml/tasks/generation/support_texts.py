"""Texts that are known already, weighed: what a method answers that writes nothing of its own."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.text import hashed_ngrams
from mmml.text.tokens import BYTES

LONGEST, BINS = 3, 1024  # n-grams of 1 to so many bytes, counted in so many bins each
SHARPNESS = 50.0  # of a softened choice


@dataclass(frozen=True)
class SupportTexts:
    """How much each query trusts each known text.

    Attributes:
        log_weights: ``[B, q, s]``.
        support_texts: as bytes, ``[B, s, bytes]``, negative where there are none.
    """

    log_weights: Tensor
    support_texts: Tensor

    def chosen(self) -> Tensor:
        """The text most like all others, by weight: that of minimum Bayes risk (Kumar
        and Byrne, 2004).

        ``[B, q, bytes]``. With all weight on one it is that, with all alike it is the best
        constant answer.
        """
        best = self._expected().argmax(-1, keepdim=True)
        return self.support_texts.gather(1, best.expand(-1, -1, self.support_texts.shape[-1]))

    def texts(self) -> list[list[str]]:
        """The text that is chosen for each query of each episode."""
        return [BYTES.decode(texts) for texts in self.chosen()]

    def numbers(self) -> Tensor:
        """The weights, ``[B, q, s]``."""
        return self.log_weights.exp()

    def loss(self, targets: Tensor) -> Tensor:
        """How unlike the right text ``[B, q, bytes]`` is what is nearly chosen, from 0 to 1:
        ``[B, q]``.

        The choice is softened, so that weights can be learned by what comes of them (Shen et al.,
        2016, equation 8).
        """
        chosen = (SHARPNESS * self._expected()).softmax(-1)
        return 1 - (chosen * alike(targets, self.support_texts)).sum(-1)

    def _expected(self) -> Tensor:
        """How like the right text each known one is expected to be, ``[B, q, s]``."""
        return self.log_weights.exp() @ alike(self.support_texts, self.support_texts)


def alike(a: Tensor, b: Tensor) -> Tensor:
    """The cosine of the counts of n-grams, ``[B, m, bytes], [B, n, bytes]`` → ``[B, m, n]``,
    from 0 to 1.
    """
    return F.normalize(counts(a), dim=-1) @ F.normalize(counts(b), dim=-1).mT


def counts(texts: Tensor) -> Tensor:
    """How often each n-gram is in each text, by a hash: ``[…, bytes]`` → ``[…, LONGEST · BINS]``;
    −1 is none.
    """
    found = []
    for hashes, complete in hashed_ngrams(texts, texts >= 0, LONGEST):
        bins = torch.zeros(*texts.shape[:-1], BINS, device=texts.device)
        found.append(bins.scatter_add(-1, hashes % BINS, complete.float()))
    return torch.cat(found, dim=-1)

"""Predictions that are texts of the support set."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.text import hashed_ngrams
from mmml.text.tokens import BYTES

LONGEST, BINS = 3, 1024  # n-grams of 1 to 3 bytes; bins for each length
SHARPNESS = 50.0  # factor in the softmax of a softened choice


@dataclass(frozen=True)
class SupportTexts:
    """The weight of each support text for each query.

    Attributes:
        log_weights: ``[B, q, s]``.
        support_texts: as bytes, ``[B, s, bytes]``, padded with negative numbers.
    """

    log_weights: Tensor
    support_texts: Tensor

    def chosen(self) -> Tensor:
        """Return the weighted medoid of the support texts, ``[B, q, bytes]``.

        It has minimum Bayes risk (Kumar and Byrne, 2004). If one text has all the weight, it is
        that text; with equal weights it is the best constant answer.
        """
        best = self._expected().argmax(-1, keepdim=True)
        return self.support_texts.gather(1, best.expand(-1, -1, self.support_texts.shape[-1]))

    def texts(self) -> list[list[str]]:
        """Return the chosen text for each query of each episode."""
        return [BYTES.decode(texts) for texts in self.chosen()]

    def numbers(self) -> Tensor:
        """Return the weights, ``[B, q, s]``."""
        return self.log_weights.exp()

    def loss(self, targets: Tensor) -> Tensor:
        """Return the expected dissimilarity of a softened choice to the right text
        ``[B, q, bytes]``, from 0 to 1: ``[B, q]``.

        The choice is softened so that the loss has a gradient (Shen et al., 2016, equation 8).
        """
        chosen = (SHARPNESS * self._expected()).softmax(-1)
        return 1 - (chosen * alike(targets, self.support_texts)).sum(-1)

    def _expected(self) -> Tensor:
        """Return the expected similarity of each support text to the right text, ``[B, q, s]``."""
        return self.log_weights.exp() @ alike(self.support_texts, self.support_texts)


def alike(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine similarity of n-gram counts, from 0 to 1: ``[B, m, bytes], [B, n, bytes]``
    → ``[B, m, n]``.
    """
    return F.normalize(counts(a), dim=-1) @ F.normalize(counts(b), dim=-1).mT


def counts(texts: Tensor) -> Tensor:
    """Return hashed n-gram counts, ``[…, bytes]`` → ``[…, LONGEST · BINS]``; −1 is padding."""
    found = []
    for hashes, complete in hashed_ngrams(texts, texts >= 0, LONGEST):
        bins = torch.zeros(*texts.shape[:-1], BINS, device=texts.device)
        found.append(bins.scatter_add(-1, hashes % BINS, complete.float()))
    return torch.cat(found, dim=-1)

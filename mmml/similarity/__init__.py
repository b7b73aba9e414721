"""Distances between embeddings, and losses on these distances."""

from mmml.similarity.distances import distances
from mmml.similarity.losses import Loss, losses

__all__ = ["Loss", "distances", "losses"]

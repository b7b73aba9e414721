"""Distances and losses over pairs of embeddings."""

from mmml.similarity.distances import distances
from mmml.similarity.losses import Loss, losses

__all__ = ["Loss", "distances", "losses"]

"""Encoders: they map raw values of one modality to embeddings, preprocessing included."""

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.embedder import Embedder, build_embedder

__all__ = ["Embedder", "Encoder", "build_embedder", "encoders"]

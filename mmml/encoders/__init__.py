"""Encoders: one modality's raw values → embeddings, their own preprocessing included."""

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.embedder import Embedder, build_embedder

__all__ = ["Embedder", "Encoder", "build_embedder", "encoders"]

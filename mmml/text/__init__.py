"""Tokenizers: text → numbers."""

from mmml.text.bytes import PAD, VOCABULARY, to_bytes

__all__ = ["PAD", "VOCABULARY", "to_bytes"]

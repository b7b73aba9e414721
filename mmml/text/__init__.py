"""Tokenizers: text → numbers."""

from mmml.text.bytes import PAD, VOCABULARY, to_bytes
from mmml.text.ngrams import bucket_of, hashed_ngrams

__all__ = ["PAD", "VOCABULARY", "bucket_of", "hashed_ngrams", "to_bytes"]

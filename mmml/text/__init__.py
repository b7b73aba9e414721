"""Tokenizers: text → numbers."""

from mmml.text.bytes import PAD, VOCABULARY, count_bytes, to_bytes
from mmml.text.ngrams import bucket_of, hashed_ngrams

__all__ = ["PAD", "VOCABULARY", "bucket_of", "count_bytes", "hashed_ngrams", "to_bytes"]

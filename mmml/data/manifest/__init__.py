"""Readers of your own tables and folders."""

from mmml.data.manifest.reading import read_rows
from mmml.data.manifest.rows import ManifestRows

__all__ = ["ManifestRows", "read_rows"]

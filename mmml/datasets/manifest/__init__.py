"""``dataset=manifest``: your own files, listed in a table or laid out in class folders."""

from mmml.datasets.manifest.dataset import Manifest
from mmml.datasets.manifest.reading import read_rows
from mmml.datasets.manifest.rows import ManifestRows

__all__ = ["Manifest", "ManifestRows", "read_rows"]

"""Episodes: which samples form episode i, and what a mapping shows of them."""

from mmml.episodes.batch import Batch, Examples, gather
from mmml.episodes.mapping import Mapping
from mmml.episodes.sampler import Episodes, Sampler, Shape, of_one_class

__all__ = ["Batch", "Episodes", "Examples", "Mapping", "Sampler", "Shape", "gather", "of_one_class"]

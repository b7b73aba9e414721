"""Episodes: the samples of each episode, and the part of them that a mapping shows."""

from mmml.episodes.batch import Batch, ExampleSet, gather
from mmml.episodes.mapping import Mapping
from mmml.episodes.sampler import Episodes, EpisodeShape, Sampler, of_one_class

__all__ = [
    "Batch",
    "EpisodeShape",
    "Episodes",
    "ExampleSet",
    "Mapping",
    "Sampler",
    "gather",
    "of_one_class",
]

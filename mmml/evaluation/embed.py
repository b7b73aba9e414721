"""Embed every sample once; episodes are then index arithmetic."""

from collections.abc import Iterable

import torch

from mmml.datasets import Samples
from mmml.encoders.prepared import remembered
from mmml.methods import Learner

CHUNK = 512  # values encoded at a time; the result does not depend on it


@torch.no_grad()
def embed_all(learner: Learner, samples: Samples, modalities: Iterable[str]) -> Samples:
    """The samples with embeddings ``[n, width]`` in place of the values of these modalities.

    In evaluation mode and float32, so that each sample is independent of its neighbours. What
    frozen encoders say of the values is read from the cache.
    """
    training = learner.training
    learner.eval()
    embedded = {}
    for modality in sorted(modalities):
        values = remembered(learner.embedder, modality, samples.columns[modality].values)
        chunks = (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))
        embedded[modality] = torch.cat([learner.embedder.encode(modality, chunk) for chunk in chunks])
    learner.train(training)
    return samples.with_embeddings(embedded)

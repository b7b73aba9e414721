"""Embed every sample once; episodes are then index arithmetic."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from mmml.datasets import Samples
from mmml.encoders.base import evaluating
from mmml.encoders.prepared import remembered
from mmml.methods import Learner

CHUNK = 512  # values encoded at a time; the result does not depend on it


def see_all(learner: Learner, samples: Samples, modalities: Iterable[str]) -> Samples:
    """The samples as a learner's episodes are best made of them.

    Embedded, if an embedding does not depend on the task; else raw, but for what frozen encoders
    have read.
    """
    if learner.embeds_once:
        return embed_all(learner, samples, modalities)
    columns = {
        m: replace(samples.columns[m], values=remembered(learner.embedder, m, samples.columns[m].values))
        for m in sorted(modalities)
    }
    return replace(samples, columns=columns)


@torch.no_grad()
def embed_all(learner: Learner, samples: Samples, modalities: Iterable[str] | None = None) -> Samples:
    """The samples with embeddings ``[n, width]`` in place of the values of these modalities.

    In evaluation mode and float32, so that each sample is independent of its neighbours. What
    frozen encoders say of the values is read from the cache, and embeddings stay as they are.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: None for all columns.
    """
    embedder, embedded = learner.embedder, {}
    with evaluating(learner):
        for modality in sorted(samples.columns if modalities is None else modalities):
            column = samples.columns[modality]
            if column.encoded:
                embedded[modality] = column.values
                continue
            values = remembered(embedder, modality, column.values)
            chunks = (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))
            embedded[modality] = torch.cat([embedder.encode(modality, chunk) for chunk in chunks])
    return samples.with_embeddings(embedded)

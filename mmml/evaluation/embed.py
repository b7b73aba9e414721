"""Embed every sample once; episodes are then index arithmetic."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.datasets import Samples
from mmml.datasets.gaps import Gappy, there
from mmml.encoders import Embedder, Encoder
from mmml.encoders.augment import augments, seen_as
from mmml.encoders.base import CHUNK, chunks, evaluating
from mmml.encoders.prepared import remembered
from mmml.errors import UserError
from mmml.methods import Learner
from mmml.progress import progress


def see_all(learner: Learner, samples: Samples, modalities: Iterable[str], views: int = 1) -> Samples:
    """The samples as a learner's episodes are best made of them.

    Embedded, if an embedding does not depend on the task; else raw, but for what frozen encoders
    have read.

    Raises:
        UserError: several views were asked for, and embeddings depend on the task.
    """
    if learner.embeds_once:
        return embed_all(learner, samples, modalities, views)
    if views > 1:
        raise UserError(f"evaluation.views={views} needs embeddings that do not depend on the task: use 1")
    columns = {
        m: replace(samples.columns[m], values=remembered(learner.embedder, m, samples.columns[m].values))
        for m in sorted(modalities)
    }
    return replace(samples, columns=columns)


@torch.no_grad()
def embed_all(learner: Learner, samples: Samples, modalities: Iterable[str] | None = None, views: int = 1) -> Samples:
    """The samples with embeddings ``[n, width]`` in place of the values of these modalities.

    In evaluation mode and float32, so that each sample is independent of its neighbours. What
    frozen encoders say of the values is read from the cache, and embeddings stay as they are.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: None for all columns.
        views: of each image or video: as it is, and warped as in training, the same for all; the encoder says what
            they make together, and where embeddings have length 1 so has that.
    """
    embedder, embedded = learner.embedder, {}
    with evaluating(learner):
        for modality in sorted(samples.columns if modalities is None else modalities):
            column = samples.columns[modality]
            if column.encoded:
                embedded[modality] = column.values
                continue
            values = remembered(embedder, modality, column.values)
            known = there(values)
            parts = progress(chunks(known), f"embedding {modality}", -(-len(known) // CHUNK))
            each = torch.cat([encode_views(embedder, modality, chunk, views) for chunk in parts])
            embedded[modality] = with_gaps(each, values.present) if isinstance(values, Gappy) else each
    return samples.with_embeddings(embedded)


def with_gaps(embedded: Tensor, present: np.ndarray) -> Tensor:
    """Embeddings of samples ``[n, …]``, of which some are NaN, from those of the others."""
    every = embedded.new_full((len(present), *embedded.shape[1:]), torch.nan)
    every[torch.from_numpy(present)] = embedded
    return every


def encode_views(embedder: Embedder, modality: str, raw: Any, views: int) -> Tensor:
    """Raw values of one modality → ``[n, …]``, one embedding of each in all its views."""
    encoder = cast(Encoder, embedder.encoders[modality])
    if views == 1 or not augments(encoder):
        return embedder.encode(modality, raw)
    seen = []
    for view in range(views):
        with seen_as(encoder, view):
            seen.append(embedder.encode(modality, raw))
    together = encoder.together(torch.stack(seen))
    return F.normalize(together, dim=-1) if embedder.normalize else together

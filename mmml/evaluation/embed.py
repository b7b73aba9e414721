"""Embedding of all samples of a split at once, from which episodes are then gathered by index."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.data.column import Column, filled
from mmml.encoders import Embedder, Encoder
from mmml.encoders.augment import augments, seen_as
from mmml.encoders.base import CHUNK, evaluating
from mmml.encoders.feature_cache import cache_features, cached_features
from mmml.episodes import Batch, Episodes, Mapping, gather
from mmml.errors import UserError
from mmml.methods import Learner
from mmml.progress import progress
from mmml.similarity.distances import unit


def materialize(
    learner: Learner,
    samples: Samples,
    modalities: Iterable[str],
    views: int = 1,
    corrupted: Collection[str] = (),
) -> Samples:
    """Return the samples in the form from which a learner's episodes are gathered.

    They are embedded if embeddings do not depend on the task. Otherwise they stay raw, except for
    the outputs of frozen encoders and embedded targets.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: the modalities to return.
        views: see :func:`embed_all`.
        corrupted: modalities that are corrupted in each episode; they stay raw.

    Raises:
        UserError: ``views`` is above 1, and no encoder has augmentation, or embeddings depend on
            the task or the episode.
    """
    if (
        views > 1
        and not any(augments(e) for m, e in learner.embedder.items() if m in set(modalities))
        and not learner.baseline
    ):
        raise UserError(
            f"evaluation.tta_views={views}: no encoder of these modalities was trained "
            "with augment: use 1"
        )
    samples = learner.task.prepare(samples)
    encoded = sorted(set(modalities) - set(corrupted))
    raw = sorted(set(modalities) & set(corrupted))
    if views > 1 and (raw or not learner.embeds_once):
        raise UserError(
            f"evaluation.tta_views={views} needs embeddings that do not depend on the task: use 1"
        )
    if learner.embeds_once:
        known = embed_all(learner, samples, encoded, views).columns
    else:
        known = dict(
            cache_features(
                learner.embedder, samples, [m for m in encoded if m in learner.embedder.encoders]
            ).columns
        )
        # Embeddings of targets do not depend on the task.
        known |= embed_all(learner, samples, learner.task.embedded_columns).columns
    return replace(
        samples, columns={**{m: known[m] for m in encoded}, **{m: samples.columns[m] for m in raw}}
    )


@torch.no_grad()
def embed_all(
    learner: Learner, samples: Samples, modalities: Iterable[str] | None = None, views: int = 1
) -> Samples:
    """Return the samples with embeddings ``[n, width]`` in place of the values of some modalities.

    The learner is put into evaluation mode and float32, so that the embedding of a sample does not
    depend on others. Outputs of frozen encoders are read from the cache; columns of embeddings are
    kept.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: the modalities to embed; None for all.
        views: number of views of each image or video for test-time augmentation: the original and
            fixed warps, which are the same for all samples. The encoder combines their embeddings;
            the result has length 1 if embeddings are normalised.
    """
    embedder, embedded = learner.embedder, {}
    with evaluating(learner):
        for modality in sorted(samples.columns if modalities is None else modalities):
            column = samples.columns[modality]
            if column.encoded:
                embedded[modality] = column.values
                continue
            embedded[modality] = in_chunks(
                partial(encode_views, embedder, modality, views=views),
                cached_features(embedder, modality, column),
                f"embedding {modality}",
            )
    return samples.with_embeddings(embedded)


def gather_encoded(
    learner: Learner, samples: Samples, episodes: Episodes, mappings: Iterable[Mapping]
) -> Batch:
    """Return a batch of episodes, embedded if embeddings do not depend on the task."""
    batch = gather(samples, episodes, mappings, learner.task.target)
    encode = learner.embedder.encode
    return (
        batch.encode(lambda m, column: in_chunks(partial(encode, m), column))
        if learner.embeds_once
        else batch
    )


def in_chunks(
    encode: Callable[[Column], Tensor], column: Column, what: str | None = None
) -> Tensor:
    """Return the embeddings of a column, computed in chunks: ``[n, …]``, zero for missing values.

    Args:
        encode: maps a batch of k values to ``[k, …]``.
        column: the n values.
        what: the text of the progress bar; None for no bar.
    """
    present = replace(column, values=column.present, mask=None)
    starts = range(0, max(len(present), 1), CHUNK)
    watched = starts if what is None else progress(starts, what, len(starts))
    return filled(
        torch.cat([encode(present.take(slice(i, i + CHUNK))) for i in watched]), column.mask
    )


def encode_views(embedder: Embedder, modality: str, batch: Column, views: int) -> Tensor:
    """Return one embedding for each value of a batch, combined over its views: ``[n, …]``."""
    encoder = cast(Encoder, embedder.encoders[modality])
    if views == 1 or not augments(encoder):
        return embedder.encode(modality, batch)
    encoded = []
    for view in range(views):
        with seen_as(encoder, view):
            encoded.append(embedder.encode(modality, batch))
    together = encoder.together(torch.stack(encoded))
    return unit(together) if embedder.normalize else together

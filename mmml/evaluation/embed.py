"""Embed every sample once; episodes are then index arithmetic."""

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
    """The samples in the form that episodes of a learner are gathered from.

    They are embedded if an embedding does not depend on the task. Otherwise they are raw,
    except for outputs of frozen encoders and embedded answers.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: to be seen.
        views: see :func:`embed_all`.
        corrupted: modalities whose values are corrupted in each episode anew,
            so that they stay raw.

    Raises:
        UserError: several views were asked for, and embeddings depend on the task or the episode.
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
        # Answers are not adapted to.
        known |= embed_all(learner, samples, learner.task.embedded_columns).columns
    return replace(
        samples, columns={**{m: known[m] for m in encoded}, **{m: samples.columns[m] for m in raw}}
    )


@torch.no_grad()
def embed_all(
    learner: Learner, samples: Samples, modalities: Iterable[str] | None = None, views: int = 1
) -> Samples:
    """The samples with embeddings ``[n, width]`` in place of the values of these modalities.

    In evaluation mode and float32, so that each sample is independent of its neighbours.
    Outputs of frozen encoders are read from the cache; embeddings stay as they are.

    Args:
        learner: in any mode.
        samples: of one split.
        modalities: None for all columns.
        views: of each image or video: as it is, and warped as in training, the same for all; the
            encoder says what they make together, and where embeddings have length 1 so has that.
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
    """Some episodes, embedded where an embedding does not depend on the task."""
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
    """The embeddings of a column, however many: ``[n, …]``, zeros for missing values.

    Args:
        encode: a batch of k values → ``[k, …]``.
        column: the n values.
        what: a progress bar says; None for no bar.
    """
    present = replace(column, values=column.present, mask=None)
    starts = range(0, max(len(present), 1), CHUNK)
    watched = starts if what is None else progress(starts, what, len(starts))
    return filled(
        torch.cat([encode(present.take(slice(i, i + CHUNK))) for i in watched]), column.mask
    )


def encode_views(embedder: Embedder, modality: str, batch: Column, views: int) -> Tensor:
    """A batch of one modality → ``[n, …]``, one embedding of each value in all its views."""
    encoder = cast(Encoder, embedder.encoders[modality])
    if views == 1 or not augments(encoder):
        return embedder.encode(modality, batch)
    encoded = []
    for view in range(views):
        with seen_as(encoder, view):
            encoded.append(embedder.encode(modality, batch))
    together = encoder.together(torch.stack(encoded))
    return unit(together) if embedder.normalize else together

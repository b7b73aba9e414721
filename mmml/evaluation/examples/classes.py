"""Examples for the report: the classes, the most frequent confusions and a map of the
embeddings.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mmml.data.base import Samples, base_modality
from mmml.data.column import is_present
from mmml.data.values import evenly_spaced
from mmml.episodes import Sampler
from mmml.evaluation.batching import chunks
from mmml.evaluation.embed import embed_all, gather_encoded
from mmml.evaluation.examples.thumbnails import ORDER, picture
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner

CONFUSIONS, EPISODES, POINTS = 24, 500, 400


@torch.no_grad()
def class_examples(
    learner: Learner,
    samples: Samples,
    embedded: Samples,
    sampler: Sampler,
    settings: Sequence[EvalSetting],
) -> dict[str, Any]:
    """Return all examples of one learner on one split, as JSON values.

    Args:
        learner: its confusions and embeddings are shown.
        samples: of the split, to show them.
        embedded: the same samples with the learner's embeddings.
        sampler: of that split.
        settings: confusions are from the setting with the most ways and, of these, the fewest
            shots.
    """
    widest = max(settings, key=lambda s: (s.shape.ways, -s.shape.shots))
    is_classifier = not learner.task.per_sample_target
    return {
        "items": [_item(samples, c) for c in range(len(samples.classes))],
        "confusions": _confusions(learner, embedded, sampler, widest) if is_classifier else None,
        "map": _map(embed_all(learner, in_space(learner, embedded))),
    }


def in_space(learner: Learner, samples: Samples) -> Samples:
    """Return the samples with only the modalities that the learner embeds."""
    return replace(
        samples,
        columns={m: c for m, c in samples.columns.items() if m in learner.embedder.encoders},
    )


def _item(samples: Samples, number: int) -> dict[str, Any]:
    """Return how a class is shown: its name, its first text, and a picture of its first value in
    the modality that shows it best.
    """
    item: dict[str, Any] = {"label": samples.classes[number]}
    if (texts := samples.columns.get("text")) is not None and texts.starts is not None:
        first = texts.values[texts.starts[number] : texts.starts[number] + 1]
        item |= {"text": str(first[0])} if len(first) else {}
    shown = [m for m in samples.columns if base_modality(m) in ORDER]
    for modality in sorted(shown, key=lambda m: ORDER.index(base_modality(m))):
        column = samples.columns[modality]
        starts = samples.starts if column.starts is None else column.starts
        first = column.take(slice(starts[number], starts[number] + 1)).present[:]
        if len(first):
            return item | {"modality": modality} | picture(base_modality(modality), first[0])
    return item


def _confusions(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: EvalSetting
) -> dict[str, Any]:
    """Return the pairs of classes that are confused most often, under the first mapping of the
    setting.
    """
    mapping, shape = setting.mappings[0], setting.shape
    both: Counter[tuple[int, int]] = Counter()
    queries = 0
    for numbers in chunks(sampler.at_most(EPISODES), shape, learner):
        drawn = sampler.draw(numbers, shape)
        support, query = gather_encoded(learner, embedded, drawn, [mapping]).view(mapping)
        guesses = learner.adapt(support)(query).argmax(-1).cpu().numpy()
        labels = query.labels.numpy()
        truth, guessed = (np.take_along_axis(drawn.classes, s, axis=1) for s in (labels, guesses))
        pairs = np.sort(np.stack([truth, guessed], axis=-1)[truth != guessed], axis=-1)
        both.update(map(tuple, pairs.tolist()))
        queries += labels.size
    return {
        "mapping": str(mapping),
        "ways": shape.ways,
        "shots": shape.shots,
        "episodes": sampler.at_most(EPISODES),
        "queries": queries,
        "wrong": both.total(),
        "pairs": [{"classes": list(pair), "count": n} for pair, n in both.most_common(CONFUSIONS)],
    }


def _map(embedded: Samples) -> dict[str, Any]:
    """Return a two-dimensional map of the mean embedding of each class and modality (t-SNE, van der
    Maaten and Hinton 2008).

    Modalities whose embeddings differ in width from the first one are left out, since they share no
    space with it.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    shown = evenly_spaced(len(embedded.classes), POINTS)
    widths = {m: column.values.shape[-1] for m, column in sorted(embedded.columns.items())}
    modalities = [m for m, width in widths.items() if width == next(iter(widths.values()))]
    means = np.concatenate([_class_means(embedded, m)[shown] for m in modalities])
    spread = means.std(axis=0)
    # Too few different points for a map.
    if len(means) < 5 or not np.isfinite(means).all() or (spread > 1e-6).sum() < 2:
        return {"modalities": [], "points": {}, "classes": []}
    tsne = TSNE(
        perplexity=min(30, (len(means) - 1) / 3),
        init="pca",
        random_state=0,
        metric="cosine",
        max_iter=500,
    )
    with threadpool_limits(1):  # more threads are slower on so few points
        layout = tsne.fit_transform(means)
    layout = (layout - layout.min(0)) / (np.ptp(layout, axis=0) + 1e-9)
    parts = np.split(layout.round(4), len(modalities))
    points = {m: part.tolist() for m, part in zip(modalities, parts, strict=True)}
    return {"modalities": modalities, "classes": shown.tolist(), "points": points}


def _class_means(embedded: Samples, modality: str) -> np.ndarray:
    column = embedded.columns[modality]
    starts = embedded.starts if column.starts is None else column.starts
    count = np.add.reduceat(is_present(column).numpy(), starts[:-1], dtype=np.int64)
    sums = np.add.reduceat(column.values.float().cpu().numpy(), starts[:-1])
    return np.asarray(sums / np.maximum(count, 1)[:, None])

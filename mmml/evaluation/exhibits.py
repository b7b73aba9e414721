"""What a report shows besides numbers: confusions, a retrieval gallery, a map. Plain values only."""

import base64
import io
from collections import Counter
from typing import Any

import numpy as np
import torch

from mmml.datasets import Per, Samples
from mmml.episodes import Mapping as Modalities
from mmml.episodes import Sampler, gather
from mmml.evaluation.embed import embed_all
from mmml.evaluation.panel import Column
from mmml.evaluation.retrieval import galleries, rank
from mmml.methods import Learner

CONFUSIONS, GALLERY, RETRIEVED, EPISODES, POINTS = 24, 12, 6, 500, 400

Exhibits = dict[str, Any]


@torch.no_grad()
def make_exhibits(
    learner: Learner, samples: Samples, sampler: Sampler, columns: list[Column], retrieval: Column
) -> Exhibits:
    """All exhibits of one learner on one split, as JSON values."""
    used = {m for c in columns for mapping in c.mappings for m in mapping.modalities}
    embedded = embed_all(learner, samples, used)
    widest = max(columns, key=lambda c: (c.shape.ways, -c.shape.shots))
    return {
        "items": [_item(samples, c) for c in range(len(samples.classes))],
        "confusions": _confusions(learner, embedded, sampler, widest),
        "galleries": [_gallery(learner, embedded, m) for m in retrieval.mappings],
        "map": _map(embedded),
    }


def _item(samples: Samples, number: int) -> dict[str, Any]:
    """How a class is shown: its identifier and, if it has images, the first one."""
    column = samples.columns.get("image")
    item: dict[str, Any] = {"label": samples.classes[number]}
    if column is not None:
        row = samples.starts[number] if column.starts is None else column.starts[number]
        item["image"] = data_uri(column.values[row].numpy())
    return item


def data_uri(image: np.ndarray) -> str:
    """A grey image ``[H, W]`` as a PNG of black ink whose opacity is the pixel's value."""
    from PIL import Image

    picture = Image.new("LA", image.shape[::-1])
    picture.putalpha(Image.fromarray(image))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _confusions(learner: Learner, embedded: Samples, sampler: Sampler, column: Column) -> dict[str, Any]:
    """The pairs of classes most often taken for one another, under the column's first mapping."""
    mapping = column.mappings[0]
    wrong: Counter[tuple[int, int]] = Counter()
    drawn = sampler.draw(range(EPISODES), column.shape)
    support, query = gather(embedded, drawn, [mapping], encoded=True).view(mapping)
    guesses, slots = learner.adapt(support)(query).argmax(-1).cpu().numpy(), query.slots.numpy()
    for classes, guess, slot in zip(drawn.classes, guesses, slots, strict=True):
        wrong.update(zip(classes[slot[guess != slot]].tolist(), classes[guess[guess != slot]].tolist(), strict=True))
    both: Counter[tuple[int, int]] = Counter()
    for (a, b), n in wrong.items():
        both[min(a, b), max(a, b)] += n
    pairs = [{"classes": [a, b], "count": n} for (a, b), n in both.most_common(CONFUSIONS)]
    shape = column.shape
    return {
        "mapping": str(mapping), "ways": shape.ways, "shots": shape.shots, "queries": int(slots.size),
        "wrong": sum(wrong.values()), "pairs": pairs,
    }  # fmt: skip


def _gallery(learner: Learner, embedded: Samples, mapping: Modalities) -> dict[str, Any]:
    """Evenly chosen queries with the first candidates that they retrieve."""
    batch = gather(embedded, galleries(embedded), [mapping], encoded=True)
    fits = rank(learner, batch, mapping)[0][0]  # the first gallery
    chosen = np.linspace(0, len(fits) - 1, min(GALLERY, len(fits))).round().astype(int).tolist()
    rows = []
    for q in chosen:
        order = fits[q].argsort(descending=True, stable=True).tolist()
        rows.append({"query": q, "retrieved": order[:RETRIEVED], "rank": order.index(q) + 1})
    return {"mapping": str(mapping), "candidates": fits.shape[-1], "rows": rows}


def _map(embedded: Samples) -> dict[str, Any]:
    """Classes laid out in two dimensions by each modality's mean embedding (t-SNE, van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    shown = np.linspace(0, len(embedded.classes) - 1, min(POINTS, len(embedded.classes))).round().astype(int)
    modalities = sorted(embedded.columns)
    means = np.concatenate([_class_means(embedded, m)[shown] for m in modalities])
    if len(means) < 5:
        return {"modalities": [], "points": {}, "classes": []}
    tsne = TSNE(perplexity=min(30, (len(means) - 1) / 3), init="pca", random_state=0, metric="cosine", max_iter=500)
    with threadpool_limits(1):  # on so few points, more threads wait for one another
        places = tsne.fit_transform(means)
    places = (places - places.min(0)) / (np.ptp(places, axis=0) + 1e-9)
    parts = np.split(places.round(4), len(modalities))
    points = {m: part.tolist() for m, part in zip(modalities, parts, strict=True)}
    return {"modalities": modalities, "classes": shown.tolist(), "points": points}


def _class_means(embedded: Samples, modality: str) -> np.ndarray:
    column = embedded.columns[modality]
    starts = embedded.starts if column.per is Per.SAMPLE else column.starts
    assert starts is not None
    values = column.values.float().cpu().numpy()
    return np.add.reduceat(values, starts[:-1]) / np.diff(starts)[:, None]

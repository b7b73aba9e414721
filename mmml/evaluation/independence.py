"""The independence check: queries must not influence one another
(``evaluation.independence_check=true``).
"""

from collections.abc import Iterable
from dataclasses import replace

import torch

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, Sampler, gather
from mmml.errors import IndependenceError
from mmml.evaluation.embed import encode_views
from mmml.methods import Learner, Predictor
from mmml.tasks import Task

TOLERANCE = 1e-5  # absolute tolerance of probabilities and embeddings in float32
TRIED = 16  # number of samples that are embedded alone


@torch.no_grad()
def check_independence(
    learner: Learner,
    samples: Samples,
    embedded: Samples,
    sampler: Sampler,
    shape: EpisodeShape,
    mappings: Iterable[Mapping],
    views: int = 1,
) -> None:
    """Check that predictions do not depend on other queries, and embeddings not on other samples.

    The queries of an episode are permuted, predicted one by one and duplicated, and samples are
    embedded alone; predictions and embeddings must stay the same. Learners that declare to be
    transductive are not checked.

    Args:
        learner: the learner to check, in evaluation mode.
        samples: of one split.
        embedded: the same samples with the learner's embeddings.
        sampler: of that split.
        shape: of the episode that is used.
        mappings: each of them is checked.
        views: number of views that were embedded.

    Raises:
        IndependenceError: a prediction or an embedding changed; the message says which.
    """
    if learner.transductive:
        return
    if learner.embeds_once:
        _check_embeddings(learner, samples, embedded, views)
    mappings = [m for m in mappings if m.modalities <= set(embedded.columns)]
    batch = gather(embedded, sampler.draw([0], shape), mappings, learner.task.target)
    see = learner.embedder.encode if learner.embeds_once else learner.embedder.prepare
    for mapping in mappings:
        support, query = batch.view(mapping)
        predict = comparable(learner.task, learner.adapt(support))
        moved = _what_moves(predict, _flat(query.encode(see)))
        if moved:
            what = f"predictions change when the queries are {moved}"
            raise IndependenceError(f"{learner.predictor_name} on {mapping}: {what}")


def comparable(task: Task, predict: Predictor) -> Predictor:
    """Wrap a predictor so that it returns predictions as numbers that can be compared."""
    return lambda query: task.numbers(predict(query))


def _what_moves(predict: Predictor, query: ExampleSet) -> str | None:
    """Return the name of the change of the queries that changes predictions; None if none does."""
    n = query.per_class
    expected = predict(query)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([predict(_take(query, torch.tensor([i]))) for i in range(n)], dim=1)
    changes = {
        "permuted": (predict(_take(query, order)), expected[:, order]),
        "predicted one at a time": (alone, expected),
        "duplicated": (
            predict(_take(query, torch.arange(n).repeat(2))),
            torch.cat([expected, expected], dim=1),
        ),
    }
    for name, (moved, still) in changes.items():
        if not torch.allclose(moved, still, atol=TOLERANCE, rtol=0):
            return name
    return None


def _check_embeddings(learner: Learner, samples: Samples, embedded: Samples, views: int) -> None:
    for modality in set(embedded.columns) & set(learner.embedder.encoders):
        column = embedded.columns[modality]
        if not column.encoded:
            continue
        raw = samples.columns[modality]
        tried = [raw.take(slice(i, i + 1)) for i in range(min(TRIED, len(raw)))]
        alone = [encode_views(learner.embedder, modality, one, views) for one in tried]
        if not torch.allclose(
            column.values[:TRIED], torch.cat(alone), atol=TOLERANCE, rtol=1e-4, equal_nan=True
        ):
            raise IndependenceError(
                f"the encoder of {modality} embeds a sample differently among others than alone"
            )


def _flat(query: ExampleSet) -> ExampleSet:
    """Merge the axes of classes and items, so that items can be taken one by one."""
    ways, n = next(iter(query.shapes.values()))[1], query.per_class

    def flat(t: torch.Tensor) -> torch.Tensor:
        return t.expand(-1, -1, n, *t.shape[3:]).reshape(t.shape[0], 1, ways * n, *t.shape[3:])

    columns = {m: c.map(flat) for m, c in query.columns.items()}
    copies = tuple((m, other, flat(where)) for m, other, where in query.copies)
    shapes = {m: (len(c), 1, ways * n) for m, c in columns.items()}
    return replace(query, columns=columns, shapes=shapes, copies=copies)


def _take(query: ExampleSet, items: torch.Tensor) -> ExampleSet:
    columns = {m: c.map(lambda t: t[:, :, items]) for m, c in query.columns.items()}
    shapes = {m: (len(c), 1, len(items)) for m, c in columns.items()}
    copies = tuple((m, other, where[:, :, items]) for m, other, where in query.copies)
    return replace(query, columns=columns, shapes=shapes, copies=copies)

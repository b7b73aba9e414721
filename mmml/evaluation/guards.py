"""Checks that an evaluation can be trusted, run on the learner at hand (``evaluation.guard=true``)."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from mmml.datasets import Samples
from mmml.episodes import Examples, Mapping, Sampler, Shape, gather
from mmml.evaluation.embed import embed_all
from mmml.methods import Learner

TOLERANCE = 1e-5  # on probabilities and embeddings, in float32


class GuardError(Exception):
    """An evaluation that must not be believed."""


@torch.no_grad()
def check_independence(
    learner: Learner, samples: Samples, sampler: Sampler, shape: Shape, mappings: Iterable[Mapping]
) -> None:
    """Queries must not influence one another, nor a sample's embedding its neighbours'.

    Permutes, splits and duplicates the queries of an episode and embeds samples alone; every
    prediction must stay the same. A learner that declares itself transductive is let through.

    Raises:
        GuardError: naming the mapping and what moved.
    """
    if learner.transductive:
        return
    mappings = list(mappings)
    _check_embeddings(learner, samples, {m for mapping in mappings for m in mapping.modalities})
    embedded = embed_all(learner, samples, {m for mapping in mappings for m in mapping.modalities})
    batch = gather(embedded, sampler.draw([0], shape), mappings, encoded=True)
    for mapping in mappings:
        support, query = batch.view(mapping)
        predict = learner.adapt(support)
        query = _flat(query)
        whole = predict(query).exp()
        n = query.per_class
        order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
        alone = torch.cat([predict(_take(query, torch.tensor([i]))).exp() for i in range(n)], dim=1)
        permuted = predict(_take(query, order)).exp()
        doubled = predict(_take(query, torch.arange(n).repeat(2))).exp()
        for name, moved, still in (
            ("permuted", permuted, whole[:, order]),
            ("predicted one at a time", alone, whole),
            ("duplicated", doubled, whole.repeat(1, 2, 1)),
        ):
            if not torch.allclose(moved, still, atol=TOLERANCE, rtol=0):
                raise GuardError(
                    f"{learner.predictor_name} on {mapping}: predictions change when the queries are {name}"
                )


def _check_embeddings(learner: Learner, samples: Samples, modalities: Iterable[str]) -> None:
    learner.eval()
    for modality in modalities:
        values = samples.columns[modality].values[:16]
        together = learner.embedder.encode(modality, values)
        alone = torch.cat([learner.embedder.encode(modality, values[i : i + 1]) for i in range(len(values))])
        if not torch.allclose(together, alone, atol=TOLERANCE, rtol=1e-4):
            raise GuardError(f"the encoder of {modality} embeds a sample differently among others than alone")


def _flat(query: Examples) -> Examples:
    """One axis of items, so that they can be taken one by one."""
    ways, n = next(iter(query.shapes.values()))[1], query.per_class
    values = {m: v.expand(-1, -1, n, -1).reshape(v.shape[0], 1, ways * n, -1) for m, v in query.values.items()}
    return replace(query, values=values, shapes={m: (v.shape[0], 1, ways * n) for m, v in values.items()})


def _take(query: Examples, items: torch.Tensor) -> Examples:
    values = {m: v[:, :, items] for m, v in query.values.items()}
    return replace(query, values=values, shapes={m: (v.shape[0], 1, len(items)) for m, v in values.items()})

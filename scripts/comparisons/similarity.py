"""Checks of distances, losses and classifiers."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from comparisons.base import Both, check, numbers
from mmml.methods.metric.classifiers.nearest import nearest_neighbour
from mmml.methods.metric.classifiers.prototype import prototype
from mmml.methods.metric.classifiers.ridge import STRENGTHS, ridge
from mmml.similarity.distances import cosine, euclidean
from mmml.similarity.dtw import FRAME, dtw
from mmml.similarity.losses import Contrastive, InfoNCE, Prototypical
from mmml.similarity.mahalanobis import Mahalanobis
from mmml.similarity.points import modified_hausdorff
from mmml.similarity.triplet import Triplet
from mmml.tasks.classification import Classification

WAYS, SHOTS, QUERIES, WIDTH = 5, 4, 6, 8


def episode(shots: int = SHOTS, queries: int = QUERIES) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the support embeddings and labels, and the query embeddings and labels, of one
    episode.
    """
    centres = numbers(WAYS, WIDTH)
    support_labels, query_labels = (
        torch.arange(WAYS).repeat_interleave(n) for n in (shots, queries)
    )
    support = centres[support_labels] + numbers(WAYS * shots, WIDTH, seed=1)
    return (
        support,
        support_labels,
        centres[query_labels] + numbers(WAYS * queries, WIDTH, seed=2),
        query_labels,
    )


def batched(*tensors: Tensor) -> list[Tensor]:
    """Return the tensors as a batch of one episode."""
    return [x.unsqueeze(0) for x in tensors]


def loss_of(loss: nn.Module, distance: Any, shots: int = SHOTS, queries: int = QUERIES) -> Tensor:
    """Return mmml's loss of the episode."""
    found: Tensor = loss.double()(distance, *batched(*episode(shots, queries))).detach()
    return found


@check("euclidean distance", "pytorch-metric-learning")
def _() -> Both:
    from pytorch_metric_learning.distances import LpDistance

    support, _, query, _ = episode()
    return LpDistance(normalize_embeddings=False)(query, support), euclidean(query, support)


@check("cosine distance", "pytorch-metric-learning")
def _() -> Both:
    from pytorch_metric_learning.distances import CosineSimilarity

    support, _, query, _ = episode()
    return 1 - CosineSimilarity()(query, support), cosine(query, support)


@check("mahalanobis distance", "scipy")
def _() -> Both:
    from scipy.spatial.distance import cdist

    support, _, query, _ = episode()
    own = Mahalanobis(WIDTH).double()
    own.map.data = numbers(WIDTH, WIDTH, seed=3)
    return cdist(query, support, "mahalanobis", VI=(own.map.T @ own.map).detach()), own(
        query, support
    ).detach()


@check("modified Hausdorff distance", "scipy")
def _() -> Both:
    from scipy.spatial.distance import cdist

    a, b = numbers(7, 2), numbers(5, 2, seed=1)
    between = cdist(a, b)
    reference = max(between.min(0).mean(), between.min(1).mean())
    return reference, modified_hausdorff(a.view(1, 1, -1), b.view(1, 1, -1)).squeeze()


@check("contrastive loss", "pytorch-metric-learning")
def _() -> Both:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.reducers import DoNothingReducer

    support, labels, query, query_labels = episode()
    plain = LpDistance(normalize_embeddings=False)
    reference = ContrastiveLoss(neg_margin=4.0, distance=plain, reducer=DoNothingReducer())
    pairs = reference(query, query_labels, ref_emb=support, ref_labels=labels)
    return torch.cat([p["losses"] for p in pairs.values()]).mean(), loss_of(
        Contrastive(4.0, squared=False), euclidean
    )


@check("triplet loss, all that violate", "pytorch-metric-learning")
def _() -> Both:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss

    support, labels, query, query_labels = episode()
    reference = TripletMarginLoss(margin=0.5, distance=LpDistance(normalize_embeddings=False))
    found = reference(query, query_labels, ref_emb=support, ref_labels=labels)
    return found, loss_of(Triplet(0.5, hard_mining=False), euclidean)


@check("triplet loss, hardest", "pytorch-metric-learning")
def _() -> Both:
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    support, labels, query, query_labels = episode()
    plain = LpDistance(normalize_embeddings=False)
    hard_mining = BatchHardMiner(distance=plain)(query, query_labels, support, labels)
    reference = TripletMarginLoss(margin=0.5, distance=plain, reducer=MeanReducer())
    found = reference(query, query_labels, hard_mining, ref_emb=support, ref_labels=labels)
    return found, loss_of(Triplet(0.5, hard_mining=True), euclidean)


# Initial temperatures are float32.
@check("InfoNCE in both directions", "pytorch-metric-learning", tolerance=1e-7)
def _() -> Both:
    from pytorch_metric_learning.losses import NTXentLoss

    support, labels, query, query_labels = episode(1, 1)
    reference = NTXentLoss(temperature=0.2)
    theirs = reference(query, query_labels, ref_emb=support, ref_labels=labels)
    back = reference(support, labels, ref_emb=query, ref_labels=query_labels)
    return (theirs + back) / 2, loss_of(InfoNCE(0.2, learn_temperature=False), cosine, 1, 1)


def by_easyfsl(classifier: Any) -> Tensor:
    """Return the predictions of an easyfsl classifier for the queries of the episode,
    ``[q, ways]``.
    """
    support, labels, query, _ = episode()
    classifier.process_support_set(support, labels)
    found: Tensor = classifier(query)
    return found


@check("prototypical loss", "easyfsl", tolerance=1e-7)  # mmml's temperature is float32
def _() -> Both:
    from easyfsl.methods import PrototypicalNetworks

    reference = F.cross_entropy(by_easyfsl(PrototypicalNetworks()), episode()[3])
    return reference, loss_of(Prototypical(1.0, learn_temperature=False), euclidean)


@check("dynamic time warping", "librosa", tolerance=1e-6)
def _() -> Both:
    import librosa

    a, b = numbers(9, FRAME), numbers(12, FRAME, seed=1)
    costs = euclidean(a, b).numpy()
    moves = {
        "step_sizes_sigma": np.array([[1, 1], [0, 1], [1, 0]]),
        "weights_mul": np.array([2, 1, 1]),
    }
    sums = librosa.sequence.dtw(C=costs, backtrack=False, **moves)
    # Sakoe and Chiba count the first cell twice, as a diagonal step; librosa once.
    reference = (sums[-1, -1] + costs[0, 0]) / (len(a) + len(b))
    return reference, dtw(a.view(1, 1, -1), b.view(1, 1, -1)).squeeze()


def voted(classifier: Any, distance: Any) -> Tensor:
    """Return mmml's probabilities for the queries of the episode, ``[q, ways]``."""
    support, labels, query, _ = episode()
    weights = classifier(
        distance, *batched(support, labels, query), torch.tensor(1.0, dtype=torch.float64)
    )
    found: Tensor = Classification().aggregate(weights, labels.unsqueeze(0)).exp().squeeze(0)
    return found


@check("prototypes, euclidean", "easyfsl", tolerance=1e-7)
def _() -> Both:
    from easyfsl.methods import PrototypicalNetworks

    return by_easyfsl(PrototypicalNetworks(use_softmax=True)), voted(prototype, euclidean)


@check("prototypes, cosine", "easyfsl", tolerance=1e-7)
def _() -> Both:
    from easyfsl.methods import SimpleShot

    return by_easyfsl(SimpleShot(use_softmax=True)), voted(prototype, cosine)


@check("nearest prototype", "scikit-learn", package="sklearn")
def _() -> Both:
    from sklearn.neighbors import NearestCentroid

    support, labels, query, _ = episode()
    return NearestCentroid().fit(support, labels).predict(query), voted(
        prototype, euclidean
    ).argmax(-1)


@check("nearest neighbour", "scikit-learn", package="sklearn")
def _() -> Both:
    from sklearn.neighbors import KNeighborsClassifier

    support, labels, query, _ = episode()
    found = KNeighborsClassifier(1).fit(support, labels).predict(query)
    return found, voted(nearest_neighbour, euclidean).argmax(-1)


@check("ridge, strength by leaving one out", "scikit-learn", tolerance=1e-7, package="sklearn")
def _() -> Both:
    from sklearn.linear_model import RidgeCV

    support, labels, query, _ = episode()
    unit = float((support - support.mean(0)).square().sum(-1).mean())
    reference = RidgeCV([unit * s for s in STRENGTHS]).fit(support, F.one_hot(labels).double())
    return torch.from_numpy(reference.predict(query)).softmax(-1), voted(ridge, euclidean)

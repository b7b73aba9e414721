"""``method/classifier=ridge``: ridge regression from embeddings to classes for each support set.

A linear classifier in closed form (Bertinetto et al., 2019, R2-D2, equation 5), with an intercept.
The strength of its penalty is chosen for each episode from the support set alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.methods.metric.classifiers.base import (
    classifiers,
    ignores_length,
    on_vectors,
    shared_evenly,
)
from mmml.similarity.distances import Distance, power_of_two, unit

EPSILON = 1e-12  # as in F.normalize

STRENGTHS = tuple(10.0 ** (p / 2) for p in range(-2, 3))
"""The candidates of λ, from 0.1 to 10, in units of the mean squared length of the centred support
items.

With a smaller λ, the regression nearly interpolates few items, which is harmful if queries are of
another modality; a larger one only shrinks all scores equally.
"""

ONE_SHOT = STRENGTHS.index(1.0)
"""The index of the strength for episodes in which each class has only one item."""


@classifiers.register("ridge")
@on_vectors
def ridge(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Return the log-softmax over the scores of a ridge regression of one-hot labels, divided
    evenly within a class.

    A linear model does not use distances. ``distance`` only decides whether the length of
    embeddings matters: for ``cosine`` they are scaled to length 1, for other distances they are
    used as they are. The scores estimate the one-hot targets (about 0 to 1); ``temperature``
    divides them before the softmax.
    """
    scale = ignores_length(distance)
    if scale:
        support, query = unit(support), query / power_of_two(query, (-1,))
    else:  # scaled by a power of two, so that squares do not underflow
        units = power_of_two(support, (-2, -1))
        support, query = support / units, query / units
    centre = support.mean(-2, keepdim=True)
    members = F.one_hot(labels).to(support.dtype)
    shared = members.mean(-2, keepdim=True)
    dual = fit((support - centre) @ (support - centre).mT, members - shared, members)
    weight = (support - centre).mT @ dual  # [B, d, ways]
    intercept = shared - centre @ weight
    products = query @ weight
    scores = intercept + (
        products / query.norm(dim=-1, keepdim=True).clamp_min(EPSILON) if scale else products
    )
    return shared_evenly((scores / temperature).log_softmax(-1), labels)


def fit(gram: Tensor, targets: Tensor, members: Tensor, intercept: bool = True) -> Tensor:
    """The dual coefficients α = (K + λI)⁻¹ Y, λ chosen for each episode by leave-one-out.

    With K = V diag(w) Vᵀ, one decomposition serves all strengths, and leaving item i out needs no
    refit (PRESS, Allen 1974; Golub, Heath and Wahba 1979): its residual is

        e_i = α_i / ((K + λI)⁻¹_ii − 1 / (λs)),

    where 1 / (λs) takes out of the inverse the constant direction, which an intercept fits
    without penalty. The strength of the least mean square of e wins, the first of equals.

    An item that is the only one of its class is not counted: without it the class is unknown, and
    its residual would always favour the strongest penalty. In one-shot episodes no item is left,
    and λ is 1 in the units of :data:`STRENGTHS`.

    Args:
        gram: K, ``[B, s, s]``: a kernel, or inner products of the support items, centred if there
            is an intercept.
        targets: Y, ``[B, s, ways]``, likewise centred.
        members: the labels, one-hot, ``[B, s, ways]``.
        intercept: whether there is one.

    Returns:
        α, ``[B, s, ways]``, in the precision of ``targets``.
    """
    values, vectors = torch.linalg.eigh(gram.double())
    values = values.clamp_min(0)
    rotated = vectors.mT @ targets.double()
    unit = values.mean(-1, keepdim=True)
    # If all items are equal, the unit would be 0.
    unit = unit.where(unit > torch.finfo(torch.float32).tiny, 1)
    strengths = unit * values.new_tensor(STRENGTHS)  # [B, strengths]
    # [B, s]: 1 where the class has another item
    spare = (members * (members.sum(-2, keepdim=True) > 1)).sum(-1)
    chosen = strengths[:, ONE_SHOT]
    if spare.any():
        errors = press(values, vectors, rotated, strengths, spare, intercept)
        best = errors.argmin(-1, keepdim=True)
        chosen = torch.where(spare.any(-1), strengths.gather(-1, best).squeeze(-1), chosen)
    return (vectors @ (rotated / (values + chosen.unsqueeze(-1)).unsqueeze(-1))).to(targets.dtype)


def press(
    values: Tensor,
    vectors: Tensor,
    rotated: Tensor,
    strengths: Tensor,
    spare: Tensor,
    intercept: bool,
) -> Tensor:
    """Return the sum of the squared leave-one-out residuals for each strength, see :func:`fit`:
    ``[B, strengths]``.

    Args:
        values: w, ``[B, s]``.
        vectors: V, ``[B, s, s]``.
        rotated: Vᵀ Y, ``[B, s, ways]``.
        strengths: λ, ``[B, strengths]``.
        spare: 1 for each item that counts, ``[B, s]``.
        intercept: whether the constant direction is fitted without penalty.
    """
    inverse = 1 / (values.unsqueeze(-1) + strengths.unsqueeze(-2))  # [B, s, strengths]
    diagonal = vectors.square() @ inverse
    if intercept:
        diagonal = diagonal - 1 / (strengths.unsqueeze(-2) * values.shape[-1])
    # One product for all strengths and classes.
    spectra = inverse.unsqueeze(-1) * rotated.unsqueeze(-2)  # [B, s, strengths, ways]
    dual = (vectors @ spectra.flatten(-2)).view_as(spectra)
    squares: Tensor = (dual / diagonal.unsqueeze(-1)).square().sum(-1)  # [B, s, strengths]
    return (squares * spare.unsqueeze(-1)).sum(-2)

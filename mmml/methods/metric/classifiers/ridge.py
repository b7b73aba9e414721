"""``method/classifier=ridge``: ridge regression of the classes on the embeddings, solved
for each support set.

A linear classifier in closed form (Bertinetto et al., 2019, R2-D2, equation 5), with an
intercept. Its strength is chosen for each episode by the support set alone.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.methods.metric.classifiers.base import classifiers, on_vectors, shared_evenly
from mmml.similarity.distances import Distance, cosine, power_of_two, unit

EPSILON = 1e-12  # as F.normalize has it

STRENGTHS = tuple(10.0 ** (p / 2) for p in range(-2, 3))
"""λ, from 0.1 to 10, in units of the mean squared length of the centred support items.

A weaker one nearly interpolates few items, which costs much where queries are of another
modality; a stronger one only shrinks all scores alike.
"""

ONE_SHOT = STRENGTHS.index(1.0)
"""Which of them, where no class can spare an item."""


@classifiers.register("ridge")
@on_vectors
def ridge(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Softmax over the scores of a ridge regression of one-hot labels, shared evenly
    within a class.

    A linear model compares no items; the distance only says whether lengths count: under
    ``cosine`` embeddings are scaled to length 1, under any other they are taken as they are.
    The scores estimate the one-hot targets (about 0 to 1); ``temperature`` divides them before
    the softmax.
    """
    scale = ignores_length(distance)
    if scale:
        support, query = unit(support), query / power_of_two(query, (-1,))
    else:  # in units of their own, so that no square is lost
        units = power_of_two(support, (-2, -1))
        support, query = support / units, query / units
    centre = support.mean(-2, keepdim=True)
    members = F.one_hot(labels).to(support.dtype)
    dual = fit((support - centre) @ (support - centre).mT, members)
    weight = (support - centre).mT @ dual  # [B, d, ways]
    intercept = members.mean(-2, keepdim=True) - centre @ weight
    products = query @ weight
    scores = intercept + (
        products / query.norm(dim=-1, keepdim=True).clamp_min(EPSILON) if scale else products
    )
    return shared_evenly((scores / temperature).log_softmax(-1), labels)


def ignores_length(distance: Distance) -> bool:
    """Whether a distance, bare or bound to options, is the cosine."""
    return getattr(distance, "func", distance) is cosine


def fit(gram: Tensor, members: Tensor) -> Tensor:
    """The dual coefficients α = (K + λI)⁻¹ Y, λ chosen for each episode by leave-one-out.

    With K = V diag(w) Vᵀ all strengths cost one decomposition, and leaving item i out needs no
    refit (PRESS, Allen 1974; Golub, Heath and Wahba 1979): its residual is

        e_i = α_i / ((K + λI)⁻¹_ii − 1 / (λs)),

    where 1 / (λs) takes out of the inverse the constant direction, which the intercept fits
    without penalty. The strength of the least mean square of e wins, the first of equals.

    An item that is the only one of its class is not counted: without it the class would be
    unknown, and its residual would ask to predict what cannot be learned, which always favours
    the strongest penalty. In one-shot episodes no item is left, and λ is 1 in the units of
    :data:`STRENGTHS`.

    Args:
        gram: K, inner products of the centred support items, ``[B, s, s]``.
        members: the labels, one-hot, ``[B, s, ways]``; Y is this less its mean over s.

    Returns:
        α, ``[B, s, ways]``, in the precision of ``members``.
    """
    values, vectors = torch.linalg.eigh(gram.double())
    values = values.clamp_min(0)
    rotated = vectors.mT @ (members - members.mean(-2, keepdim=True)).double()
    unit = values.mean(-1, keepdim=True)
    # A collapsed space has no unit, and needs none.
    unit = unit.where(unit > torch.finfo(torch.float32).tiny, 1)
    strengths = unit * values.new_tensor(STRENGTHS)  # [B, strengths]
    # [B, s]: 1 where the class has another item
    spare = (members * (members.sum(-2, keepdim=True) > 1)).sum(-1)
    chosen = strengths[:, ONE_SHOT]
    if spare.any():
        best = press(values, vectors, rotated, strengths, spare).argmin(-1, keepdim=True)
        chosen = torch.where(spare.any(-1), strengths.gather(-1, best).squeeze(-1), chosen)
    return (vectors @ (rotated / (values + chosen.unsqueeze(-1)).unsqueeze(-1))).to(members.dtype)


def press(
    values: Tensor, vectors: Tensor, rotated: Tensor, strengths: Tensor, spare: Tensor
) -> Tensor:
    """The sum of the squared leave-one-out residuals of each strength, see :func:`fit`:
    ``[B, strengths]``.

    Args:
        values: w, ``[B, s]``.
        vectors: V, ``[B, s, s]``.
        rotated: Vᵀ Y, ``[B, s, ways]``.
        strengths: λ, ``[B, strengths]``.
        spare: 1 for each item that counts, ``[B, s]``.
    """
    inverse = 1 / (values.unsqueeze(-1) + strengths.unsqueeze(-2))  # [B, s, strengths]
    diagonal = vectors.square() @ inverse - 1 / (strengths.unsqueeze(-2) * values.shape[-1])
    # One product for all strengths and classes.
    spectra = inverse.unsqueeze(-1) * rotated.unsqueeze(-2)  # [B, s, strengths, ways]
    dual = (vectors @ spectra.flatten(-2)).view_as(spectra)
    squares: Tensor = (dual / diagonal.unsqueeze(-1)).square().sum(-1)  # [B, s, strengths]
    return (squares * spare.unsqueeze(-1)).sum(-2)

"""Task augmentation: new classes, made by permuting the colours of a class's images or mirroring
them.

If a class looks different in each episode, the learner cannot memorise it and must use the support
set (Ni et al., 2021, task augmentation; Liu et al., 2020).
"""

from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

COLOURS = list(permutations(range(3)))  # the first is the identity
COUNT = 2 * len(COLOURS)


def draw_variants(rng: np.random.Generator, ways: int, amount: float) -> np.ndarray:
    """Draw a variant for a share ``amount`` of the classes, and 0 for the others: numbers below
    ``COUNT``, ``[ways]``.
    """
    luck, which = rng.random(ways), rng.integers(COUNT, size=ways)
    return np.where(luck < amount, which, 0)


def vary(images: Any, variants: np.ndarray) -> Any:
    """Return images in their variants.

    Args:
        images: a tensor ``[n, C, H, W]`` or ``[n, H, W]``, or an object array of n images.
        variants: of each image, ``[n]``; greyscale images are only mirrored.
    """
    if isinstance(images, Tensor):
        return _vary_alike(images, torch.tensor(variants))
    varied = np.empty(len(images), object)
    for i, (image, variant) in enumerate(zip(images, variants, strict=True)):
        varied[i] = _vary_alike(torch.as_tensor(image)[None], torch.tensor([variant]))[0].numpy()
    return varied


def _vary_alike(images: Tensor, variants: Tensor) -> Tensor:
    colours, mirrored = variants % len(COLOURS), variants >= len(COLOURS)
    if images.ndim == 4 and images.shape[1] == 3:
        order = torch.tensor(COLOURS)[colours]
        images = images[torch.arange(len(images)).unsqueeze(1), order]
    return torch.where(mirrored.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)

"""``name: torchvision``: any image classifier of torchvision, with random weights or weights from a
file.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmml.encoders.augment import Augment
from mmml.encoders.base import Encoder, encoders, evaluating
from mmml.encoders.images import as_input
from mmml.errors import UserError, did_you_mean, require
from mmml.files import expanded

# Mean and standard deviation of ImageNet's channels in [0, 1], as published weights expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# By default these return several outputs in training, and warn about their initialisation.
SINGLE_OUTPUT = {"aux_logits": False, "init_weights": False}
SPECIAL = {"googlenet": SINGLE_OUTPUT, "inception_v3": SINGLE_OUTPUT}


@encoders.register("torchvision")
class Torchvision(Encoder):
    """A torchvision classifier whose last layer gives the embedding instead of ImageNet's 1,000
    classes.

    Args:
        width: of the embedding.
        model: the name of a torchvision classification model, such as ``resnet18`` (He et al.,
            2016).
        weights: a file with a state dict of that model, as written by ``torch.save``; None for a
            random initialization. Nothing is downloaded. The file is only read when training
            starts; checkpoints of a run contain its weights.
        size: images are resized to this many pixels on each side; some models take one size only.
        augment: strength of the random warps in training, 0 for none.

    Raises:
        UserError: the model or the file does not exist, or they do not fit each other.
    """

    modality = "image"

    def __init__(self, width: int, model: str, weights: str | None, size: int, augment: float):
        super().__init__()
        require(size > 0, "encoder.image.size", size, "a positive whole number")
        self.size, self.weights = size, weights
        self.augment = Augment(augment)
        self.model = _build(model, width)
        _check_size(self.model, model, size)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def fit(self, values: Any) -> None:
        if self.weights is not None:
            _load(self.model, expanded(self.weights))

    def prepare(self, raw: Any) -> Tensor:
        return (
            self.augment(as_input(raw, self.size, self.device, colour=True)) - self.mean
        ) / self.std

    def forward(self, prepared: Tensor) -> Tensor:
        return self.model(prepared)


def _build(name: str, width: int) -> nn.Module:
    from torchvision import models  # slow to import, and often not needed

    known = models.list_models(module=models)
    if name not in known:
        raise UserError(
            f"encoder.image.model={name}: torchvision has no such "
            f"classifier{did_you_mean(name, known)}"
        )
    return models.get_model(name, weights=None, num_classes=width, **SPECIAL.get(name, {}))


@torch.no_grad()
def _check_size(model: nn.Module, name: str, size: int) -> None:
    try:
        with evaluating(model):
            model(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"encoder.image.size={size}: {name} takes no such images ({error})"
        ) from None


def _load(model: nn.Module, path: Path) -> None:
    """Load all weights except those of the last layer, whose width differs."""
    if not path.is_file():
        raise UserError(f"encoder.image.weights={path}: there is no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged files raise many types of errors
        state = None
    if not isinstance(state, dict):
        raise UserError(f"encoder.image.weights={path} cannot be read as a state dict")
    own = model.state_dict()
    fitting = {
        k: v for k, v in state.items() if k in own and getattr(v, "shape", None) == own[k].shape
    }
    layers = {
        k.rpartition(".")[0]
        for k in own.keys() - fitting.keys()
        if not k.endswith("num_batches_tracked")
    }
    if len(layers) > 1:
        raise UserError(
            f"encoder.image.weights={path} does not fit the model: {len(layers)} layers "
            "would lack weights"
        )
    model.load_state_dict(fitting, strict=False)

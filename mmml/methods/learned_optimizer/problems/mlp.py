"""``problem=mlp``: train a small multilayer perceptron on images of some classes."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.data.base import Samples
from mmml.encoders.images import as_input
from mmml.episodes import EpisodeShape, Sampler
from mmml.errors import require
from mmml.methods.learned_optimizer.problems.base import Family, Problems, generator, problems
from mmml.methods.learned_optimizer.update_rules import Params

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "elu": F.elu,
}
START, BATCHES = 1, 2  # purposes of random numbers
DEVIATION = 0.01  # standard deviation of initial weights and biases, as in the published code


class Perceptrons(Problems):
    """The cross-entropy of B perceptrons with one hidden layer, each on its own images.

    Args:
        images: ``[B, n, inputs]``.
        labels: ``[B, n]``.
        start: initial weights and biases.
        rows: returns the numbers of the images of a step, ``[B, batch]``.
        activation: of the hidden layer.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        start: Params,
        rows: Callable[[int], Tensor],
        activation: Callable[[Tensor], Tensor],
    ):
        self.images = images
        self.labels = labels
        self.start = start
        self.rows = rows
        self.activation = activation

    def initial(self) -> Params:
        return self.start

    def losses(self, params: Params, step: int) -> Tensor:
        rows = self.rows(step)
        images = self.images[torch.arange(len(rows), device=rows.device).unsqueeze(1), rows]
        hidden = self.activation(torch.baddbmm(params["b1"].unsqueeze(1), images, params["w1"].mT))
        logits = torch.baddbmm(params["b2"].unsqueeze(1), hidden, params["w2"].mT)
        losses = F.cross_entropy(
            logits.flatten(0, 1), self.labels.gather(1, rows).flatten(), reduction="none"
        )
        return losses.view_as(rows).mean(-1)


@problems.register("mlp")
class PerceptronFamily(Family):
    """Training of a small neural network (Andrychowicz et al., 2016, section 3.2), on images of the
    run's dataset.

    Args:
        ways: number of classes of a problem. They are drawn for each problem; classes of test
            problems do not occur in training.
        samples: number of images of each class.
        size: images are resized to this many pixels on each side.
        hidden: units of the hidden layer (20 as published).
        activation: ``sigmoid`` (as published), ``tanh``, ``relu`` or ``elu``.
        batch: number of images of a step, drawn with replacement (128 as published).
    """

    name = "mlp"
    modalities = ("image",)

    def __init__(
        self, ways: int, samples: int, size: int, hidden: int, activation: str, batch: int
    ):
        counts = {"ways": ways, "samples": samples, "size": size, "hidden": hidden, "batch": batch}
        for option, value in counts.items():
            require(value > 0, f"problem.{option}", value, "a positive whole number")
        require(
            activation in ACTIVATIONS,
            "problem.activation",
            activation,
            f"one of {', '.join(ACTIVATIONS)}",
        )
        self.shape = EpisodeShape(ways, samples, 0)
        self.size = size
        self.hidden = hidden
        self.batch = batch
        self.activation = ACTIVATIONS[activation]

    def template(self) -> Params:
        sizes = self._sizes()
        return {name: torch.zeros(size) for name, size in sizes.items()}

    def check(self, samples: Samples, split: str) -> None:
        Sampler(samples, 0, split).check(self.shape, "problem")

    def draw(
        self,
        numbers: Iterable[int],
        seed: int,
        split: str,
        samples: Samples | None,
        device: torch.device,
    ) -> Problems:
        assert samples is not None
        numbers, n = list(numbers), self.shape.ways * self.shape.shots
        rows = Sampler(samples, seed, split).draw(numbers, self.shape).support.reshape(-1)
        images = as_input(samples.columns["image"].values[rows], self.size, device, colour=False)
        labels = torch.arange(self.shape.ways, device=device).repeat_interleave(self.shape.shots)

        def batches(step: int) -> Tensor:
            made = [
                generator(seed, split, BATCHES, i, step).integers(n, size=self.batch)
                for i in numbers
            ]
            return torch.from_numpy(np.stack(made)).to(device)

        shape = (len(numbers), n)
        start = self._start([generator(seed, split, START, i) for i in numbers], device)
        return Perceptrons(
            images.reshape(*shape, -1), labels.expand(shape), start, batches, self.activation
        )

    def _sizes(self) -> dict[str, tuple[int, ...]]:
        inputs, hidden, ways = self.size**2, self.hidden, self.shape.ways
        return {"w1": (hidden, inputs), "b1": (hidden,), "w2": (ways, hidden), "b2": (ways,)}

    def _start(self, generators: list[np.random.Generator], device: torch.device) -> Params:
        return {
            name: DEVIATION
            * torch.from_numpy(
                np.stack([g.standard_normal(size, np.float32) for g in generators])
            ).to(device)
            for name, size in self._sizes().items()
        }

"""``dataset=sinusoid``: regression of sine waves, a standard benchmark of few-shot regression."""

from collections.abc import Collection, Mapping

import numpy as np
import torch

from mmml.data.base import SCORE, SPLITS, Dataset, Granularity, Samples, datasets
from mmml.data.column import Column
from mmml.errors import require


@datasets.register("sinusoid")
class Sinusoid(Dataset):
    """``y = A sin(x − φ)``, with A from 0.1 to 5, φ from 0 to π, x from −5 to 5 (Finn,
    Abbeel and Levine, 2017, 5.1).

    A class is a wave; a sample is a point of it with score y. There is no noise.

    Args:
        waves: in training; validation and test have a fifth as many each.
        points: of each wave.
        split_seed: seed of all random numbers.
    """

    name = "sinusoid"
    scored = True
    labelled = False
    modalities: Mapping[str, Granularity] = {"features": Granularity.SAMPLE}

    def __init__(self, waves: int, points: int, split_seed: int):
        require(waves >= 5, "dataset.waves", waves, "5 or more")
        require(points > 1, "dataset.points", points, "2 or more")
        self.waves, self.points, self.split_seed = waves, points, split_seed

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Features are x, ``[n, 1]``."""
        return {split: self._split(i, split) for i, split in enumerate(SPLITS)}

    def _split(self, number: int, split: str) -> Samples:
        rng = np.random.default_rng([self.split_seed, number])
        waves = self.waves if split == "train" else self.waves // 5
        amplitude, phase = rng.uniform(0.1, 5, (waves, 1)), rng.uniform(0, np.pi, (waves, 1))
        x = rng.uniform(-5, 5, (waves, self.points))
        y = amplitude * np.sin(x - phase)
        pairs = enumerate(zip(amplitude.flat, phase.flat, strict=True))
        names = [f"{split} {i}: {a:.4f} sin(x − {p:.4f})" for i, (a, p) in pairs]
        columns = {
            "features": Column(torch.from_numpy(x.reshape(-1, 1).astype(np.float32))),
            SCORE: Column.of_scores(y.ravel()),
        }
        return Samples(names, np.arange(waves + 1) * self.points, columns)

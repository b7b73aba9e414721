"""Time 1,000 five-way episodes on cached features: ``python scripts/bench_classifiers.py``.

Drawing, gathering and predicting are timed together, as in evaluation: 15 queries of each class,
512 numbers for each sample, and at most 2 threads (small episodes use one).
"""

import time

import numpy as np
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler
from mmml.evaluation.predictions import score_episodes
from mmml.evaluation.setting import EvalSetting
from mmml.methods.metric import MetricLearner
from mmml.tasks import tasks

EPISODES, WAYS, QUERIES, WIDTH = 1000, 5, 15, 512
CLASSES, EACH, ROUNDS, THREADS = 100, 60, 5, 2
RULES = ("prototype", "ridge", "attention")


def cached_features() -> Samples:
    """Return features of classes: a random centre for each class, and noise with four times the
    standard deviation of the centres.
    """
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, 1, WIDTH, generator=generator)
    values = centres + 4 * torch.randn(CLASSES, EACH, WIDTH, generator=generator)
    column = Column(values.flatten(0, 1), encoded=True)
    return Samples(
        [str(c) for c in range(CLASSES)], np.arange(CLASSES + 1) * EACH, {"image": column}
    )


def main() -> None:
    """Print the best time of some rounds in seconds, and the accuracy, for each classifier and
    number of shots.
    """
    torch.set_num_threads(THREADS)
    samples = cached_features()
    task = tasks.build("classification", {}, "task")
    mapping = Mapping.parse("image:image")
    raw = {"image": {"name": "raw_image"}}
    embedder = build_embedder({"width": 1, "normalize": False, "fusion": "mean", **raw}, raw)
    sampler = Sampler(samples, 0, "test")
    distance = {"name": "cosine"}
    loss = {"name": "prototypical", "temperature": 0.1, "learn_temperature": False}
    print(
        f"{EPISODES} episodes, {WAYS}-way, {QUERIES} queries a class, {WIDTH} numbers, "
        f"{THREADS} threads"
    )
    for shots in (1, 5):
        setting = EvalSetting("few_shot", task, EpisodeShape(WAYS, shots, QUERIES), (mapping,))
        for classifier in RULES:
            learner = MetricLearner(embedder, task, distance, loss, {"name": classifier})
            seconds = []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                scores = score_episodes(learner, samples, sampler, setting, EPISODES)[mapping][1][
                    task.metrics[0]
                ]
                seconds.append(time.perf_counter() - started)
            print(
                f"{shots}-shot {classifier:10} {min(seconds):6.3f} s   accuracy {scores.mean():.3f}"
            )


if __name__ == "__main__":
    main()

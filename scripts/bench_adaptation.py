"""Time inner loops of mmml, TorchOpt, higher and plain loops:
``python scripts/bench_adaptation.py``.

The competitors of each benchmark compute the same on the same network and batch, and take turns in
one process. The result is the ratio of their medians. TorchOpt and higher are measured if they are
installed (``pip install torchopt higher``); mmml does not depend on them.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.episodes import Batch, EpisodeShape, Mapping, Sampler, gather
from mmml.methods.learned_optimizer.problems.quadratics import QuadraticFamily
from mmml.methods.learned_optimizer.problems.solver import Solver
from mmml.methods.learned_optimizer.unroll import Unroll
from mmml.methods.learned_optimizer.update_rules.lstm import LSTMRule
from mmml.run import assemble

TASKS, STEPS, RATE, WAYS, ROUNDS, THREADS = 16, 5, 0.1, 5, 7, 2
IMAGES = Mapping.parse("image:image")
NO_CONVOLUTIONS = [
    "encoder=mlp",
    "encoder.width=64",
    "encoder.image.size=28",
    "encoder.image.hidden=[256,128,64]",
]
NO_CONVOLUTIONS += ["encoder.image.batch_norm=true", "encoder.image.ends_linear=false"]
Work = Callable[[], Any]


def learner_of(*overrides: str) -> tuple[Any, Any]:
    """Return a learner on glyphs, and the samples of its training split."""
    short = [
        "episode.train.mappings=[image:image]",
        "episode.eval.mappings=[image:image]",
        "encoder.normalize=false",
    ]
    options = [
        f"method.inner_steps={STEPS}",
        f"method.update_rule.inner_lr={RATE}",
        "method.transductive=true",
        "method.head_scale=1.0",
    ]
    experiment = assemble(
        check_config(compose_plain(["method=learned_optimizer", *short, *options, *overrides]))
    )
    return experiment.learner.train(), experiment.samples["train"]


def prepared(learner: Any, samples: Any, queries: int, tasks: int = TASKS) -> Batch:
    """Return a batch with preprocessed images, so that only learning is timed."""
    batch = gather(
        samples,
        Sampler(samples, 0, "train").draw(range(tasks), EpisodeShape(WAYS, 1, queries)),
        [IMAGES],
    )
    return batch.encode(learner.embedder.prepare)


def network_of(learner: Any) -> nn.Module:
    """Return a learner's encoder and a head as one plain module, for the libraries to adapt."""
    encoder = strip(learner).embedder.encoders["image"]
    layers = (
        [encoder.layers]
        if hasattr(encoder, "layers")
        else [encoder.blocks, nn.Flatten(), encoder.head]
    )
    return nn.Sequential(*layers, nn.Linear(learner.embedder.width, WAYS))


def tasks_of(batch: Batch) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return the support images and labels, and the query images and labels, of each task."""
    (xs, ys), (xq, yq) = (
        (s.values["image"].flatten(1, 2), s.labels) for s in (batch.support, batch.query)
    )
    return list(zip(xs, ys, xq, yq, strict=True))


def with_torchopt(network: nn.Module, tasks: list[Any]) -> None:
    """Compute one meta-gradient, task by task, as in TorchOpt's own MAML example."""
    import torchopt

    inner = torchopt.MetaSGD(network, lr=RATE)
    start, state = (
        torchopt.extract_state_dict(x, by="reference", detach_buffers=True)
        for x in (network, inner)
    )
    losses = []
    for xs, ys, xq, yq in tasks:
        for _ in range(STEPS):
            inner.step(F.cross_entropy(network(xs), ys))
        losses.append(F.cross_entropy(network(xq), yq))
        torchopt.recover_state_dict(network, start)
        torchopt.recover_state_dict(inner, state)
    torch.stack(losses).mean().backward()


def with_higher(network: nn.Module, tasks: list[Any]) -> None:
    """Compute one meta-gradient, task by task, as in higher's own MAML example."""
    import higher

    inner = torch.optim.SGD(network.parameters(), lr=RATE)
    for xs, ys, xq, yq in tasks:
        with higher.innerloop_ctx(network, inner, copy_initial_weights=False) as (copy, optimizer):
            for _ in range(STEPS):
                optimizer.step(F.cross_entropy(copy(xs), ys))
            (F.cross_entropy(copy(xq), yq) / len(tasks)).backward()


def with_mmml(learner: Any, batch: Batch) -> None:
    """Compute one meta-gradient."""
    for loss in learner.losses(batch, 0.0):
        loss.backward()


def meta_gradients(*overrides: str) -> Iterator[tuple[str, Work]]:
    """Yield the meta-gradient of mmml, then of each library that is installed."""
    learner, samples = learner_of("method/algorithm=maml", *overrides)
    batch = prepared(learner, samples, queries=5)
    twin, _ = learner_of("method/algorithm=maml", *overrides)
    plain, tasks = network_of(twin), tasks_of(batch)
    yield "mmml", lambda: with_mmml(learner, batch)
    for name, run in (("torchopt", with_torchopt), ("higher", with_higher)):
        try:
            __import__(name)
        except ImportError:
            print(f"  {name} is not installed")
        else:
            yield name, lambda run=run: run(plain, tasks)  # type: ignore[misc]


def strip(learner: Any) -> Any:
    """Return the learner with plain batch normalisation."""
    from mmml.methods.learned_optimizer.norm import TaskNorm

    def restore(module: nn.Module) -> None:
        for name, child in module.named_children():
            if isinstance(child, TaskNorm):
                setattr(module, name, child.norm)
            else:
                restore(child)

    restore(learner.embedder)
    return learner


def evaluations() -> Iterator[tuple[str, Work]]:
    """Yield the evaluation of 32 test episodes with 15 queries of each class: by ANIL on
    embeddings, which are computed once, and by convolutional MAML.
    """
    maml, samples = learner_of("method/algorithm=maml")
    anil, _ = learner_of("method/algorithm=anil", "method.transductive=false")
    drawn = Sampler(samples, 0, "train").draw(range(32), EpisodeShape(WAYS, 1, 15))
    with torch.no_grad():
        anil.eval()
        images = samples.columns["image"]
        parts = (images.take(slice(i, i + 512)) for i in range(0, len(images), 512))
        embedded = torch.cat([anil.embedder.encode("image", part) for part in parts])
    known = samples.with_embeddings({"image": embedded})

    def evaluate(learner: Any, source: Any) -> None:
        with torch.no_grad():
            support, query = gather(source, drawn, [IMAGES]).view(IMAGES)
            learner.eval().adapt(support)(query)

    yield "ANIL on embeddings", lambda: evaluate(anil, known)
    yield "MAML", lambda: evaluate(maml, samples)


def quadratics() -> Iterator[tuple[str, Work]]:
    """Yield a meta-gradient of the LSTM on 128 quadratics with 20 steps: by mmml, and by a loop
    over the parameters.
    """
    problems = QuadraticFamily(10).draw(range(128), 0, "train", None, torch.device("cpu"))
    rule = LSTMRule(20, 2, "gradient", "log_sign", 0.1)
    solver = Solver(rule, "lstm", Unroll(20, None, True, "uniform", 0.0))

    def ours() -> None:
        for loss in solver.losses(problems, 1.0):
            loss.backward()

    yield "mmml", ours
    yield "a loop over parameters", lambda: loop_over_parameters(rule, problems)


def loop_over_parameters(rule: LSTMRule, problems: Any) -> None:
    """Compute the same in plain code: the parameters of each problem are one tensor with its own
    update.
    """
    parameters = [p.clone().requires_grad_() for p in problems.start]
    zeros = torch.zeros(10, 20)
    states = [[(zeros, zeros), (zeros, zeros)] for _ in parameters]
    total: Any = 0.0
    for _ in range(20):
        losses = [
            (w @ p - y).square().sum()
            for w, p, y in zip(problems.weights, parameters, problems.targets, strict=True)
        ]
        loss = torch.stack(losses).mean()
        total = total + loss
        gradients = torch.autograd.grad(loss * len(losses), parameters, retain_graph=True)
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            x = torch.stack(
                [g.abs().clamp_min(4.54e-5).log() / 10, (g * 22026.0).clamp(-1, 1)], dim=-1
            ).detach()
            for layer, cell in enumerate(rule.lstm.cells):
                x, memory = cell(x, states[i][layer])
                states[i][layer] = (x, memory)
            parameters[i] = p + 0.1 * rule.lstm.output(x).squeeze(-1)
    total.backward()


BENCHMARKS: dict[str, Callable[[], Iterator[tuple[str, Work]]]] = {
    f"MAML, linear layers, {TASKS} tasks, {STEPS} inner steps": lambda: meta_gradients(
        *NO_CONVOLUTIONS
    ),
    f"MAML, Conv4, {TASKS} tasks, {STEPS} inner steps": lambda: meta_gradients(
        "trainer.channels_last=false"
    ),
    "evaluation of 32 episodes, 15 queries a class": evaluations,
    "LSTM on 128 quadratics, 20 steps": quadratics,
}


def main() -> None:
    """Print medians in milliseconds and the ratio to the first competitor of each benchmark;
    arguments choose benchmarks by number.
    """
    warnings.filterwarnings("ignore")
    torch.set_num_threads(THREADS)
    chosen = [int(a) for a in sys.argv[1:]] or range(len(BENCHMARKS))
    for i in chosen:
        title, make = list(BENCHMARKS.items())[i]
        print(f"{title} ({THREADS} threads, median of {ROUNDS} rounds)")
        works = dict(make())
        seconds: dict[str, list[float]] = {name: [] for name in works}
        for round in range(ROUNDS + 1):
            for name, work in works.items():
                started = time.perf_counter()
                work()
                if round:  # the first round is a warm-up
                    seconds[name].append(time.perf_counter() - started)
        first = statistics.median(next(iter(seconds.values())))
        for name, taken in seconds.items():
            median = statistics.median(taken)
            print(f"  {name:24} {1000 * median:8.1f} ms   {median / first:6.2f} × the first")


if __name__ == "__main__":
    main()

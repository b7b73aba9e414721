"""The training loop."""

import logging
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from mmml.config.schema import TrainerConfig
from mmml.errors import TrainingError, UserError
from mmml.methods import Trainable
from mmml.run_directory import RunDirectory
from mmml.threads import one_thread
from mmml.training.checkpoint import Checkpoint, load_checkpoint
from mmml.training.loggers import open_loggers
from mmml.training.numerics import Numerics, step_seed
from mmml.training.signals import Interrupted, Stop
from mmml.world import World

log = logging.getLogger(__name__)

Scores = dict[str, float]


@dataclass
class TrainerInputs:
    """What the trainer needs from the rest of the program.

    Attributes:
        batches: step number (from 0) → this process's training batch; a pure function.
        validate: returns scores by name, computed on fixed episodes.
        higher_is_better: whether higher scores are better.
        measured: a text that identifies what the scores measure; the best score of a resumed run is
            kept only if this text is unchanged.
        config: the resolved config, to be stored in checkpoints.
        known_classes: identifiers of the training and validation classes.
        seed: of the random numbers within steps.
    """

    batches: Callable[[int], Any]
    validate: Callable[[], Scores]
    higher_is_better: bool
    measured: str
    config: dict[str, Any]
    known_classes: list[str]
    seed: int


class Trainer:
    """The training loop, which saves the best and the last checkpoint.

    Every process of ``run.world`` takes all steps; only rank 0 writes.

    Args:
        learner: the learner to train, already on its device.
        parts: training batches, validation, and the content of checkpoints.
        options: the section ``trainer``.
        numerics: precision of the forward pass.
        run: the run directory for metrics and checkpoints.
    """

    def __init__(
        self,
        learner: Trainable,
        parts: TrainerInputs,
        options: TrainerConfig,
        numerics: Numerics,
        run: RunDirectory,
    ):
        self.learner, self.parts, self.options = learner, parts, options
        self.numerics, self.run = numerics, run
        self.optimizer = build_optimizer(learner, options)
        self.step, self.seconds = 0, 0.0
        self.best: dict[str, Any] | None = None
        self._saved: int | None = None
        self._tell: Callable[[dict[str, Any]], None] = lambda line: None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint: parameters, optimizer, step, best score.

        Raises:
            UserError: the parameters do not fit, or more than ``trainer.steps`` steps are done.
        """
        decays = [group["weight_decay"] for group in self.optimizer.param_groups]
        try:
            self.learner.load_state_dict(checkpoint.learner)
            self.optimizer.load_state_dict(checkpoint.optimizer)
        except (RuntimeError, ValueError):
            message = (
                "the checkpoint's parameters do not fit; leave the mappings and everything "
                "about encoders alone"
            )
            raise UserError(message) from None
        for group, decay in zip(self.optimizer.param_groups, decays, strict=True):
            group["weight_decay"] = decay  # the option may have changed
        if checkpoint.step > self.options.steps:
            raise UserError(
                f"trainer.steps={self.options.steps} is less than the {checkpoint.step} steps "
                "that are done; give more"
            )
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        if checkpoint.best is not None and checkpoint.best.get("measured") == self.parts.measured:
            self.best = checkpoint.best
        self._saved = checkpoint.step

    def fit(self, stop: Stop) -> None:
        """Train up to ``trainer.steps``.

        Args:
            stop: set when a signal asks to stop.

        Raises:
            TrainingError: a loss or gradient is not finite.
            Interrupted: after a signal, when everything is saved.
        """
        first, steps = self.step, self.options.steps
        self._keep_best_true()
        hidden = not (self.run.world.is_main and sys.stderr.isatty())
        bar = tqdm(total=steps, initial=first, unit="step", disable=hidden, dynamic_ncols=True)
        threads = one_thread() if self.learner.is_small else nullcontext()
        loggers = self.options.loggers if self.run.world.is_main else ()
        shown = open_loggers(loggers, self.run.path, self.parts.config, self.step)
        with bar, threads, shown as tell, stop.after_step():
            self._tell = tell
            while self.step < steps:
                started = time.perf_counter()
                loss = self._train_step()
                self.step += 1
                self.seconds += time.perf_counter() - started
                self._record(
                    "train", {"loss": loss, "lr": self._lr(), "seconds": round(self.seconds, 3)}
                )
                self._validate_and_save()
                bar.update()
                bar.set_postfix(
                    loss=f"{loss:.3f}", val=f"{self.best['value']:.3f}" if self.best else "-"
                )
                if stop.requested is not None:
                    self.save_last()
                    log.info(
                        "stopped at step %d; go on with: mmml-train resume=%s",
                        self.step,
                        shlex.quote(str(self.run)),
                    )
                    raise Interrupted(stop.requested)
            # A resumed run without further steps, whose best score measured something else.
            if self.best is None:
                self._saved = None
                self._validate()
        self.save_last()

    def _train_step(self) -> float:
        """Take the gradient steps of one batch, usually one; returns their mean loss."""
        torch.manual_seed(step_seed(self.parts.seed, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * schedule(
                self.step, self.options.warmup, self.options.steps
            )
        self.learner.train()
        losses = self.learner.losses(self.parts.batches(self.step), self.step / self.options.steps)
        descended = []
        while (loss := self._next_loss(losses)) is not None:
            self.optimizer.zero_grad()
            loss.backward()
            all_reduce_gradients(self.learner, self.run.world)
            norm = nn.utils.clip_grad_norm_(self.learner.parameters(), self.options.grad_clip_norm)
            self._refuse_non_finite(norm, "gradient")
            self.optimizer.step()
            descended.append(loss.item())
        return sum(descended) / len(descended)

    def _next_loss(self, losses: Iterator[torch.Tensor]) -> torch.Tensor | None:
        with self.numerics.autocast():
            loss = next(losses, None)
        if loss is not None:
            self._refuse_non_finite(loss, "loss")
        return loss

    def _record(self, split: str, scores: Scores) -> None:
        if self.run.world.is_main:
            line = {"step": self.step, "split": split, **scores}
            self.run.append_metrics(line)
            self._tell(line)

    def _validate_and_save(self) -> None:
        """Validate and save a checkpoint if this is due after the current step."""
        options, step = self.options, self.step
        if step % options.validate_every == 0 or step == options.steps:
            self._validate()
        if step % options.checkpoint_every == 0:
            self.save_last()

    def _validate(self) -> None:
        scores, monitor = self.parts.validate(), self.options.monitor
        self._record("val", scores)
        log.info("step %d: %s %.4f", self.step, monitor, scores[monitor])
        if self._improves(scores[monitor]):
            self.best = {
                "monitor": monitor,
                "value": scores[monitor],
                "step": self.step,
                "higher_is_better": self.parts.higher_is_better,
                "measured": self.parts.measured,
            }
            self.save_last()  # first, so that best.ckpt is never ahead of it
            self._save(self.run.best)

    def _keep_best_true(self) -> None:
        """After a restore, rewrite ``best.ckpt`` or forget the best score if the file does not fit
        it, because the run was killed while saving.
        """
        if self.best is None:
            return
        stored = load_checkpoint(self.run.best, "resume").step if self.run.best.exists() else None
        if stored == self.best["step"]:
            return
        if self.best["step"] == self.step:
            self._save(self.run.best)
        else:
            self.best = None

    def _improves(self, value: float) -> bool:
        if self.best is None or not math.isfinite(self.best["value"]):
            return True
        return (
            value > self.best["value"]
            if self.parts.higher_is_better
            else value < self.best["value"]
        )

    def checkpoint(self) -> Checkpoint:
        """Return the current state.

        Raises:
            TrainingError: a parameter is not finite.
        """
        for name, value in self.learner.named_parameters():
            self._refuse_non_finite(value.detach().abs().sum(), f"sum of parameter {name}")
        return Checkpoint(
            config=self.parts.config,
            known_classes=self.parts.known_classes,
            learner=self.learner.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=self.step,
            best=self.best,
            seconds=self.seconds,
        )

    def save_last(self) -> None:
        """Write ``last.ckpt``, unless it holds this step already."""
        if self._saved != self.step:
            self._save(self.run.last)
            self._saved = self.step

    def _save(self, path: Path) -> None:
        # On every rank, so that all ranks raise an error for parameters that are not finite.
        checkpoint = self.checkpoint()
        if self.run.world.is_main:
            checkpoint.save(path)

    def _lr(self) -> float:
        return self.optimizer.param_groups[0]["lr"]

    def _refuse_non_finite(self, value: torch.Tensor, what: str) -> None:
        if torch.isfinite(value):
            return
        good = (
            f"the last good checkpoint is {self.run.last} (step {self._saved})"
            if self._saved is not None
            else "no checkpoint was written yet"
        )
        wrong = f"the {what} is {value.item()} at step {self.step + 1}"
        raise TrainingError(
            f"{wrong}; {good}; a smaller trainer.lr or trainer.grad_clip_norm may help"
        )


def build_optimizer(learner: nn.Module, options: TrainerConfig) -> torch.optim.Optimizer:
    """Build AdamW (Loshchilov and Hutter, 2019); weight decay applies only to parameters with two
    or more dimensions.
    """
    parameters = [p for p in learner.parameters() if p.requires_grad]
    if not parameters:
        raise UserError(
            "encoder and method have no parameters to train; evaluate them as a baseline instead"
        )
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=options.lr)


def all_reduce_gradients(learner: nn.Module, world: World) -> None:
    """Combine the gradients of all processes into those of the whole meta-batch."""
    if world.size == 1:
        return
    raise NotImplementedError("gradients of several processes")


def schedule(step: int, warmup: int, steps: int) -> float:
    """Return the factor of the learning rate: linear to 1 over ``warmup`` steps, then a cosine to
    0.
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))

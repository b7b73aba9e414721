"""The learned optimizer: a support set becomes adapted parameters by an update rule that is learned across tasks."""

import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from mmml.encoders import Embedder
from mmml.episodes import Batch, Examples, Mapping
from mmml.errors import TrainingError, UserError, require
from mmml.methods.learned_optimizer.heads import Head
from mmml.methods.learned_optimizer.models import FAST
from mmml.methods.learned_optimizer.rules import UpdateRule
from mmml.methods.learned_optimizer.rules.build import build_rule, hand_designed
from mmml.methods.learned_optimizer.unroll import ORDERS, Point, Unroll, descend, divergence, start
from mmml.methods.learner import Learner, Predictor, methods
from mmml.tasks import Task

log = logging.getLogger(__name__)


@methods.register("learned_optimizer")
class LearnedOptimizer(Learner):
    """Adapts a model to each task by gradient steps; ``L_meta = Σ_i L_i(M(O(L_i)))``, the query loss of what comes out.

    Args:
        embedder: the encoders and their fusion.
        task: what the predictions are.
        rule: an update rule, a name in ``mmml.methods.learned_optimizer.rules``.
        init: of the head, see :class:`mmml.methods.learned_optimizer.heads.Head`.
        fast: what is adapted: ``head``, or ``all``, the encoders too.
        order: of the meta-gradient: 2 follows the inner gradients back, 1 takes them as constants.
        steps: of the inner loop in training.
        test_steps: of the inner loop afterwards; None for as many.
        truncation, weights, curriculum: of the unrolling, see :class:`mmml.methods.learned_optimizer.unroll.Unroll`.
        scale: what the head's outputs are multiplied by; training changes it.
        transductive: with ``fast=all``, whether batch normalisation sees all queries at once, as in
            published MAML.
        vectorize: ``auto``, true or false, see :class:`mmml.methods.learned_optimizer.models.FullModel`.
        options: of the update rule, which takes those that its signature names; one that no rule
            takes is refused.
    """

    name = "learned_optimizer"
    ranks = False

    def __init__(
        self,
        embedder: Embedder,
        task: Task,
        rule: str,
        init: str,
        fast: str,
        order: int,
        steps: int,
        test_steps: int | None,
        truncation: int | None,
        weights: str,
        curriculum: float,
        scale: float,
        transductive: bool,
        vectorize: str | bool,
        **options: Any,
    ):
        super().__init__()
        require(fast in FAST, "method.fast", fast, f"one of {', '.join(FAST)}")
        require(vectorize in ("auto", True, False), "method.vectorize", vectorize, "auto, true or false")
        require(test_steps is None or test_steps >= 0, "method.test_steps", test_steps, "0 or more, or null")
        if transductive and fast != "all":
            raise UserError("method.transductive=true needs method.fast=all: with fixed encoders no query sees another")
        self.task, self.rule, self.fast, self.transductive = task, rule, fast, transductive
        self._unroll = Unroll(steps, truncation, order, weights, curriculum)
        self._steps = steps if test_steps is None else test_steps
        head = Head(known_width(embedder), init, scale)
        choice = None if vectorize == "auto" else bool(vectorize)
        self.model = FAST[fast](embedder, head, task, order, choice)
        self.optimizer = build_rule(rule, options)
        self.optimizer.fit_to(self.model.template())
        self.embeds_once = self.model.embeds_once

    @property
    def embedder(self) -> Embedder:  # type: ignore[override]
        """The encoders; with ``fast=all``, as they are before adaptation."""
        return self.model.embedder

    def describe(self) -> dict[str, Any]:
        template = self.model.template()
        return {
            "rule": self.rule,
            "order": ORDERS[self._unroll.order],
            "fast": self.fast,
            "fast_parameters": sum(p.numel() for p in template.values()),
            "rule_parameters": sum(p.numel() for p in self.optimizer.parameters()),
            "vectorize": getattr(self.model, "vectorize", True),
            "transductive": self.transductive,
        }

    def check_training(self, mappings: Sequence[Mapping]) -> None:
        """In first order a gradient reaches supports by the head's start alone."""
        queried = {m for mapping in mappings for m in mapping.query}
        lost = sorted({m for mapping in mappings for m in mapping.support} - queried)
        trained = [m for m, e in self.embedder.items() if m in lost and any(p.requires_grad for p in e.parameters())]
        if trained and self._unroll.order == 1 and self.model.head.init != "prototype":
            raise UserError(
                f"episode.train.mappings: the encoder of {trained[0]} would learn nothing: it is never queried, and "
                f"with method.order=1 and method.init={self.model.head.init} supports have no gradient; "
                "set method.order=2 or method.init=prototype"
            )

    def at_once(self, ways: int) -> int:
        body, head = (
            sum(p.numel() for p in part.values()) for part in (self.model.template(), self.model.head.template())
        )
        return max(1, self.optimizer.coordinates // (body + (ways - 1) * head))

    def adapt(self, support: Examples, task: Task | None = None) -> Predictor:
        if task is not None and task.name != self.task.name:
            raise UserError(
                f"method=learned_optimizer adapts to task={self.task.name}, for which it was trained, alone"
            )
        seen, targets = self._see(support)
        point, descended = self._start(seen, targets, support), []
        for reached, losses in self._descend(seen, targets, point, range(self._steps)):
            point = reached
            descended.append(losses)
        if not self.baseline and (what := divergence(descended, 0, self.optimizer)):
            log.warning("%s; its predictions count as wrong", what)
        params = point.params

        def predict(query: Examples) -> Tensor:
            return self._answer(params, self.model.see(query), seen)

        return predict

    def trace(self, support: Examples, query: Examples) -> Tensor:
        (seen, targets), (asked, answers) = self._see(support), self._see(query)
        point = self._start(seen, targets, support)
        walk = (reached for reached, _ in self._descend(seen, targets, point, range(self._steps)))
        return torch.stack([self.task.loss(self._answer(p.params, asked, seen), answers) for p in chain([point], walk)])

    def losses(self, batch: Batch, progress: float) -> Iterator[Tensor]:
        points: list[Point | None] = [None] * len(batch.mappings)
        for segment in self._unroll.segments(progress):
            # Anew for each segment, since the encoders have learned from the one before.
            encoded = batch.encode(self.embedder.encode) if self.embeds_once else batch
            with torch.autocast(self.embedder.device.type, enabled=False):
                parts = []
                for i, mapping in enumerate(batch.mappings):
                    loss, points[i] = self._segment(*encoded.view(mapping), points[i], segment)
                    parts.append(loss)
                total = torch.stack(parts).mean()
            yield total
            points = [p.detached() if p else None for p in points]

    def _segment(self, support: Examples, query: Examples, point: Point | None, segment: range) -> tuple[Tensor, Point]:
        """The meta-loss of one mapping over some steps, and where they end."""
        (seen, targets), (asked, answers) = self._see(support), self._see(query)
        if point is None:
            self.model.track(asked)
            point = self._start(seen, targets, support)
        judged, descended = [], []
        for reached, losses in self._descend(seen, targets, point, segment):
            point = reached
            descended.append(losses)
            if self._unroll.weights != "last" or len(descended) == len(segment):
                judged.append(self.task.loss(self._answer(point.params, asked, seen), answers).mean())
        if what := divergence(descended, segment.start, self.optimizer):
            raise TrainingError(what)
        return self._unroll.meta_loss(judged, segment), point

    def _see(self, examples: Examples) -> tuple[Any, Tensor]:
        """What the model makes of one side before any step, and what is to be predicted of it."""
        return self.model.see(examples), self.task.targets(examples).to(self.embedder.device)

    def _start(self, seen: Any, targets: Tensor, support: Examples) -> Point:
        return start(self.model.initial(seen, targets, self.task.outputs(support)), self.optimizer)

    def _descend(
        self, seen: Any, targets: Tensor, point: Point, steps: Iterable[int]
    ) -> Iterator[tuple[Point, Tensor]]:
        task, model = self.task, self.model
        return descend(
            lambda params, step: task.loss(task.read(model(params, seen)), targets),
            point,
            self.optimizer,
            steps,
            self._unroll.order,
        )

    def _answer(self, params: dict[str, Tensor], query: Any, support: Any) -> Tensor:
        """The task's predictions for queries, by adapted parameters."""
        return self.task.read(self.model(params, query, None if self.transductive else support))

    def rivals(self) -> list[list[Learner]]:
        """Itself without a step, and SGD and Adam from the same parameters, at every rate."""
        standing = self._variant("no step", self.optimizer, 0)
        tuned: list[list[Learner]] = [
            [self._variant(f"{name}, tuned", hand_designed(name, rate), self._steps) for rate in RATES]
            for name in ("sgd", "adam")
        ]
        alone: list[list[Learner]] = [[self._alone()]] if self.transductive else []
        return [*alone, [standing], *tuned]

    def _alone(self) -> "LearnedOptimizer":
        """The same parameters, where the queries of an episode do not see one another."""
        twin = self._variant(self.rule, self.optimizer, self._steps)
        twin.baseline = twin.transductive = False
        return twin

    def _variant(self, name: str, rule: UpdateRule, steps: int) -> "LearnedOptimizer":
        """The same model, adapted by another rule."""
        twin = copy.copy(self)
        twin._modules = dict(self._modules)
        twin.rule, twin.baseline, twin._steps = name, True, steps
        twin.optimizer = rule
        return twin


RATES = [10 ** (i / 2) for i in range(-6, 5)]  # 0.001 to 100, two each decade


def known_width(embedder: Embedder) -> int:
    """The width of the embeddings, which the head must know before it sees one."""
    if embedder.width is None:
        raise UserError(
            "method=learned_optimizer needs embeddings of a known width, and raw values have none: "
            "choose another encoder"
        )
    return embedder.width

"""The learned optimizer: adapts a model to a support set by an update rule, which may be learned
across tasks.
"""

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.encoders import Embedder
from mmml.episodes import Batch, EpisodeShape, ExampleSet
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import TrainingError, UserError, require
from mmml.methods.controls import PermutedTargets
from mmml.methods.learned_optimizer.gradient_cache import cache_gradient
from mmml.methods.learned_optimizer.heads import Head, heads
from mmml.methods.learned_optimizer.models import EncodedSet, FullModel, HeadModel, Model
from mmml.methods.learned_optimizer.unroll import (
    ORDERS,
    InnerState,
    Unroll,
    descend,
    divergence,
    start,
)
from mmml.methods.learned_optimizer.update_rules import UpdateRule, update_rules
from mmml.methods.learned_optimizer.update_rules.hand_designed import hand_designed
from mmml.methods.learner import Learner, Predictor, Role, methods
from mmml.tasks import Task

log = logging.getLogger(__name__)


@methods.register("learned_optimizer")
class LearnedOptimizer(Learner):
    """Adapts a model to each task by gradient steps on the support set.

    Training minimises ``L_meta = Σ_i L_i(M(O(L_i)))``, the query loss of the adapted models.

    Args:
        embedder: the encoders and their fusion.
        task: defines targets, predictions and loss.
        ways: maximum number of classes of a training episode.
        update_rule: name and options of a part of ``mmml.methods.learned_optimizer.update_rules``.
        init: initialization of the head, see :class:`mmml.methods.learned_optimizer.heads.Head`.
        adapt: what the inner loop changes: ``head``, or ``all`` (encoders and head).
        first_order: whether the meta-gradient treats the gradients of the inner loop as constants.
        inner_steps: number of inner steps in training.
        eval_inner_steps: number of inner steps in evaluation; None for ``inner_steps``.
        truncation_length, step_loss_weights, curriculum: see
            :class:`mmml.methods.learned_optimizer.unroll.Unroll`.
        head_scale: initial factor of the head's outputs; training changes it.
        transductive: with ``adapt=all``, whether batch normalisation uses the statistics of all
            queries, as in published MAML.
        vectorize: ``auto``, true or false, see
            :class:`mmml.methods.learned_optimizer.models.FullModel`.
        language_model: name and options of a part of
            ``mmml.methods.learned_optimizer.language_models``, for tasks whose answers are texts.
    """

    name = "learned_optimizer"
    ranks = False
    has_inner_loop = True

    def __init__(
        self,
        embedder: Embedder,
        task: Task,
        ways: int,
        update_rule: Mapping[str, Any],
        init: str,
        adapt: str,
        first_order: bool,
        inner_steps: int,
        eval_inner_steps: int | None,
        truncation_length: int | None,
        step_loss_weights: str,
        curriculum: float,
        head_scale: float,
        transductive: bool,
        vectorize: str | bool,
        language_model: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        require(adapt in ("head", "all"), "method.adapt", adapt, "head or all")
        require(
            vectorize in ("auto", True, False), "method.vectorize", vectorize, "auto, true or false"
        )
        require(
            eval_inner_steps is None or eval_inner_steps >= 0,
            "method.eval_inner_steps",
            eval_inner_steps,
            "0 or more, or null",
        )
        refuse_misfits(embedder, adapt, transductive)
        self.task, self.adapted, self.transductive = task, adapt, transductive
        self._unroll = Unroll(
            inner_steps, truncation_length, first_order, step_loss_weights, curriculum
        )
        self._steps = inner_steps if eval_inner_steps is None else eval_inner_steps
        options = {} if language_model is None else {"language_model": language_model}
        about = {"width": known_width(embedder), "init": init, "scale": head_scale, "ways": ways}
        named_by = f"task={task.name}, form"
        if options.keys() - heads.options_of(task.form, named_by).keys():
            raise UserError(
                f"method/language_model writes texts, and task={task.name} asks for none: "
                "leave it out"
            )
        head: Head = heads.build(task.form, options, "method", named_by=named_by, **about)
        choice = None if vectorize == "auto" else bool(vectorize)
        self.model: Model = (
            FullModel(embedder, head, first_order, choice)
            if adapt == "all"
            else HeadModel(embedder, head)
        )
        self.optimizer: UpdateRule = update_rules.build_section(update_rule, "method.update_rule")
        self.variant = str(update_rule["name"])
        self.optimizer.fit_to(self.model.template())
        self.embeds_once = self.model.embeds_once

    @property
    def embedder(self) -> Embedder:  # type: ignore[override]
        """The encoders; with ``adapt=all``, before adaptation."""
        return self.model.embedder

    def describe(self) -> dict[str, Any]:
        template = self.model.template()
        return {
            "update_rule": self.variant,
            "order": ORDERS[self._unroll.first_order],
            "adapt": self.adapted,
            "adapted_parameters": sum(p.numel() for p in template.values()),
            "update_rule_parameters": sum(p.numel() for p in self.optimizer.parameters()),
            "vectorize": self.adapted == "head" or self.model.vectorizes_on(self.embedder.device),
            "transductive": self.transductive,
        }

    def fit(self, samples: Samples | None) -> None:
        super().fit(samples)
        if samples is not None:
            self.model.head.fit(samples, self.task)

    def check_training(self, mappings: Sequence[EpisodeMapping]) -> None:
        """Raise a ``UserError`` if an encoder would have no gradient.

        With first order, an encoder that only embeds support items has a gradient only through the
        initial head.
        """
        queried = {m for mapping in mappings for m in mapping.query}
        never_queried = sorted({m for mapping in mappings for m in mapping.support} - queried)
        trained = [
            m
            for m, e in self.embedder.items()
            if m in never_queried and any(p.requires_grad for p in e.parameters())
        ]
        head = self.model.head
        if (
            trained
            and self._unroll.first_order
            and not (head.init == "prototype" and head.shows_support)
        ):
            other = " or method.init=prototype" if head.shows_support else ""
            raise UserError(
                f"episode.train.mappings: the encoder of {trained[0]} would learn nothing: it "
                f"is never queried, and with method.first_order=true and method.init={head.init} "
                f"supports have no gradient; set method.first_order=false{other}"
            )

    def check_shapes(self, shapes: Iterable[EpisodeShape]) -> None:
        for shape in shapes:
            self.model.head.check_outputs(shape.ways, f"episode.eval.ways={shape.ways}")

    def takes_bf16(self) -> bool:
        return self.adapted == "head"  # inner loops are float32

    def takes_channels_last(self, device: torch.device) -> bool:
        return not self.model.vectorizes_on(device)

    def max_episodes(self, shape: EpisodeShape) -> int:
        body, head = (
            sum(p.numel() for p in part.values())
            for part in (self.model.template(), self.model.head.template())
        )
        most = self.optimizer.coordinates_at_once(self.embedder.device)
        return max(
            1,
            min(
                most // (body + (shape.ways - 1) * head),
                self.model.head.max_episodes(shape) or most,
            ),
        )

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        if task not in (None, self.task):
            raise UserError(
                f"method=learned_optimizer adapts to task={self.task.name}, for which it "
                "was trained, alone"
            )
        side, descended = self._encode(support), []
        point = self._start(side)
        for reached, losses in self._descend(side, point, range(self._steps)):
            point = reached
            descended.append(losses)
        if not self.baseline and (what := divergence(descended, 0, self.optimizer)):
            log.warning("%s; its predictions count as wrong", what)
        params = point.params

        def predict(query: ExampleSet) -> Tensor:
            return self._answer(params, self.model.encode(query), side.inputs)

        return predict

    def trace(self, support: ExampleSet, query: ExampleSet) -> Tensor:
        side, queries = self._encode(support), self._encode(query)
        point = self._start(side)
        walk = (reached for reached, _ in self._descend(side, point, range(self._steps)))
        return torch.stack([self._query_loss(p, side, queries) for p in chain([point], walk)])

    def losses(self, batch: Batch, progress: float) -> Iterator[Tensor]:
        points: dict[int, InnerState] = {}
        for segment in self._unroll.segments(progress):
            # Encode again for each segment, since the optimizer has changed the encoders.
            encoded = batch.encode(self.embedder.encode) if self.embeds_once else batch
            with torch.autocast(self.embedder.device.type, enabled=False):
                parts = []
                for i, (support, query) in enumerate(self._views(encoded, begins=not points)):
                    loss, point = self._segment(support, query, points.get(i), segment)
                    points[i] = point.detached()
                    # Embeddings (also of answers) are shared with other pieces, and
                    # their graph must be kept; else only parameters are shared.
                    shared = self.embeds_once or bool(self.task.embedded_columns)
                    parts.append(loss if shared else cache_gradient(loss, self.parameters()))
                total = torch.stack(parts).mean()
            yield total

    def _views(self, batch: Batch, begins: bool) -> list[tuple[EncodedSet, EncodedSet]]:
        """Return the encoded support and query side of each mapping, split into pieces that are
        computed one by one.
        """
        views: list[tuple[EncodedSet, EncodedSet]] = []
        for mapping in batch.mappings:
            support, query = (self._encode(examples) for examples in batch.view(mapping))
            if begins:
                self.model.track(query.inputs)
            views += zip(self._pieces(support), self._pieces(query), strict=True)
        return views

    def _segment(
        self, support: EncodedSet, query: EncodedSet, point: InnerState | None, segment: range
    ) -> tuple[Tensor, InnerState]:
        """Return the meta-loss of one piece over some steps, and the state after them."""
        point = self._start(support) if point is None else point
        query_losses, descended = [], []
        for reached, losses in self._descend(support, point, segment):
            point = reached
            descended.append(losses)
            if self._unroll.step_loss_weights != "last" or len(descended) == len(segment):
                query_losses.append(self._query_loss(point, support, query).mean())
        if what := divergence(descended, segment.start, self.optimizer, support.first):
            raise TrainingError(what)
        return self._unroll.meta_loss(query_losses, segment), point

    def _encode(self, examples: ExampleSet) -> EncodedSet:
        examples = examples.answered(self.embedder.encode)
        targets = self.task.targets(examples).to(self.embedder.device)
        return EncodedSet(
            self.model.encode(examples), targets, self.model.head.output_size(self.task, targets)
        )

    def _pieces(self, side: EncodedSet) -> list[EncodedSet]:
        pieces = self.model.split_tasks(side.inputs)
        targets = side.targets.chunk(len(pieces))
        return [
            EncodedSet(s, t, side.outputs, i)
            for i, (s, t) in enumerate(zip(pieces, targets, strict=True))
        ]

    def _start(self, support: EncodedSet) -> InnerState:
        return start(
            self.model.initial(support.inputs, support.targets, support.outputs), self.optimizer
        )

    def _descend(
        self, support: EncodedSet, point: InnerState, steps: Iterable[int]
    ) -> Iterator[tuple[InnerState, Tensor]]:
        task, model = self.task, self.model
        return descend(
            lambda params, step: task.loss(
                model.head.decode(task, model(params, support.inputs)), support.targets
            ),
            point,
            self.optimizer,
            steps,
            self._unroll.first_order,
        )

    def _query_loss(self, point: InnerState, support: EncodedSet, query: EncodedSet) -> Tensor:
        """Return the loss of the adapted parameters on the queries of each episode, ``[B]``."""
        return self.task.loss(
            self._answer(point.params, query.inputs, support.inputs), query.targets
        )

    def _answer(self, params: dict[str, Tensor], query: Any, support: Any) -> Any:
        """Return the task's predictions for queries with adapted parameters."""
        outputs = self.model(params, query, None if self.transductive else support)
        return self.model.head.decode(self.task, outputs.to(self.model.head.log_scale.dtype))

    def controls(self, train: Samples | None) -> list[list[Learner]]:
        """Return the controls: no adaptation, permuted targets, and SGD and Adam at each rate, all
        with the same initial parameters.
        """
        standing = self._variant("no adaptation", self.optimizer, 0, Role.NO_SUPPORT)
        tuned: list[list[Learner]] = [
            [
                self._variant(
                    f"{name}, rate {inner_lr:g}", hand_designed(name, inner_lr), self._steps
                )
                for inner_lr in RATES
            ]
            for name in ("sgd", "adam")
        ]
        alone: list[list[Learner]] = [[self.inductive()]] if self.transductive else []
        wrong: list[list[Learner]] = (
            [[PermutedTargets(self)]] if self.task.per_sample_target else []
        )
        return [*alone, [standing], *wrong, *tuned]

    def inductive(self) -> "LearnedOptimizer":
        """See :meth:`mmml.methods.Learner.inductive`."""
        if not self.transductive:
            return self
        twin = self._variant(f"{self.variant}, inductive", self.optimizer, self._steps, self.role)
        twin.transductive = False
        return twin

    def _variant(
        self, name: str, rule: UpdateRule, steps: int, role: Role = Role.TUNED
    ) -> "LearnedOptimizer":
        """Return a learner with the same model and another update rule."""
        twin = copy.deepcopy(self, {id(shared): shared for shared in (self.task, self.model)})
        twin.variant, twin.role, twin._steps = name, role, steps
        twin.optimizer = rule
        return twin


RATES = [float(f"{10 ** (i / 2):.2g}") for i in range(-6, 5)]  # 0.001, 0.0032, … to 100


def refuse_misfits(embedder: Embedder, adapt: str, transductive: bool) -> None:
    """Raise a ``UserError`` if options contradict one another."""
    if transductive and adapt != "all":
        raise UserError(
            "method.transductive=true needs method.adapt=all: with fixed encoders "
            "no query sees another"
        )
    if adapt == "all" and embedder.frozen:
        raise UserError(
            "method.adapt=all adapts encoders, and encoder.frozen=true keeps them: "
            "set method.adapt=head"
        )


def known_width(embedder: Embedder) -> int:
    """Return the width of the embeddings, which the head needs.

    Raises:
        UserError: the width depends on the data.
    """
    if embedder.width is None:
        raise UserError(
            "method=learned_optimizer needs embeddings of a known width, and raw values have none: "
            "choose another encoder"
        )
    return embedder.width

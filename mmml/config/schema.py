"""Names, types and ranges of the core options.

Default values are in ``conf/``, with a comment for each. Options of registered parts (dataset,
encoder, method, task) are not checked here, but against the part's signature.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmml.errors import UserError, did_you_mean, require

PRECISIONS = ("auto", "fp32", "bf16")


def is_count(value: Any) -> bool:
    """Whether a value is a positive integer (and not a boolean)."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_range(value: Any) -> bool:
    """Whether a value is ``{min: a, max: b}`` with positive integers a ≤ b."""
    return (
        isinstance(value, dict)
        and set(value) == {"min", "max"}
        and all(map(is_count, value.values()))
        and value["min"] <= value["max"]
    )


def check_mappings(mappings: list[str], option: str) -> None:
    """Raise ``UserError`` if the list of mappings is empty or has duplicates."""
    require(bool(mappings), option, mappings, "a list of at least one mapping")
    require(
        len(set(mappings)) == len(mappings), option, mappings, "a list that names no mapping twice"
    )


@dataclass
class TrainEpisodes:
    """Training episodes: each number may also be a range ``{min: a, max: b}``."""

    ways: Any = MISSING
    shots: Any = MISSING
    queries: Any = MISSING
    mappings: list[str] = MISSING
    class_range: list[float] = field(default_factory=lambda: [0.0, 1.0])
    within_superclass: bool = False
    corruptions: list[Any] = field(default_factory=list)
    task_augmentation: float = 0.0

    def __post_init__(self) -> None:
        require(
            0 <= self.task_augmentation <= 1,
            "episode.train.task_augmentation",
            self.task_augmentation,
            "from 0 to 1",
        )
        for name in ("ways", "shots", "queries"):
            value = getattr(self, name)
            ok = is_count(value) or is_range(value)
            require(
                ok,
                f"episode.train.{name}",
                value,
                "a positive whole number, or a range {min: a, max: b} with a up to b",
            )
        check_mappings(self.mappings, "episode.train.mappings")
        ok = len(self.class_range) == 2 and 0 <= self.class_range[0] < self.class_range[1] <= 1
        require(
            ok,
            "episode.train.class_range",
            self.class_range,
            "a smaller and a larger fraction, such as [0, 0.8]",
        )


@dataclass
class EvalEpisodes:
    """Validation and test episodes: ways and shots may be lists, which become columns of the
    results.
    """

    ways: Any = MISSING
    shots: Any = MISSING
    queries: int = MISSING
    mappings: list[str] = MISSING
    within_superclass: bool = False
    query_domain: str | None = None
    official_episodes: bool = False
    corruptions: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("ways", "shots"):
            value = getattr(self, name)
            values = value if isinstance(value, list) else [value]
            ok = bool(values) and all(map(is_count, values))
            require(ok, f"episode.eval.{name}", value, "a positive whole number, or a list of them")
            setattr(self, name, sorted(set(values)))
        require(self.queries > 0, "episode.eval.queries", self.queries, "a positive whole number")
        check_mappings(self.mappings, "episode.eval.mappings")


@dataclass
class EpisodeConfig:
    """The shape and the content of episodes."""

    group_disjoint: bool = False
    train: TrainEpisodes = MISSING
    eval: EvalEpisodes = MISSING


@dataclass
class TrainerConfig:
    """Options of training. Options named ``every`` count steps."""

    steps: int = MISSING
    meta_batch_size: int = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    warmup: int = MISSING
    grad_clip_norm: float = MISSING
    validate_every: int = MISSING
    checkpoint_every: int = MISSING
    monitor: str = MISSING
    device: str = MISSING
    precision: str = MISSING
    channels_last: Any = MISSING
    loggers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("steps", "meta_batch_size", "validate_every", "checkpoint_every"):
            value = getattr(self, name)
            require(value > 0, f"trainer.{name}", value, "a positive whole number")
        for name in ("lr", "grad_clip_norm"):
            value = getattr(self, name)
            require(
                math.isfinite(value) and value > 0, f"trainer.{name}", value, "a positive number"
            )
        require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "trainer.weight_decay",
            self.weight_decay,
            "0 or more",
        )
        require(self.warmup >= 0, "trainer.warmup", self.warmup, "0 or more")
        require(
            self.precision in PRECISIONS, "trainer.precision", self.precision, "auto, fp32 or bf16"
        )
        ok = self.channels_last in (True, False, "auto")
        require(ok, "trainer.channels_last", self.channels_last, "auto, true or false")


@dataclass
class EvaluationConfig:
    """Options of evaluation: those that all evaluators share, and those of each chosen
    evaluator.
    """

    episodes: int = MISSING
    validation_episodes: int = MISSING
    seed: int = MISSING
    baselines: list[str] = MISSING
    independence_check: bool = MISSING
    controls: bool = True
    permuted_targets: bool = False
    lr_search_episodes: int = 50
    tta_views: int = 1
    evaluators: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("episodes", "validation_episodes"):
            value = getattr(self, name)
            require(value >= 2, f"evaluation.{name}", value, "2 or more: an interval needs two")
        ok = self.lr_search_episodes == 0 or self.lr_search_episodes >= 2
        require(
            ok,
            "evaluation.lr_search_episodes",
            self.lr_search_episodes,
            "2 or more, or 0 for no controls that have rates",
        )
        require(
            self.tta_views > 0, "evaluation.tta_views", self.tta_views, "a positive whole number"
        )
        require(0 <= self.seed < 2**63, "evaluation.seed", self.seed, "from 0 to 2^63 - 1")


@dataclass
class RunConfig:
    """Options that every run has. Dataset, method and problem are plain dictionaries."""

    seed: int = MISSING
    resume: str | None = None
    init_from: str | None = None
    dataset: Any = None
    method: Any = MISSING
    trainer: TrainerConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    problem: Any = None

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2^63 - 1")


@dataclass
class Config(RunConfig):
    """A run on episodes of a dataset. Encoder and task are plain dictionaries."""

    dataset: Any = MISSING
    encoder: Any = MISSING
    task: Any = MISSING
    episode: EpisodeConfig = MISSING


@dataclass
class ProblemConfig(RunConfig):
    """A run on problems, that is functions to be minimised; a dataset is needed only if problems
    are made from one.
    """


def known_options() -> list[str]:
    """Return all core options as dotted keys."""

    def below(part: type, prefix: str) -> Iterator[str]:
        for f in fields(part):
            yield prefix + f.name
            if isinstance(f.type, type) and is_dataclass(f.type):
                yield from below(f.type, f"{prefix}{f.name}.")

    return list(below(Config, ""))


@dataclass
class ComposedConfig(Config):
    """The config that Hydra composes, where the sections of evaluators are directly in
    ``evaluation``.
    """

    evaluation: Any = MISSING


ConfigStore.instance().store(name="schema", node=ComposedConfig)


def with_evaluators(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the section ``evaluation`` with the sections of its evaluators, such as
    ``evaluation.gallery``, moved into one option ``evaluators``.
    """
    evaluators = {k: v for k, v in evaluation.items() if isinstance(v, dict)}
    for name in (n for n, options in evaluators.items() if "name" not in options):
        raise UserError(
            f"evaluation.{name} has options, and no such evaluator is chosen: add {name} "
            "to evaluation/evaluators=[…]"
        )
    return {k: v for k, v in evaluation.items() if k not in evaluators} | {"evaluators": evaluators}


def check_config(values: DictConfig | dict[str, Any]) -> Config:
    """Check the config of a run on episodes, see :func:`check_run`.

    Raises:
        UserError: also if the run is on problems.
    """
    config = check_run(values)
    if not isinstance(config, Config):
        raise UserError(
            "the run is on problems, not on episodes of a dataset: it can only be "
            "trained and evaluated"
        )
    return config


def check_run(values: DictConfig | dict[str, Any]) -> Config | ProblemConfig:
    """Check types, ranges and unknown keys of the core options, with interpolations resolved.

    Options that only episodes have are ignored in a run on problems.

    Raises:
        UserError: an option is invalid; one sentence that names it.
    """
    try:
        plain = (
            OmegaConf.to_container(values, resolve=True)
            if isinstance(values, DictConfig)
            else values
        )
        assert isinstance(plain, dict)
        kind: type[RunConfig] = ProblemConfig if plain.get("problem") else Config
        known = {f.name for f in fields(kind)} if kind is ProblemConfig else set(plain)
        wanted: dict[str, Any] = {str(k): v for k, v in plain.items() if k in known}
        if isinstance(shared := wanted.get("evaluation"), dict):
            wanted["evaluation"] = with_evaluators(shared)
        typed = OmegaConf.merge(OmegaConf.structured(kind), wanted)
        config = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        key, what = error.full_key, str(error).splitlines()[0]
        if "not in" in what:
            raise UserError(
                f"{key} is no option{did_you_mean(str(key), known_options())}"
            ) from None
        if "Missing mandatory value" in what:
            raise UserError(f"{key}= is needed; see mmml-train --help") from None
        if "not a ListConfig" in what:
            what = "a list is wanted, written [a,b]"
        raise UserError((f"{key}: " if key else "") + what) from None
    assert isinstance(config, Config | ProblemConfig)
    return config

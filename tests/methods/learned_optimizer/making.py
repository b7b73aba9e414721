"""Small learners, and small episodes to feed them."""

from pathlib import Path

import torch
import yaml
from torch import nn

import mmml
from mmml.data.column import Column
from mmml.encoders import Embedder, Encoder, build_embedder
from mmml.encoders.embedder import Mean
from mmml.episodes import Batch, EpisodeShape, ExampleSet, Mapping, Sampler, gather
from mmml.methods import methods
from mmml.methods.learned_optimizer.update_rules import UpdateRule, detached, update_rules
from mmml.tasks import tasks
from tests.conftest import MLP, SMALL

METHOD = Path(mmml.__file__).parent.parent / "conf/method"
CONFIG = yaml.safe_load((METHOD / "learned_optimizer.yaml").read_text())
UPDATE_RULES = {
    file.stem: yaml.safe_load(file.read_text()) for file in (METHOD / "update_rule").glob("*.yaml")
}
KNOBS = {option for section in UPDATE_RULES.values() for option in section} - {"name"}


def nested(options: dict) -> dict:
    """The section of a learner: options of update rules, given beside the others, go to its
    own if it knows them.
    """
    name = options["update_rule"]
    own = UPDATE_RULES.get(name, {"name": name})
    given = {
        k: v
        for k, v in options.items()
        if k in own or (k not in CONFIG and k not in KNOBS | {"update_rule"})
    }
    rest = {k: v for k, v in options.items() if k in CONFIG and k != "defaults"}
    return rest | {"update_rule": own | {k: v for k, v in given.items() if k not in rest}}


OPTIONS = {k: v for k, v in CONFIG.items() if k not in ("defaults", "name")} | {
    "update_rule": "lstm"
}

CONV = {k: v for k, v in SMALL.items() if k != "image"} | {
    "image": SMALL["image"] | {"augment": 0.0}
}
DENSE = MLP | {"text": SMALL["text"] | {"dropout": 0.0}}
IMAGES = Mapping.parse("image:image")
NAMES = Mapping.parse("text:image")
SHAPE = EpisodeShape(3, 2, 2)

SMALL_LSTM = {"hidden": 3, "preprocess": "log_sign"}
RULES = {
    "sgd": {"update_rule": "sgd"},
    "momentum": {"update_rule": "momentum"},
    "nesterov": {"update_rule": "nesterov"},
    "rmsprop": {"update_rule": "rmsprop"},
    "adam": {"update_rule": "adam"},
    "learned_lr": {"update_rule": "learned_lr"},
    "lstm": {"update_rule": "lstm", **SMALL_LSTM},
    "lstm-loss": {"update_rule": "lstm", **SMALL_LSTM, "inputs": "loss"},
    "lstm-both": {
        "update_rule": "lstm",
        **SMALL_LSTM,
        "inputs": "gradient+loss",
        "preprocess": "none",
    },
    "lstm-0": {"update_rule": "lstm", **SMALL_LSTM, "layers": 0},
    "lstm-0-both": {"update_rule": "lstm", **SMALL_LSTM, "layers": 0, "inputs": "gradient+loss"},
    "lstm-all": {"update_rule": "lstm", **SMALL_LSTM, "inputs": "loss+moments+gradient"},
    "lstm-times": {
        "update_rule": "lstm",
        **SMALL_LSTM,
        "inputs": "moments",
        "gradient_output": True,
    },
    "rnnprop": {"update_rule": "rnnprop", "hidden": 3, "inputs": "moments"},
    "rnnprop-0": {"update_rule": "rnnprop", "hidden": 3, "inputs": "moments", "layers": 0},
    "rnnprop-gradient": {"update_rule": "rnnprop", **SMALL_LSTM},
    "meta_lstm": {"update_rule": "meta_lstm", **SMALL_LSTM, "inputs": "gradient+loss"},
    "meta_lstm-gradient": {"update_rule": "meta_lstm", **SMALL_LSTM, "preprocess": "none"},
    "meta_lstm-loss": {"update_rule": "meta_lstm", **SMALL_LSTM, "inputs": "loss"},
    "meta_lstm-moments": {"update_rule": "meta_lstm", **SMALL_LSTM, "inputs": "moments"},
}
ONE_EACH = [
    "sgd",
    "momentum",
    "nesterov",
    "rmsprop",
    "adam",
    "learned_lr",
    "lstm",
    "rnnprop",
    "meta_lstm",
]

# So that no encoder is wrecked in a few steps.
GENTLE = {"head_scale": 2.0, "inner_lr": 0.01, "decay": 0.9, "output_scale": 0.01}


def make_rule(name: str, template=None, **changed) -> UpdateRule:
    """A rule as its section of options has it, with random numbers of its own."""
    torch.manual_seed(1)
    rule = update_rules.build_section(
        nested(OPTIONS | RULES[name] | changed)["update_rule"], "method.update_rule"
    )
    rule.fit_to(template or {})
    return rule


def make(embedder=MLP, task: str = "classification", ways: int = SHAPE.ways, **changed):
    """A learner as a config would have it; the embedder itself, or its options."""
    torch.manual_seed(0)
    if isinstance(embedder, dict):
        embedder = build_embedder(embedder, ["image", "text"])
    options = nested(OPTIONS | {"inner_steps": 3} | changed)
    parts = {"embedder": embedder, "task": tasks.build(task, {}, "task"), "ways": ways}
    return methods.build("learned_optimizer", options, "method", **parts)


def episodes(samples, mappings=(IMAGES,), numbers=(0, 1), shape=SHAPE) -> Batch:
    target = "score" if "score" in samples.columns else None
    return gather(samples, Sampler(samples, 0, "train").draw(numbers, shape), mappings, target)


class Tiny(Encoder):
    """Two numbers through a linear layer, batch normalisation and tanh: smooth in everything."""

    modality = "image"

    def __init__(self, layer: nn.Module | None = None):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, 3, bias=False), layer or nn.BatchNorm1d(3), nn.Tanh()
        )

    def prepare(self, raw):
        return raw

    def forward(self, prepared):
        return self.layers(prepared)


def tiny(layer: nn.Module | None = None, normalize: bool = False) -> Embedder:
    torch.manual_seed(0)
    return Embedder({"image": Tiny(layer)}, Mean(["image"]), normalize, width=3)


def numbers(encoded: bool, only: slice = slice(None)) -> Batch:
    """Two episodes of two classes, two shots and one query in double precision, raw or as if
    they were embeddings.

    Args:
        encoded: as embeddings of the width of :class:`Tiny`, rather than what it embeds.
        only: these episodes.
    """
    generator, sides = torch.Generator().manual_seed(3), []
    for n in (2, 1):
        x = torch.randn(2, 2, n, 3 if encoded else 2, generator=generator, dtype=torch.float64)[
            only
        ]
        scores = torch.randn(2, 2 * n, generator=generator, dtype=torch.float64)[only]
        columns = {
            "image": Column(x if encoded else x.flatten(0, 2), encoded=encoded),
            "score": Column(scores.unflatten(1, (2, n)), encoded=True),
        }
        sides.append(ExampleSet(columns, dict.fromkeys(columns, x.shape[:3])))
    return Batch(*sides, (IMAGES,), "score")


class Replay(UpdateRule):
    """Records the gradients and losses that a rule is shown, and shows it the same again."""

    def __init__(self, rule: UpdateRule):
        super().__init__()
        self.rule, self.tape, self.again = rule, [], None

    def init(self, params):
        self.again = iter(self.tape) if self.tape else None
        return self.rule.init(params)

    def update(self, grads, state, params, losses):
        if self.again is None:
            self.tape.append((detached(grads), losses.detach()))
        else:
            grads, losses = next(self.again)
        return self.rule.update(grads, state, params, losses)


def arrive(walk, point):
    """Where a walk from a point ends."""
    for reached, _ in walk:
        point = reached
    return point

"""Retrieval as a task: what the pairs of the support set are good for, and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.episodes.candidates import candidate_rows
from mmml.errors import UserError
from mmml.evaluation.embed import materialize
from mmml.evaluation.predictions import chance_results, episode_results, predict
from mmml.evaluation.setting import EvalSetting
from mmml.methods import methods
from mmml.methods.controls import Control
from mmml.methods.metric.learner import combined
from mmml.tasks import tasks
from tests.conftest import metric_learner

TARGET, MAPPING, SHAPE = "found_features", Mapping.parse("features:features"), EpisodeShape(1, 5, 8)
TASK = tasks.build("retrieval", {"target": TARGET, "temperature": 0.1}, "task")
MLP = {"name": "mlp_features", "hidden": [8]}
RULE = {
    "update_rule": {"name": "sgd", "inner_lr": 10.0},
    "init": "prototype",
    "adapt": "head",
    "first_order": True,
    "inner_steps": 5,
    "eval_inner_steps": 20,
}
UNROLL = {
    "truncation_length": None,
    "step_loss_weights": "last",
    "curriculum": 0.0,
    "head_scale": 1.0,
    "transductive": False,
}


@pytest.fixture
def pairs() -> Samples:
    """Two domains, in which what is found lies where it is sought, but for a step
    of the domain's own.
    """
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(80, 6, generator=rng)
    steps = 3 * torch.randn(2, 6, generator=rng)
    found = values + steps.repeat_interleave(40, 0)
    columns = {
        "features": Column(values, encoded=True),
        TARGET: Column(found, encoded=True),
    }
    return Samples(["a", "b"], np.array([0, 40, 80]), columns)


def embedder():
    torch.manual_seed(0)
    sections = {"width": 6, "normalize": False, "fusion": "mean", "features": MLP}
    return build_embedder(sections, ["features", TARGET])


def metric(classifier="attention"):
    return metric_learner(embedder(), TASK, "euclidean", "infonce", classifier, temperature=10.0)


def judged(learner, samples, shots=5):
    setting = EvalSetting("few_shot", TASK, EpisodeShape(1, shots, 8), (MAPPING,))
    panel = episode_results(learner, samples, Sampler(samples, 0, "test"), [setting], 60)
    return {c.key.metric: c.mean for c in panel.rows}


def test_one_pair_tells_the_step_of_a_domain(pairs):
    assert judged(metric(), pairs, shots=1)["R@1"] == 1.0


def test_weights_add_what_answers_are_away_from_their_items():
    weights, items = torch.tensor([[[0.25, 0.75]]]).log(), torch.tensor([[[1.0, 0], [0, 1]]])
    answers, query = torch.tensor([[[2.0, 0], [0, 5]]]), torch.tensor([[[10.0, 10]]])
    assert combined(TASK, weights, items, answers, query).tolist() == [[[10.25, 13.0]]]


def test_ranks_are_among_the_answers_of_the_episode():
    predictions, answers = torch.tensor([[[1.0, 0], [1, 0.1]]]), torch.tensor([[[0.0, 2], [3, 0]]])
    scores = {m.name: s.tolist() for m, s in TASK.scores(predictions, answers).items()}
    assert scores["R@1"] == [[0.0, 1.0]] and scores["median rank"] == [[2.0, 1.0]]


def test_the_panel_ranks_among_all_answers_of_the_domain_less_the_support_set(pairs):
    (cell,) = chance(pairs)
    assert cell.mean == 1 / 35 and cell.key.target == TARGET and cell.key.candidates is None
    played = next(
        predict(
            metric(),
            pairs,
            Sampler(pairs, 0, "test"),
            EvalSetting("few_shot", TASK, SHAPE, (MAPPING,)),
            60,
        )
    )
    answers = pairs.columns[TARGET].values
    for b, (rows, right) in enumerate(candidate_rows(pairs, TARGET, played.drawn)):
        assert len(rows) == 35 and torch.equal(answers[rows[right]], played.targets[b])
    assert judged(Opposite(metric()), pairs)["median rank"] == 35


class Opposite(Control):
    """It seeks answers where they are not."""

    def __init__(self, learner):
        super().__init__(learner, "opposite")

    def adapt(self, support, task=None):
        predict = self.learner.adapt(support, task)
        return lambda query: -predict(query)


def chance(samples):
    cells = chance_results(
        Sampler(samples, 0, "test"), [EvalSetting("few_shot", TASK, SHAPE, (MAPPING,))], 20
    )
    return [c for c in cells if c.key.metric == "R@1"]


def test_the_loss_is_lowest_where_every_answer_is_found():
    answers = torch.eye(3)[None]
    right, wrong = (TASK.loss(p, answers) for p in (answers, answers.roll(1, dims=1)))
    assert right < 0.01 and wrong > 5


def test_the_loss_is_contrastive_in_both_directions_and_of_directions_alone():
    predictions, answers = torch.tensor([[[1.0, 0], [0.6, 0.8]]]), torch.eye(2)[None]
    logits = torch.tensor([[10.0, 0], [6, 8]])  # cosines at a temperature of 0.1
    queries, found = (
        torch.nn.functional.cross_entropy(x, torch.arange(2)) for x in (logits, logits.T)
    )
    expected = (queries + found).item() / 2
    for scale in (1, 5):
        assert TASK.loss(scale * predictions, answers / scale).item() == pytest.approx(
            expected, rel=1e-4
        )


def test_among_more_answers_each_episode_has_candidates_of_its_own(pairs, monkeypatch):
    """A long answer is no better for it."""
    answers = torch.tensor([[10.0, 10], [1, 0], [0, 1], [-1, 0]])
    predictions = torch.tensor([[[1.0, 0.1], [5, 6]], [[-1, 0], [0, -1]]])
    among = [(np.array([0, 1, 2]), np.array([1, 2])), (np.array([3, 2]), np.array([0, 1]))]
    monkeypatch.setattr("mmml.tasks.retrieval.candidate_rows", lambda *_: among)
    samples = replace(pairs, columns={TARGET: Column(answers, encoded=True)})
    scores = {
        m.name: s.tolist()
        for m, s in TASK.scores_of_episodes(predictions, answers, samples, None).items()
    }
    assert scores["median rank"] == [[1, 2], [1, 2]] and scores["R@1"] == [[1, 0], [1, 0]]


@torch.no_grad()
def test_the_order_of_answers_tells_nothing(pairs):
    learner = metric()
    batch = gather(pairs, Sampler(pairs, 0, "test").draw([0], SHAPE), [MAPPING], TARGET)
    support, query = batch.view(MAPPING)
    assert list(query.values) == ["features"] and list(query.answers.values) == [TARGET]
    blind = SimpleNamespace(encode=query.encode, columns=query.columns, shown=query.shown)
    assert torch.equal(learner.adapt(support)(query), learner.adapt(support)(blind))


@pytest.mark.parametrize("name", ["metric", "learned_optimizer"])
def test_training_reaches_the_encoders_of_both_sides(name, pairs):
    raw = replace(pairs, columns={m: Column(c.values) for m, c in pairs.columns.items()})
    section = {
        "distance": {"name": "cosine"},
        "loss": {"name": "infonce", "temperature": 10.0, "learn_temperature": True},
    }
    if name == "learned_optimizer":
        section = RULE | UNROLL | {"vectorize": "auto"}
    learner = methods.build(name, section, "method", embedder=embedder(), task=TASK, ways=1)
    learner.fit(raw)
    (loss,) = learner.losses(
        gather(raw, Sampler(raw, 0, "train").draw([0, 1], SHAPE), [MAPPING], TARGET), 0.0
    )
    loss.backward()
    for modality, encoder in learner.embedder.items():
        assert sum(p.grad.abs().sum() for p in encoder.parameters() if p.grad is not None) > 0, (
            modality
        )


def test_adapted_projections_beat_standing_still(pairs):
    learner = methods.build("learned_optimizer", RULE | UNROLL | {"vectorize": "auto"}, "method",
                            embedder=embedder(), task=TASK, ways=1)  # fmt: skip
    standing = learner._variant("no adaptation", learner.optimizer, 0)
    before, after = (judged(one, pairs, shots=20)["R@1"] for one in (standing, learner))
    assert after > before + 0.1


def test_encoders_may_adapt_too(pairs):
    raw = replace(pairs, columns={m: Column(c.values) for m, c in pairs.columns.items()})
    section = (
        RULE | UNROLL | {"vectorize": "auto", "adapt": "all", "init": "learned", "inner_steps": 2}
    )
    learner = methods.build(
        "learned_optimizer", section, "method", embedder=embedder(), task=TASK, ways=1
    )
    learner.fit(raw)
    encoded = materialize(learner, raw, ["features", TARGET])
    # Answers are not adapted to.
    assert encoded.columns[TARGET].encoded and not encoded.columns["features"].encoded
    assert 0 < judged(learner, encoded)["R@10"] <= 1


def test_encoders_that_adapt_learn_from_several_episodes(pairs):
    raw = replace(pairs, columns={m: Column(c.values) for m, c in pairs.columns.items()})
    section = (
        RULE | UNROLL | {"vectorize": False, "adapt": "all", "init": "learned", "inner_steps": 2}
    )
    learner = methods.build(
        "learned_optimizer", section, "method", embedder=embedder(), task=TASK, ways=1
    )
    learner.fit(raw)
    (loss,) = learner.losses(
        gather(raw, Sampler(raw, 0, "train").draw([0, 1], SHAPE), [MAPPING], TARGET), 0.0
    )
    loss.backward()
    grads = {n: p.grad for n, p in learner.named_parameters() if p.requires_grad}
    assert all(g is not None and g.abs().sum() > 0 for g in grads.values()), grads.keys()


@pytest.mark.parametrize(
    ("mapping", "modalities", "message"),
    [
        ("features:features", {"features": Granularity.SAMPLE}, "this dataset has features"),
        (
            "features:features",
            {"features": Granularity.SAMPLE, TARGET: Granularity.CLASS},
            "belongs to whole classes",
        ),
        (
            f"features+{TARGET}:features",
            {"features": Granularity.SAMPLE, TARGET: Granularity.SAMPLE},
            "asks for it: leave it out",
        ),
        (
            "features:image",
            {
                "features": Granularity.SAMPLE,
                "image": Granularity.CLASS,
                TARGET: Granularity.SAMPLE,
            },
            "for each sample",
        ),
    ],
)
def test_what_does_not_fit_is_refused(mapping, modalities, message):
    with pytest.raises(UserError, match=message):
        TASK.check_mappings([Mapping.parse(mapping)], modalities)


def test_rules_of_classes_are_refused():
    with pytest.raises(
        UserError, match="task=retrieval has none: leave it out, or set method/classifier=attention"
    ):
        metric("prototype")

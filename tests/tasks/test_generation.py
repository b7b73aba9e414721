"""Texts as answers: those of the support set, those that a language model writes,
and their scores.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.errors import UserError
from mmml.evaluation.embed import materialize
from mmml.evaluation.independence import check_independence
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import methods
from mmml.methods.controls import constants
from mmml.tasks import tasks
from mmml.tasks.generation import scores
from mmml.tasks.generation.support_texts import SupportTexts, alike
from mmml.text.tokens import BYTES, ByteTokens
from tests.conftest import metric_learner

LANGUAGE_MODEL = {
    "name": "small",
    "prefix": 2,
    "vocabulary": None,
    "layers": 1,
    "heads": 2,
    "width": 16,
    "max_length": 12,
    "decoding": "greedy",
    "beams": 3,
    "temperature": 1.0,
}
RULE = {
    "update_rule": {"name": "sgd", "inner_lr": 0.1},
    "init": "learned",
    "adapt": "head",
    "first_order": True,
    "inner_steps": 2,
    "eval_inner_steps": None,
}
RULE |= {
    "truncation_length": None,
    "step_loss_weights": "last",
    "curriculum": 0.0,
    "head_scale": 1.0,
    "transductive": False,
}
MLP = {"name": "mlp_features", "hidden": [8]}
MAPPING, SHAPE = Mapping.parse("features:features"), EpisodeShape(1, 4, 6)
WORDS = ["cat", "dog", "bird", "fish"]


def task():
    return tasks.build("generation", {"target": "text"}, "task")


def embedder():
    torch.manual_seed(0)
    return build_embedder(
        {"width": 8, "normalize": True, "fusion": "mean", "features": MLP}, ["features"]
    )


def learned(language_model=None, **options):
    """The learned optimizer with a language model: another one, or the small one with
    some other options.
    """
    model = language_model or {}
    section = {
        "language_model": model if "name" in model else LANGUAGE_MODEL | model,
        "vectorize": "auto",
    }
    parts = {"embedder": embedder(), "task": task(), "ways": 1}
    return methods.build("learned_optimizer", RULE | section | options, "method", **parts).eval()


def model_of(learner):
    return learner.model.head.language_model


def metric(classifier="attention", **options):
    return metric_learner(embedder(), task(), classifier=classifier, **options)


@pytest.fixture
def named() -> Samples:
    """Four kinds of things, called by name; in the second language every name has an ending."""
    kinds = np.arange(40) % 4
    values = torch.eye(4)[kinds] + 0.05 * torch.randn(
        40, 4, generator=torch.Generator().manual_seed(0)
    )
    names = objects([WORDS[k] + ("" if i < 20 else "o") for i, k in enumerate(kinds)])
    columns = {"features": Column(values), "text": Column(names)}
    return Samples(["plain", "with o"], np.array([0, 20, 40]), columns)


def test_fewer_episodes_at_a_time_where_support_sets_hold_many_texts():
    few, some, many = (
        learned().max_episodes(EpisodeShape(1, shots, 6)) for shots in (20, 500, 5000)
    )
    assert few == 16 and 1 < some < few and many == 1
    assert learned({"vocabulary": 1000}).max_episodes(EpisodeShape(1, 500, 6)) <= some


def test_a_target_that_encoders_adapt_without_stays_as_it_is(named):
    learner = learned(adapt="all")
    learner.fit(named)
    assert len(materialize(learner, named, ["features", "text"]).columns["text"].values) == len(
        named.labels
    )


class TestPieces:
    def test_a_learner_is_saved_with_them(self, named):
        first, second = (learned({"vocabulary": 40}) for _ in range(2))
        first.fit(named)
        second.load_state_dict(first.state_dict())
        tokens = [model_of(one).tokens for one in (first, second)]
        assert torch.equal(*(t.encode(["cato", "bird"]) for t in tokens))

    def test_references_keep_what_no_piece_is_of(self, named):
        learner, odd = learned({"vocabulary": 40}), objects(["ž ☃ sunset", *["cat"] * 39])
        learner.fit(named)
        samples = replace(named, columns={**named.columns, "text": Column(odd)})
        answers, tokens = (
            task().prepare(samples).columns["text"].values[None, :1],
            model_of(learner).tokens,
        )
        assert "☃" not in tokens.decode(tokens.of(answers[0]))[0]
        own = task().scores(SupportTexts(torch.zeros(1, 1, 1), answers), answers)
        assert all(s.item() == 1 for m, s in own.items() if m.name != "BLEU")


class TestKnown:
    texts = ByteTokens().encode(["red cat", "red cats", "blue whale"])[None]

    def test_alike_is_one_for_the_same_and_less_for_others(self):
        likeness = alike(self.texts, self.texts)[0]
        assert torch.allclose(likeness.diagonal(), torch.ones(3))
        assert 1 > likeness[0, 1] > 0.7 > 0.3 > likeness[0, 2] >= 0

    @pytest.mark.parametrize(
        ("weights", "best"), [([0, 0, 1.0], 2), ([0.4, 0.35, 0.25], 0), ([1 / 3] * 3, 0)]
    )
    def test_what_is_most_like_all_by_weight_is_chosen(self, weights, best):
        known = SupportTexts(torch.tensor([[weights]]).log(), self.texts)
        assert torch.equal(known.chosen()[0, 0], self.texts[0, best])

    def test_the_loss_is_that_of_what_would_be_chosen(self):
        answer, weights = (
            self.texts[:, 2:],
            torch.tensor([[[0.1, 0.1, 0.8]], [[0.8, 0.1, 0.1]]]).log(),
        )
        good, bad = (SupportTexts(w[None], self.texts).loss(answer) for w in weights)
        assert good.item() == pytest.approx(0, abs=0.01)
        assert bad.item() == pytest.approx(
            1 - alike(self.texts, self.texts)[0, 0, 2].item(), abs=0.01
        )

    def test_weights_are_learned_by_what_comes_of_them(self):
        """The choice is softened: a little more weight on what is like the answer is
        a little less risk.
        """
        weights = torch.tensor([[[0.3, 0.3, 0.4]]]).log().requires_grad_()
        SupportTexts(weights, self.texts).loss(self.texts[:, 2:]).sum().backward()
        assert weights.grad[0, 0, 2] < 0 < weights.grad[0, 0, 0]


class TestScores:
    def test_values(self):
        assert scores.chrf("a red cat", "a red cat") == 1.0
        assert scores.chrf("xyz", "a red cat") == 0.0
        assert scores.bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(
            1.0
        )
        # Punctuation is no part of words.
        assert scores.rouge_l("a cat, here.", "A cat here!") == 1.0
        assert scores.rouge_l("кіт сірий", "сірий кіт") == 0.5  # nor are other alphabets nothing
        assert scores.rouge_l("the cat sat", "a cat that sat") == pytest.approx(2 * 2 / 7)
        assert scores.rouge_l("", "a") == 0.0

    def test_every_query_is_scored_and_the_texts_are_whole(self, named):
        made = task()
        texts = made.prepare(named).columns["text"].values
        known = SupportTexts(torch.eye(4)[None].log(), texts[None, :4])
        found = {m.name: s for m, s in made.scores(known, texts[None, [0, 1, 2, 0]]).items()}
        assert found["exact match"].tolist() == [[1.0, 1.0, 1.0, 0.0]]
        assert found["chrF"].shape == (1, 4) and found["BLEU"].shape == (1, 1)

    def test_references_are_not_cut_with_the_texts_of_training(self, named):
        long = "a very long name of a thing"
        text = objects([long, *["cat"] * 39])
        samples = Samples(named.classes, named.starts, {"text": Column(text)})
        assert BYTES.decode(task().prepare(samples).columns["text"].values[:1]) == [long]


def batch(learner, samples):
    drawn = Sampler(samples, 0, "train").draw(range(4), SHAPE)
    return gather(learner.task.prepare(samples), drawn, [MAPPING], "text")


def descend(learner, samples, steps):
    learner.fit(samples)
    optimizer, taken = torch.optim.Adam(learner.parameters(), 0.01), batch(learner, samples)
    losses = []
    for _ in range(steps):
        (loss,) = learner.losses(taken, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def judged(learner, samples):
    encoded = materialize(learner, samples, ["features", "text"])
    panel = episode_results(
        learner,
        encoded,
        Sampler(samples, 0, "test"),
        [EvalSetting("few_shot", learner.task, SHAPE, (MAPPING,))],
        10,
    )
    return {c.key.metric: c.mean for c in panel.rows}


def test_the_metric_method_answers_with_known_texts(named):
    learner = metric(temperature=1.0)  # at which weights are nearly alike
    losses = descend(learner, named, 60)
    assert losses[-1] < 0.7 * losses[0]
    found = judged(learner, named)
    # Not every kind is among four supports.
    assert found["chrF"] > 0.5 and found["exact match"] > 0.4
    (constant,) = constants(learner)
    assert judged(constant, named)["exact match"] < 0.4


def test_the_learned_optimizer_writes_what_it_was_shown(named):
    learner = learned()
    losses = descend(learner, named, 120)
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None for p in model_of(learner).parameters())
    found = judged(learner.eval(), named)
    standing = judged(learner._variant("no adaptation", learner.optimizer, 0), named)
    assert found["chrF"] > 0.6 and found["log loss"] < standing["log loss"]


def test_another_instance_of_the_task_scores_alike(named):
    """As in a comparison of checkpoints, whose columns have a task that nobody trained."""
    learner = learned()
    descend(learner, named, 40)
    own = judged(learner.eval(), named)
    stranger = learned().task
    encoded = materialize(learner, named, ["features", "text"])
    panel = episode_results(
        learner,
        encoded,
        Sampler(named, 0, "test"),
        [EvalSetting("few_shot", stranger, SHAPE, (MAPPING,))],
        10,
    )
    assert {c.key.metric: c.mean for c in panel.rows} == own


@torch.no_grad()
def test_queries_do_not_influence_one_another(named):
    for learner in (learned(), metric()):
        learner.fit(named)
        learner.eval()
        encoded = materialize(learner, named, ["features", "text"])
        check_independence(learner, named, encoded, Sampler(named, 0, "test"), SHAPE, [MAPPING])


def test_heads_computed_of_the_support_set_are_refused():
    with pytest.raises(
        UserError, match="method.init=prototype computes a head, and there is none for texts"
    ):
        learned(init="prototype")

"""Texts as answers: those of the support set, and their scores."""

import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.episodes import Sampler
from mmml.evaluation.embed import materialize
from mmml.evaluation.independence import check_independence
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.methods.controls import constants
from mmml.tasks.generation import scores
from mmml.tasks.generation.support_texts import SupportTexts, alike
from mmml.text.tokens import BYTES, ByteTokens
from tests.tasks.making import MAPPING, SHAPE, descend, judged, learned, metric, named, task

__all__ = ["named"]  # a fixture


def test_a_target_that_encoders_adapt_without_stays_as_it_is(named):
    learner = learned(adapt="all")
    learner.fit(named)
    assert len(materialize(learner, named, ["features", "text"]).columns["text"].values) == len(
        named.labels
    )


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
        answer = self.texts[:, 2:]
        weights = torch.tensor([[[0.1, 0.1, 0.8]], [[0.8, 0.1, 0.1]]]).log()
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


def test_the_metric_method_answers_with_known_texts(named):
    learner = metric(temperature=1.0)  # at which weights are nearly alike
    losses = descend(learner, named, 60)
    assert losses[-1] < 0.7 * losses[0]
    found = judged(learner, named)
    # Not every kind is among four supports.
    assert found["chrF"] > 0.5 and found["exact match"] > 0.4
    (constant,) = constants(learner)
    assert judged(constant, named)["exact match"] < 0.4


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

"""Texts that are written: tokens, the language model, what is known already, and the scores."""

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
from mmml.tasks.generation.prefix_lm import Decoding, Writer, from_scratch
from mmml.tasks.generation.support_texts import SupportTexts, alike
from mmml.tasks.generation.tokens import END, ByteTokens, PieceTokens
from tests.conftest import metric_learner

OPTIONS = {"target": "text", "prefix": 2, "model": None, "frozen": True, "layers": 1, "heads": 2, "width": 16}
OPTIONS |= {"vocabulary": None, "max_length": 12, "decoding": "greedy", "beams": 3, "temperature": 1.0}
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


def task(**options):
    return tasks.build("generation", OPTIONS | options, "task")


def embedder():
    torch.manual_seed(0)
    return build_embedder({"width": 8, "normalize": True, "fusion": "mean", "features": MLP}, ["features"])


def learned_by(task, **options):
    learner = methods.build("learned_optimizer", RULE | {"vectorize": "auto"} | options, "method",
                            embedder=embedder(), task=task, ways=1)  # fmt: skip
    return learner.eval()


def learned(**options):
    return learned_by(task(), **options)


def metric(classifier="attention", **options):
    return metric_learner(embedder(), task(), classifier=classifier, **options)


@pytest.fixture
def named() -> Samples:
    """Four kinds of things, called by name; in the second language every name has an ending."""
    kinds = np.arange(40) % 4
    values = torch.eye(4)[kinds] + 0.05 * torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    names = objects([WORDS[k] + ("" if i < 20 else "o") for i, k in enumerate(kinds)])
    columns = {"features": Column(values), "text": Column(names)}
    return Samples(["plain", "with o"], np.array([0, 20, 40]), columns)


def test_fewer_episodes_at_a_time_where_support_sets_hold_many_texts():
    few, some, many = (learned().max_episodes(EpisodeShape(1, shots, 6)) for shots in (20, 500, 5000))
    assert few == 16 and 1 < some < few and many == 1
    assert learned_by(task(vocabulary=1000)).max_episodes(EpisodeShape(1, 500, 6)) <= some


def test_a_target_that_encoders_adapt_without_stays_as_it_is(named):
    learner = learned(adapt="all")
    learner.fit(named)
    assert len(materialize(learner, named, ["features", "text"]).columns["text"].values) == len(named.labels)


class TestTokens:
    def test_texts_come_back(self):
        texts = ["cat", "číslo", "ปลา", "🐟", ""]
        tokens = ByteTokens().encode(texts)
        assert tokens[0].tolist()[:5] == [99, 97, 116, END, -1]
        assert ByteTokens().decode(tokens) == ["cat", "číslo", "ปลา", "🐟", " "]

    def test_a_broken_character_is_left_out(self):
        assert ByteTokens().decode(torch.tensor([[99, 0xC4, 97, END, 98]])) == ["ca"]


class TestPieces:
    texts = ("A black dog jumps.", "Ein Hund, der springt!", "číslo 1")

    @pytest.fixture
    def tokens(self):
        tokens = PieceTokens(200)
        tokens.fit(self.texts * 3)
        return tokens

    def test_texts_of_known_letters_come_back(self, tokens):
        read = tokens.encode([*self.texts, "A Hund."])
        assert read.max() < 200 and (read == tokens.end).sum(-1).tolist() == [1] * 4
        assert tokens.decode(read) == [*self.texts, "A Hund."]

    def test_a_checkpoint_keeps_them(self, tokens):
        other = PieceTokens(200)
        other.state = tokens.state
        assert torch.equal(other.encode(self.texts), tokens.encode(self.texts))

    def test_a_learner_is_saved_with_them(self, named):
        first, second = (learned_by(task(vocabulary=40)) for _ in range(2))
        first.fit(named)
        second.load_state_dict(first.state_dict())
        assert torch.equal(*(one.task.tokens.encode(["cato", "bird"]) for one in (first, second)))

    def test_references_keep_what_no_piece_is_of(self, named):
        made, odd = task(vocabulary=40), objects(["ž ☃ sunset", *["cat"] * 39])
        learned_by(made).fit(named)
        samples = replace(named, columns={**named.columns, "text": Column(odd)})
        answers = made.with_targets(samples).columns["text"].values[None, :1]
        assert "☃" not in made.tokens.decode(made.tokens.of(answers[0]))[0]
        own = made.scores(SupportTexts(torch.zeros(1, 1, 1), answers), answers)
        assert all(s.item() == 1 for m, s in own.items() if m.name != "BLEU")

    def test_too_few_are_refused(self):
        with pytest.raises(UserError, match=r"task.vocabulary=8 must be 32 or more"):
            task(vocabulary=8)


class TestKnown:
    texts = ByteTokens().encode(["red cat", "red cats", "blue whale"])[None]

    def test_alike_is_one_for_the_same_and_less_for_others(self):
        likeness = alike(self.texts, self.texts)[0]
        assert torch.allclose(likeness.diagonal(), torch.ones(3))
        assert 1 > likeness[0, 1] > 0.7 > 0.3 > likeness[0, 2] >= 0

    @pytest.mark.parametrize(("weights", "best"), [([0, 0, 1.0], 2), ([0.4, 0.35, 0.25], 0), ([1 / 3] * 3, 0)])
    def test_what_is_most_like_all_by_weight_is_chosen(self, weights, best):
        known = SupportTexts(torch.tensor([[weights]]).log(), self.texts)
        assert torch.equal(known.chosen()[0, 0], self.texts[0, best])

    def test_the_loss_is_that_of_what_would_be_chosen(self):
        answer, weights = self.texts[:, 2:], torch.tensor([[[0.1, 0.1, 0.8]], [[0.8, 0.1, 0.1]]]).log()
        good, bad = (SupportTexts(w[None], self.texts).loss(answer) for w in weights)
        assert good.item() == pytest.approx(0, abs=0.01)
        assert bad.item() == pytest.approx(1 - alike(self.texts, self.texts)[0, 0, 2].item(), abs=0.01)

    def test_weights_are_learned_by_what_comes_of_them(self):
        """The choice is softened: a little more weight on what is like the answer is a little less risk."""
        weights = torch.tensor([[[0.3, 0.3, 0.4]]]).log().requires_grad_()
        SupportTexts(weights, self.texts).loss(self.texts[:, 2:]).sum().backward()
        assert weights.grad[0, 0, 2] < 0 < weights.grad[0, 0, 0]


class TestScores:
    def test_values(self):
        assert scores.chrf("a red cat", "a red cat") == 1.0
        assert scores.chrf("xyz", "a red cat") == 0.0
        assert scores.bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(1.0)
        assert scores.rouge_l("a cat, here.", "A cat here!") == 1.0  # punctuation is no part of words
        assert scores.rouge_l("кіт сірий", "сірий кіт") == 0.5  # nor are other alphabets nothing
        assert scores.rouge_l("the cat sat", "a cat that sat") == pytest.approx(2 * 2 / 7)
        assert scores.rouge_l("", "a") == 0.0

    def test_every_query_is_scored_and_the_texts_are_whole(self, named):
        made = task()
        texts = made.with_targets(named).columns["text"].values
        known = SupportTexts(torch.eye(4)[None].log(), texts[None, :4])
        found = {m.name: s for m, s in made.scores(known, texts[None, [0, 1, 2, 0]]).items()}
        assert found["exact match"].tolist() == [[1.0, 1.0, 1.0, 0.0]]
        assert found["chrF"].shape == (1, 4) and found["BLEU"].shape == (1, 1)

    def test_references_are_not_cut_with_the_texts_of_training(self, named):
        long = "a very long name of a thing"
        text = objects([long, *["cat"] * 39])
        samples = Samples(named.classes, named.starts, {"text": Column(text)})
        made = task(max_length=3)
        assert made.tokens.decode(made.with_targets(samples).columns["text"].values[:1]) == [long]


class TestWriter:
    @pytest.fixture
    def writer(self):
        torch.manual_seed(0)
        tokens = ByteTokens()
        model = from_scratch(tokens, 16, 2, 2, 20)
        for p in model.parameters():
            p.data.mul_(4)  # so that what comes next is not a tie
        return Writer(model.eval(), tokens, Decoding("greedy", 3, 1.0, 10), frozen=False)

    def test_the_loss_is_that_of_each_token_given_those_before(self, writer):
        prefix, tokens = torch.randn(2, 3, 16), torch.tensor([[99, 97, END], [98, END, -1]])
        embedded = writer.model.get_input_embeddings()
        expected = []
        for p, row in zip(prefix, tokens.tolist(), strict=True):
            lost, seen = [], p
            for token in [t for t in row if t >= 0]:
                lost.append(-writer.model(inputs_embeds=seen[None]).logits[0, -1].log_softmax(-1)[token])
                seen = torch.cat([seen, embedded(torch.tensor([token]))])
            expected.append(torch.stack(lost).mean())
        assert torch.allclose(writer.log_loss(prefix, tokens), torch.stack(expected), atol=1e-5)

    @torch.no_grad()
    def test_a_batch_with_cached_keys_is_written_as_one_by_one_without(self, writer):
        prefix = torch.randn(6, 3, 16)
        together = writer.tokens.decode(writer.generate(prefix))
        assert together == writer.write(prefix)
        for p, text in zip(prefix, together, strict=True):
            seen, found = p, []
            while len(found) < 10 and END not in found:
                found.append(int(writer.model(inputs_embeds=seen[None], use_cache=False).logits[0, -1].argmax()))
                seen = torch.cat([seen, writer.model.get_input_embeddings()(torch.tensor(found[-1:]))])
            assert writer.tokens.decode(torch.tensor([found])) == [text]

    @torch.no_grad()
    def test_beams_find_likelier_texts_and_samples_others(self, writer):
        prefix, found, lost = torch.randn(24, 3, 16), {}, {}
        for by in ("greedy", "beam", "sample"):
            writer.decoding = Decoding(by, 4, 1.0, 10)
            tokens = writer.generate(prefix)
            after = (tokens == END).long().cumsum(1) - (tokens == END).long() > 0
            found[by], lost[by] = writer.tokens.decode(tokens), writer._log_loss(prefix, tokens.masked_fill(after, -1))
        assert lost["beam"].mean() < lost["greedy"].mean() < lost["sample"].mean()
        assert found["beam"] != found["greedy"] != found["sample"]
        writer.decoding = Decoding("sample", 1, 1e-4, 10)
        assert writer.write(prefix) == found["greedy"]  # without any heat, no luck

    @torch.no_grad()
    def test_a_sample_does_not_depend_on_its_neighbours(self, writer):
        writer.decoding = Decoding("sample", 1, 1.0, 10)
        prefix = torch.randn(6, 3, 16)
        together = writer.write(prefix)
        assert together[::-1] == writer.write(prefix.flip(0))
        assert together == [writer.write(p[None])[0] for p in prefix]

    @pytest.mark.parametrize("by", ["beam", "sample"])
    def test_other_ways_to_write_are_the_same_each_time(self, writer, by):
        writer.decoding = Decoding(by, 3, 1.0, 10)
        prefix, state = torch.randn(4, 3, 16), torch.get_rng_state()
        first = writer.write(prefix)
        assert first == writer.write(prefix) and torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("options", "told"),
        [({"decoding": "best"}, "greedy, beam or sample"), ({"max_length": 0}, "task.max_length=0")],
    )
    def test_wrong_options_are_refused(self, options, told):
        with pytest.raises(UserError, match=told):
            task(**options)

    def test_heads_must_share_the_width(self):
        with pytest.raises(UserError, match="task.heads=3 must be a divisor of task.width=16"):
            from_scratch(ByteTokens(), 16, 1, 3, 8)


def batch(learner, samples):
    drawn = Sampler(samples, 0, "train").draw(range(4), SHAPE)
    return gather(learner.task.with_targets(samples), drawn, [MAPPING])


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
    seen = materialize(learner, samples, ["features", "text"])
    panel = episode_results(
        learner, seen, Sampler(samples, 0, "test"), [EvalSetting("few_shot", learner.task, SHAPE, (MAPPING,))], 10
    )
    return {c.key.metric: c.mean for c in panel.rows}


def test_the_metric_method_answers_with_known_texts(named):
    learner = metric(temperature=1.0)  # at which weights are nearly alike
    losses = descend(learner, named, 60)
    assert losses[-1] < 0.7 * losses[0]
    found = judged(learner, named)
    assert found["chrF"] > 0.5 and found["exact match"] > 0.4  # not every kind is among four supports
    (constant,) = constants(learner)
    assert judged(constant, named)["exact match"] < 0.4


def test_the_learned_optimizer_writes_what_it_was_shown(named):
    learner = learned()
    losses = descend(learner, named, 120)
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None for p in learner.task.writer.parameters())
    found = judged(learner.eval(), named)
    standing = judged(learner._variant("no adaptation", learner.optimizer, 0), named)
    assert found["chrF"] > 0.6 and found["log loss"] < standing["log loss"]


def test_another_instance_of_the_task_scores_alike(named):
    """As in a comparison of checkpoints, whose columns have a task that nobody trained."""
    learner = learned()
    descend(learner, named, 40)
    own = judged(learner.eval(), named)
    stranger = learned().task
    seen = materialize(learner, named, ["features", "text"])
    panel = episode_results(
        learner, seen, Sampler(named, 0, "test"), [EvalSetting("few_shot", stranger, SHAPE, (MAPPING,))], 10
    )
    assert {c.key.metric: c.mean for c in panel.rows} == own


@torch.no_grad()
def test_queries_do_not_influence_one_another(named):
    for learner in (learned(), metric()):
        learner.fit(named)
        learner.eval()
        seen = materialize(learner, named, ["features", "text"])
        check_independence(learner, named, seen, Sampler(named, 0, "test"), SHAPE, [MAPPING])


def test_heads_computed_of_the_support_set_are_refused():
    with pytest.raises(UserError, match="method.init=prototype computes a head, and task=generation has none"):
        learned(init="prototype")

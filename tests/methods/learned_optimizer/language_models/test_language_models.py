"""Language models that write what an adapted prefix begins."""

import pytest
import torch

from mmml.errors import UserError
from mmml.methods import methods
from mmml.methods.learned_optimizer.language_models import LanguageModel, Prefixes
from mmml.methods.learned_optimizer.language_models.base import Decoding, GumbelSampler
from mmml.methods.learned_optimizer.language_models.small import gpt2
from mmml.tasks import tasks
from mmml.text.tokens import BYTES, END, ByteTokens
from tests.methods.learned_optimizer.making import OPTIONS, nested, tiny
from tests.tasks.making import learned


class TestLanguageModel:
    @pytest.fixture
    def writer(self):
        torch.manual_seed(0)
        tokens = ByteTokens()
        model = gpt2(tokens, 16, 2, 2, 20)
        for p in model.parameters():
            p.data.mul_(4)  # so that what comes next is not a tie
        return LanguageModel(model.eval(), tokens, Decoding(3, "greedy", 3, 1.0, 10), frozen=False)

    def test_the_loss_is_that_of_each_token_given_those_before(self, writer):
        prefix, tokens = torch.randn(2, 3, 16), torch.tensor([[99, 97, END], [98, END, -1]])
        embedded = writer.model.get_input_embeddings()
        expected = []
        for p, row in zip(prefix, tokens.tolist(), strict=True):
            lost, inputs = [], p
            for token in [t for t in row if t >= 0]:
                lost.append(
                    -writer.model(inputs_embeds=inputs[None]).logits[0, -1].log_softmax(-1)[token]
                )
                inputs = torch.cat([inputs, embedded(torch.tensor([token]))])
            expected.append(torch.stack(lost).mean())
        assert torch.allclose(writer.log_loss(prefix, tokens), torch.stack(expected), atol=1e-5)

    @torch.no_grad()
    def test_a_batch_with_cached_keys_is_written_as_one_by_one_without(self, writer):
        prefix = torch.randn(6, 3, 16)
        together = writer.tokens.decode(writer.generate(prefix))
        assert together == writer.write(prefix)
        for p, text in zip(prefix, together, strict=True):
            inputs, found = p, []
            while len(found) < 10 and END not in found:
                found.append(
                    int(
                        writer.model(inputs_embeds=inputs[None], use_cache=False)
                        .logits[0, -1]
                        .argmax()
                    )
                )
                inputs = torch.cat(
                    [inputs, writer.model.get_input_embeddings()(torch.tensor(found[-1:]))]
                )
            assert writer.tokens.decode(torch.tensor([found])) == [text]

    @torch.no_grad()
    def test_beams_find_likelier_texts_and_samples_others(self, writer):
        prefix, found, lost = torch.randn(24, 3, 16), {}, {}
        for by in ("greedy", "beam", "sample"):
            writer.decoding = Decoding(3, by, 4, 1.0, 10)
            tokens = writer.generate(prefix)
            after = (tokens == END).long().cumsum(1) - (tokens == END).long() > 0
            found[by] = writer.tokens.decode(tokens)
            lost[by] = writer._log_loss(prefix, tokens.masked_fill(after, -1))
        assert lost["beam"].mean() < lost["greedy"].mean() < lost["sample"].mean()
        assert found["beam"] != found["greedy"] != found["sample"]
        writer.decoding = Decoding(3, "sample", 1, 1e-4, 10)
        assert writer.write(prefix) == found["greedy"]  # without any heat, no luck

    @torch.no_grad()
    def test_a_sample_does_not_depend_on_its_neighbours(self, writer):
        writer.decoding = Decoding(3, "sample", 1, 1.0, 10)
        prefix = torch.randn(6, 3, 16)
        together = writer.write(prefix)
        assert together[::-1] == writer.write(prefix.flip(0))
        assert together == [writer.write(p[None])[0] for p in prefix]

    @pytest.mark.parametrize("by", ["beam", "sample"])
    def test_other_ways_to_write_are_the_same_each_time(self, writer, by):
        writer.decoding = Decoding(3, by, 3, 1.0, 10)
        prefix, state = torch.randn(4, 3, 16), torch.get_rng_state()
        first = writer.write(prefix)
        assert first == writer.write(prefix) and torch.equal(state, torch.get_rng_state())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"prefix": 0}, "method.language_model.prefix=0"),
            ({"decoding": "best"}, "greedy, beam or sample"),
            ({"max_length": 0}, "method.language_model.max_length=0"),
        ],
    )
    def test_wrong_options_are_refused(self, options, message):
        with pytest.raises(UserError, match=message):
            learned(options)


def test_every_place_of_a_text_has_chances_of_its_own():
    """The same for all texts that are written at a time, and each time."""
    chance, again, scores = GumbelSampler(1.0), GumbelSampler(1.0), torch.zeros(2, 50)
    first, second = chance(None, scores), chance(None, scores)
    assert torch.equal(first[0], first[1]) and torch.equal(first, again(None, scores))
    assert not torch.equal(first, second) and torch.equal(second, again(None, scores))


@torch.no_grad()
def test_written_texts_belong_to_their_episode():
    torch.manual_seed(0)
    model = gpt2(BYTES, 16, 2, 2, 20)
    for p in model.parameters():
        p.mul_(4)  # so that no two prefixes are gone on from alike
    writer = LanguageModel(model.eval(), BYTES, Decoding(3, "greedy", 3, 1.0, 10), frozen=False)
    prefix = torch.randn(2, 3, 2, 16)
    written = Prefixes(prefix.flatten(2), writer).texts()
    assert written == [writer.write(one) for one in prefix] and written[0] != written[1]


def test_a_task_that_asks_for_no_texts_has_no_language_model():
    section = nested(OPTIONS) | {"language_model": {"name": "small"}}
    parts = {"embedder": tiny(), "task": tasks.build("classification", {}, "task"), "ways": 3}
    with pytest.raises(UserError, match="task=classification asks for none: leave it out"):
        methods.build("learned_optimizer", section, "method", **parts)

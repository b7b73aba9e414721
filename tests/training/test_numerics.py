import pytest
import torch

from mmml.config.schema import TrainerConfig
from mmml.errors import UserError
from mmml.training import numerics
from mmml.training.numerics import Numerics, choose_device, choose_numerics
from tests.conftest import MLP, SMALL, make_learner
from tests.methods.learned_optimizer.making import make
from tests.training.test_loop import OPTIONS


def choose(encoder, monkeypatch, bf16=True, **changes):
    monkeypatch.setattr(numerics, "has_bf16", lambda device: bf16)
    return choose_numerics(make_learner(encoder), TrainerConfig(**(OPTIONS | changes)))


def test_convolutions_on_a_cpu_with_bf16(monkeypatch):
    assert choose(SMALL, monkeypatch).record() == {
        "device": "cpu",
        "precision": "bf16",
        "channels_last": True,
    }


def test_never_bf16_without_channels_last_on_a_cpu(monkeypatch):
    assert choose(SMALL, monkeypatch, channels_last=False).precision == "fp32"
    assert choose(MLP, monkeypatch).record() == {
        "device": "cpu",
        "precision": "fp32",
        "channels_last": False,
    }


def test_never_bf16_where_it_is_emulated(monkeypatch):
    assert choose(SMALL, monkeypatch, bf16=False).precision == "fp32"


def test_everything_can_be_switched(monkeypatch):
    assert choose(MLP, monkeypatch, precision="bf16").precision == "bf16"
    assert choose(SMALL, monkeypatch, precision="fp32").precision == "fp32"


def test_place_makes_kernels_channels_last(monkeypatch):
    learner = make_learner(SMALL)
    choose(SMALL, monkeypatch).move(learner)
    kernels = [m.weight for m in learner.modules() if isinstance(m, torch.nn.Conv2d)]
    assert kernels[1].is_contiguous(memory_format=torch.channels_last)


def test_no_bf16_where_inner_loops_are_float32(monkeypatch):
    monkeypatch.setattr(numerics, "has_bf16", lambda device: True)
    head, full = make(SMALL, update_rule="sgd"), make(SMALL, update_rule="sgd", adapt="all")
    assert [choose_numerics(x, TrainerConfig(**OPTIONS)).precision for x in (head, full)] == [
        "bf16",
        "fp32",
    ]
    with pytest.raises(UserError, match="trainer.precision=bf16: its inner loops are float32"):
        choose_numerics(full, TrainerConfig(**(OPTIONS | {"precision": "bf16"})))


def test_not_channels_last_under_vmap():
    maml = {"update_rule": "sgd", "adapt": "all", "first_order": False}
    options = TrainerConfig(**OPTIONS)
    assert choose_numerics(make(SMALL, **maml), options).channels_last
    assert not choose_numerics(make(SMALL, **maml, vectorize=True), options).channels_last
    with pytest.raises(
        UserError,
        match=r"trainer.channels_last=true does not go with all tasks at once: set method",
    ):
        choose_numerics(
            make(SMALL, **maml, vectorize=True),
            TrainerConfig(**(OPTIONS | {"channels_last": True})),
        )


def test_a_device_that_is_not_there():
    with pytest.raises(UserError, match="trainer.device=tpu is not available"):
        choose_device("tpu")


def test_a_forward_pass_computes_in_the_precision_that_was_chosen():
    ones = torch.ones(2, 2)
    for precision, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with Numerics(torch.device("cpu"), precision, False).autocast():
            assert (ones @ ones).dtype == kind


def test_no_channels_last_without_convolutions(monkeypatch):
    assert not choose(MLP, monkeypatch).channels_last and choose(SMALL, monkeypatch).channels_last
    assert not choose(SMALL, monkeypatch, channels_last=False).channels_last

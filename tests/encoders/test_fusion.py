import pytest
import torch

from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.encoders.fusion import fusions
from mmml.errors import UserError
from tests.conftest import MLP

OPTIONS = {
    "mean": {},
    "concat": {"dropout": 0.0},
    "gated": {"hidden": 8, "dropout": 0.0},
    "attention": {"layers": 1, "heads": 2, "dropout": 0.0},
}
NAMES = list(OPTIONS)
MODALITIES = ["audio", "image", "text"]


def fusion(name, **more):
    torch.manual_seed(0)
    width = {} if name == "mean" else {"width": 4}
    made = fusions.build(
        name, OPTIONS[name] | more, "encoder.fusion", modalities=MODALITIES, **width
    )
    for parameter in made.parameters():  # not as they begin, where some do nothing
        torch.nn.init.normal_(parameter)
    return made.eval()


def embeddings(name):
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(len(name)))


def parts(*names):
    return {name: Column(embeddings(name), encoded=True) for name in names}


def missing(values, *where):
    """Embeddings, of which those at some places are missing."""
    mask = torch.ones(values.shape[:-1], dtype=torch.bool)
    mask[where] = False
    return Column(values, mask, encoded=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_modality_is_as_one_that_was_not_asked_for(name):
    fused, known = fusion(name), parts("image", "text")
    gone = {"audio": missing(embeddings("audio"))}
    assert torch.allclose(fused(known | gone), fused(known), atol=1e-6)
    assert not torch.allclose(fused(known | parts("audio")), fused(known), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_modalities_are_missing_sample_by_sample(name):
    fused, known = fusion(name), parts("image", "text")
    both = fused(known | {"image": missing(embeddings("image"), 0, 1)})
    assert torch.allclose(both[0, 1], fused({"text": known["text"]})[0, 1], atol=1e-6)
    assert torch.allclose(both[1], fused(parts("image", "text"))[1], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_has_no_gradient_and_breaks_none(name):
    fused, image = fusion(name), embeddings("image").requires_grad_()
    fused({"image": missing(image, 0, 0), "text": parts("text")["text"]}).square().sum().backward()
    assert (
        image.grad.isfinite().all() and (image.grad[0, 0] == 0).all() and (image.grad[1] != 0).any()
    )
    assert all(p.grad.isfinite().all() for p in fused.parameters())


@pytest.mark.parametrize("name", ["mean", "gated", "attention"])
def test_a_sample_without_any_modality_is_at_zero(name):
    assert (fusion(name)({"image": missing(torch.ones(1, 4))}) == 0).all()


@pytest.mark.parametrize("name", ["gated", "attention"])
def test_it_begins_as_the_mean(name):
    made = fusions.build(name, OPTIONS[name], "encoder.fusion", modalities=MODALITIES, width=4)
    known = parts("audio", "image")
    assert torch.allclose(made(known), (embeddings("audio") + embeddings("image")) / 2, atol=1e-6)


@pytest.mark.parametrize("name", ["mean", "gated"])
def test_a_modality_alone_is_embedded_as_without_fusion(name):
    assert torch.allclose(fusion(name)(parts("text")), embeddings("text"), atol=1e-6)


def test_gates_are_shares_of_what_is_there():
    fused = fusion("gated")
    shown, present = torch.randn(5, 3, 4), torch.tensor([True, False, True]).expand(5, 3)
    trust = fused.trust(shown * present.unsqueeze(-1), present, [0, 1, 2])
    assert torch.allclose(trust.sum(-1), torch.ones(5)) and (trust[:, 1] == 0).all()
    assert trust[:, 0].std() > 0  # it depends on the sample


def test_modality_dropout_leaves_something_and_is_for_training_alone():
    fused = fusion("mean", dropout=0.9).train()
    ones = {
        m: Column(k * torch.ones(1000, 1), encoded=True) for m, k in (("image", 1), ("text", 3))
    }
    observed = fused(ones).flatten()
    assert set(observed.tolist()) == {1.0, 2.0, 3.0} and 0 < (observed == 2).float().mean() < 0.2
    assert (fused({"image": ones["image"]}) == 1).all()
    assert (fused.eval()(ones) == 2).all()
    with pytest.raises(UserError, match=r"encoder.fusion.dropout=1.0 must be from 0 to below 1"):
        fusion("mean", dropout=1.0)


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_that_diverged_is_not_taken_for_missing(name, number):
    known = {
        "image": Column(torch.full((1, 4), number), encoded=True),
        "text": Column(torch.ones(1, 4), encoded=True),
    }
    assert not fusion(name)(known).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_where_a_value_is_missing_does_not_matter(name):
    for number in (0.0, torch.nan):
        image = embeddings("image")
        image[0, 1] = number
        fused = fusion(name)(
            {"image": missing(image, 0, 1), "text": Column(embeddings("text"), encoded=True)}
        )
        assert fused.isfinite().all()


def test_fusions_are_chosen_by_group():
    with pytest.raises(UserError, match=r"encoder.fusion=gated: write encoder/fusion=gated"):
        build_embedder(MLP | {"fusion": "gated"}, ["image"])
    with pytest.raises(UserError, match=r"encoder.fusion.hidden is missing"):
        build_embedder(MLP | {"fusion": {"name": "gated", "dropout": 0.0}}, ["image"])
    with pytest.raises(
        UserError, match=r"encoder.fusion.heads=3 must be a divisor of encoder.width"
    ):
        build_embedder(
            MLP | {"fusion": {"name": "attention", "layers": 1, "heads": 3, "dropout": 0.0}},
            ["image"],
        )


def test_what_is_only_found_is_not_fused():
    """Else a part of the fusion would never learn."""
    section = {"name": "mlp_features", "hidden": [8]}
    options = {"width": 8, "normalize": True, "fusion": {"name": "concat", "dropout": 0.0}}
    made = build_embedder(
        options | {"features": section}, ["a_features", "b_features"], alone=["b_features"]
    )
    assert set(made.encoders) == {"a_features", "b_features"}
    assert made.fusion.modalities == ["a_features"]

import pytest
import torch

from mmml.encoders import build_embedder
from mmml.errors import UserError

MLP = {
    "width": 4,
    "normalize": False,
    "fusion": "mean",
    "features": {"name": "mlp_features", "hidden": [8, 8]},
}


def test_vectors_are_standardised_and_sequences_refused():
    encoder = build_embedder(MLP, ["features"]).encoders["features"]
    values = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    encoder.fit(values)
    assert torch.allclose(encoder.prepare(values), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    assert encoder.encode(values).shape == (2, 4)
    with pytest.raises(UserError, match="mlp_features reads vectors, not sequences"):
        encoder.prepare(torch.ones(1, 3, 2))
    with pytest.raises(UserError, match="samples have 3 features; 2 features were fitted"):
        encoder.prepare(torch.ones(1, 3))


def test_several_kinds_of_features_share_a_section_or_have_their_own():
    both = build_embedder(MLP, ["audio_features", "video_features"])
    assert [m for m, _ in both.items()] == ["audio_features", "video_features"]
    assert both.encoders["audio_features"] is not both.encoders["video_features"]
    own = build_embedder(
        MLP | {"video_features": {"name": "mlp_features", "hidden": [3]}}, ["video_features"]
    )
    assert own.encoders["video_features"].first.out_features == 3
    with pytest.raises(UserError, match="encoder.smell is no option"):
        build_embedder(MLP | {"smell": {}}, ["features"])

import pytest
import torch

from mmml.errors import UserError
from mmml.text import PAD
from tests.encoders.material import build, fresh


def test_texts_with_common_parts_are_near_from_the_start():
    torch.manual_seed(0)
    encoder = fresh("ngrams", buckets=5000, channels=256, max_length=40).eval()
    encoder.head = torch.nn.Identity()
    flag, other, whale = encoder.encode(["flag: Chad", "FLAG: Peru", "spouting whale"])
    near, far = (torch.cosine_similarity(flag, o, dim=0).item() for o in (other, whale))
    assert near > 0.4 > 0.2 > far


def test_what_pads_a_text_changes_nothing():
    encoder = build("ngrams").eval()
    alone, beside = encoder.encode(["a cat"])[0], encoder.encode(["a cat", "a much longer text"])[0]
    assert (
        torch.allclose(alone, beside, atol=1e-6)
        and (encoder.prepare(["a", "abc"])[0, 3:] == PAD).all()
    )


def test_training_leaves_some_out():
    encoder = build("ngrams", dropout=0.5)
    first, second = encoder.train().encode(["a cat and a hat", "a cat and a hat"])
    assert not torch.allclose(first, second)
    first, second = encoder.eval().encode(["a cat and a hat", "a cat and a hat"])
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "option", [{"longest": 1}, {"buckets": 0}, {"dropout": 1.0}], ids=lambda o: next(iter(o))
)
def test_wrong_options_are_refused(option):
    with pytest.raises(UserError, match=f"encoder.text.{next(iter(option))}="):
        build("ngrams", **option)

import itertools

import pytest
import torch

from mmml.encoders.ngrams import bucket_of, ngrams
from mmml.errors import UserError
from mmml.text import PAD, to_bytes
from tests.encoders.material import build, fresh


def test_ngrams_are_counted_and_the_same_wherever_they_stand():
    hashes, there = ngrams(to_bytes(["abc", "xab", "b"], 9), 3)
    assert there.tolist() == [[True] * 3, [True] * 3, [False] * 3]  # two of 2 bytes, one of 3
    ab, bc, abc = hashes[0].tolist()
    xa, again, xab = hashes[1].tolist()
    assert again == ab and len({ab, bc, abc, xa, xab}) == 5


def test_buckets_are_made_use_of():
    """Of all pairs and triples of letters: nearly as many as by chance, which would be 716 and 12,525."""
    letters = "abcdefghijklmnopqrstuvwxyz "
    for n, least in ((2, 700), (3, 12_000)):
        texts = ["".join(several) for several in itertools.product(letters, repeat=n)]
        hashes, _ = ngrams(to_bytes(texts, 9), n)
        assert len(bucket_of(hashes[:, -1], 20_000).unique()) > least


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
    assert torch.allclose(alone, beside, atol=1e-6) and (encoder.prepare(["a", "abc"])[0, 3:] == PAD).all()


def test_training_leaves_some_out():
    encoder = build("ngrams", dropout=0.5)
    first, second = encoder.train().encode(["a cat and a hat", "a cat and a hat"])
    assert not torch.allclose(first, second)
    first, second = encoder.eval().encode(["a cat and a hat", "a cat and a hat"])
    assert torch.equal(first, second)


@pytest.mark.parametrize("option", [{"longest": 1}, {"buckets": 0}, {"dropout": 1.0}], ids=lambda o: next(iter(o)))
def test_wrong_options_are_refused(option):
    with pytest.raises(UserError, match=f"encoder.text.{next(iter(option))}="):
        build("ngrams", **option)

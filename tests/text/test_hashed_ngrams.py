import itertools

import torch

from mmml.text import PAD, bucket_of, hashed_ngrams, to_bytes


def test_ngrams_are_counted_and_the_same_wherever_they_stand():
    texts = to_bytes(["abc", "xab", "b"], 9)
    found = [*hashed_ngrams(texts, texts != PAD, 3)][1:]
    hashes, present = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    assert present.tolist() == [[True] * 3, [True] * 3, [False] * 3]  # two of 2 bytes, one of 3
    ab, bc, abc = hashes[0].tolist()
    xa, again, xab = hashes[1].tolist()
    assert again == ab and len({ab, bc, abc, xa, xab}) == 5


def test_buckets_are_made_use_of():
    """Of all pairs and triples of letters: nearly as many as by chance, which would
    be 716 and 12,525.
    """
    letters = "abcdefghijklmnopqrstuvwxyz "
    for n, least in ((2, 700), (3, 12_000)):
        texts = ["".join(several) for several in itertools.product(letters, repeat=n)]
        *_, (hashes, _) = hashed_ngrams(
            to_bytes(texts, 9), torch.ones(len(texts), n, dtype=torch.bool), n
        )
        assert len(bucket_of(hashes[:, -1], 20_000).unique()) > least

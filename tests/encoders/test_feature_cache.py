from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mmml.data.column import Column
from mmml.data.values import objects
from mmml.encoders.feature_cache import cached_features, prepare_once


class Lengths(nn.Module):
    """A frozen encoder that reads how long texts are."""

    modality, prepared_key = "text", "lengths"

    def prepare(self, values):
        return torch.tensor([[float(len(value))] for value in values])


@pytest.mark.parametrize("content", [b"", b"no such thing", None])
def test_a_damaged_entry_is_made_anew(tmp_path, monkeypatch, content, caplog):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    values = objects(["a", "bc", "def"])
    assert prepare_once(Lengths(), values)[np.arange(3)].tolist() == [[1], [2], [3]]
    (entry,) = tmp_path.glob("prepared-*/values.npy")
    entry.unlink() if content is None else entry.write_bytes(content)
    assert prepare_once(Lengths(), values)[np.arange(3)].tolist() == [[1], [2], [3]]
    assert "cannot be read" in caplog.text and "is made anew" in caplog.text


def test_without_a_place_for_a_cache_it_is_read_all_the_same(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "file" / "cache"))
    assert prepare_once(Lengths(), objects(["a", "bcde"]))[np.arange(2)].tolist() == [[1], [4]]
    assert "nothing is cached" in caplog.text


def test_what_is_missing_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    texts = Column(objects(["a", None, "bcd"]), torch.tensor([True, False, True]))
    embedder = SimpleNamespace(encoders={"text": Lengths()})
    read = cached_features(embedder, "text", texts)
    assert (
        read.prepared
        and read.mask is texts.mask
        and cached_features(embedder, "text", read) is read
    )
    assert read.take(np.array([2, 1, 0])).values.tolist() == [[3], [0], [1]]

"""Decoded files in the cache: another file, or other limits, are other values."""

import os
import stat

import numpy as np
import pytest
import soundfile

from mmml.data.media import Limits
from mmml.data.media_cache import decode_files, decode_whole, table
from mmml.errors import UserError
from tests.data.making import draw


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))


def test_other_limits_give_other_images(tmp_path):
    path = draw(tmp_path / "a.png", 0, size=12)
    for side in (8, 4, 8):
        values, failures, _ = decode_files("image", [path], Limits(image_side=side))
        assert values[:].shape == (1, 3, side, side) and not failures


def test_other_limits_give_other_sounds(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000) / 9), 8000)
    lengths = [
        decode_files("audio", [tmp_path / "a.wav"], Limits(audio_rate=8000, audio_seconds=seconds))[
            0
        ][:].shape[1]
        for seconds in (0.5, 0.25)
    ]
    assert lengths == [4000, 2000]


def test_the_order_of_files_is_that_of_the_values_though_they_are_cached(tmp_path):
    paths = [draw(tmp_path / f"{i}.png", i) for i in range(3)]
    before, after = (decode_files("image", order, Limits())[0][:] for order in (paths, paths[::-1]))
    assert (before.flip(0) == after).all() and not (before[0] == after[0]).all()


def test_files_that_fail_leave_the_others_in_their_places(tmp_path):
    """From the cache as well as before; a file of another size stands between."""
    paths = [draw(tmp_path / "a.png", 0, 4), tmp_path / "b.png", draw(tmp_path / "c.png", 1, 6)]
    paths[1].write_bytes(b"no picture")
    for _ in range(2):
        values, failures, _ = decode_files("image", paths, Limits())
        assert list(failures) == [1] and "no image" in failures[1]
        assert [v.shape for v in values[:]] == [(3, 4, 4), (0, 0, 0), (3, 6, 6)]
        assert np.array_equal(
            values[np.array([2])][0], decode_files("image", paths[2:], Limits())[0][:][0]
        )
    with pytest.raises(UserError, match="b.png: it is damaged"):
        decode_whole("image", paths, Limits())


def test_a_vector_among_sequences_is_a_sequence_of_one_step():
    assert table([(5,), (), (2, 5)]).tolist() == [[1, 5], [0, 0], [2, 5]]
    assert table([(), ()]).tolist() == [[0], [0]]


@pytest.mark.parametrize("damage", ["shapes.npy", "data.bin", "about.json"])
@pytest.mark.parametrize("content", [b"", b"no such thing", None])
def test_a_damaged_entry_is_made_anew(tmp_path, monkeypatch, damage, content, caplog):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "a.png", 0)
    before = decode_files("image", [tmp_path / "a.png"], Limits()).values[:].numpy().copy()
    (entry,) = (p for p in (tmp_path / "cache").iterdir() if p.name.startswith("image-"))
    (entry / damage).unlink() if content is None else (entry / damage).write_bytes(content)
    again = decode_files("image", [tmp_path / "a.png"], Limits())
    assert (
        np.array_equal(before, again.values[:].numpy())
        and again.failures == {}
        and again.constant == []
    )
    assert "cannot be read" in caplog.text and "is made anew" in caplog.text


def test_a_cache_is_shared_as_the_user_shares_files(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "a.png", 0)
    before = os.umask(0o027)
    try:
        decode_files("image", [tmp_path / "a.png"], Limits())
    finally:
        os.umask(before)
    (entry,) = (p for p in (tmp_path / "cache").iterdir() if p.name.startswith("image-"))
    assert stat.S_IMODE(entry.stat().st_mode) == 0o750
    assert {stat.S_IMODE(p.stat().st_mode) for p in entry.iterdir()} == {0o640}

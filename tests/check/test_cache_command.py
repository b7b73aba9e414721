import os
import time

import numpy as np
import pytest
from PIL import Image

from mmml.check import cache as module
from mmml.check.cache import cache, human, survey
from mmml.data.cache import cached_arrays
from mmml.data.media import Limits
from mmml.data.media_cache import decode_files
from mmml.data.on_disk import datasets
from mmml.errors import UserError

KEY = "0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache with three kinds of entries, the pictures unused for ten days."""
    place = tmp_path / "cache"
    monkeypatch.setenv("MMML_CACHE", str(place))
    write(place / f"glyphs-{KEY}.npz", 3000)
    write(place / f"glyphs-{KEY}.json", 10)
    write(place / f"glyph-strokes-{KEY}.npz", 200)
    for name in ("data.bin", "shapes.npy", "about.json"):
        write(place / f"image-{KEY}" / name, 1_000_000, days=10)
    age(place / f"image-{KEY}", 10)
    write(place / f"unpacked-{KEY}" / "0" / "a.png", 100)
    return place


def write(path, size, days=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    age(path, days)


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def names(folder):
    return {p.name for p in folder.iterdir()}


def test_kinds_by_size_and_the_oldest_use(folder, capsys):
    assert cache([], []) == 0
    message = capsys.readouterr().out
    assert f"{folder} holds 3.0 MB" in message
    rows = [line.split()[:4] for line in message.splitlines() if line.split()[1:2] == ["1"]]
    assert [row[:4] for row in rows] == [
        ["image", "1", "3.0", "MB"],
        ["glyphs", "1", "3.0", "kB"],
        ["glyph-strokes", "1", "200", "bytes"],
        ["unpacked", "1", "100", "bytes"],
    ]
    assert time.strftime("%Y-%m-%d", time.localtime(time.time() - 10 * 86400)) in message


def test_all_goes_and_is_counted(folder, capsys):
    assert cache(["clean"], []) == 0
    assert (
        capsys.readouterr().out == f"freed 3.0 MB of {folder}; left: nothing\n"
        and names(folder) == set()
    )


def test_one_kind_goes(folder, capsys):
    cache(["clean", "glyphs"], [])
    assert names(folder) == {f"glyph-strokes-{KEY}.npz", f"image-{KEY}", f"unpacked-{KEY}"}
    assert "freed 3.0 kB" in capsys.readouterr().out
    with pytest.raises(
        UserError,
        match=r"nothing of kind imag; did you mean 'image'\? \(it has glyph-strokes, image",
    ):
        cache(["clean", "imag"], [])


def test_what_was_used_stays(folder, capsys):
    cache(["clean"], ["days=11"])
    assert len(names(folder)) == 5
    cache(["clean"], ["days=9"])
    assert f"image-{KEY}" not in names(folder) and len(names(folder)) == 4
    assert "left: 3.3 kB of the cache" in capsys.readouterr().out


def test_reading_is_use(folder):
    then = time.time() - 10 * 86400
    os.utime(folder / f"glyphs-{KEY}.npz", (time.time(), then))
    os.utime(folder / f"glyphs-{KEY}.json", (then, then))
    cache(["clean", "glyphs"], ["days=5"])
    assert {f"glyphs-{KEY}.npz", f"glyphs-{KEY}.json"} <= names(folder)


def test_what_mmml_did_not_make_stays(folder, capsys):
    strange = {"notes.txt", "glyphs-0123.npz", f"glyphs-{KEY}.csv", f"glyphs-{KEY}.npz.bak"}
    for name in strange:
        write(folder / name, 1)
    write(folder / f"image-{KEY}" / "mine.txt", 1)
    write(folder / f"photos-{KEY}" / "data.bin", 1)
    assert cache(["clean"], []) == 0
    assert names(folder) == strange | {f"image-{KEY}", f"photos-{KEY}"}
    assert "what mmml did not make, such as glyphs-0123.npz" in capsys.readouterr().out


def test_links_are_neither_followed_nor_removed(folder, tmp_path):
    write(tmp_path / "precious.npz", 1)
    for name in ("data.bin", "shapes.npy"):
        write(tmp_path / "away" / name, 1)
    other = KEY[::-1]
    (folder / f"glyphs-{other}.npz").symlink_to(tmp_path / "precious.npz")
    (folder / f"image-{other}").symlink_to(tmp_path / "away")
    (folder / f"unpacked-{KEY}" / "out").symlink_to(tmp_path / "away")
    cache(["clean"], [])
    assert (tmp_path / "precious.npz").exists() and len(list((tmp_path / "away").iterdir())) == 2
    assert names(folder) == {f"glyphs-{other}.npz", f"image-{other}", f"unpacked-{KEY}"}


def test_what_another_process_writes_stays_for_an_hour(folder, capsys):
    new, old = f".glyphs-{KEY}.npz.12-0123abcd.tmp", f".audio-{KEY}.13-0123abcd.tmp"
    write(folder / new, 7)
    write(folder / old / "data.bin", 7)
    write(folder / old / ".about.json.13-0123abcd.tmp", 7)
    for path in (folder / old, *(folder / old).iterdir()):
        os.utime(path, (time.time() - 3700,) * 2)
    cache(["clean"], [])
    assert (
        names(folder) == {new}
        and "left: 7 bytes that a process may be writing" in capsys.readouterr().out
    )


def test_downloads_go_only_if_they_are_named_and_nobody_put_them_there(folder, capsys):
    omniglot = datasets.get("omniglot", "dataset")
    place = folder / "data" / omniglot.folder_name
    write(place / omniglot.downloads[0].path, 5)
    write(place / f"{omniglot.downloads[0].path}.part", 6)
    write(place / "by-hand.csv", 8)
    cache(["clean"], [])
    assert "left: 11 bytes of downloads (mmml-data cache clean data)" in capsys.readouterr().out
    cache(["clean", "data"], [])
    assert [p.name for p in place.rglob("*") if p.is_file()] == ["by-hand.csv"]


@pytest.mark.parametrize("words", [[], ["clean"], ["clean", "image"]])
def test_no_cache_is_no_mistake(tmp_path, monkeypatch, capsys, words):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "none"))
    assert cache(words, []) == 0 and "does not exist" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (
            ["clear"],
            [],
            (
                r"mmml-data cache clear is no command: use mmml-data cache, or mmml-data "
                r"cache clean \[KIND\]"
            ),
        ),
        ([], ["days=3"], "is no command"),
        (["clean", "a", "b"], [], "is no command"),
        (["clean"], ["kind=a"], "is no command"),
        (["clean"], ["days=-1"], "days=-1 must be a whole number, 0 or more"),
        # As of a variable that is not set.
        (["clean"], ["days="], "days= needs a whole number, 0 or more"),
        (["clean", ""], [], "is no command: use"),
        ([], ["days=0"], "is no command: use"),
    ],
)
def test_mistakes(folder, words, options, message):
    with pytest.raises(UserError, match=message):
        cache(words, options)
    assert len(names(folder)) == 5


def test_what_cannot_be_removed_is_told(folder, monkeypatch, capsys):
    def refused(entry):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "remove", refused)
    assert cache(["clean", "image"], []) == 1
    message = capsys.readouterr().out
    assert (
        "freed 0 bytes" in message
        and f"image-{KEY} cannot be removed (Permission denied)" in message
    )


def test_an_entry_that_vanishes_meanwhile_is_passed_over(folder, monkeypatch):
    entry_kind = module.entry_kind

    def gone(path):
        kind = entry_kind(path)
        if kind == "glyph-strokes":
            path.unlink()
        return kind

    monkeypatch.setattr(module, "entry_kind", gone)
    assert {e.kind for e in survey(folder)[0]} == {"glyphs", "image", "unpacked"}


@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2.8e9, "2.8 GB"), (1e14, "100.0 TB")],
)
def test_sizes_are_readable(size, message):
    assert human(size) == message


def test_what_is_cached_is_known_by_its_form(folder, tmp_path):
    cached_arrays("new_kind", {"k": 1}, lambda: {"x": np.zeros(3)})
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    decode_files("image", [tmp_path / "a.png"], Limits())
    entries, strange = survey(folder)
    assert strange == [] and sorted(e.kind for e in entries).count("image") == 2
    assert [len(e.paths) for e in entries if e.kind == "new_kind"] == [2]


def test_a_kind_that_an_empty_cache_does_not_have_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    with pytest.raises(
        UserError, match="nothing of kind bogus .it has nothing that can be removed"
    ):
        cache(["clean", "bogus"], [])

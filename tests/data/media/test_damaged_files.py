"""Whatever is in a file: a canonical array or one sentence, soon, in little memory,
and nothing printed.
"""

import os
import pickle
import resource
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from mmml.data.media import FILE_MODALITIES, Limits, MediaError, decode, probe
from mmml.data.media import strokes as strokes_module
from tests.data.media.making import (
    bmp_header,
    levels,
    npy_header,
    sine,
    wav_header,
    write_m4a,
    write_video,
)

SHAPES = {
    "image": lambda a: (
        a.ndim == 3 and a.shape[0] in (1, 3) and max(a.shape[1:]) <= 256 and a.dtype == np.uint8
    ),
    "audio": lambda a: (
        a.ndim == 1 and len(a) <= 160_000 and abs(a).max() <= 1 and a.dtype == np.float32
    ),
    "video": lambda a: (
        a.ndim == 4 and a.shape[1] == 3 and max(a.shape[2:]) <= 112 and a.dtype == np.uint8
    ),
    "strokes": lambda a: a.ndim == 2 and a.shape[1] == 4 and a.dtype == np.float32,
    "features": lambda a: a.ndim in (1, 2) and a.dtype == np.float32,
}
VIDEOS = {
    "mp4": ("libx264", "yuv420p", "mp4"),
    "mkv": ("libx264", "yuv420p", "matroska"),
    "webm": ("libvpx-vp9", "yuv420p", "webm"),
    "avi": ("mjpeg", "yuvj420p", "avi"),
    "moving_gif": ("gif", "gray", "gif"),
}
MODALITY = {
    **dict.fromkeys(["png", "jpeg", "gif", "webp", "bmp", "pgm", "tiff", "tiff_lzw"], "image"),
    **dict.fromkeys(["wav", "flac", "mp3", "ogg", "m4a"], "audio"),
    **dict.fromkeys(VIDEOS, "video"),
    "json": "strokes",
    "npy": "features",
}
ENDLESS = {"mp3", "ogg", "moving_gif"}  # formats that do not say how long they ought to be


def outcome(modality: str, path: Path) -> str | None:
    """Why a file is refused, or None if it gives an array; both must be as promised."""
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        array = decode(modality, path, Limits())
        assert (
            array.size
            and np.isfinite(array).all()
            and SHAPES[modality](array)
            and array.flags.c_contiguous
        )
        said = None
    except MediaError as error:
        said = str(error)
        assert 5 < len(said) < 300 and "\n" not in said and str(path) not in said
    try:
        assert probe(modality, path)
    except MediaError as error:
        assert said, f"decoded, but not probed: {error}"
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 400_000  # KiB
    return said


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> dict[str, Path]:
    """A small good file of every format."""
    folder = tmp_path_factory.mktemp("whole")
    paths = {name: folder / name for name in MODALITY}
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    )
    for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff"):
        picture.save(paths[kind], kind)
    picture.convert("L").save(paths["pgm"], "PPM")
    picture.save(paths["tiff_lzw"], "TIFF", compression="tiff_lzw")
    for kind in ("wav", "flac", "mp3", "ogg"):
        soundfile.write(paths[kind], sine(440, 22050), 22050, format=kind.upper())
    write_m4a(paths["m4a"], sine(440, 22050)[None], 22050)
    for kind, (codec, pixels, container) in VIDEOS.items():
        write_video(paths[kind], levels(20) + picture.size[0], codec, pixels, container)
    paths["json"].write_text(str([[[x, y, x + y] for x in range(20)] for y in range(5)]))
    np.save(folder / "features.npy", np.ones((20, 30), np.float32))
    (folder / "features.npy").rename(paths["npy"])
    return paths


@pytest.mark.parametrize("kind", MODALITY)
def test_whole_files_are_decoded(kind, full):
    assert outcome(MODALITY[kind], full[kind]) is None


@pytest.mark.parametrize("kind", MODALITY)
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9])
def test_cut_short(kind, part, full, tmp_path, capfd):
    data = full[kind].read_bytes()
    (tmp_path / "cut").write_bytes(data[: max(1, int(part * len(data)))])
    said = outcome(MODALITY[kind], tmp_path / "cut")
    assert said or (kind in ENDLESS and part >= 0.1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", MODALITY)
@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes(kind, seed, full, tmp_path, capfd):
    """Anywhere for even seeds, among the first 100 bytes (the header) for odd ones."""
    data, numbers = bytearray(full[kind].read_bytes()), np.random.default_rng(seed)
    end = len(data) if seed % 2 == 0 else min(100, len(data))
    for place in numbers.integers(0, end, 8):
        data[place] = numbers.integers(0, 256)
    (tmp_path / "flipped").write_bytes(data)
    outcome(MODALITY[kind], tmp_path / "flipped")
    out, err = capfd.readouterr()
    assert not out and (not err or kind == "tiff_lzw")  # libtiff cannot be told to be silent


@pytest.mark.parametrize("modality", FILE_MODALITIES)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0" * 5000,
        b"\xff" * 5000,
        b"This is a sentence, no media file.\n" * 50,
        "é".encode("utf-16"),
    ]
    + [np.random.default_rng(seed).bytes(5000) for seed in range(3)],
)
def test_no_media(modality, data, tmp_path, capfd):
    (tmp_path / "file").write_bytes(data)
    assert outcome(modality, tmp_path / "file")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", MODALITY)
def test_of_another_modality(kind, full):
    for modality in FILE_MODALITIES:
        same = MODALITY[kind] == modality or {kind, modality} in (
            {"gif", "video"},
            {"moving_gif", "image"},
        )
        assert bool(outcome(modality, full[kind])) != same


@pytest.mark.parametrize("modality", FILE_MODALITIES)
def test_no_file(modality, tmp_path):
    assert outcome(modality, tmp_path) == "it is a folder"
    assert outcome(modality, tmp_path / "none") == "it cannot be opened: No such file or directory"
    assert "it cannot be opened" in outcome(modality, Path("null\0byte"))
    assert outcome(modality, tmp_path / ("x" * 300)) == "it cannot be opened: File name too long"
    os.mkfifo(tmp_path / "pipe")
    assert outcome(modality, tmp_path / "pipe") == "it is not an ordinary file"
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "secret").chmod(0)
    if not os.access(tmp_path / "secret", os.R_OK):  # root may
        assert outcome(modality, tmp_path / "secret") == "it cannot be opened: Permission denied"


ABSURD = {
    "bmp of 2^31 pixels a side": ("image", bmp_header(2**31 - 1, 2**31 - 1), "pixels"),
    "bmp of 9,000 pixels a side, none there": ("image", bmp_header(9000, 9000), ""),
    "bmp of no pixels": ("image", bmp_header(0, 0), ""),
    "png of 2^31 pixels a side": (
        "image",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0" + bytes(20),
        "",
    ),
    "gif of 65,535 pixels a side": ("image", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(200), ""),
    "moving gif of 65,535 pixels a side": (
        "video",
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(200),
        "",
    ),
    "pgm of 10^9 pixels a side": ("image", b"P5 1000000000 1000000000 255\n" + bytes(100), ""),
    "pgm of words": ("image", b"P5 wide high 255\n" + bytes(100), ""),
    "tiff of nothing": ("image", b"II*\0\xff\xff\xff\xff" + bytes(100), ""),
    "webp of nothing": ("image", b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100), ""),
    "wav of 4 GB": ("audio", wav_header(data=0xFFFFFFF0) + bytes(100), None),
    "wav of 4 GB by its data alone": (
        "audio",
        wav_header(data=0xFFFFFFF0, riff=136) + bytes(100),
        None,
    ),
    "wav of 1 GB": ("audio", wav_header(data=1 << 30) + bytes(100), "cut short"),
    "wav at 0 Hz": ("audio", wav_header(rate=0, data=100) + bytes(100), ""),
    "wav at 4 GHz": ("audio", wav_header(rate=0xFFFFFFFF, data=100) + bytes(100), ""),
    "wav of 0 channels": ("audio", wav_header(channels=0, data=100) + bytes(100), ""),
    "wav of 65,535 channels": ("audio", wav_header(channels=65535, data=100) + bytes(100), ""),
    "wav of 0 bits": ("audio", wav_header(bits=0, data=100) + bytes(100), ""),
    "wav without samples": ("audio", wav_header(data=0), "no sound"),
    "mp4 of an endless box": (
        "video",
        b"\0\0\0\x10ftypisom\0\0\2\0" + b"\xff\xff\xff\xffmoov" + bytes(50),
        "cut short",
    ),
    "mp4 without a film": ("video", b"\0\0\0\x10ftypisom\0\0\2\0" + b"\0\0\0\x08moov", ""),
    "matroska of 2^56 bytes": (
        "video",
        b"\x1aE\xdf\xa3\x80\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xfe",
        "cut short",
    ),
    "matroska of nothing": ("video", b"\x1aE\xdf\xa3\x80\x18S\x80g\x80", ""),
    "matroska of half a number": ("video", b"\x1aE\xdf\xa3\0", ""),
    "strokes 10,000 deep": ("strokes", b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
    "strokes 100,000 deep, open": ("strokes", b"[" * 100_000, "nested too deeply"),
    "no strokes": ("strokes", b"[]", "not a list of one or more strokes"),
    "no points": ("strokes", b"[[]]", "stroke 0 is not a list of one or more points"),
    "an object": ("strokes", b'{"strokes": [[[1, 2]]]}', "not a list"),
    "strings": ("strokes", b'[[["1", "2"]]]', "point 0 of stroke 0"),
    "truths": ("strokes", b"[[[1, 2], [true, false]]]", "point 1 of stroke 0"),
    "nulls": ("strokes", b"[[[1, null]]]", "point 0 of stroke 0"),
    "points of four": ("strokes", b"[[[1, 2, 3, 4]]]", "point 0 of stroke 0"),
    "points that differ": ("strokes", b"[[[1, 2]], [[1, 2, 3]]]", "point 0 of stroke 1"),
    "points that are numbers": ("strokes", b"[[1, 2], [3, 4]]", "point 0 of stroke 0"),
    "a NaN": ("strokes", b"[[[1, NaN]]]", "not finite"),
    "an infinity": ("strokes", b"[[[1, 1e999]]]", "not finite"),
    "too large for float32": ("strokes", b"[[[1, 1e39]]]", "too large"),
    "too large for float64": ("strokes", b"[[[1, 1" + b"0" * 400 + b"]]]", ""),
    "too many digits": ("strokes", b"[[[1, 1" + b"0" * 9000 + b"]]]", ""),
    "npy of 10^12 values": (
        "features",
        npy_header("(1000000, 1000000)") + bytes(100),
        "more than 100,000,000",
    ),
    "npy of 10^5000 values": ("features", npy_header("(1" + "0" * 5000 + ",)") + bytes(100), ""),
    "npy of 10^8 values": ("features", npy_header("(10000, 10000)") + bytes(100), "cut short"),
    "npy of -1 values": ("features", npy_header("(-1,)") + bytes(100), "shape"),
    "npy of -1 by -1 values": ("features", npy_header("(-1, -1)") + bytes(100), "shape"),
    "npy of no values": ("features", npy_header("(0, 5)"), "shape"),
    "npy of a cube": ("features", npy_header("(2, 2, 2)") + bytes(32), "shape"),
    "npy of a number": ("features", npy_header("()") + bytes(4), "shape"),
    "npy of text": ("features", npy_header("(5,)", "'<U5'") + bytes(100), "not numbers"),
    "npy of columns": ("features", npy_header("(5,)", "[('a', '<f4')]") + bytes(20), "not numbers"),
    "npy of complex numbers": ("features", npy_header("(5,)", "'<c8'") + bytes(40), "not numbers"),
    "npy of Python objects": (
        "features",
        npy_header("(1,)", "'|O'") + pickle.dumps([1]),
        "Python objects",
    ),
    "npy of a program": (
        "features",
        npy_header("(1,)", "__import__('os')") + bytes(100),
        "header is damaged",
    ),
    "npy nested deeply": ("features", npy_header("(" * 3000 + ")" * 3000) + bytes(100), ""),
    "npy with a header of 4 GB": (
        "features",
        b"\x93NUMPY\x02\0\xff\xff\xff\xff{" + bytes(100),
        "damaged",
    ),
    "npy of version 9": ("features", npy_header("(5,)", version=b"\x09\0") + bytes(100), "damaged"),
    "a pickle": ("features", pickle.dumps(np.ones(3)), "no .npy file"),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_headers_and_values(name, tmp_path, capfd):
    modality, data, said = ABSURD[name]
    (tmp_path / "file").write_bytes(data)
    tracemalloc.start()
    try:
        outcome_ = outcome(modality, tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert outcome_ is None if said is None else said in (outcome_ or "nothing said")
    assert outcome_ or said is None
    assert capfd.readouterr() == ("", "")


def test_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "trap.npy", np.array([Trap()], object), allow_pickle=True)
    assert "Python objects" in outcome("features", tmp_path / "trap.npy")
    assert not (tmp_path / "sprung").exists()


def test_strokes_of_many_bytes(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(strokes_module.MAX_BYTES + 1)
    assert outcome("strokes", tmp_path / "file") == "it has more than 16,000,000 bytes"


def test_features_of_many_bytes(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(npy_header("(1000000, 1000)"))
        file.truncate(5_000_000_000)  # a hole: takes no disk
    assert "more than 100,000,000 values" in outcome("features", tmp_path / "file")


def test_memory_that_is_not_there(tmp_path, monkeypatch):
    def exhaust(*_):
        raise MemoryError

    np.save(tmp_path / "file.npy", np.ones(3))
    monkeypatch.setattr("mmml.data.media.features._shape", exhaust)
    assert outcome("features", tmp_path / "file.npy") == "it takes more memory than there is"

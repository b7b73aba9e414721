"""Tiny media files, intact and damaged, and their names in tables."""

import json
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from manifests.cells import Draw


def picture(path: Path, draw: Draw) -> None:
    """Write an image eight pixels wide, sometimes of a single colour."""
    mode = draw.choice(["L", "RGB", "RGBA", "1", "P", "I;16"])
    pixels = noise(draw).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    if draw.random() < 0.05:
        pixels[:] = 255
    image = (
        Image.fromarray(pixels[..., 0].astype(np.uint16))
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    image.save(path, format="PNG")


def sound(path: Path, draw: Draw) -> None:
    """Write a sound of a twentieth of a second, sometimes silent."""
    samples = noise(draw).integers(-9999, 9999, 400).astype("<i2") * (draw.random() > 0.05)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.astype("<i2").tobytes())


def drawing(path: Path, draw: Draw) -> None:
    """Write a drawing of two strokes."""
    path.write_text(json.dumps(noise(draw).normal(size=(2, 3, 2)).round(3).tolist()))


def vector(path: Path, draw: Draw) -> None:
    """Write four features of any magnitude."""
    with path.open("wb") as file:  # given a path, numpy may change the name
        np.save(
            file,
            noise(draw).normal(size=4).astype(np.float32)
            * np.float32(draw.choice([1, 1, 1e-21, 1e25])),
        )


def noise(draw: Draw) -> np.random.Generator:
    """Return a NumPy random generator."""
    return np.random.default_rng(draw.getrandbits(32))


MAKERS: dict[str, tuple[str, Callable[[Path, Draw], None]]] = {
    "image": (".png", picture),
    "audio": (".wav", sound),
    "strokes": (".json", drawing),
    "features": (".npy", vector),
}
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "other": lambda content: b"not what it says" * 3,
}
ODD_PATHS = (
    "missing.png",
    "/etc/hostname",
    "../outside.png",
    "~/a.png",
    ".",
    "x" * 300 + ".png",
    "http://a.org/b.png",
)
ODD_PATHS += ("a\\b.png", "line\nbreak.png", "C:\\a.png", "folder", "nul\0.png")


def file(folder: Path, modality: str, number: int, draw: Draw) -> str:
    """Write a file; return its name in the table."""
    if draw.random() < 0.04:
        return draw.choice(ODD_PATHS)
    suffix, make = MAKERS[modality]
    name = draw.choice(["{}", "{}", "{}", "sub/{}", "é {}", "[{}]", " {}"]).format(number)
    name += draw.choice([suffix, suffix, suffix.upper(), ".xyz", ""])
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path, draw)
    if draw.random() < 0.03:
        path.write_bytes(DAMAGE[draw.choice(list(DAMAGE))](path.read_bytes()))
    return name

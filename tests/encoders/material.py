"""Small raw batches of every modality, and every encoder with options for tests."""

import copy
import functools

import numpy as np
import torch

from mmml.encoders import Encoder, encoders

WIDTH = 64
ATTENTION = {"channels": 8, "layers": 1, "heads": 2, "dropout": 0.1}

LEARNED = {
    "conv4": {"size": 16, "channels": 4, "augment": 0.5, "colour": True},
    "conv4_local": {"size": 16, "channels": 4, "augment": 0.5, "colour": True},
    "mlp_image": {"size": 8, "hidden": 8, "colour": True},
    "resnet12": {"size": 16, "channels": [2, 4, 4, 8], "colour": True, "augment": 0.5},
    "torchvision": {"model": "squeezenet1_1", "weights": None, "size": 32, "augment": 0.5},
    "byte_transformer": {**ATTENTION, "max_length": 12},
    "wordpiece": {**ATTENTION, "max_length": 6, "vocabulary": 40},
    "mlp_text": {"max_length": 8, "channels": 2, "hidden": 8},
    "ngrams": {"longest": 3, "buckets": 50, "channels": 8, "max_length": 12, "dropout": 0.1},
    "logmel_conv": {"mels": 16, "hop": 20, "seconds": 0.3, "channels": 4, "augment": 0.5},
    "frame_attention": {**ATTENTION, "size": 16, "frames": 4, "differences": True, "augment": 0.5},
    "stroke_transformer": {**ATTENTION, "points": 12, "augment": 0.5},
    "feature_transformer": {**ATTENTION, "steps": 5},
}
RAW = ["raw_image", "raw_text", "raw_audio", "raw_video", "raw_strokes", "raw_features"]


def objects(values) -> np.ndarray:
    """One object array of the values, as datasets give them."""
    out = np.empty(len(values), object)
    out[:] = values
    return out


def stroke(points: int, generator: np.random.Generator) -> np.ndarray:
    positions = generator.normal(size=(points, 2)).cumsum(0)
    return np.column_stack([positions, np.arange(points), np.arange(points) // 5]).astype(
        np.float32
    )


G = np.random.default_rng(0)
RAGGED = {
    "image": objects(
        [
            G.integers(0, 256, size, np.uint8)
            for size in ((3, 20, 30), (1, 16, 16), (3, 20, 30), (3, 32, 9), (1, 40, 40))
        ]
    ),
    "text": objects(["one", "two words", "", "Ωmega, one that is longer than all", "one"]),
    "audio": objects(
        [G.normal(0, 0.1, n).astype(np.float32) for n in (4000, 1500, 300, 8000, 2222)]
    ),
    "video": objects(
        [
            G.integers(0, 256, (t, 3, h, w), np.uint8)
            for t, h, w in ((3, 16, 16), (1, 20, 24), (7, 16, 16), (4, 9, 16))
        ]
    ),
    "strokes": objects([stroke(n, G) for n in (9, 2, 30, 1, 16)]),
    "features": objects(
        [G.normal(3, [1, 100, 0.01], (n, 3)).astype(np.float32) for n in (4, 1, 7, 5, 2)]
    ),
}
UNIFORM = {
    "image": torch.from_numpy(G.integers(0, 256, (5, 3, 20, 20), np.uint8)),
    "audio": torch.from_numpy(G.normal(0, 0.1, (5, 3000)).astype(np.float32)),
    "video": torch.from_numpy(G.integers(0, 256, (4, 3, 3, 20, 20), np.uint8)),
    "strokes": torch.from_numpy(np.stack([stroke(14, G) for _ in range(5)])),
    "features": torch.from_numpy(G.normal(3, [1, 100, 0.01], (5, 4, 3)).astype(np.float32)),
}


def modality_of(name: str) -> str:
    return encoders.get(name, "name").modality


def build(name: str, **changed) -> Encoder:
    """An encoder, fitted to the material of its modality."""
    encoder = fresh(name, **changed)
    encoder.fit(RAGGED[encoder.modality])
    return encoder


def fresh(name: str, width: int | None = WIDTH, **changed) -> Encoder:
    return (
        copy.deepcopy(_built(name))
        if width == WIDTH and not changed
        else _build(name, changed, width)
    )


@functools.cache
def _built(name: str) -> Encoder:
    return _build(name, {}, WIDTH)


def _build(name: str, changed: dict, width: int | None) -> Encoder:
    torch.manual_seed(0)
    options = LEARNED.get(name, {}) | changed
    return encoders.build(name, options, f"encoder.{modality_of(name)}", width=width)

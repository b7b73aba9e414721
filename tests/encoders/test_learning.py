"""A few steps of training tell three easy classes apart, on real data."""

import io
import zipfile

import numpy as np
import torch
import torch.nn.functional as F

from mmml.encoders import encoders
from tests.encoders.material import objects


def fsdd(folder):
    """Ten takes each of zero, one and six by one speaker, brought to 16 kHz."""
    from scipy.io import wavfile

    with zipfile.ZipFile(folder / "fsdd" / "fsdd_recordings.zip") as archive:
        for digit in (0, 1, 6):
            for take in range(10):
                _, wave = wavfile.read(
                    io.BytesIO(archive.read(f"recordings/{digit}_george_{take}.wav"))
                )
                yield np.repeat(wave.astype(np.float32) / 32768, 2)


def drawings(folder):
    """Ten drawings each of three characters."""
    with zipfile.ZipFile(folder / "omniglot" / "strokes_background_small1.zip") as archive:
        names = [n for n in archive.namelist() if n.endswith(".txt") and "__MACOSX" not in n]
        for character in ("Latin/character01", "Latin/character12", "Balinese/character05"):
            for name in sorted(n for n in names if character in n)[:10]:
                lines, stroke = [], 0
                for line in archive.read(name).decode().splitlines():
                    stroke += line == "BREAK"
                    if "," in line:
                        lines.append([*map(float, line.split(",")), stroke])
                yield np.array(lines, np.float32)


def learns(encoder, values, lr=5e-3, steps=12):
    """Trains on six samples of each of three classes, and is right about the other four of each."""
    torch.manual_seed(0)
    samples = objects(values).reshape(3, 10)
    train, test = samples[:, :6].reshape(-1), samples[:, 6:].reshape(-1)
    head = torch.nn.Linear(16, 3)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(
            head(encoder.encode(train)), torch.arange(3).repeat_interleave(6)
        ).backward()
        optimizer.step()
    right = head(encoder.eval().encode(test)).argmax(1) == torch.arange(3).repeat_interleave(4)
    return right.float().mean() >= 0.9


def test_sounds(real_data):
    torch.manual_seed(0)
    options = {"mels": 24, "hop": 20, "seconds": 1.0, "channels": 16, "augment": 0.5}
    encoder = encoders.build("logmel_conv", options, "encoder.audio", width=16)
    assert learns(encoder, list(fsdd(real_data)))


def test_strokes(real_data):
    torch.manual_seed(0)
    options = {
        "points": 32,
        "channels": 32,
        "layers": 1,
        "heads": 2,
        "dropout": 0.0,
        "augment": 0.3,
    }
    encoder = encoders.build("stroke_transformer", options, "encoder.strokes", width=16)
    assert learns(encoder, list(drawings(real_data)))


def test_videos_that_change_differently():
    """Brighter, darker or steady: no single frame tells which."""
    generator = np.random.default_rng(0)

    def video(step):
        grey = generator.integers(90, 160) + step * 15 * np.arange(-2, 3)
        return np.uint8(grey[:, None, None, None] + generator.integers(0, 10, (5, 3, 16, 16)))

    torch.manual_seed(0)
    options = {
        "size": 16,
        "frames": 5,
        "differences": True,
        "channels": 16,
        "layers": 1,
        "heads": 2,
    }
    options |= {"dropout": 0.0, "augment": 0.0}
    encoder = encoders.build("frame_attention", options, "encoder.video", width=16)
    assert learns(
        encoder, [video(step) for step in (-1, 0, 1) for _ in range(10)], lr=2e-2, steps=25
    )

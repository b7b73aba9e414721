"""Small folders of files, as users have them."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

OPTIONS = {
    "columns": {},
    "features": None,
    "on_bad_sample": "error",
    "split_seed": 0,
    "val": 0.2,
    "test": 0.2,
    "image_side": 256,
    "audio_seconds": 10.0,
    "video_frames": 16,
    "video_side": 112,
}


def draw(path: Path, seed: int, size: int = 12) -> Path:
    """A small coloured picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_csv(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(k for row in rows for k in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def pictures(root: Path, classes: int = 6, each: int = 4) -> list[dict]:
    """Files ``c0/0.png`` … below root, and a row for each."""
    rows = []
    for c in range(classes):
        for i in range(each):
            draw(root / f"c{c}" / f"{i}.png", 100 * c + i)
            rows.append({"image_file_name": f"c{c}/{i}.png", "label": f"class {c}"})
    return rows

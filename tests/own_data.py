"""Manifests that users would write for public data: one function for each set in ``$MMML_DATA``."""

import io
import json
import zipfile
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.data.making import write_csv, write_jsonl
from tests.data.media.making import write_video


def speech(data: Path, root: Path, takes: int = 50) -> Path:
    """Ten spoken digits by six speakers: 0 to 4 to train on, 5 and 6 for validation,
    7 to 9 for test.
    """
    rows = []
    with zipfile.ZipFile(data / "fsdd" / "fsdd_recordings.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".wav")):
            digit, speaker, take = Path(name).stem.split("_")
            if int(take) < takes:
                archive.extract(name, root)
                split = "train" if digit < "5" else "val" if digit < "7" else "test"
                rows.append(
                    {"audio_file_name": name, "label": digit, "group": speaker, "split": split}
                )
    return write_csv(root / "metadata.csv", rows)


def emoji(data: Path, root: Path, count: int = 1377) -> Path:
    """Emoji by four artists, each with its English name."""
    about = json.loads((data / "emoji" / "list.json").read_text())
    rows = []
    for artist in ("blob", "noto", "openmoji", "twemoji"):
        with zipfile.ZipFile(data / "emoji" / f"{artist}.zip") as archive:
            names = sorted(n for n in archive.namelist() if n.endswith(".png"))
            for name in names[:: max(1, len(names) // count)][:count]:
                archive.extract(name, root)
                text = about[Path(name).stem]["name"]
                rows.append({"image_file_name": name, "label": text, "text": text})
    return write_csv(root / "metadata.csv", rows)


def gestures(data: Path, root: Path) -> Path:
    """Twenty signs, one clip each, beside its word; each clip as it is, and smaller and darker,
    as a second take.
    """
    rows = []
    for clip in sorted((data / "video_clips" / "asl_gestures").glob("*.mkv")):
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{clip.stem}-a.mkv").write_bytes(clip.read_bytes())
        with av.open(str(clip)) as file:
            # In a quarter of the size, since writing whole frames takes half a minute.
            small = [frame.reformat(160, 120, "rgb24") for frame in file.decode(video=0)]
            frames = np.stack([frame.to_ndarray() for frame in small])
        write_video(root / f"{clip.stem}-b.mkv", (frames * 0.9).astype(np.uint8))
        rows += [
            {"video_file_name": f"{clip.stem}-{take}.mkv", "label": clip.stem} for take in "ab"
        ]
    return write_csv(root / "metadata.csv", rows)


def drawings(data: Path, root: Path, characters: int = 200) -> Path:
    """Characters of Omniglot as pen strokes with time, and as images."""
    rows = []
    with (
        zipfile.ZipFile(data / "omniglot" / "strokes_background_small1.zip") as pens,
        zipfile.ZipFile(data / "omniglot" / "omniglot_images.zip") as pages,
    ):
        images = {Path(n).stem: n for n in pages.namelist() if n.endswith(".png")}
        names = sorted(n for n in pens.namelist() if n.endswith(".txt") and not n.startswith("__"))
        folders = sorted({str(Path(n).parent) for n in names})
        chosen = set(folders[:: max(1, len(folders) // characters)][:characters])
        for name in (n for n in names if str(Path(n).parent) in chosen):
            path = Path(name).with_suffix(".json")
            (root / path.parent).mkdir(parents=True, exist_ok=True)
            (root / path).write_text(json.dumps(pen_strokes(pens.read(name).decode())))
            Image.open(io.BytesIO(pages.read(images[path.stem]))).save(
                root / path.with_suffix(".png")
            )
            row = {"strokes_file_name": str(path), "image_file_name": str(path.with_suffix(".png"))}
            rows.append(row | {"label": "/".join(path.parts[1:3])})
    return write_jsonl(root / "metadata.jsonl", rows)


def pen_strokes(text: str) -> list[list[list[float]]]:
    """Omniglot's ``START``, ``x,y,t`` …, ``BREAK`` → strokes of ``[x, y, t]``."""
    strokes: list[list[list[float]]] = [[]]
    for line in text.split():
        if line == "BREAK":
            strokes.append([])
        elif line != "START":
            strokes[-1].append([float(v) for v in line.split(",")])
    return [s for s in strokes if s]


def traits(data: Path, root: Path) -> Path:
    """Speakers' clips as audio features, with their scores on 17 traits: a row for each
    trait of each clip.
    """
    import h5py

    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "pom_traits" / "pom.zip") as archive:

        def array(name: str) -> np.ndarray:
            with h5py.File(io.BytesIO(archive.read(f"pom/{name}.h5"))) as file:
                return file["d1" if "d1" in file else next(iter(file))][:]

        rows = []
        for part in ("train", "valid", "test"):
            audio, scores = array(f"audio_{part}"), array(f"y_{part}")
            for i, clip in enumerate(np.nan_to_num(audio, posinf=0, neginf=0)):
                np.save(root / f"{part}-{i}.npy", clip.astype(np.float32))
            rows += [
                {
                    "features_file_name": f"{part}-{i}.npy",
                    "label": f"trait {t:02}",
                    "score": f"{scores[i, t]:g}",
                }
                for t in range(scores.shape[1])
                for i in range(len(scores))
            ]
    return write_csv(root / "metadata.csv", rows)

"""Slices of the real data, laid out as the whole is, so that a dataset's own code reads them."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

ARTWORKS = ("blob", "noto", "openmoji", "twemoji")


def pack_some(source: Path, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy some members of an archive; returns their names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as full, zipfile.ZipFile(target, "w") as part:
        names = [n for n in full.namelist() if wanted(n)]
        for name in names:
            part.writestr(name, full.read(name))
    return names


def slice_emoji(data: Path, root: Path, each: int = 8) -> None:
    """Some emoji of each of four groups."""
    source, target = data / "emoji", root / "emoji"
    listed = json.loads((source / "list.json").read_text())
    with zipfile.ZipFile(source / "noto.zip") as archive:
        drawn = [Path(n).stem for n in archive.namelist()]
    groups = ("Food & Drink", "Animals & Nature", "Objects", "Symbols")
    codes = {
        c for g in groups for c in [c for c in drawn if listed.get(c, {}).get("group") == g][:each]
    }
    for artwork in ARTWORKS:
        pack_some(
            source / f"{artwork}.zip", target / f"{artwork}.zip", lambda n: Path(n).stem in codes
        )
    (target / "list.json").write_text(json.dumps(listed))
    pack_some(
        source / "cldr_annotations_24lang.zip",
        target / "cldr.zip",
        lambda n: n.split("/")[-2] in ("en", "de", "fr", "es"),
    )


def slice_fsdd(data: Path, root: Path, takes: int = 4) -> None:
    """A few takes of every digit by every speaker."""
    name = "fsdd_recordings.zip"
    last = tuple(f"_{i}.wav" for i in range(takes))
    pack_some(data / "fsdd" / name, root / "fsdd" / name, lambda n: n.endswith(last))


def slice_flickr8k(data: Path, root: Path, photographs: int = 24) -> None:
    """A few photographs and all that is said."""
    source, target = data / "flickr8k_multi30k", root / "flickr8k_multi30k"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.zip"))
    with zipfile.ZipFile(source / "images_224.zip") as archive:
        some = set([n for n in archive.namelist() if n.endswith(".jpg")][:photographs])
    pack_some(source / "images_224.zip", target / "images_224.zip", some.__contains__)


ALPHABETS = (
    "Balinese",
    "Early_Aramaic",
    "Greek",
    "Korean",
    "Latin",
    "Sanskrit",
    "Atemayar_Qelisayer",
)
OMNIGLOT = 204  # characters of these


def slice_omniglot(data: Path, root: Path) -> None:
    """The five alphabets of the minimal set small1, with strokes, and one for validation
    and one for test.
    """
    source, target = data / "omniglot", root / "omniglot"
    wanted = tuple(f"/{alphabet}/" for alphabet in ALPHABETS)
    pack_some(
        source / "omniglot_images.zip", target / "images.zip", lambda n: any(w in n for w in wanted)
    )
    shutil.copy(source / "strokes_background_small1.zip", target)

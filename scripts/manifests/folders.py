"""Class folders, with or without folders of splits, and other files that such folders contain."""

from pathlib import Path

from manifests.cells import NAMES, Draw
from manifests.dialects import Case
from manifests.media import MAKERS

STRAY = ("notes.txt", "README", ".DS_Store", "Thumbs.db", "1.xyz")
KINDS = ("words", "zeros", "date texts", "missing words", "accents", "scripts")


def folders(draw: Draw, root: Path) -> Case:
    """Make class folders with files of one or two modalities."""
    name = NAMES[draw.choice(KINDS)]
    modalities = draw.sample(list(MAKERS), draw.choice([1, 1, 1, 2]))
    nested = draw.random() < 0.3
    cells: dict[str, list[str | None]] = {m: [] for m in (*modalities, "label", "split")}
    stray = 0
    classes = [str(name(c)).replace("/", "-") for c in range(draw.choice([2, 6, 8]))]
    for c, label in enumerate(classes):
        split = ("train", "val", "test")[c % 3] if nested else None
        folder = (
            root / (split.capitalize() if split and draw.random() < 0.5 else split or "") / label
        )
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(draw.randint(2, 4)):
            modality = draw.choice(modalities)
            suffix, make = MAKERS[modality]
            path = folder / f"{i}{draw.choice([suffix, suffix.upper()])}"
            make(path, draw)
            for m in modalities:
                cells[m].append(str(path.relative_to(root)) if m == modality else None)
            cells["label"].append(label)
            cells["split"].append(split)
        if draw.random() < 0.2:
            (folder / draw.choice(STRAY)).write_text("not a sample")
            stray += 1
    rows = len(cells["label"]) + stray
    return Case(
        root, f"folders, {'with' if nested else 'without'} splits", rows, cells, sorted=False
    )

"""Random columns of a table, independent of its format."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manifests.cells import BLANK, NUMBERS, ODD_NUMBERS, Draw, alike, names, text
from manifests.media import MAKERS, file, noise

STRANGE = ("Unnamed: 0", "labell", "Notes", "image", "größe", "x" * 200, "[red]", "filename")


@dataclass
class Column:
    """One column.

    Attributes:
        meaning: its meaning in mmml, such as ``label`` or ``image``; empty if it has none.
        header: its name in the file.
        cells: its values, None if missing.
    """

    meaning: str
    header: str
    cells: list[Any]


@dataclass
class Table:
    """The content of a table.

    Attributes:
        count: number of rows.
        folder: of the files.
        columns: in the order of the table.
        renamed: the headers of columns that an option must name, by meaning.
        features: the file name of a matrix beside the table.
        flaws: patterns of the messages with which mmml may refuse the table.
    """

    count: int
    folder: Path
    columns: list[Column] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    features: str | None = None
    flaws: list[str] = field(default_factory=list)


def table(draw: Draw, folder: Path) -> Table:
    """Make a table with some columns in random order."""
    classes, each = draw.choice(
        [(1, 1), (2, 3), (6, 1), (6, 2), (6, 3), (8, 3), (8, 3), (9, 4), (9, 5), (12, 2)]
    )
    kinds = [c for c in range(classes) for _ in range(each)]
    if draw.random() < 0.5:
        draw.shuffle(kinds)
    made = Table(len(kinds), folder)
    for meaning, chance in {**dict.fromkeys(MAKERS, 0.12), "text": 0.7, "source_text": 0.1}.items():
        if draw.random() < chance:
            add(made, draw, meaning, CELLS[meaning](draw, kinds, folder))
    if draw.random() < (0.1 if made.columns else 0.8) and not any(
        c.meaning == "features" for c in made.columns
    ):
        matrix(made, draw)
    for meaning, chance in {
        "label": 0.9,
        "id": 0.35,
        "split": 0.2,
        "group": 0.15,
        "domain": 0.1,
        "score": 0.2,
    }.items():
        if draw.random() < chance:
            add(made, draw, meaning, CELLS[meaning](draw, kinds, folder))
    if draw.random() < 0.3:
        made.columns.append(
            Column("", draw.choice(STRANGE), draw.choice([texts, nested])(draw, kinds, folder))
        )
    draw.shuffle(made.columns)
    if draw.random() < 0.1 and kinds:
        twice(made, draw)
    return made


def add(made: Table, draw: Draw, meaning: str, cells: list[Any]) -> None:
    """Add a column with some missing values, with a header that mmml knows or that an option must
    name.
    """
    rate = (
        draw.choice([0] * 8 + [0.1, 0.1, 0.5, 1])
        if meaning != "split"
        else draw.choice([0, 0, 0, 0.1])
    )
    gap = draw.choice([None, None, *BLANK[: 2 if meaning in MAKERS else None]])
    header = f"{meaning}_file_name" if meaning in MAKERS else meaning
    if meaning in MAKERS and any(isinstance(c, list) for c in cells):
        header += "s"
    elif meaning in MAKERS and all(str(c).lower().endswith(MAKERS[meaning][0]) for c in cells):
        header = (
            draw.choice([header, "file_name"])
            if not any(c.header == "file_name" for c in made.columns)
            else header
        )
    way = draw.random()
    if way < 0.15:
        header = draw.choice(
            [header.upper(), header.capitalize(), f" {header} "]
            if header != "file_name"
            else [header]
        )
    elif way < 0.25 and not header.endswith("s"):
        header = made.renamed[meaning] = draw.choice(
            ["Mine: {}", "{} (mine)", "my_{}", "ä {}"]
        ).format(meaning)
    made.columns.append(
        Column(meaning, header, [gap if draw.random() < rate else c for c in cells])
    )


def twice(made: Table, draw: Draw) -> None:
    """Repeat some rows."""
    for i in draw.sample(range(made.count), min(2, made.count)):
        for column in made.columns:
            column.cells.append(column.cells[i])
        made.count += 1
    if made.features:
        made.flaws.append("has .* rows, and")


def labels(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return one name for each class, sometimes typed in several ways."""
    name, varied = names(draw), draw.random() < 0.2
    return [alike(draw, name(k)) if varied and draw.random() < 0.3 else name(k) for k in kinds]


def texts(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return a text for each row, a text for each class, or several texts for each row."""
    way = draw.random()
    if way < 0.2:
        own = [text(draw) for _ in range(max(kinds, default=0) + 1)]
        return [own[k] for k in kinds]
    if way < 0.35:
        return [[text(draw) for _ in range(draw.randint(0, 3))] for _ in kinds]
    return [text(draw) for _ in kinds]


def nested(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return nested values that other programs store with samples: boxes, scores of annotators."""
    kind = draw.choice(
        [lambda: {"x": draw.random()}, lambda: [[draw.random()]], lambda: [{"by": text(draw)}]]
    )
    return [kind() for _ in kinds]


def ids(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return distinct names, sometimes with a few repeated ones."""
    name, again = names(draw), 0.05 * (draw.random() < 0.2)
    found = [name(0 if draw.random() < again else i) for i in range(len(kinds))]
    return [f" {i}" if draw.random() < 0.1 and isinstance(i, str) else i for i in found]


def splits(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return splits, mostly one for each class."""
    ways = draw.choice(
        [("train", "val", "test"), ("Train", "valid", "TEST"), ("training", "dev", "testing")]
    )
    odd = 0.05 * (draw.random() < 0.2)
    return [draw.choice(["foo", *ways]) if draw.random() < odd else ways[k % 3] for k in kinds]


def groups(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return a few different names."""
    name = names(draw)
    return [name(draw.randint(0, 4)) for _ in kinds]


def scores(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
    """Return scores as numbers or as texts, some of them unusual."""
    if draw.random() < 0.4:
        return [round(draw.gauss(0, 1), 3) for _ in kinds]
    odd = draw.choice([0, 0, 0.1])
    return [
        draw.choice(ODD_NUMBERS) if draw.random() < odd else draw.choice(NUMBERS) for _ in kinds
    ]


def files_of(modality: str) -> Callable[[Draw, list[int], Path], list[Any]]:
    """Return a function that makes a file for each row, several files for each row, or a few shared
    files.
    """

    def files(draw: Draw, kinds: list[int], folder: Path) -> list[Any]:
        way = draw.random()
        made = [file(folder, modality, i, draw) for i in range(len(kinds))]
        if way < 0.15:
            return [draw.choice(made) for _ in kinds]
        if way < 0.3:
            return [[m, *draw.sample(made, min(len(made), draw.randint(0, 2)))] for m in made]
        return made

    return files


CELLS: dict[str, Callable[[Draw, list[int], Path], list[Any]]] = {
    **{modality: files_of(modality) for modality in MAKERS},
    "label": labels,
    "text": texts,
    "source_text": texts,
    "id": ids,
    "split": splits,
    "score": scores,
    **dict.fromkeys(("group", "domain"), groups),
}


def matrix(made: Table, draw: Draw) -> None:
    """Write a matrix of features beside the table, mostly with the right number of rows."""
    made.features = "features.npy"
    count = made.count
    shape: tuple[int, ...] = draw.choice(
        [(count, 4), (count, 4), (count, 4), (count, 3, 4), (count,), (count + 1, 4)]
    )
    array = noise(draw).normal(size=shape) * draw.choice([1, 1, 1e-21, 1e25, 1e300])
    if draw.random() < 0.2 and count:
        array[draw.randrange(count)] = draw.choice([np.nan, np.inf])
    kind = draw.choice(["f4", "f4", "f8", "f2", "i4", "U3", "c8"])
    with np.errstate(all="ignore"):
        np.save(made.folder / made.features, array.astype(kind))
    if kind in ("U3", "c8") or len(shape) == 1 or shape[0] != count:
        made.flaws.append(r"numbers \[rows, width\]|has .* rows, and")

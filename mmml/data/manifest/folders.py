"""Class folders: ``train/cat/1.png`` or ``cat/1.png``; the folder is the label, the suffix gives
the modality.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from mmml.data.manifest.sheet import Sheet, assemble, portions
from mmml.errors import UserError, many

SPLITS = {
    "train": "train training",
    "val": "val valid validation dev development",
    "test": "test testing",
}
SPLIT_OF_NAME = {name: split for split, names in SPLITS.items() for name in names.split()}
SET = re.compile(r"[ _-]?(set|split|data)$")  # such as in test_set
SUFFIXES = {
    "image": (
        ".png .jpg .jpeg .jpe .jfif .webp .gif .bmp .pbm .pgm .ppm .pnm .tif .tiff .jp2 "
        ".avif .heic .heif"
    ),
    "audio": ".wav .wave .flac .mp3 .ogg .oga .opus .m4a .aac .aif .aiff .au .wma .caf .amr",
    "video": ".mp4 .m4v .mkv .webm .avi .mov .mpg .mpeg .ogv .wmv .flv .3gp .3g2 .mts .m2ts",
    "strokes": ".json",
    "features": ".npy",
}
MODALITY_OF_SUFFIX = {
    suffix: modality for modality, several in SUFFIXES.items() for suffix in several.split()
}
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")  # suffixes of tables


def split_of(name: str) -> str | None:
    """Return the split that a folder's name means, in upper or lower case, such as ``test_set``;
    None if it means none.
    """
    return SPLIT_OF_NAME.get(SET.sub("", name.strip().lower()))


def read_folders(path: Path, option: str) -> Sheet:
    """Read a row for each media file; a file that is in no class folder has no label.

    Raises:
        UserError: there is no media file.
    """
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    # A class may also be called "train"; then other class folders are beside it, or it has files.
    splits = [p for p in folders if split_of(p.name)]
    nested = any(c.is_dir() and not c.name.startswith(".") for p in splits for c in p.iterdir())
    others = (p.name for p in folders if p not in splits and _rows(path, p, {}, Counter()))
    other = next(others, None) if nested else None
    left_out: Counter[str] = Counter()
    notes = []
    if nested and other is None:
        rows = [row for p in splits for row in _rows(path, p, {"split": p.name}, left_out)]
        left_out["beside the folders of the splits"] = len(_rows(path, path, {}, left_out, splits))
    else:
        rows = _rows(path, path, {}, left_out)
        if nested and len({split_of(p.name) for p in splits}) > 1:
            what = (
                f"{' and '.join(p.name for p in splits)} are read as classes, as {other} "
                "stands beside them"
            )
            notes.append(f"{what}; if they are splits, move it elsewhere")
    if not rows:
        raise UserError(f"{option}={path} {_nothing(path, option, left_out)}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = assemble(
        {name: [row.get(name) for row in some] for name in names} for some in portions(rows)
    )
    return Sheet(table, left_out=dict(+left_out), notes=notes)


def _nothing(path: Path, option: str, left_out: Counter[str]) -> str:
    tables = sorted(p.name for p in path.iterdir() if p.suffix.lower() in TABLES)
    hint = f"; name the table: {option}={path / tables[0]}" if tables else ""
    counts = ", ".join(f"{many(count, 'file')} {why}" for why, count in (+left_out).items())
    found = f" ({counts})" if left_out else ""
    what = (
        "has no metadata.csv, .jsonl or .parquet, no media files, and no folders "
        "of them for each class"
    )
    return f"{what}{found}{hint}"


def _rows(
    path: Path,
    top: Path,
    also: dict[str, str],
    left_out: Counter[str],
    without: Collection[Path] = (),
) -> list[dict[str, str]]:
    """Return a row for each media file below ``top``, with its path relative to ``path``; count the
    other files in ``left_out``.
    """
    rows = []
    for file in _files_below(top, (), left_out, without):
        modality = MODALITY_OF_SUFFIX.get(file.suffix.lower())
        folders = file.relative_to(top).parts[:-1]
        if not _is_text(str(file.relative_to(path))):
            left_out["whose names are not UTF-8"] += 1
        elif file.name.startswith("."):
            left_out["hidden"] += 1
        elif modality is None:
            left_out[f"with the suffix {file.suffix}" if file.suffix else "without a suffix"] += 1
        else:
            label = {"label": folders[0]} if folders else {}
            rows.append({f"{modality}_file_name": str(file.relative_to(path)), **label, **also})
    return rows


def _is_text(name: str) -> bool:
    """Whether a name is valid UTF-8; file systems allow any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files_below(
    folder: Path, above: tuple[Path, ...], left_out: Counter[str], without: Collection[Path] = ()
) -> Iterator[Path]:
    """Yield all files, sorted. Links to folders are followed, except those that lead back to a
    folder above.

    Args:
        folder: the folder to search.
        above: the folders above it, with links resolved.
        left_out: counts skipped files.
        without: folders that are skipped.
    """
    real = folder.resolve()
    if real in above:
        return
    with os.scandir(folder) as found:
        entries = [
            (entry.name, _is_folder(entry)) for entry in sorted(found, key=lambda entry: entry.name)
        ]
    left_out["as broken links, pipes or the like"] += sum(
        is_folder is None for _, is_folder in entries
    )
    yield from (folder / name for name, is_folder in entries if is_folder is False)
    for path in (folder / name for name, is_folder in entries if is_folder):
        if path.name.startswith("."):
            left_out["in hidden folders"] += sum(len(files) for _, _, files in os.walk(path))
        elif path not in without:
            yield from _files_below(path, (*above, real), left_out)


def _is_folder(entry: "os.DirEntry[str]") -> bool | None:
    """Whether an entry is a folder; None if it is neither a folder nor a file, such as a broken or
    circular link.
    """
    with suppress(OSError):
        return entry.is_dir() or (False if entry.is_file() else None)
    return None

"""``mmml-data cache``: list what the cache contains, and remove entries."""

import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR

from rich.table import Table

from mmml.check.issue import SHOWN
from mmml.config.compose import take_option
from mmml.data.cache import ENTRY, UNPACKED, cache_dir
from mmml.data.media import FILE_MODALITIES
from mmml.data.media_cache import PARTS
from mmml.data.on_disk import downloaded
from mmml.encoders.feature_cache import PREPARED, VALUES
from mmml.errors import UserError, did_you_mean, require
from mmml.files import BESIDE, beside
from mmml.terminal import plain_console

SUFFIXES = (".npz", ".npy", ".json")
DOWNLOADS = "data"  # the folder of mmml-data get, which is removed only if it is named
HOUR, DAY = 3600, 86400
DAYS = "a whole number, 0 or more"


@dataclass(frozen=True)
class Entry:
    """Files of the cache that are removed together.

    Attributes:
        kind: ``image``, ``glyphs``, …; empty for a temporary file or folder, which a process may
            still be writing.
        paths: files, or one folder.
        size: bytes.
        used: time of the last access; time of writing if the file system does not record accesses.
    """

    kind: str
    paths: list[Path]
    size: int
    used: float


def measure(kind: str, paths: list[Path]) -> Iterator[Entry]:
    """Yield an entry, unless another process has just removed it."""
    with suppress(FileNotFoundError):
        stats = [
            p.lstat() for path in paths for p in (path, *(path.rglob("*") if path.is_dir() else ()))
        ]
        files = [s for s in stats if not S_ISDIR(s.st_mode)]
        times = [s.st_mtime for s in stats] + [s.st_atime for s in files]
        yield Entry(kind, paths, sum(s.st_size for s in files), max(times))


def cache(words: Sequence[str], options: list[str]) -> int:
    """``mmml-data cache``, ``mmml-data cache clean`` or ``clean KIND``; returns the exit code.

    Args:
        words: the words after ``cache`` on the command line.
        options: ``days=N``.
    """
    days, others = take_option(options, "days", "0", DAYS)
    wrong_words = len(words) > 2 or list(words[:1]) not in ([], ["clean"]) or "" in words
    if others or wrong_words or (options and not words):
        wrong = " ".join([*words, *options])
        raise UserError(
            f"mmml-data cache {wrong} is no command: use mmml-data cache, or mmml-data cache "
            "clean [KIND] [days=N]"
        )
    require(days.isdecimal(), "days", days, DAYS)
    folder = cache_dir()
    if not folder.is_dir():
        print(f"the cache {folder} does not exist: there is nothing to show or to remove")
        return 0
    entries, strange = survey(folder)
    if not words:
        show(folder, entries, strange)
        return 0
    return clean(folder, entries, strange, "".join(words[1:]), int(days))


def survey(folder: Path) -> tuple[list[Entry], list[Path]]:
    """Return the entries of a cache folder, and the paths that mmml did not make; links are not
    followed.
    """
    grouped: dict[tuple[str, str], list[Path]] = defaultdict(list)
    strange = []
    for path in sorted(folder.iterdir()):
        kind = entry_kind(path)
        if kind is not None:
            grouped[kind, path.stem].append(path)
        elif path.name != DOWNLOADS or path.is_symlink():
            strange.append(path)
    for path in downloaded(folder / DOWNLOADS):
        if not any(
            p.is_symlink()
            for p in (path, *path.parents)
            if p != folder and p.is_relative_to(folder)
        ):
            grouped[DOWNLOADS, str(path)].append(path)
    return [
        entry for (kind, _), paths in grouped.items() for entry in measure(kind, paths)
    ], strange


def entry_kind(path: Path) -> str | None:
    """Return the kind of an entry of the cache; empty for a temporary one, None for files that mmml
    did not make.
    """
    partial = re.fullmatch(BESIDE, path.name)
    name = partial[1] if partial else path.name
    found = re.match(ENTRY, name)
    if found is None or path.is_symlink():
        return None
    if path.is_dir():
        ours = found[1] in (*FILE_MODALITIES, PREPARED, UNPACKED) and (
            partial or found.end() == len(name)
        )
        ours = ours and all(is_plain(inner, path, found[1]) for inner in path.rglob("*"))
    else:
        ours = path.is_file() and (partial or name[found.end() :] in SUFFIXES)
    return None if not ours else "" if partial else found[1]


def is_plain(inner: Path, entry: Path, kind: str) -> bool:
    """Whether a file or folder in an entry of the cache is one that mmml writes there."""
    known = inner.parent == entry and (
        inner.name in (*PARTS, VALUES) or re.fullmatch(BESIDE, inner.name)
    )
    return (
        bool(known or kind == UNPACKED)
        and not inner.is_symlink()
        and (inner.is_file() or inner.is_dir())
    )


def show(folder: Path, entries: Sequence[Entry], strange: Sequence[Path]) -> None:
    """Print a line for each kind, the largest first."""
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        kinds[entry.kind].append(entry)
    timed = keeps_times(folder)
    table = Table("kind", "entries", "size", "not used since" if timed else "written", box=None)
    for kind, several in sorted(kinds.items(), key=lambda item: -sum(e.size for e in item[1])):
        oldest = datetime.fromtimestamp(min(e.used for e in several)).strftime("%Y-%m-%d")
        table.add_row(kind or "(temporary)", f"{len(several):,}", told_size(several), oldest)
    print(f"{folder} holds {told_size(entries)}")
    if entries:
        plain_console().print(table)
        print(
            "mmml-data cache clean removes all but downloads, clean KIND one kind, "
            "clean days=30 what was not used for 30 days"
        )
    if strange:
        print(
            f"not made by mmml, and never removed: {', '.join(p.name for p in strange[:SHOWN])}"
            f"{', …' if len(strange) > SHOWN else ''}"
        )


def keeps_times(folder: Path) -> bool:
    """Whether the file system records when files are read."""
    return not os.statvfs(folder).f_flag & os.ST_NOATIME


def clean(
    folder: Path, entries: Sequence[Entry], strange: Sequence[Path], kind: str, days: int
) -> int:
    """Remove entries, and print what is left; returns the exit code, 1 if an entry cannot be
    removed.
    """
    kinds = sorted({e.kind for e in entries if e.kind})
    if kind and kind not in kinds:
        has = ", ".join(kinds) or "nothing that can be removed"
        raise UserError(
            f"the cache has nothing of kind {kind}{did_you_mean(kind, kinds)} (it has {has})"
        )
    left, freed, failed, now = list[Entry](), 0, list[str](), time.time()
    for entry in entries:
        selected = entry.kind == kind if kind else entry.kind != DOWNLOADS
        if not selected or now - entry.used < (days * DAY if entry.kind else HOUR):
            left.append(entry)
            continue
        try:
            remove(entry)
            freed += entry.size
        except OSError as error:
            failed.append(f"{entry.paths[0].name} cannot be removed ({error.strerror or error})")
            left.append(entry)
    print(
        f"freed {human(freed)} of {folder}; left: "
        f"{', '.join(what_is_left(left, strange)) or 'nothing'}"
    )
    for message in failed[:SHOWN]:
        print(message)
    return 1 if failed else 0


def what_is_left(left: Sequence[Entry], strange: Sequence[Path]) -> Iterator[str]:
    """Describe what a cleaned cache still contains, in parts of a sentence."""
    written, kept = [e for e in left if not e.kind], [e for e in left if e.kind == DOWNLOADS]
    others = [e for e in left if e.kind not in ("", DOWNLOADS)]
    if others:
        yield f"{told_size(others)} of the cache"
    if kept:
        yield f"{told_size(kept)} of downloads (mmml-data cache clean {DOWNLOADS})"
    if written:
        yield f"{told_size(written)} that a process may be writing"
    if strange:
        yield f"what mmml did not make, such as {strange[0].name}"


def remove(entry: Entry) -> None:
    """Remove an entry; a folder is renamed first, so that no process finds it half removed."""
    for path in entry.paths:
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif entry.kind:
            shutil.rmtree(path.rename(beside(path)))
        else:
            shutil.rmtree(path)


def told_size(entries: Sequence[Entry]) -> str:
    """The total size of some entries, as text."""
    return human(sum(e.size for e in entries))


def human(size: float) -> str:
    """A number of bytes as text, such as ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"

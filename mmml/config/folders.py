"""The folders of config files: ``conf/``, and those of installed packages with parts for mmml."""

import functools
import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

from mmml.registry import GROUP


def conf_dir() -> Path:
    """The folder of configs: ``conf/`` of a clone, else the copy inside the installed package."""
    package = Path(__file__).resolve().parent.parent
    return (
        package.parent / "conf"
        if (package.parent / "conf" / "train.yaml").is_file()
        else package / "conf"
    )


@functools.cache
def conf_dirs() -> tuple[Path, ...]:
    """All folders of configs: that of mmml, and the folder ``conf`` beside each module that an
    installed package names in the entry-point group ``mmml.parts``.
    """
    found = [conf_dir()]
    for entry in entry_points(group=GROUP):
        with suppress(Exception):  # the registries report a package that cannot be imported
            spec = importlib.util.find_spec(entry.module)
            folder = Path((spec and spec.origin) or "").parent / "conf"
            if spec and folder.is_dir():
                found.append(folder)
    return tuple(found)


def choices(group: str, more: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each choice of a group such as ``method/loss``, by name, sorted. If folders have
    files with the same name, the first folder counts, as for Hydra; those in ``more`` come last.
    """
    folders = reversed([*conf_dirs(), *more])
    files = {file.stem: file for f in folders for file in (f / group).glob("*.yaml")}
    return dict(sorted(files.items()))


def choice_file(group: str, choice: str | None, more: Sequence[Path] = ()) -> Path | None:
    """The file of one choice, which may be in a subfolder, such as ``emoji/metric``; None if there
    is none. Folders count as in :func:`choices`.
    """
    files = [folder / group / f"{choice}.yaml" for folder in (*conf_dirs(), *more)]
    return next((file for file in files if file.is_file()), None)


def is_group(key: str) -> bool:
    """Whether an option such as ``method/loss`` chooses from a group."""
    return any((folder / key).is_dir() for folder in conf_dirs())

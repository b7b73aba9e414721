"""The text of ``mmml-train --help``: the choices and the options, with the comments that stand beside them.

Reads the files of ``conf/`` as text; composing them would take a second.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import yaml

from mmml.config.compose import conf_dir

HEAD = """\
mmml-train: train a model that learns new tasks from a handful of examples, and judge it.

  mmml-train                                      the default run, 4 minutes on two slow cores
  mmml-train method/loss=contrastive seed=1       other options
  mmml-train -m seed=0,1,2 trainer.lr=1e-3,3e-3   all combinations, one after the other
  mmml-train resume=outputs/DATE/RUN trainer.steps=2000
  mmml-train --cfg job                            print the composed config, train nothing
  mmml-train --config-dir FOLDER                  configs of your own beside those of mmml
  mmml-train --hydra-help                         more flags
  eval "$(mmml-train -sc install=bash)"           complete choices and options with the tab key

Afterwards: mmml-eval checkpoint=RUN, mmml-report RUN.
"""


def help_text(arguments: Sequence[str]) -> str:
    """The help; ``group=choice`` among the arguments shows the options of that choice."""
    own = [Path(value) for flag, value in pairwise(arguments) if flag in ("--config-dir", "-cd")]
    folders = [conf_dir(), *own]
    train = (conf_dir() / "train.yaml").read_text()
    selected = {g: c for g, equals, c in (a.partition("=") for a in arguments) if equals}
    chosen = dict(_choices(train, "", folders, selected))
    known = {group: _files(folders, group) for group in chosen}
    parts = [HEAD, "Choices (group=choice; * marks the one whose options are shown):\n"]
    for group, files in known.items():
        parts.append(f"  {group}=" + ", ".join(f"{n}*" if n == chosen[group] else n for n in files))
    parts.append("\nOptions (key=value):\n")
    parts.append(textwrap.indent(train[train.index("\nseed:") : train.index("\nhydra:")].strip(), "  ") + "\n")
    for group, files in known.items():
        file = files.get(chosen[group] or "")
        if file is not None:
            options = _without_defaults(file.read_text()).strip()
            parts.append(f"  {group.replace('/', '.')}:\n" + textwrap.indent(options, "    ") + "\n")
    return "\n".join(parts)


def _choices(
    content: str, prefix: str, folders: Sequence[Path], selected: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """The groups that a file's defaults list chooses from, those of the chosen files included, and each choice.

    What is chosen later wins: presets and experiments choose among groups that stand before them.
    """
    defaults = (yaml.safe_load(content) or {}).get("defaults", [])
    for default in (d for d in defaults if isinstance(d, dict)):
        for name, choice in default.items():
            if name.startswith(("override hydra/", "optional ")):  # what nobody chooses
                continue
            own, _, elsewhere = name.partition("override /")
            group = elsewhere.partition("@")[0] or prefix + own
            chosen = selected.get(group, choice)
            yield group, chosen
            file = _files(folders, group).get(chosen or "")
            if file is not None:
                yield from _choices(file.read_text(), f"{group}/", folders, selected)


def _without_defaults(text: str) -> str:
    """A file's text less its defaults list, which the choices show."""
    return re.sub(r"(?m)^defaults:.*\n(?:  .*\n)*", "", text)


def _files(folders: Sequence[Path], group: str) -> dict[str, Path]:
    """The choices of a group by name."""
    return {p.stem: p for folder in folders for p in sorted((folder / group).glob("*.yaml"))}

"""The text of ``mmml-train --help``: choices and options, with the comments of their files.

Reads the files of ``conf/`` as text, since composing them would take a second.
"""

import functools
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from mmml.config.folders import choice_file, choices, conf_dir

HEAD = """\
mmml-train: train a model that learns new tasks from a handful of examples, and test it.

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

PACKAGE = "# @package _global_"  # the first line of files that name their sections themselves


def help_text(arguments: Sequence[str]) -> str:
    """Return the help; a ``group=choice`` among the arguments shows the options of that choice."""
    words = [word for a in arguments for word in (a.split("=", 1) if a[:1] == "-" else [a])]
    own = [Path(value) for flag, value in pairwise(words) if flag in ("--config-dir", "-cd")]
    train = (conf_dir() / "train.yaml").read_text()
    selected = {g: c for g, equals, c in (a.partition("=") for a in arguments) if equals}
    chosen = _choices(own, selected)
    pairs = {
        g: f"{chosen[a]}/{chosen[b]}"
        for g in chosen
        for a, _, b in [g.partition("/")]
        if b in chosen
    }
    chosen = _choices(own, pairs | selected)  # see mmml/config/loader.py
    known = {group: choices(group, own) for group in chosen if group not in pairs}
    parts = [HEAD, "Choices (group=choice; * marks the one whose options are shown):\n"]
    for group, names in known.items():
        parts.append(f"  {group}=" + ", ".join(f"{n}*" if n == chosen[group] else n for n in names))
    parts.append("\nOptions (key=value):\n")
    parts.append(
        textwrap.indent(train[train.index("\nseed:") : train.index("\nhydra:")].strip(), "  ")
        + "\n"
    )
    for group in known:
        if file := choice_file(group, chosen[group], own):
            parts.append(textwrap.indent(_options(file, group), "  ") + "\n")
    return "\n".join(parts)


def _choices(own: Sequence[Path], selected: Mapping[str, str]) -> dict[str, str | None]:
    """Return all groups that ``train.yaml`` and its chosen files choose from, and the choice of
    each.

    Precedence is as in Hydra: selected choices first, then later entries before earlier ones; a
    file's own ``override`` comes before those of the files that it chooses.
    """
    chosen: dict[str, str | None] = dict(selected)
    groups: list[str] = []

    def visit(file: Path, prefix: str) -> None:
        defaults = (yaml.safe_load(file.read_text()) or {}).get("defaults", [])
        entries = [e for d in defaults for e in (d.items() if isinstance(d, dict) else [(None, d)])]
        for name, choice in entries:
            if name and name.startswith("override /"):
                chosen.setdefault(name.removeprefix("override /").partition("@")[0], choice)
        for name, default in reversed(entries):
            if name is None:  # a base file
                group, _, choice = default.removeprefix("/").rpartition("/")
                group = group or prefix
            elif name.startswith(("override ", "optional ")):
                continue
            else:
                group = f"{prefix}/{name}".removeprefix("/")
                choice = chosen.setdefault(group, default)
                groups.append(group)
            if below := choice_file(group, choice, own):
                visit(below, group)

    visit(conf_dir() / "train.yaml", "")
    groups.reverse()
    order = [g for g in groups if "/" not in g]
    return {
        g: chosen[g]
        for g in sorted(groups, key=lambda g: (order.index(g.partition("/")[0]), "/" in g))
    }


def _options(file: Path, group: str) -> str:
    """Return a file's options in their section, including those of its base file."""
    text = file.read_text()
    options = re.sub(r"(?m)^defaults:.*\n(?:  .*\n)*", "", text).strip()
    if options.startswith(PACKAGE):
        return options.removeprefix(PACKAGE).strip()
    content = yaml.safe_load(text)
    for base in content.pop("defaults", []):
        if isinstance(base, str) and (below := file.with_name(f"{base}.yaml")).is_file():
            head = re.match("(#.*\n)*", options + "\n")
            options = (head[0] if head else "") + _with_values(
                re.sub(r"(?m)^#.*\n", "", below.read_text()), content
            )
    return f"{group.replace('/', '.')}:\n" + textwrap.indent(options.strip(), "  ")


def _with_values(text: str, content: Any) -> str:
    """Return the options of a file with their comments, and with some values replaced."""
    lines, path = [], list[str]()
    for line in text.splitlines():
        if option := re.match(r"( *)(\w+): *(.*?)( *#.*)?$", line):
            path[len(option[1]) // 2 :] = [option[2]]
            value = functools.reduce(
                lambda part, key: part.get(key, {}) if isinstance(part, dict) else {}, path, content
            )
            if not isinstance(value, dict):
                shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
                lines.append(f"{option[1]}{option[2]}: {shown}{option[4] or ''}")
                continue
        lines.append(line)
    return "\n".join(lines)

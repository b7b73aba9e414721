"""The text of ``mmml-train --help``: the choices and the options, with the comments that stand beside them.

Reads the files of ``conf/`` as text; composing them would take a second.
"""

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import yaml

from mmml.config.compose import conf_dir

HEAD = """\
mmml-train: train a model that learns new tasks from a handful of examples, and judge it.

  mmml-train                                      the default run, about 2 minutes on two cores
  mmml-train method.loss=contrastive seed=1       other options
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
    defaults = [d for d in yaml.safe_load(train)["defaults"] if isinstance(d, dict)]
    chosen = {g: c for d in defaults for g, c in d.items() if not g.startswith("override ")}
    chosen |= {g: c for g, _, c in (a.partition("=") for a in arguments) if g in chosen}
    parts = [HEAD, "Choices (group=choice; * marks the one whose options are shown):\n"]
    files = {group: _files(folders, group) for group in chosen}
    for group, known in files.items():
        parts.append(f"  {group}=" + ", ".join(f"{n}*" if n == chosen[group] else n for n in known))
    parts.append("\nOptions (key=value):\n")
    parts.append(textwrap.indent(train[train.index("\nseed:") : train.index("\nhydra:")].strip(), "  ") + "\n")
    for group, known in files.items():
        if chosen[group] in known:
            parts.append(f"  {group}:\n" + textwrap.indent(known[chosen[group]].read_text().strip(), "    ") + "\n")
    return "\n".join(parts)


def _files(folders: Sequence[Path], group: str) -> dict[str, Path]:
    """The choices of a group by name."""
    return {p.stem: p for folder in folders for p in sorted((folder / group).glob("*.yaml"))}

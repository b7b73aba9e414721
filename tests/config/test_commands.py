"""The commands that stand in the files of ``conf/``: each is composed, checked, and names
options that exist.
"""

import re
import shlex

import pytest

from mmml.config.compose import compose_plain
from mmml.config.folders import conf_dir
from mmml.config.schema import Config, check_run
from mmml.data.base import datasets
from mmml.run import modalities_of
from mmml.tasks import tasks

LINE = re.compile(r"^#(.*)$", re.MULTILINE)
APART = (" -m", "--multirun", "init_from=", "resume=", "FOLDER", "dataset=manifest")


def commands() -> list[str]:
    """Every ``mmml-train`` of a file's head; sweeps, starts from other runs and own
    folders are left out.
    """
    found = []
    for path in sorted(conf_dir().rglob("*.yaml")):
        head = re.sub(r"\\\n\s*", " ", "\n".join(LINE.findall(path.read_text())))
        lines = [
            re.split(r"\s{3,}(?=[a-zA-Z])", line.strip())[0]
            for line in head.split("\n")
            if "mmml-train" in line
        ]
        found += [re.sub(r"^.*?mmml-train", "", line) for line in lines]
    return sorted({line.strip() for line in found if not any(word in line for word in APART)})


@pytest.mark.parametrize("line", commands())
def test_a_command_names_what_exists(line, tmp_path):
    overrides = [word.rstrip(",;.") for word in shlex.split(line) if "=" in word]
    config = check_run(compose_plain([o.replace("=DIR", f"={tmp_path}") for o in overrides]))
    if isinstance(config, Config):
        dataset = datasets.build_section(config.dataset, "dataset")
        assert modalities_of(config) <= set(dataset.modalities)
        tasks.build_section(config.task, "task")

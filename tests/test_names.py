"""Names of an earlier language of the project are gone: each thing has the field's usual name (docs/glossary.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CODE = sorted(p for folder in ("mmml", "scripts", "tests") for p in (ROOT / folder).rglob("*.py"))
CONF = sorted((ROOT / "conf").rglob("*.yaml"))

LOCALS = {"told", "asked", "seen", "mend", "there", "whole", "apart", "places"}
CLASSES = set(
    "Judge ProblemJudge Trainee Contestant Played Parts Shape Examples Per Gappy Partial Prepared PreparedValues Rows "
    "Spoiling FromTraining Chance Remembering Panel Cell Setting Side Point Known Summary".split()
)
FUNCTIONS = set(
    "see_all gathered among kind_of at_rest at_once plays descends by_item slots combine first_head remember adopt "
    "unlike worth lost arrange judge told whole".split()
)
MODULES = set(
    "judge rivals panel exhibits sheets pictures guards reliability scaling at_once settle gaps known writer tally "
    "finding findings footage splice outlines decoded plan variants".split()
)
OPTIONS = set(
    "evaluation.rivals evaluation.shuffled evaluation.views evaluation.guard evaluation.horizons evaluation.retrieval "
    "evaluation.tuning_episodes episode.train.variants episode.train.classes episode.train.corrupt episode.eval.corrupt "
    "episode.eval.published episode.by_group method.rule method.fast method.order method.steps method.test_steps "
    "method.rate method.scale method.weights method.truncation method.multiplies method.hardest trainer.batch "
    "trainer.clip trainer.trackers start encoder.image.tune encoder.image.mirror encoder.image.poolings "
    "encoder.image.outline dataset.apart dataset.spliced dataset.voices dataset.least dataset.turning predict.nearest".split()
)
CHOICES = {
    "episode": {"few", "adapt", "lake20", "wide"},
    "trainer": {"episodes", "unroll"},
    "dataset": {"reviews", "traits", "dialogue", "spoken_digits"},
    "method/update_rule": {"learned_rates"},
}
VALUES = {
    *(
        "no step",
        "queries apart",
        "shuffled pairs",
        "no pairs",
        "training split alone",
        "most alike",
        "time alone",
    ),
    *("ink/nearest", "swapped"),
}


def old_names(path: Path) -> Iterator[str]:
    """The names of a file that are no longer used for what they name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name in CLASSES:
            yield f"class {node.name}"
        elif isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            yield f"def {node.name}"
        elif isinstance(node, ast.Name) and node.id in LOCALS:
            yield node.id
        elif isinstance(node, ast.arg) and node.arg in LOCALS:
            yield node.arg
        elif path.is_relative_to(ROOT / "mmml") and isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value in VALUES:
                yield repr(node.value)


def options(section: Any, path: str) -> Iterator[str]:
    """The dotted paths of a section and of all that is in it."""
    if path:
        yield path
    for key, value in section.items() if isinstance(section, dict) else ():
        yield from options(value, f"{path}.{key}".strip("."))


def section_of(path: Path) -> str:
    """Where the options of a file of ``conf`` stand in the config."""
    first, (group, *_) = path.read_text().split("\n")[0], path.relative_to(ROOT / "conf").parts
    if first.startswith("# @package"):
        return first.removeprefix("# @package").strip().removeprefix("_global_")
    if path.parent == ROOT / "conf":
        return ""
    inner = (
        path.relative_to(ROOT / "conf" / group).parent.parts
        if path.parent != ROOT / "conf" / group
        else ()
    )
    return ".".join((group, *inner))


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_identifiers(path):
    assert list(old_names(path)) == []
    assert path.stem not in MODULES


def test_options_and_choices():
    found = {o: p.name for p in CONF for o in options(yaml.safe_load(p.read_text()), section_of(p))}
    assert {
        "method.first_order",
        "episode.eval.corruptions",
        "evaluation.robustness.amounts",
    } <= set(found)
    assert OPTIONS & set(found) == set()
    for group, names in CHOICES.items():
        assert names & {p.stem for p in (ROOT / "conf" / group).glob("*.yaml")} == set()


def test_old_names_are_found(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("class Judge:\n    def see_all(self, told): return told\n")
    assert list(old_names(file)) == ["class Judge", "def see_all", "told", "told"]

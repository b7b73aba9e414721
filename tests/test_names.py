"""Names of an earlier language of the project are gone; docs/glossary.md has those of today."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CODE = sorted(p for folder in ("mmml", "scripts", "tests") for p in (ROOT / folder).rglob("*.py"))
CONF = sorted((ROOT / "conf").rglob("*.yaml"))

OLD = yaml.safe_load(Path(__file__).with_name("old_names.yaml").read_text())


def old_names(path: Path) -> Iterator[str]:
    """The names of a file that are no longer used for what they name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name in OLD["classes"]:
            yield f"class {node.name}"
        elif isinstance(node, ast.FunctionDef) and node.name in OLD["functions"]:
            yield f"def {node.name}"
        elif isinstance(node, ast.Name) and node.id in OLD["locals"]:
            yield node.id
        elif isinstance(node, ast.arg) and node.arg in OLD["locals"]:
            yield node.arg
        elif isinstance(node, ast.Constant) and path.is_relative_to(ROOT / "mmml"):
            yield from {node.value} & set(OLD["values"])


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
    assert path.stem not in OLD["modules"]


def test_options_and_choices():
    found = {o: p.name for p in CONF for o in options(yaml.safe_load(p.read_text()), section_of(p))}
    assert {
        "method.first_order",
        "episode.eval.corruptions",
        "evaluation.robustness.amounts",
    } <= set(found)
    assert set(OLD["options"]) & set(found) == set()
    for group, names in OLD["choices"].items():
        assert set(names) & {p.stem for p in (ROOT / "conf" / group).glob("*.yaml")} == set()


def test_old_names_are_found(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("class Judge:\n    def see_all(self, told): return told\n")
    assert list(old_names(file)) == ["class Judge", "def see_all", "told", "told"]

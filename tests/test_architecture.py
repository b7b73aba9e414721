"""The shape of the package: imports point one way."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmml.methods import Trainable, methods
from mmml.tasks import Task, tasks

ROOT = Path(__file__).parent.parent / "mmml"
FILES = sorted(ROOT.rglob("*.py"))

# What stands left knows nothing of what stands right; training and evaluation do not
# know each other.
ORDER = [
    {"errors"},
    {
        "registry",
        "files",
        "text",
        "data.media",
        "threads",
        "memory",
        "progress",
        "terminal",
        "world",
    },
    {"run_directory", "config", "data"},
    {"data.datasets"},
    {"episodes"},
    {"similarity"},
    {"encoders"},
    {"tasks"},
    {"methods"},
    {"training", "evaluation"},
    {"reporting"},
    {"run"},
    {"provenance", "predict", "check"},
    {"job"},
    {"compare"},
    {"cli", "__init__"},  # the doors: console scripts and Python
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def part(path: Path) -> str:
    return part_of([p.removesuffix(".py") for p in path.relative_to(ROOT).parts])


def part_of(names: list[str]) -> str:
    """The folder, or of data the folder in it, that a module lies in."""
    within = ".".join(names[:2])
    return within if within in RANK else names[0]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= (
                {f"{node.module}.{a.name}" for a in node.names}
                if node.module == "mmml"
                else {node.module}
            )
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return {part_of(n.split(".")[1:]) for n in names if n.startswith("mmml.")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    for name in imported(path) - {part(path)}:
        assert RANK[name] < RANK[part(path)], f"{path} imports mmml.{name}"


def test_reports_need_no_torch():
    for path in (ROOT / "reporting").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) torch", path.read_text(), re.MULTILINE)


def special_cases(tree: ast.AST, classes: set[str], names: set[str]) -> Iterator[str]:
    """Code that looks at what a task or a learner is, rather than asking it:
    by its class or by a name.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "isinstance",
            "issubclass",
        ):
            if {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)} & classes:
                yield ast.unparse(node)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            several = [e for side in sides for e in getattr(side, "elts", [side])]
            texts = {e.value for e in several if isinstance(e, ast.Constant)}
            owners = [ast.unparse(side.value) for side in sides if isinstance(side, ast.Attribute)]
            of_name = any(
                isinstance(s, ast.Attribute) and s.attr in ("name", "variant", "form")
                for s in sides
            )
            if texts & names or (
                of_name and any(re.search(r"task|learner|method", a) for a in owners)
            ):
                yield ast.unparse(node)


def subclasses(kind: type) -> set[str]:
    return {kind.__name__}.union(*(subclasses(sub) for sub in kind.__subclasses__()))


def test_nothing_is_done_for_a_task_or_a_method_alone():
    """What differs between tasks is a method of theirs; none is known by its class or
    its name elsewhere.
    """
    names = {*tasks.names(), *methods.names(), "scalar", "embedding"}
    classes = subclasses(Task) | subclasses(Trainable)
    assert {"Generation", "LearnedOptimizer", "Ranking"} <= classes
    assert list(
        special_cases(
            ast.parse("if isinstance(task, Retrieval) or task.form == 'x': pass"), classes, names
        )
    )
    found = {p: list(special_cases(ast.parse(p.read_text()), classes, names)) for p in FILES}
    assert {str(p.relative_to(ROOT)): each for p, each in found.items() if each} == {}

"""The shape of the package: imports point one way."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "mmml"
FILES = sorted(ROOT.rglob("*.py"))

# What stands left knows nothing of what stands right; training and evaluation do not know each other.
ORDER = [
    {"errors"},
    {"registry", "files", "text", "data.media", "threads", "memory", "progress", "terminal"},
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
            names |= {f"{node.module}.{a.name}" for a in node.names} if node.module == "mmml" else {node.module}
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

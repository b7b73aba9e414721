"""The shape of the package: imports point one way, files and functions stay small."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "mmml"
FILES = sorted(ROOT.rglob("*.py"))

# What stands left knows nothing of what stands right; trainer and evaluation do not know each other.
ORDER = [
    {"errors"},
    {"registry", "files", "text", "media", "threads", "memory", "progress", "terminal"},
    {"run_directory", "config", "datasets", "loggers"},
    {"episodes"},
    {"similarity"},
    {"encoders"},
    {"tasks"},
    {"methods"},
    {"trainer", "evaluation"},
    {"report"},
    {"run"},
    {"provenance", "predict", "check"},
    {"job"},
    {"compare"},
    {"cli", "__init__"},  # the doors: console scripts and Python
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{a.name}" for a in node.names} if node.module == "mmml" else {node.module}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return {n.split(".")[1] for n in names if n.startswith("mmml.")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    for name in imported(path) - {part(path)}:
        assert RANK[name] < RANK[part(path)], f"{path} imports mmml.{name}"


def test_reports_need_no_torch():
    for path in (ROOT / "report").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) torch", path.read_text(), re.MULTILINE)

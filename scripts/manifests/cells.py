"""Random cells of a table, as people and programs write them: names, words, numbers and unusual
values.
"""

import datetime
import random
from collections.abc import Callable
from typing import Any

Draw = random.Random

WORDS = (
    "sun",
    "moon",
    "über",
    "café",
    "猫",
    "наука",
    "שלום",
    "🙂",
    "the",
    "a",
    "of",
    "red,",
    "green;",
    "|",
    "dark\tlight",
)
ODD_TEXTS = (
    'a 5" screen',
    'she said "no"',
    "[bold]loud[/bold]",
    "two\nlines",
    "one\r\nother, and\rmore",
    "=1+1",
    "#hash",
    "a=b",
    "back\\slash\\",
    "None",
    "NA",
    "n/a",
    "true",
    "007",
    "1e5",
    "2021-01-01",
    "nul\0within",
    "bell\a and \x1b[31m",
    "\u2028line",
    "e\u0301 and é",
    "\u200bhidden",
    " blanks around ",
    "\ttab first",
    "last\n",
    "'",
    "--",
    "👩\u200d🔬",
    "long " * 3000,
)
LONE_QUOTES = ('"I said so', '"', '"quoted" and on', 'closed later"', '""', '" blank')
BLANK = (" ", "\t", "\u00a0", "\u200b")
# Read as text unless an option says that they mean missing values.
MISSING = ("None", "NA", "N/A", "none", "NONE", "-", "?", "nil")
ODD_NUMBERS = (
    "inf",
    "-Infinity",
    "1e400",
    "1e39",
    "1e-400",
    "9" * 400,
    "1,234.5",
    "٣",
    "１",
    "1 000",
    "0x10",
    "--",
    "+",
)
NUMBERS = ("+1", "-0", ".5", "5.", "1e5", "1E-3", "00.50", "3", "0", " 2 ")


def text(draw: Draw) -> str:
    """Return a few words, or an unusual text."""
    if draw.random() < 0.15:
        return draw.choice(ODD_TEXTS)
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 6)))


def _dates(i: int) -> Any:
    return datetime.date(2021, 1, 1) + datetime.timedelta(days=i)


NAMES: dict[str, Callable[[int], Any]] = {
    "words": lambda i: f"class {i}",
    "zeros": lambda i: f"{i:03}",
    "whole": lambda i: i,
    "large": lambda i: 2**53 + i,
    "huge": lambda i: 12345678901234567890123 + i,
    "huge texts": lambda i: f"{12345678901234567890 + i}",
    "dates": _dates,
    "date texts": lambda i: str(_dates(i)),
    "times": lambda i: datetime.datetime(2021, 1, 1, i % 24, 30, i // 24),
    "fractions": lambda i: 0.1 + i,
    "points": lambda i: f"{i}.0",
    "truth": lambda i: (True, False)[i] if i < 2 else f"true {i}",
    "exponents": lambda i: f"{i}e5",
    "missing words": lambda i: MISSING[i] if i < len(MISSING) else f"na {i}",
    "marks": lambda i: (
        ("a,b", "a;b", 'a"b', "[red]x[/red]", "=1+1", "a=b", "#", "a|b", "C:\\", "it's")[i % 10]
        + "'" * (i // 10)
    ),
    "accents": lambda i: "é" * (i + 1),
    "scripts": lambda i: chr(0x4E00 + i),
    "splits": lambda i: ("train", "test", "val", "all")[i % 4] + "s" * (i // 4),
    "long": lambda i: "x" * 300 + str(i),
    "paths": lambda i: f"../{i}/a.png",
}
"""Functions that return distinct names by number; mmml must keep all names distinct."""


def names(draw: Draw) -> Callable[[int], Any]:
    """Return one of these functions."""
    return NAMES[draw.choice(list(NAMES))]


def alike(draw: Draw, name: Any) -> Any:
    """Return a name as somebody else types it, which looks the same."""
    if not isinstance(name, str):
        return name
    spelt = {
        "blanks": f" {name} ",
        "no-break": name.replace(" ", "\u00a0"),
        "zero-width": f"{name}\u200b",
        "mark": f"\ufeff{name}",
        "apart": name.replace("é", "e\u0301"),
    }
    return spelt[draw.choice(list(spelt))]

"""Random manifests, as users write them: ``python scripts/fuzz_manifests.py [COUNT] [SEED] [--only
NUMBER]``.

COUNT (1,000) small manifests, one after another: CSV in many dialects and encodings, JSON lines,
Parquet, class folders; ids and labels of all kinds, gaps, odd numbers, damaged files. Each goes
through ``mmml-data check``, two training steps (where the check says that training can start)
and ``mmml-predict``, with tiny encoders, in this process. A finding is one of four: a traceback;
a refusal without a reason in the manifest; a row that is neither read nor counted as left out;
a value that was not read as it was written. Findings are printed with the command that repeats
them, and the exit code is then 1.

A manifest is a function of SEED (0) and its number: ``--only 17`` makes number 17 alone,
in ``outputs/fuzz``.
"""

import os
import random
import re
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from manifests.columns import table
from manifests.dialects import Case, write
from manifests.folders import folders
from manifests.playing import Outcome, play, quickly

COUNT, SEED = 1000, 0
KEPT = Path("outputs") / "fuzz"
SHOWN, KIND = 12, 60  # kinds of sentences in the last line, and their characters


def main(arguments: list[str]) -> int:
    """From the command line to the last line; returns the exit code."""
    only = arguments[-1] if arguments[-2:-1] == ["--only"] else None
    rest = arguments if only is None else arguments[:-2]
    if len(rest) > 2 or not all(a.isdigit() for a in [*rest, only or "0"]):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    count, seed = (int(given) for given in (*rest, *(COUNT, SEED)[len(rest) :]))
    return fuzz(range(count) if only is None else [int(only)], seed, keep=only is not None)


def fuzz(numbers: range | list[int], seed: int, keep: bool = False) -> int:
    """Play these manifests; returns 1 if there are findings."""
    counts: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quickly():
        warnings.simplefilter("error")  # what a user would see, too
        os.environ["MMML_CACHE"] = f"{folder}/cache"
        for number in numbers:
            work = KEPT if keep else Path(folder, "work")
            case, outcome = one(number, seed, work.absolute())
            counts.update(
                [
                    *outcome.stages,
                    *(["refused"] if outcome.sentences else []),
                    *["findings"] * len(outcome.findings),
                ]
            )
            sentences.update({kind(sentence) for sentence in outcome.sentences})
            if keep:
                print(
                    f"{outcome.printed}\n{case.how}: {', '.join(outcome.stages)}; "
                    f"{'; '.join(outcome.sentences)}"
                )
            for finding in outcome.findings:
                print(
                    f"\n{number} ({case.how}): {finding}\n  python scripts/fuzz_manifests.py 1 "
                    f"{seed} --only {number}",
                    flush=True,
                )
    message = ", ".join(
        f"{counts[what]:,} {what}"
        for what in ("read", "checked", "trained", "predicted", "refused")
    )
    kinds = "; ".join(f"{n} {said}" for said, n in sentences.most_common(SHOWN))
    print(
        f"{len(numbers):,} manifests, seed {seed}: {message} ({kinds}); "
        f"{counts['findings']:,} findings"
    )
    return 1 if counts["findings"] else 0


def one(number: int, seed: int, work: Path) -> tuple[Case, Outcome]:
    """Make a manifest and play it."""
    shutil.rmtree(work, ignore_errors=True)
    case = make(number, seed, work / "data")
    return case, play(case, work)


def make(number: int, seed: int, folder: Path) -> Case:
    """The manifest of this number, in a folder that is yet to be made."""
    draw = random.Random(f"{seed}/{number}")
    folder.mkdir(parents=True)
    (folder / "folder").mkdir()
    return folders(draw, folder) if draw.random() < 0.08 else write(draw, table(draw, folder))


def kind(sentence: str) -> str:
    """A sentence without what is of one manifest."""
    without = re.sub(
        r"/\S+/data/(my )?\S*[^\s:]|(dataset|predict)(?=\.features)|'[^']*'|\d+", "…", sentence
    )
    return without.removeprefix("… ").removeprefix("…: ")[:KIND]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Test mmml with random manifests, as users write them:
``python scripts/fuzz_manifests.py [COUNT] [SEED] [--only NUMBER]``.

Makes COUNT (1,000) small manifests: CSV in many dialects and encodings, JSON lines, Parquet, class
folders; with ids and labels of all kinds, missing values, unusual numbers, and damaged files. Each
is used in ``mmml-data check``, two training steps (if the check says that training can start) and
``mmml-predict``, with tiny encoders, in this process. There are four kinds of findings: a
traceback; a refusal without a reason in the manifest; a row that is neither read nor counted as
left out; a value that is read differently from how it was written. Findings are printed with the
command that repeats them, and the exit code is then 1.

A manifest depends only on SEED (0) and its number: ``--only 17`` makes number 17 alone, in
``outputs/fuzz``.
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
SHOWN, KIND = 12, 60  # maximum number of messages in the last line, and their length


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    only = arguments[-1] if arguments[-2:-1] == ["--only"] else None
    rest = arguments if only is None else arguments[:-2]
    if len(rest) > 2 or not all(a.isdigit() for a in [*rest, only or "0"]):
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    count, seed = (int(given) for given in (*rest, *(COUNT, SEED)[len(rest) :]))
    return fuzz(range(count) if only is None else [int(only)], seed, keep=only is not None)


def fuzz(numbers: range | list[int], seed: int, keep: bool = False) -> int:
    """Test these manifests; return 1 if there are findings."""
    counts: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quickly():
        warnings.simplefilter("error")  # users would see warnings, too
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
    """Make a manifest and test it."""
    shutil.rmtree(work, ignore_errors=True)
    case = make(number, seed, work / "data")
    return case, play(case, work)


def make(number: int, seed: int, folder: Path) -> Case:
    """Make the manifest with this number in a new folder."""
    draw = random.Random(f"{seed}/{number}")
    folder.mkdir(parents=True)
    (folder / "folder").mkdir()
    return folders(draw, folder) if draw.random() < 0.08 else write(draw, table(draw, folder))


def kind(sentence: str) -> str:
    """Return a message without the parts that are specific to one manifest."""
    without = re.sub(
        r"/\S+/data/(my )?\S*[^\s:]|(dataset|predict)(?=\.features)|'[^']*'|\d+", "…", sentence
    )
    return without.removeprefix("… ").removeprefix("…: ")[:KIND]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which fusion holds best as modalities go missing and grow noisy? ``python scripts/fusions.py EXPERIMENT [SEEDS]``.

EXPERIMENT is robust_glyphs, robust_emoji, sentiment, or another whose mappings show modalities apart and together. One
fusion is chosen by the area under its curves on the validation split, seed 0; it and concat are then trained with every
seed (0 to 4, unless fewer SEEDS are asked for) and judged on test, beside the best single modality. Every command is
printed before it is run; what has run before (below ``outputs/fusions``) is not run again.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from reproduce import play, refuse
from reproductions import Reproduction

from mmml.evaluation.statistics import interval

HOME = Path("outputs") / "fusions"
FUSIONS = ("mean", "concat", "gated", "attention")
SIMPLE = "concat"  # what the chosen one is compared with


def main(arguments: list[str]) -> int:
    """From the command line to the table; returns the exit code."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    name, *rest = arguments
    if len(rest) > 1 or not all(r.isdigit() and int(r) > 1 for r in rest):
        return refuse(f"{' '.join(rest)} is no number of seeds: write EXPERIMENT, or EXPERIMENT and two seeds or more")
    try:
        validation = {fusion: areas(name, fusion, 0, "val") for fusion in FUSIONS}
        chosen = max(validation, key=lambda fusion: fused(validation[fusion])[1])
        wanted = dict.fromkeys((chosen, SIMPLE))
        test = {f: [areas(name, f, seed, "test") for seed in range(int(rest[0]) if rest else 5)] for f in wanted}
    except subprocess.CalledProcessError as error:  # which has said why
        return 130 if error.returncode == 130 else 2
    except KeyboardInterrupt:
        return 130
    report(name, validation, chosen, test)
    return 0


def areas(name: str, fusion: str, seed: int, split: str) -> dict[str, float]:
    """The area under the curves of each mapping, as scores are shown, and less than 0 where less is better."""
    alone = ["evaluation.baselines=[]", "evaluation.controls=false"]
    train = [f"experiment={name}", f"encoder/fusion={fusion}", *alone]
    judged = {f"robust-{split}": ["robustness=true", f"evaluation.robustness.split={split}"]}
    found = play(HOME / name / f"{fusion}-seed{seed}", Reproduction(train, [], judged), [f"seed={seed}"])
    return areas_of(json.loads((found[f"robust-{split}"] / "result.json").read_text()))


def areas_of(result: dict[str, Any]) -> dict[str, float]:
    """The same, from ``result.json``, where shots are most."""
    areas = [p for p in result["robustness"] if p["amount"] is None and p["corruption"] == "all"]
    most = max((p["ways"], p["shots"]) for p in areas)
    points = [p for p in areas if (p["ways"], p["shots"]) == most]
    better = {cell["metric"]: cell["higher_is_better"] for cell in result["panel"]}
    sign = {p["metric"]: (1 if better[p["metric"]] else -1) * (100 if p["percent"] else 1) for p in points}
    return {p["mapping"]: sign[p["metric"]] * p["mean"] for p in points}


def fused(area: dict[str, float]) -> tuple[str, float]:
    """The mapping that shows the most modalities, and its area."""
    return max(area.items(), key=lambda item: item[0].count("+"))


def report(
    name: str, validation: dict[str, dict[str, float]], chosen: str, test: dict[str, list[dict[str, float]]]
) -> None:
    """Print what was chosen, the areas of every seed, and what is between them."""
    shown = ", ".join(f"{fusion} {abs(fused(area)[1]):.3g}" for fusion, area in validation.items())
    whole, seeds = fused(validation[chosen])[0], test[chosen]
    ours, simple = ([s[whole] for s in test[fusion]] for fusion in (chosen, SIMPLE))
    print(f"\n{name}: {whole}, validation, seed 0: {shown}: {chosen} is chosen\n")
    print("| area under the curves, test | mean over seeds and 95 % interval | deviation | each |")
    print("| --- | --- | --- | --- |")
    row(f"{whole}, {chosen}", ours)
    if chosen != SIMPLE:
        row(f"{whole}, {SIMPLE}", simple)
    singles = {mapping: [s[mapping] for s in seeds] for mapping in seeds[0] if mapping != whole}
    for mapping, each in singles.items():
        row(f"{mapping}, {chosen}", each)
    best = max(singles, key=lambda mapping: statistics.mean(singles[mapping]))
    row(f"better than {best} by", np.subtract(ours, singles[best]).tolist(), signed=True)
    if chosen != SIMPLE:
        row(f"better than {SIMPLE} by", np.subtract(ours, simple).tolist(), signed=True)


def row(title: str, each: list[float], signed: bool = False) -> None:
    """Print one of the table."""
    shown = each if signed else [abs(e) for e in each]
    mean, ci95 = interval(np.array(shown))
    told = ", ".join(f"{e:{'+' if signed else ''}.3g}" for e in shown)
    print(f"| {title} | {mean:{'+' if signed else ''}.3g} ± {ci95:.2g} | {statistics.stdev(shown):.2g} | {told} |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

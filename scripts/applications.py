"""Does adaptation help in the applications? ``python scripts/applications.py [NAME ...]`` trains and judges them.

NAME is one of the runs below, or the first letters of several (``translation``); without any, all are run, which takes
five hours on one slow core. Every command is printed before it is run; what has run before (below
``outputs/applications``) is not run again. At the end stands a table in Markdown: by the first metric, at the largest
support set, what the learned row has and how much better it is than the others, with paired intervals; where other
metrics say that it is worse; and the verdict. Needs ``MMML_DATA``, and for lines of dialogue ``MMML_MINILM``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproduce import play, refuse
from reproductions import READ_BY_MINILM, Reproduction

from mmml.errors import did_you_mean
from mmml.reporting import cells as show
from mmml.reporting.verdicts import THAN, judged

HOME = Path("outputs") / "applications"
BY_OPTIMIZER = "method=learned_optimizer"
SENTENCES = "experiment=translation_sentences"
GERMAN = "dataset.test_languages=[de-cs]"
FEWER = ("evaluation.episodes=10", "evaluation.validation_episodes=4")
DIALOGUE = ("experiment=sentiment_meld_mustard", *READ_BY_MINILM)
EMOTIONS = ("dataset.test=emotion", "dataset.held_out=[disgust,fear,sadness]", "episode.train.ways=4")

RUNS: dict[str, tuple[str, ...]] = {
    "translation": ("experiment=translation",),
    "translation-optimizer": ("experiment=translation", BY_OPTIMIZER),
    "translation-sentences": (SENTENCES, "evaluation.episodes=300"),
    "translation-sentences-german": (SENTENCES, GERMAN, "evaluation.episodes=300"),
    "translation-sentences-optimizer": (SENTENCES, BY_OPTIMIZER, *FEWER),
    "translation-retrieval": ("experiment=translation_retrieval",),
    "translation-retrieval-optimizer": ("experiment=translation_retrieval", BY_OPTIMIZER),
    "captioning": ("experiment=captioning",),
    "captioning-optimizer": ("experiment=captioning", BY_OPTIMIZER),
    "captioning-topics": ("experiment=captioning_topics",),
    "captioning-topics-optimizer": ("experiment=captioning_topics", BY_OPTIMIZER),
    "captioning-photographs": ("experiment=captioning_photographs",),
    "captioning-photographs-optimizer": ("experiment=captioning_photographs", BY_OPTIMIZER),
    "video-summary": ("experiment=video_summary",),
    "video-summary-optimizer": ("experiment=video_summary", BY_OPTIMIZER),
    "video-summary-frames": ("experiment=video_summary_frames",),
    "video-summary-frames-optimizer": ("experiment=video_summary_frames", BY_OPTIMIZER),
    "sentiment-meld-mustard": DIALOGUE,
    "sentiment-meld-mustard-optimizer": (*DIALOGUE, BY_OPTIMIZER),
    "sentiment-meld-mustard-emotions": (*DIALOGUE, *EMOTIONS, "episode.eval.shots=[1,4,20]"),
    "sentiment": ("experiment=sentiment_pom",),
    "sentiment-optimizer": ("experiment=sentiment_pom", BY_OPTIMIZER),
    "sentiment-ict-mmmo": ("experiment=sentiment_ict_mmmo",),
    "sentiment-ict-mmmo-optimizer": ("experiment=sentiment_ict_mmmo", BY_OPTIMIZER),
}


def main(arguments: list[str]) -> int:
    """From the command line to the table; returns the exit code."""
    if {"-h", "--help"} & set(arguments):
        print(__doc__, *(f"  {name:33} mmml-train {' '.join(options)}" for name, options in RUNS.items()), sep="\n")
        return 0
    for unknown in (a for a in arguments if not any(name.startswith(a) for name in RUNS)):
        return refuse(f"{unknown} is no application{did_you_mean(unknown, RUNS)}")
    chosen = [name for name in RUNS if not arguments or any(is_meant(name, a) for a in arguments)]
    try:
        results = {name: result_of(name) for name in chosen}
    except subprocess.CalledProcessError as error:  # which has said why
        return 130 if error.returncode == 130 else 2
    except KeyboardInterrupt:
        return 130
    report(results)
    return 0


def is_meant(name: str, argument: str) -> bool:
    """Whether a run is asked for: by its name, or by first letters that are no name."""
    return name == argument or (argument not in RUNS and name.startswith(argument))


def result_of(name: str) -> dict[str, Any]:
    """What ``result.json`` says of a run, which is made if it was not."""
    folder = play(HOME / name, Reproduction(list(RUNS[name]), []), [])["test"]
    told: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return told


def report(results: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    head = ["", "shown", "metric", "score", *(f"less {role}" for role in THAN), "worse by", ""]
    print("\n|", " | ".join(head), "|\n|", " | ".join("---" for _ in head), "|")
    for name, result in results.items():
        for row in rows(result):
            print("|", " | ".join([name, *row]), "|")
    seconds = sum(r["seconds"] for r in results.values())
    print(f"\n{len(results)} runs, {seconds / 60:.0f} minutes, {os.cpu_count()} cores")


def rows(result: dict[str, Any]) -> Iterator[list[str]]:
    """One for each verdict; of the untrained rows it names the one to beat."""
    for verdict, said in zip(result["verdicts"], judged(result["verdicts"]), strict=True):
        metric = verdict["metric"]
        (score,) = (c for c in result["panel"] if is_of(c, verdict) and c["metric"] == metric)
        comparisons, losses = verdict["comparisons"], verdict["losses"]
        better = {c["role"]: against.outcome for c, against in zip(comparisons, said.against, strict=False)}
        for c in comparisons:
            if c["role"] == "untrained":
                better["untrained"] += f", `{c['other']}`"
        worse = [
            f"{c['metric']} {against.outcome} ({c['role']})"
            for c, against in zip(losses, said.against[len(comparisons) :], strict=True)
        ]
        compared = [better.get(role, "–") for role in THAN]
        yield [said.played, metric, show.value(score), *compared, "; ".join(worse) or "–", said.outcome]


def is_of(cell: dict[str, Any], verdict: dict[str, Any]) -> bool:
    """Whether a cell of the panel is the mean of the row that a verdict is about."""
    keys = ("predictor", "task", "support", "query", "target", "ways", "shots")
    whole = cell["candidates"] is None and cell["step"] is None and cell["subset"] is None
    return whole and all(cell[key] == verdict[key] for key in keys)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

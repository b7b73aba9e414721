"""Which episodes a manifest can play, and whether those of a config are among them."""

from collections.abc import Iterable, Mapping

import numpy as np

from mmml.check.finding import Finding
from mmml.config import Config
from mmml.datasets import Per, Samples
from mmml.datasets.manifest import Manifest
from mmml.episodes.groups import groups_for_episodes
from mmml.episodes.plan import check_mappings, check_shape
from mmml.errors import UserError
from mmml.tasks import Task

WIDEST = 32  # classes of a training episode that a suggestion goes up to


def groups(dataset: Manifest) -> list[str]:
    """The choices that suit these samples: scores ask for regression."""
    return ["task=regression", "episode=regression"] if dataset.rows.has("score") else ["episode=five_way"]


def suggest(dataset: Manifest, samples: Mapping[str, Samples]) -> list[str]:
    """Overrides of episodes that these samples can play, as wide as is usual."""
    if not samples or not all(s.classes for s in samples.values()):
        return []
    per = dataset.modalities
    shown = [m for m in possible_mappings(dataset) if m.split(":")[0] == m.split(":")[1]] or possible_mappings(dataset)
    least = min(int(s.counts.min()) for s in samples.values())
    if dataset.rows.has("score"):
        queries = max(1, min(20, least // 2))
        few = sorted({max(1, min(n, least - queries)) for n in (5, 20)})
        both = [f"episode.{side}.mappings=[{','.join(shown)}]" for side in ("eval", "train")]
        return [
            *both,
            f"episode.eval.shots={few}".replace(" ", ""),
            f"episode.eval.queries={queries}",
            f"episode.train.shots={few[-1]}",
            f"episode.train.queries={queries}",
        ]
    ways = min(5, len(samples["val"].classes), len(samples["test"].classes))
    single = any(per[m] is Per.SAMPLE for mapping in shown for m in mapping.split(":"))
    shots, queries = ("[1,5]", 5) if least >= 10 or not single else ("[1]", max(1, min(5, least - 1)))
    return [
        f"episode.eval.mappings=[{','.join(shown)}]",
        f"episode.eval.ways={ways}",
        f"episode.eval.shots={shots}",
        f"episode.eval.queries={queries}",
        f"episode.train.ways={min(WIDEST, len(samples['train'].classes))}",
        f"episode.train.queries={queries}",
    ]


def possible_mappings(dataset: Manifest) -> list[str]:
    """Each modality to itself, and each pair across, as far as a mapping makes sense."""
    per = dataset.modalities
    return [f"{a}:{b}" for b in per for a in per if not (a == b and per[a] is Per.CLASS)]


def check_episodes(dataset: Manifest, config: Config, task: Task, samples: Mapping[str, Samples]) -> Iterable[Finding]:
    """Whether the config's episodes can be played."""
    try:
        task.check(config.episode)
        check_mappings(config.episode, dataset, trains=True)
    except UserError as error:
        yield Finding(True, str(error), f"choose among {', '.join(possible_mappings(dataset))}")
        return
    try:
        samples = groups_for_episodes(samples, config.episode.by_group)
    except UserError as error:
        yield Finding(True, str(error), "or leave episode.by_group out")
        return
    for split, part in samples.items():
        try:
            check_shape(config.episode, part, split)
        except UserError as error:
            yield Finding(True, str(error), mend_shape(part, split))


def mend_shape(samples: Samples, split: str) -> str:
    """What would fit."""
    side = "train" if split == "train" else "eval"
    counts = np.sort(samples.counts)
    least = int(counts[0]) if len(counts) else 0
    return (
        f"the {split} split can play up to {len(counts)} ways, and {max(0, least - 1)} shots with 1 query: set "
        f"episode.{side}.ways, .shots and .queries, or give more"
    )

"""Which episodes a manifest allows, and whether a config's episodes are among them."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from mmml.check.issue import GAPS, Issue
from mmml.check.issues import Inspection
from mmml.config import Config
from mmml.data.base import SPLITS, Granularity, Samples
from mmml.data.datasets.manifest import Manifest
from mmml.data.manifest.splitting import BY_SAMPLE, declared
from mmml.episodes.setup import check_mappings, check_shape, for_episodes
from mmml.errors import UserError, many
from mmml.run import build_learner
from mmml.tasks import Task

PAIR = 1.5  # rows of a class that round to two: one support sample, one query
WIDEST = 32  # the largest number of ways that is suggested for training

# Choices of ``episode`` by the form of answers; "pairs" for all others.
EPISODES = {"label": "five_way", "scalar": "regression"}


def suggest(dataset: Manifest, inspection: Inspection, task: Task) -> list[str]:
    """Return overrides for training on these samples: fitting choices, mappings, ways, shots and
    queries.

    Args:
        dataset: the manifest.
        inspection: its inspection.
        task: of the planned run.
    """
    one_way, samples = task.per_sample_target, inspection.samples
    choices = [
        *([f"task={task.name}"] if one_way else []),
        f"episode={EPISODES.get(task.form, 'pairs')}",
    ]
    complete = [
        m
        for m in inspection.complete or list(dataset.modalities)[:1]
        if m not in task.target_columns
    ]
    shown = suggested_mappings(dataset, complete, one_way)
    if not shown or not samples or not all(s.classes for s in samples.values()):
        return choices
    least = min(int(s.counts.min()) for s in samples.values())
    both = [f"episode.eval.mappings=[{','.join(shown)}]"] + [
        f"episode.train.mappings=[{','.join(shown)}]"
    ] * one_way
    if one_way:
        queries = max(1, min(20, least // 2))
        shots = sorted({max(1, min(n, least - queries)) for n in (5, 20)})
        ways = {}
    else:
        single = any(
            dataset.modalities[m] is Granularity.SAMPLE
            for mapping in shown
            for m in mapping.split(":")
        )
        queries, shots = (5, [1, 5]) if least >= 10 else (max(1, min(5, least - 1)), [1])
        if not single:  # a class has only one value, however often it is drawn
            queries, shots = 1, [1]
        ways = {"eval": min(5, len(samples["val"].classes), len(samples["test"].classes))}
        ways["train"] = min(WIDEST, len(samples["train"].classes))
    return [
        *choices,
        *both,
        *(f"episode.{side}.ways={n}" for side, n in ways.items()),
        f"episode.eval.shots={shots}".replace(" ", ""),
        f"episode.eval.queries={queries}",
        *([f"episode.train.shots={shots[-1]}"] if one_way else []),
        f"episode.train.queries={queries}",
    ]


def known_classes(dataset: Manifest, least: int) -> Issue | None:
    """Return an issue that explains why no classes can be held out, only samples; None if classes
    can be held out.

    Args:
        dataset: split by class.
        least: the smallest number of classes of an episode.
    """
    rows, (codes, _) = dataset.rows, dataset.labels
    counts = np.bincount(codes[codes >= 0])
    if rows.has("score") and not rows.has("label"):
        what = "there are scores and no labels: all rows are one task"
    elif not rows.has("label"):
        return None
    elif rows.has("split"):
        parts = declared(rows.column("split"), np.flatnonzero(codes >= 0)).values()
        several = (
            np.unique(
                np.concatenate([np.unique(codes[part]) for part in parts]), return_counts=True
            )[1]
            > 1
        )
        # A few classes in two splits are an error, which is reported elsewhere.
        if several.mean() <= 0.5:
            return None
        what = (
            f"{many(int(several.sum()), 'class')} of {len(several)} are in several "
            "splits of the table"
        )
    elif (
        len(counts) >= len(SPLITS) * least or (min(dataset.val, dataset.test) * counts < PAIR).all()
    ):
        return None
    else:
        what = f"there are too few classes to hold some of them out: {len(counts)}"
    return Issue(
        False,
        what,
        f"{BY_SAMPLE} is used here, which tests new samples of known classes; to test new classes, "
        "set it to class",
    )


def suggested_mappings(dataset: Manifest, complete: Iterable[str], one_way: bool) -> list[str]:
    """Return mappings of complete modalities: from each modality to itself, and from the table's
    texts to the others; if there are none, between all pairs.
    """
    per = {m: dataset.modalities[m] for m in complete}
    same = [f"{m}:{m}" for m, p in per.items() if p is Granularity.SAMPLE]
    if one_way:
        return same
    if "text" in per and dataset.rows.has("text"):
        return same + [f"text:{m}" for m in per if m != "text"]
    return same or [
        f"{a}:{b}"
        for a in per
        for b in per
        if a != b and dataset.rows.has(a) and dataset.rows.has(b)
    ]


def possible_mappings(dataset: Manifest, target: str | None = None) -> list[str]:
    """Return the mappings from each modality to itself and to each other one, without the target
    and without those from a class modality to itself.
    """
    per = {m: p for m, p in dataset.modalities.items() if m != target}
    return [f"{a}:{b}" for b in per for a in per if not (a == b and per[a] is Granularity.CLASS)]


def without_queries(dataset: Manifest) -> Iterable[Issue]:
    """Report classes with a single value each, which leaves no sample for queries."""
    if dataset.rows.has("label") and not possible_mappings(dataset):
        (modality,) = dataset.modalities
        hint = (
            f"give each class more rows, with another {modality} in each: some for the support, "
            "some for the queries"
        )
        yield Issue(True, f"no class has more than one {modality}", hint)


def too_few(inspection: Inspection, least: int) -> Iterable[Issue]:
    """Report splits with fewer classes than an episode needs."""
    small = [
        f"{split} has {len(s.classes)}"
        for split, s in inspection.samples.items()
        if len(s.classes) < least
    ]
    if small:
        classes = len({c for s in inspection.samples.values() for c in s.classes})
        share = math.ceil(100 * least / max(classes, 1)) / 100
        hint = (
            f"set dataset.val={share} dataset.test={share}, or give these splits "
            "of the table more classes"
            if classes >= len(SPLITS) * least
            else f"{len(SPLITS) * least} classes or more are needed, or {least} with {BY_SAMPLE}"
        )
        hint += "; mmml-predict takes them as they are"
        yield Issue(True, f"an episode needs {least} classes or more, and {', '.join(small)}", hint)


def unlabelled(inspection: Inspection, least: int) -> Iterable[Issue]:
    """Report rows without labels: each is a class of its own, which is enough only for learning
    which modalities belong together.
    """
    if (
        inspection.samples
        and all(s.counts.max() == 1 for s in inspection.samples.values())
        and not inspection.labelled
    ):
        alone = len(inspection.modalities) < 2
        what = f"there are no labels: each {'file' if alone else 'row'} is a class of its own"
        if least == 1:
            hint = (
                "add a column label: rows with one label are one task, such as a language, "
                "or what scores are about"
            )
        elif alone:
            hint = (
                "add a column label, or a folder for each class; mmml-predict takes them as queries"
            )
        else:
            hint = "nothing needs to be done: modalities of one row belong together"
        yield Issue(alone or least == 1, what, hint)


def check_episodes(make: Callable[[], Manifest], config: Config, task: Task) -> Iterable[Issue]:
    """Report why the config's episodes cannot be drawn.

    Args:
        make: builds the manifest, which is not loaded yet and leaves bad rows out.
        config: of the run.
        task: of the run.
    """
    dataset = make()
    try:
        task.check(config.episode)
        mappings = check_mappings(config.episode, dataset, trains=True)
        task.check_mappings(mappings, dataset.modalities)
        used = {m for mapping in mappings for m in mapping.modalities}
        samples = for_episodes(dataset.load(used | task.target_columns), config.episode)
        task.check_samples(samples)
        learner, _ = build_learner(config, used, task)
        learner.fit(samples["train"])
    except UserError as error:
        possible = ", ".join(possible_mappings(dataset, task.target))
        yield Issue(True, str(error), f"possible mappings: {possible}" if possible else "")
        return
    for note in learner.cut(samples["train"]):
        yield Issue(False, note, "raise it, or shorten the texts")
    lacking = [why for why in dataset.rows.problems.values() if why in GAPS]
    if lacking and config.dataset["on_bad_sample"] == "error":
        what = (
            f"{many(len(lacking), 'row')} cannot be used by the mappings of this run: {lacking[0]}"
        )
        yield Issue(
            True,
            what,
            "choose mappings of what is there, dataset.missing=keep or on_bad_sample=skip",
        )
    for split, part in samples.items():
        try:
            check_shape(config.episode, part, split)
        except UserError as error:
            yield Issue(True, str(error), shape_hint(part, split))


def shape_hint(samples: Samples, split: str) -> str:
    """Suggest a shape of episodes that the split allows."""
    side = "train" if split == "train" else "eval"
    counts = np.sort(samples.counts)
    least = int(counts[0]) if len(counts) else 0
    return (
        f"the {split} split can play up to {len(counts)} ways, and {max(0, least - 1)} shots with "
        f"1 query: set episode.{side}.ways, .shots and .queries, or give more"
    )

"""All problems of a manifest that can be found before training."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmml.check.files import duplicates, sizes
from mmml.check.issue import GAPS, SHOWN, Issue
from mmml.data.base import SPLITS, Granularity, Samples
from mmml.data.datasets.manifest import Manifest
from mmml.data.manifest.columns import unserved
from mmml.data.manifest.meaning import KNOWN, MISSPELT
from mmml.errors import UserError, did_you_mean, many

TWINS = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο‐‑–—−’",
    "ABESIJKMHOPCTYXaesijopcyxABEZHIKMNOPTYXo-----'",
)
"""Cyrillic and Greek letters, and signs, that look like ASCII characters."""


@dataclass
class Inspection:
    """The result of a check.

    Attributes:
        name: of the manifest.
        read: how many rows or files were read and how many were skipped, in one line.
        counts: a line for each split: classes, samples, smallest and largest class.
        modalities: a line for each modality: granularity, values, sizes.
        found: problems and remarks.
        labelled: whether there are labels.
        complete: the modalities that no row lacks.
        samples: by split, with these modalities; empty if they could not be built.
        command: the command that trains on the manifest.
    """

    name: str
    read: str = ""
    counts: list[dict[str, Any]] = field(default_factory=list)
    modalities: list[dict[str, Any]] = field(default_factory=list)
    found: list[Issue] = field(default_factory=list)
    labelled: bool = True
    complete: list[str] = field(default_factory=list)
    samples: dict[str, Samples] = field(default_factory=dict)
    command: str = ""

    @property
    def stops(self) -> bool:
        """Whether training would fail."""
        return any(f.stops for f in self.found)


def inspect(make: Callable[[], Manifest], skips: bool) -> Inspection:
    """Read every row and every file of a manifest.

    Args:
        make: builds the manifest, which is not loaded yet and leaves bad rows out.
        skips: whether the planned training run leaves bad rows out.

    Raises:
        UserError: the manifest itself cannot be read.
    """
    dataset = make()
    inspection = Inspection(
        str(dataset.rows.path), dataset.rows.count(), labelled=dataset.rows.has("label")
    )
    lacking = missing(dataset)
    inspection.complete = [
        m for m in dataset.modalities if m not in lacking or not lacking[m].any()
    ]
    errors = [error for m in dataset.modalities if (error := decode(dataset, make(), m))]
    if len(errors) == len(dataset.modalities):
        inspection.found.append(
            Issue(True, errors[0], "a support set for mmml-predict needs no splits")
        )
    else:
        inspection.samples = load_first(
            make, [inspection.complete, *([m] for m in dataset.modalities)]
        )
    if dataset.rows.meant:
        inspection.found.insert(0, Issue(True, *worth_knowing(dataset.rows.meant)))
    inspection.found += bad_rows(dataset, skips)
    inspection.found += [Issue(False, *worth_knowing(note)) for note in dataset.rows.notes]
    inspection.found += gaps(lacking)
    inspection.found += constant_modalities(dataset)
    inspection.found += labels_alike(dataset)
    inspection.found += ignored_columns(dataset)
    inspection.found += straddling_groups(inspection.samples)
    inspection.found += duplicates(dataset)
    inspection.counts = [
        count(split, inspection.samples[split]) for split in SPLITS if split in inspection.samples
    ]
    inspection.modalities = [
        {"modality": m, "per": p.value} | sizes(dataset, m) for m, p in dataset.modalities.items()
    ]
    return inspection


def decode(dataset: Manifest, alone: Manifest, modality: str) -> str | None:
    """Find the problems of one modality's values, with a manifest built for this purpose; returns
    the error if it cannot be split.
    """
    error = None
    try:
        alone.load([modality])
    except UserError as found:
        error = str(found)
    for i, why in alone.rows.problems.items():
        dataset.rows.problems.setdefault(i, why)
    dataset.rows.notes += [note for note in alone.rows.notes if note not in dataset.rows.notes]
    return error


def worth_knowing(note: str) -> tuple[str, str]:
    """Separate a note into the observation and the suggestion."""
    what, _, hint = note.partition("; ")
    return what, hint or "nothing needs to be done"


def load_first(make: Callable[[], Manifest], choices: Iterable[list[str]]) -> dict[str, Samples]:
    """Return the samples with the first set of modalities that can be loaded; empty if none can."""
    for modalities in choices:
        with suppress(UserError):
            if modalities:
                return make().load(modalities)
    return {}


def count(split: str, samples: Samples) -> dict[str, Any]:
    """Return the numbers of classes and samples of a split, and its smallest and largest class."""
    counts = samples.counts
    if not len(counts):
        return {"split": split, "classes": 0, "samples": 0, "smallest": "", "largest": ""}
    low, high = int(counts.argmin()), int(counts.argmax())
    return {
        "split": split,
        "classes": len(counts),
        "samples": int(counts.sum()),
        "smallest": f"{counts[low]} ({samples.classes[low]})",
        "largest": f"{counts[high]} ({samples.classes[high]})",
    }


def bad_rows(dataset: Manifest, skips: bool) -> Iterable[Issue]:
    """Report rows that cannot be used, grouped by the reason."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for i, why in dataset.rows.problems.items():
        if why in GAPS:
            continue
        about_file = why.startswith(str(dataset.rows.folder))
        kinds[why.partition(": ")[2] if about_file else why].append(i)  # no file name
    for why, rows in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        hint = "they are left out (dataset.on_bad_sample=skip)"
        if not skips:
            hint = "fix or remove them, or leave such rows out by dataset.on_bad_sample=skip"
        messages = tuple(
            f"{dataset.rows.name_row(i)}: {dataset.rows.problems[i]}" for i in sorted(rows)[:SHOWN]
        )
        yield Issue(not skips, f"{many(len(rows), 'row')} cannot be used: {why}", hint, messages)


def gaps(lacking: dict[str, np.ndarray]) -> Iterable[Issue]:
    """Report rows without a modality: only mappings that use it cannot use these rows."""
    for modality, where in sorted(lacking.items()):
        count = int(where.sum())
        if count:
            yield Issue(
                False,
                f"{many(count, 'row')} of {len(where):,} have no {modality}",
                f"mappings that use {modality} need dataset.missing=keep, or on_bad_sample=skip, "
                "which leaves them out",
            )


def missing(dataset: Manifest) -> dict[str, np.ndarray]:
    """Return the rows that lack each modality of files or texts (or whose class lacks it, if it
    belongs to classes), bool ``[rows]``.
    """
    labels, found = dataset.labels[0], {}
    for modality, per in dataset.modalities.items():
        if dataset.rows.has(modality):
            present = dataset.rows.codes(modality)[0] >= 0
            found[modality] = ~present if per is Granularity.SAMPLE else unserved(labels, present)
    return found


def constant_modalities(dataset: Manifest) -> Iterable[Issue]:
    """Report modalities that are the same throughout most classes: probably class names with some
    misspelt.
    """
    labels, _ = dataset.labels
    for modality, per in dataset.modalities.items():
        if per is not Granularity.SAMPLE or not dataset.rows.has(modality):
            continue
        codes = dataset.rows.codes(modality)[0]
        pairs = np.unique(np.stack([labels, codes])[:, (labels >= 0) & (codes >= 0)], axis=1)[0]
        several = np.bincount(labels[labels >= 0]) > 1
        values = np.bincount(pairs, minlength=len(several))[several]
        if len(values) and (values == 1).mean() > 0.5:
            yield Issue(
                False,
                f"{modality} is the same throughout {int((values == 1).sum())} "
                f"of {many(len(values), 'class')}",
                "if it is a class's name, make it so in all rows: a name on both sides "
                "of an episode is the answer",
            )


def labels_alike(dataset: Manifest) -> Iterable[Issue]:
    """Report labels that differ only in case or in invisible characters: they may be one class."""
    if not dataset.rows.has("label"):
        return
    spelt = alike(str.casefold, dataset.labels[1].to_pylist())
    found = {
        "capitals alone": [
            " and ".join(map(repr, names)) for names in spelt.values() if len(names) > 1
        ]
    }
    looks = alike(appearance, (names[0] for names in spelt.values()))
    found["what can hardly be seen"] = [
        " and ".join(map(ascii, n)) for n in looks.values() if len(n) > 1
    ]
    for difference, several in found.items():
        if several:
            what = (
                f"{many(len(several), 'pair')} of labels differ in {difference}, "
                "and are different classes"
            )
            yield Issue(
                False, what, "spell them alike, if they are one class", tuple(several[:SHOWN])
            )


def alike(key: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    """Group names by a key."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[key(name)].append(name)
    return found


def appearance(label: str) -> str:
    """Normalise a label so that labels that look alike become equal: letters of the same shape,
    case and spaces.
    """
    plain = "".join(
        c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf"
    )
    return " ".join(plain.translate(TWINS).casefold().split())


def ignored_columns(dataset: Manifest) -> Iterable[Issue]:
    """Report columns without a meaning for mmml, with a suggestion for misspelt ones."""
    for name in dataset.rows.ignored:
        lacking = [k for k in KNOWN if not dataset.rows.has(k.removesuffix("_file_name"))]
        suggestion = did_you_mean(name, lacking, MISSPELT)
        hint = (
            "rename it, or"
            if suggestion
            else "nothing needs to be done, or, if mmml should read it,"
        )
        hint += f" say what it is, such as 'dataset.columns={{label: {name}}}'"
        yield Issue(False, f"column {name!r} is ignored{suggestion}", hint)


def straddling_groups(samples: dict[str, Samples]) -> Iterable[Issue]:
    """Report groups in more than one split: test samples may then be near duplicates of training
    samples.
    """
    groups = {
        s: set(part.groups.tolist()) for s, part in samples.items() if part.groups is not None
    }
    both = {g for a in groups for b in groups if a < b for g in groups[a] & groups[b]}
    if both:
        yield Issue(
            False,
            f"{many(len(both), 'group')} (near duplicates, one speaker's takes) have samples "
            "in more than one split",
            "give each group one split, if the groups of new data will be new, too; "
            "episode.group_disjoint=true keeps a group on one side of an episode",
        )

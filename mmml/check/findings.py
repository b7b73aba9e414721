"""Everything that is worth saying of a manifest, before anything is trained on it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mmml.check.files import duplicates, sizes
from mmml.check.finding import SHOWN, Finding, many
from mmml.datasets import Samples
from mmml.datasets.base import SPLITS
from mmml.datasets.manifest import Manifest
from mmml.errors import UserError, nearest

KNOWN = (
    "label",
    "text",
    "score",
    "split",
    "group",
    "id",
    "image_file_name",
    "audio_file_name",
    "video_file_name",
    "strokes_file_name",
    "features_file_name",
)


@dataclass
class Findings:
    """What a check found.

    Attributes:
        name: of the manifest.
        counts: a line for each split: classes, samples, smallest and largest class.
        modalities: a line for each: what it belongs to, values, sizes.
        found: what is wrong or worth knowing.
        samples: by split; empty if they could not be put together.
        command: how to train on it.
    """

    name: str
    counts: list[dict[str, Any]] = field(default_factory=list)
    modalities: list[dict[str, Any]] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    samples: dict[str, Samples] = field(default_factory=dict)
    command: str = ""

    @property
    def stops(self) -> bool:
        """Whether training would fail."""
        return any(f.stops for f in self.found)


def inspect(dataset: Manifest) -> Findings:
    """Read every row and every file of a manifest.

    Args:
        dataset: not loaded yet; bad rows are left out and told, whatever its options say.

    Raises:
        UserError: the manifest itself cannot be read.
    """
    skips, dataset.on_bad_sample = dataset.on_bad_sample == "skip", "skip"
    findings = Findings(str(dataset.rows.path))
    try:
        findings.samples = dataset.load(dataset.modalities)
    except UserError as error:
        findings.found.append(Finding(True, str(error), "see the message"))
    findings.found += bad_rows(dataset, skips)
    findings.found += ignored_columns(dataset)
    findings.found += straddling_groups(findings.samples)
    findings.found += duplicates(dataset)
    findings.counts = [count(split, findings.samples[split]) for split in SPLITS if split in findings.samples]
    findings.modalities = [{"modality": m, "per": p.value} | sizes(dataset, m) for m, p in dataset.modalities.items()]
    return findings


def count(split: str, samples: Samples) -> dict[str, Any]:
    """How much a split holds."""
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


def bad_rows(dataset: Manifest, skips: bool) -> Iterable[Finding]:
    """Rows that cannot be used, by what is wrong with them."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for i, why in dataset.rows.problems.items():
        about_file = why.startswith(str(dataset.rows.folder))
        kinds[why.partition(": ")[2] if about_file else why].append(i)  # without the file's name
    for why, rows in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        mend = (
            "they are left out (dataset.on_bad_sample=skip)"
            if skips
            else ("mend or remove them, or leave such rows out by dataset.on_bad_sample=skip")
        )
        told = tuple(f"{dataset.rows.name_row(i)}: {dataset.rows.problems[i]}" for i in sorted(rows)[:SHOWN])
        yield Finding(not skips, f"{many(len(rows), 'row')} cannot be used: {why}", mend, told)


def ignored_columns(dataset: Manifest) -> Iterable[Finding]:
    """Columns that mean nothing to mmml, above all misspelt ones."""
    for name in dataset.rows.ignored:
        hint = nearest(name, [k for k in KNOWN if not dataset.rows.has(k.removesuffix("_file_name"))])
        mend = "rename it, or say what it is by dataset.columns" if hint else "nothing needs to be done"
        yield Finding(False, f"column {name!r} is ignored{hint}", mend)


def straddling_groups(samples: dict[str, Samples]) -> Iterable[Finding]:
    """Groups in more than one split: what is tested may then be a near duplicate of what was trained on."""
    groups = {s: set(part.groups.tolist()) for s, part in samples.items() if part.groups is not None}
    both = {g for a in groups for b in groups if a < b for g in groups[a] & groups[b]}
    if both:
        yield Finding(
            False,
            f"{many(len(both), 'group')} (near duplicates, one speaker's takes) have samples in more than one split",
            "give each group one split, if the groups of new data will be new, too; episode.by_group=true keeps a "
            "group on one side of an episode",
        )

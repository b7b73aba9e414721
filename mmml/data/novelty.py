"""Which parts of a test split are new: its classes, or only its samples."""

from collections.abc import Iterable, Mapping

from mmml.data.base import Dataset, Samples
from mmml.errors import UserError


def identifiers(dataset: Dataset | None, samples: Mapping[str, Samples], split: str) -> list[str]:
    """Identifiers, unique among datasets, of the classes of a split and of all else that is held
    out; empty without a dataset.

    The test classes are left out if they also occur in training.
    """
    if dataset is None:
        return []
    part = samples[split]
    classes = part.classes if dataset.new_classes or split != "test" else []
    return [f"{dataset.identity}/{name}" for name in (*classes, *part.kept_apart)]


def novelty(dataset: Dataset | None, samples: Mapping[str, Samples]) -> str:
    """Say in one sentence which parts of the test split do not occur in training and validation."""
    if dataset is None or dataset.new_classes:
        return "Training and selection saw nothing of the test."
    train, test = (samples[split].classes for split in ("train", "test"))
    known = len(set(test) & set(train))
    return (
        f"Classes are not new: training saw {known} of the {len(test)} classes of the test, "
        "in other samples."
    )


def refuse_known(known: Iterable[str], test: Iterable[str], option: str) -> None:
    """Raise ``UserError`` if a run was trained on some test identifiers; ``option`` names the
    run.
    """
    if both := sorted(set(known) & set(test)):
        raise UserError(
            f"the run of {option}= was trained or selected on {len(both)} of these test classes "
            f"(or samples), such as {both[0]!r}; leave the options of dataset that say what is "
            "held out, and what is shown, as they were in training"
        )

"""From the config to episodes: checks of mappings and shapes, and the batch of each training
step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import Dataset, Samples, base_modality, shuffled
from mmml.episodes.batch import Batch, gather
from mmml.episodes.corruptions import Corruption, build_corruptions
from mmml.episodes.mapping import Mapping as EpisodeMapping
from mmml.episodes.sampler import EpisodeShape, Sampler, choose_int
from mmml.errors import UserError, did_you_mean
from mmml.world import SINGLE_PROCESS, World

SHAPE = 1  # the purpose of random numbers that choose a step's shape


def check_mappings(options: EpisodeConfig, dataset: Dataset, trains: bool) -> list[EpisodeMapping]:
    """Parse all mappings of a config. Raises ``UserError`` for mappings in use that the dataset
    does not allow; the dataset is not loaded for this.
    """
    found = []
    for name, texts in (("train", options.train.mappings), ("eval", options.eval.mappings)):
        option = f"episode.{name}.mappings"
        parsed = [EpisodeMapping.parse(text, option) for text in texts]
        if len(set(parsed)) < len(parsed):
            raise UserError(
                f"{option} names a mapping twice: the order of modalities makes no difference"
            )
        for mapping in parsed if trains or name == "eval" else ():
            mapping.check(dataset.modalities, dataset.name, option)
        found += parsed
    if trains and options.train.task_augmentation:
        check_variants(options.train)
    return found


def check_variants(options: TrainEpisodes) -> None:
    """Raise ``UserError`` if task augmentation is used with a modality other than images, which
    would reveal the original class.
    """
    for text in options.mappings:
        for modality in EpisodeMapping.parse(text).modalities:
            if base_modality(modality) != "image":
                raise UserError(
                    f"episode.train.task_augmentation={options.task_augmentation} changes images, "
                    f"and {text} shows {modality} of the same class: use 0, or mappings "
                    "of images alone"
                )


def check_corruptions(options: EpisodeConfig, trains: bool) -> dict[str, tuple[Corruption, ...]]:
    """Build the corruptions of ``train`` and ``eval``. Raises ``UserError`` for a modality that no
    mapping shows.
    """
    found = {}
    for side, part in (("train", options.train), ("eval", options.eval)):
        where = f"episode.{side}.corruptions"
        found[side] = build_corruptions(part.corruptions, where) if trains or side == "eval" else ()
        shown = {m for text in part.mappings for m in EpisodeMapping.parse(text).modalities}
        for i, corruption in enumerate(found[side]):
            for modality in {corruption.modality, corruption.of or corruption.modality} - shown:
                raise UserError(
                    f"{where}[{i}]: no mapping shows {modality!r}{did_you_mean(modality, shown)}"
                )
    return found


def for_episodes(
    samples: Mapping[str, Samples], options: EpisodeConfig, trains: bool = True
) -> dict[str, Samples]:
    """Return the splits with only those groups, superclasses and official episodes that the options
    use.

    Raises:
        UserError: the dataset lacks what an option needs.
    """
    within = dict.fromkeys(samples, options.eval.within_superclass)
    within["train"] = trains and options.train.within_superclass
    found = {}
    for split, part in samples.items():
        heeded = {
            "groups": (
                "episode.group_disjoint",
                options.group_disjoint,
                "give it a column `group`",
            ),
            "superclasses": ("within_superclass", within[split], "leave it false"),
            "official_episodes": (
                "episode.eval.official_episodes",
                options.eval.official_episodes and split == "test",
                "choose another split of it, or false",
            ),
        }
        for name, (option, wanted, hint) in heeded.items():
            if wanted and getattr(part, name) is None:
                message = name.replace("official_episodes", "official episodes")
                raise UserError(f"{option}=true needs {message}, and this dataset has none: {hint}")
        left_out: dict[str, Any] = {
            name: None for name, (_, wanted, _) in heeded.items() if not wanted
        }
        query_only = (
            None if split == "train" else of_domain(part, options, demanded=split == "test")
        )
        found[split] = replace(part, query_only=query_only, **left_out)
    return found


def of_domain(samples: Samples, options: EpisodeConfig, demanded: bool) -> np.ndarray | None:
    """Return the rows of the domain that queries must have (``episode.eval.query_domain``); None if
    queries may have any.

    With ``demanded=False`` the split may lack the domain, such as a speaker who is only in the test
    split.
    """
    wanted, domains = options.eval.query_domain, samples.domains
    if wanted is None or not samples.classes:
        return None
    option = f"episode.eval.query_domain={wanted}"
    if domains is None:
        raise UserError(
            f"{option} needs domains, and this dataset has none: give it a column "
            "`domain`, or use null"
        )
    if wanted not in domains:
        if not demanded:
            return None
        known = sorted(set(domains.tolist()))
        raise UserError(f"{option} is none of {', '.join(known)}{did_you_mean(wanted, known)}")
    query_only: np.ndarray = domains == wanted
    return query_only


def eval_shapes(options: EvalEpisodes) -> list[EpisodeShape]:
    """Return the shapes of evaluation episodes, which are the columns of results."""
    return [
        EpisodeShape(ways, shots, options.queries)
        for ways, shots in product(options.ways, options.shots)
    ]


def check_shapes(options: EpisodeConfig, samples: Mapping[str, Samples], trains: bool) -> None:
    """Raise ``UserError`` for episodes that a split cannot fill, before training."""
    for split in ("val", "test", "train") if trains else ("test",):
        check_shape(options, samples[split], split)


def check_shape(options: EpisodeConfig, samples: Samples, split: str) -> None:
    """Raise ``UserError`` if a split cannot fill its episodes."""
    train, evaluated = options.train, options.eval
    if split == "train":
        shape = EpisodeShape(
            *(
                n if isinstance(n, int) else n["max"]
                for n in (train.ways, train.shots, train.queries)
            )
        )
    else:
        shape = EpisodeShape(max(evaluated.ways), max(evaluated.shots), evaluated.queries)
    side, mappings = ("train", train.mappings) if split == "train" else ("eval", evaluated.mappings)
    among = share(samples.classes, train.class_range) if split == "train" else None
    sampler = Sampler(samples, 0, split, among)
    check_filled(sampler, shape, map(EpisodeMapping.parse, mappings), f"episode.{side}")


def check_filled(
    sampler: Sampler, shape: EpisodeShape, mappings: Iterable[EpisodeMapping], where: str
) -> None:
    """Raise ``UserError`` if the sampler's split cannot fill a shape in one of these mappings."""
    samples, mappings = sampler.samples, list(mappings)
    for mapping in mappings:
        for modality in sorted(mapping.modalities - set(samples.columns)):
            raise UserError(
                f"{where}.mappings: {mapping} needs {modality!r}, which the {sampler.split} "
                "split does not have"
            )
    for shown in dict.fromkeys(_shown(shape, mapping, samples) for mapping in mappings):
        sampler.check(shown, where)


def _shown(shape: EpisodeShape, mapping: EpisodeMapping, samples: Samples) -> EpisodeShape:
    """Return the shape with 0 shots (queries) if the mapping has only modalities of classes on the
    support (query) side.
    """
    shots, queries = (
        n * any(not samples.columns[m].per_class for m in side)
        for n, side in ((shape.shots, mapping.support), (shape.queries, mapping.query))
    )
    return EpisodeShape(shape.ways, shots, queries)


def share(classes: list[str], part: list[float]) -> np.ndarray:
    """Return the numbers of the classes between two fractions such as ``[0.0, 0.8]``, in an order
    by hash.
    """
    first, last = (round(fraction * len(classes)) for fraction in part)
    return np.sort(np.array(shuffled(classes, 0)[first:last], np.int64))


def training_batches(
    samples: Samples,
    options: TrainEpisodes,
    size: int,
    seed: int,
    corruptions: Sequence[Corruption] = (),
    target: str | None = None,
    world: World = SINGLE_PROCESS,
) -> Callable[[int], Batch]:
    """Return a function from step number to this process's episodes, which are new in each step.

    Args:
        samples: of the training split.
        options: the section ``episode.train``.
        size: the number of episodes in a step, over all processes.
        seed: of the run.
        corruptions: of the episodes, see :func:`check_corruptions`.
        target: the column of the answers; None if labels are the answers.
        world: the processes that share the episodes.
    """
    sampler = Sampler(
        samples,
        seed,
        "train",
        share(samples.classes, options.class_range),
        corruptions,
        options.task_augmentation,
    )
    mappings = [EpisodeMapping.parse(m) for m in options.mappings]

    def batch(step: int) -> Batch:
        rng = sampler.generator(step, SHAPE)
        shape = EpisodeShape(
            *(choose_int(rng, n) for n in (options.ways, options.shots, options.queries))
        )
        numbers = world.share(range(step * size, (step + 1) * size))
        return gather(samples, sampler.draw(numbers, shape), mappings, target)

    return batch

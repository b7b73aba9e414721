"""Identifies what a validation score measures: two scores can be compared if it is the same."""

import hashlib
from collections.abc import Iterable

import numpy as np

from mmml.config.schema import Config, ProblemConfig
from mmml.data.base import Samples
from mmml.data.values import content_of, evenly_spaced
from mmml.episodes import Episodes, Sampler
from mmml.evaluation.setting import EvalSetting

LOOKED_AT = 16  # values of each modality


def measured(config: Config | ProblemConfig, fingerprint: str) -> str:
    """A hash that is equal for runs whose monitored validation scores measure the same.

    Args:
        config: of a run.
        fingerprint: of what its validation plays.
    """
    if isinstance(config, Config):
        parts = [config.task, config.evaluation.tta_views]
    else:
        parts = [config.problem, config.dataset, config.method["inner_steps"]]
    return hashlib.sha256(repr([config.trainer.monitor, fingerprint, *parts]).encode()).hexdigest()[
        :32
    ]


def fingerprint_of(sampler: Sampler, settings: Iterable[EvalSetting], episodes: int) -> str:
    """A hash of the episodes that are played, row by row, of what corrupts them, and of samples
    of their values.

    It depends on nothing else: not on where files lie, nor on options by which the same
    episodes come about.

    Args:
        sampler: of the split.
        settings: that are played.
        episodes: of each cell.
    """
    digest = hashlib.sha256()
    for part in (*_of_samples(sampler.samples), *_of_corruptions(sampler)):
        digest.update(part)
    for setting in settings:
        drawn = sampler.draw(range(sampler.at_most(episodes)), setting.shape)
        about = (setting.task.name, [str(m) for m in setting.mappings], setting.shape)
        digest.update(repr(about).encode())
        for numbers in _numbers(drawn):
            digest.update(numbers.tobytes())
    return digest.hexdigest()[:32]


def _numbers(drawn: Episodes) -> Iterable[np.ndarray]:
    return drawn.classes, drawn.support, drawn.query, drawn.pick


def _of_samples(samples: Samples) -> Iterable[bytes]:
    yield repr(samples.classes).encode()
    yield samples.starts.tobytes()
    for modality in sorted(samples.columns):
        column = samples.columns[modality]
        yield f"{modality} {len(column)}".encode()
        if column.encoded:  # numbers such as scores: few enough to look at all
            yield content_of(column.values)
        elif len(column):
            yield from map(
                content_of, column.take(evenly_spaced(len(column), LOOKED_AT)).present[:]
            )


def _of_corruptions(sampler: Sampler) -> Iterable[bytes]:
    for corruption in sampler.corruptions:
        yield repr((type(corruption).__name__, sorted(vars(corruption).items()))).encode()

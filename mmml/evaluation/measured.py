"""Hashes that identify what a validation score measures; scores with the same hash can be
compared.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from mmml.config.schema import Config, ProblemConfig
from mmml.data.base import Samples
from mmml.data.values import content_of, evenly_spaced
from mmml.episodes import Episodes, Sampler
from mmml.evaluation.setting import EvalSetting

LOOKED_AT = 16  # number of values of each modality that enter the hash


def measured(config: Config | ProblemConfig, fingerprint: str) -> str:
    """Return a hash that is equal for runs whose monitored validation scores measure the same.

    Args:
        config: of a run.
        fingerprint: a hash of its validation episodes or problems.
    """
    if isinstance(config, Config):
        parts = [config.task, config.evaluation.tta_views]
    else:
        parts = [config.problem, config.dataset, config.method["inner_steps"]]
    return hashlib.sha256(repr([config.trainer.monitor, fingerprint, *parts]).encode()).hexdigest()[
        :32
    ]


def fingerprint_of(sampler: Sampler, settings: Iterable[EvalSetting], episodes: int) -> str:
    """Return a hash of the episodes of validation: their rows, their corruptions and some of the
    values.

    It does not depend on the location of files, nor on options that lead to the same episodes.

    Args:
        sampler: of the validation split.
        settings: the settings that validation plays.
        episodes: number of episodes for each setting.
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
        if column.encoded:  # numbers such as scores: small enough to hash all
            yield content_of(column.values)
        elif len(column):
            yield from map(
                content_of, column.take(evenly_spaced(len(column), LOOKED_AT)).present[:]
            )


def _of_corruptions(sampler: Sampler) -> Iterable[bytes]:
    for corruption in sampler.corruptions:
        yield repr((type(corruption).__name__, sorted(vars(corruption).items()))).encode()

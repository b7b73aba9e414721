"""Calibration on a support set, by cross-validation, for learners without a calibration in their
checkpoint.
"""

from dataclasses import replace

import numpy as np
import torch

from mmml.data.base import Samples
from mmml.episodes import ExampleSet, Mapping
from mmml.evaluation.calibration import (
    LEVELS,
    Entry,
    class_distances,
    fit_temperature,
    with_one_wrong,
)
from mmml.methods import Learner
from mmml.predict.inputs import whole_support

FOLDS = 5


@torch.no_grad()
def calibrate_on_support(learner: Learner, samples: Samples, mapping: Mapping) -> Entry | None:
    """Estimate the temperature and the novelties on a support set, by cross-validation with up to
    five folds.

    One more prediction, as confident as the median one, counts as wrong, so that a few correct
    predictions never give full confidence.

    Args:
        learner: a classifier.
        samples: the support set as the learner receives it: encoded, or raw if its encoders adapt.
        mapping: the modalities of the support set and of the queries.

    Returns:
        None if nothing can be left out: each class has one sample, or the support set lacks the
        modalities of the queries.
    """
    shows = {m for m, column in samples.columns.items() if column.starts is None}
    counts = samples.counts
    if not set(mapping.query) <= shows or counts.max() < 2 or len(counts) < 2:
        return None
    fold_of = folds_of(samples)
    held = [spared(samples, fold_of == fold) for fold in range(fold_of.max() + 1)]
    parts = [_left_out(learner, samples, mapping, mask) for mask in held if mask.any()]
    if not parts:
        return None
    logits, targets, known, unknown = (np.concatenate(p) for p in zip(*parts, strict=True))
    if not (sure := ~np.isnan(logits).any(-1)).any():  # adaptation diverged in all folds
        return None
    logits, targets = logits[sure], targets[sure]
    temperature = fit_temperature(*with_one_wrong(logits, targets))
    near, far = (np.quantile(n, LEVELS).tolist() for n in (known, unknown))
    return Entry(
        str(mapping),
        len(counts),
        max(1, round(counts.mean())),
        temperature,
        near,
        far,
        len(counts) - 1,
    )


def folds_of(samples: Samples) -> np.ndarray:
    """Return the fold of every row, ``[rows]``: by its position in its class, or by its group (near
    duplicates).
    """
    if samples.groups is None:
        fold = np.concatenate([np.arange(n) for n in samples.counts])
    else:
        fold = np.unique(samples.groups, return_inverse=True)[1]
    return fold % min(FOLDS, int(fold.max()) + 1)


def spared(samples: Samples, held: np.ndarray) -> np.ndarray:
    """Return the mask of rows to leave out, without those of classes that would lose all of their
    rows.
    """
    left = np.bincount(samples.labels[~held], minlength=len(samples.classes))
    return held & (left > 0)[samples.labels]


def _left_out(
    learner: Learner, samples: Samples, mapping: Mapping, held: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Predict the samples of a mask from the others; return log-probabilities, classes, and the
    novelties of known and of unknown classes.
    """
    support = whole_support(rows_of(samples, ~held), mapping.support)
    rows, columns = np.flatnonzero(held), {m: samples.columns[m] for m in mapping.query}
    query = ExampleSet.of({m: c.take(rows) for m, c in columns.items()})
    own = torch.from_numpy(samples.labels[held])
    logits = learner.adapt(support)(query)[0]
    distances = class_distances(learner.embedder, support, query)[0].cpu()
    others = distances.scatter(-1, own.unsqueeze(-1), torch.inf).amin(-1)
    return logits.cpu().numpy(), own.numpy(), distances.amin(-1).numpy(), others.numpy()


def rows_of(samples: Samples, mask: np.ndarray) -> Samples:
    """Return some rows of samples; classes keep their numbers, and columns of classes are
    unchanged.
    """
    columns = {
        m: c if c.per_class else c.take(np.flatnonzero(mask)) for m, c in samples.columns.items()
    }
    starts = np.concatenate(
        [[0], np.cumsum(np.bincount(samples.labels[mask], minlength=len(samples.classes)))]
    )
    return replace(samples, starts=starts, columns=columns)

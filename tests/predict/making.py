"""Support sets and queries in which the answer is known."""

from pathlib import Path

import numpy as np

from tests.data.making import write_csv

WIDTH = 8


def features(
    root: Path, labels: list[int], seed: int, noise: float = 0.3, labelled: bool = True
) -> Path:
    """Rows whose class c is the unit vector c with some noise: a table and ``f.npy``."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    np.save(
        root / "f.npy",
        (np.eye(WIDTH)[labels] + noise * rng.standard_normal((len(labels), WIDTH))).astype("f4"),
    )
    rows = [
        {"id": f"{root.name}{i}", **({"label": f"c{label}"} if labelled else {})}
        for i, label in enumerate(labels)
    ]
    write_csv(root / "metadata.csv", rows)
    return root

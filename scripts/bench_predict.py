"""Time 10,000 predictions from features, without start-up: ``python scripts/bench_predict.py``.

The support set has 20 classes × 5 samples. Support set and queries have 512 numbers for each
sample, in ``.npy`` matrices beside their tables. The time is from adaptation to the last line of
``predictions.csv``.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.predict.command import write
from mmml.predict.inputs import Queries, Reading
from mmml.predict.model import untrained_model

QUERIES, WIDTH, CLASSES, SHOTS = 10_000, 512, 20, 5
RULES = ("prototype", "nearest", "ridge", "attention")


def write_set(
    folder: Path, labels: np.ndarray, centres: np.ndarray, rng: np.random.Generator
) -> None:
    """Write a table of labels and the matrix of their features."""
    folder.mkdir()
    np.save(
        folder / "f.npy",
        (centres[labels] + 4 * rng.standard_normal((len(labels), WIDTH))).astype(np.float32),
    )
    lines = [f"q{i},class {label}" for i, label in enumerate(labels)]
    (folder / "metadata.csv").write_text("\n".join(["id,label", *lines]) + "\n")


def main() -> None:
    """Print the seconds and the accuracy of each classifier."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, WIDTH))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_set(root / "support", np.repeat(np.arange(CLASSES), SHOTS), centres, rng)
        truth = rng.integers(0, CLASSES, QUERIES)
        write_set(root / "query", truth, centres, rng)
        mappings = (
            "episode.eval.mappings=[features:features]",
            "episode.train.mappings=[features:features]",
        )
        for classifier in RULES:
            config = compose_plain(["encoder=raw", f"method/classifier={classifier}", *mappings])
            model = untrained_model(check_config(config), Reading(features="f.npy"))
            started = time.perf_counter()
            queries = Queries(str(root / "query"), model.reading)
            found = list(model.adapt(str(root / "support"), query=queries).predict(queries))
            write(root / "predictions.csv", found, 3)
            seconds = time.perf_counter() - started
            right = np.mean([p.label == f"class {t}" for p, t in zip(found, truth, strict=True)])
            print(f"{classifier:10} {seconds:5.2f} s   accuracy {right:.3f}")


if __name__ == "__main__":
    main()

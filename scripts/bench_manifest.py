"""Time a manifest of 1,000,000 rows with features of 512 numbers:
``python scripts/bench_manifest.py [ROWS]``.

Writes the table and the matrix (2 GB) to a temporary folder, then loads them twice as a run does,
each time in a new process. The first load searches the whole matrix for duplicates, and caches the
result. Prints the seconds, the anonymous resident memory, and the time to draw an episode and
gather its features.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS, WIDTH, CLASSES, EPISODES = 1_000_000, 512, 10_000, 1000


def write_set(root: Path, rows: int) -> None:
    """Write ``metadata.parquet`` and ``f.npy``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    labels = [f"class {c:05}" for c in rng.integers(0, CLASSES, rows)]
    texts = [f"a short description of sample {i}" for i in range(rows)]
    pq.write_table(
        pa.table({"id": [f"sample-{i}" for i in range(rows)], "label": labels, "text": texts}),
        root / "metadata.parquet",
    )
    matrix = np.lib.format.open_memmap(root / "f.npy", "w+", np.float32, (rows, WIDTH))
    for start in range(0, rows, 50_000):
        matrix[start : start + 50_000] = rng.standard_normal(
            (min(50_000, rows - start), WIDTH), np.float32
        )
    matrix.flush()


def anonymous_memory() -> float:
    """Return ``RssAnon`` of this process in MB: its resident memory without mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def measure(root: Path) -> None:
    """Load the manifest and draw episodes."""
    from mmml.config.compose import compose_plain
    from mmml.data.base import datasets
    from mmml.episodes import EpisodeShape, Mapping, Sampler, gather

    before = anonymous_memory()
    started = time.perf_counter()
    options = compose_plain(["dataset=manifest", f"dataset.root={root}", "dataset.features=f.npy"])[
        "dataset"
    ]
    splits = datasets.build_section(options, "dataset").load({"features", "text"})
    print(f"loading   {time.perf_counter() - started:6.1f} s")
    train = splits["train"]
    sampler, shape = Sampler(train, 0, "train"), EpisodeShape(5, 5, 15)
    started = time.perf_counter()
    episodes = [sampler.draw([i], shape) for i in range(EPISODES)]
    print(
        f"drawing   {(time.perf_counter() - started) / EPISODES * 1000:6.3f} ms an episode, "
        "5-way 5-shot 15 queries"
    )
    started = time.perf_counter()
    for episode in episodes:
        gather(train, episode, [Mapping.parse("features:features")])
    print(
        f"fetching  {(time.perf_counter() - started) / EPISODES * 1000:6.3f} ms its "
        "100 feature vectors"
    )
    print(f"RssAnon   {anonymous_memory():6.0f} MB, of which {before:.0f} MB before loading")


def main() -> None:
    """Write the files, then measure in another process, whose memory does not include the
    writing.
    """
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as name:
        write_set(Path(name), rows)
        print(f"{rows:,} rows, {WIDTH} numbers each, {CLASSES:,} classes", flush=True)
        for load in ("first", "second"):
            print(f"{load} load:", flush=True)
            subprocess.run([sys.executable, __file__, "--measure", name], check=True)


if __name__ == "__main__":
    measure(Path(sys.argv[2])) if sys.argv[1:2] == ["--measure"] else main()

"""Time the drawing and gathering of an episode: ``python scripts/bench_episodes.py``."""

import timeit

from mmml.data.base import datasets
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather


def main() -> None:
    """Print for each shape the milliseconds per episode: the best of five rounds of 500."""
    samples = datasets.build(
        "glyphs", {"split_seed": 0, "val": 0.15, "test": 0.15}, "dataset"
    ).load()["train"]
    sampler = Sampler(samples, 0, "train")
    mappings = [Mapping.parse("image:image"), Mapping.parse("text:image")]
    for shape in (
        EpisodeShape(5, 1, 5),
        EpisodeShape(20, 5, 5),
        EpisodeShape(60, 1, 5),
        EpisodeShape(192, 1, 1),
    ):
        numbers = iter(range(10**9))
        draw = (
            min(
                timeit.repeat(
                    lambda s=shape, n=numbers: sampler.draw([next(n)], s), number=500, repeat=5
                )
            )
            * 2
        )
        drawn = sampler.draw([0], shape)
        fetch = (
            min(timeit.repeat(lambda d=drawn: gather(samples, d, mappings), number=500, repeat=5))
            * 2
        )
        print(f"{shape}: draw {draw:.3f} ms, fetch {fetch:.3f} ms")


if __name__ == "__main__":
    main()

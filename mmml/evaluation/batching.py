"""How many episodes are computed at a time, and with how many threads."""

from contextlib import AbstractContextManager, nullcontext

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape
from mmml.methods import Learner
from mmml.threads import one_thread

# What is held at a time; the result does not depend on it. So many embeddings of 512 numbers are
# 30 MB, up to which freed memory is used again rather than fetched from the system, page by page.
ITEMS = 15_000  # support and query items
PAIRS = 10_000_000  # (query, support) pairs
SMALL = 1_000_000  # pairs for which one thread is enough


def few_threads(
    shape: EpisodeShape, embedded: Samples, learner: Learner
) -> AbstractContextManager[None]:
    """Use one thread for small episodes, and all threads for wide ones,
    inner loops and raw values.
    """
    pairs = max_episodes(shape, learner) * shape.ways**2 * shape.shots * shape.queries
    light = learner.max_episodes(shape) is None and all(
        column.encoded for column in embedded.columns.values()
    )
    small = pairs < SMALL and light
    return one_thread() if small else nullcontext()


def max_episodes(shape: EpisodeShape, learner: Learner) -> int:
    """The number of episodes to compute at a time: as many as fit in memory, or fewer
    if the learner asks.
    """
    items = shape.ways * (shape.shots + shape.queries)
    pairs = shape.ways**2 * shape.shots * shape.queries
    fit = max(1, min(ITEMS // items, PAIRS // pairs))
    return min(fit, learner.max_episodes(shape) or fit)


def chunks(episodes: int, shape: EpisodeShape, learner: Learner) -> list[range]:
    """The numbers of the episodes in batches."""
    size = max_episodes(shape, learner)
    return [range(start, min(start + size, episodes)) for start in range(0, episodes, size)]

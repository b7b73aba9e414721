"""The number of episodes that are computed at a time, and the number of threads."""

from contextlib import AbstractContextManager, nullcontext

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape
from mmml.methods import Learner
from mmml.threads import one_thread

# Limits of what is in memory at a time; results do not depend on them. 15,000 embeddings of 512
# numbers are 30 MB; the allocator reuses smaller blocks, but asks the system for larger ones.
ITEMS = 15_000  # support and query items
PAIRS = 10_000_000  # (query, support) pairs
SMALL = 1_000_000  # pairs for which one thread is enough


def few_threads(
    shape: EpisodeShape, embedded: Samples, learner: Learner
) -> AbstractContextManager[None]:
    """Return a context with one thread for small episodes, and with all threads for large ones,
    inner loops and raw values.
    """
    pairs = max_episodes(shape, learner) * shape.ways**2 * shape.shots * shape.queries
    light = learner.max_episodes(shape) is None and all(
        column.encoded for column in embedded.columns.values()
    )
    small = pairs < SMALL and light
    return one_thread() if small else nullcontext()


def max_episodes(shape: EpisodeShape, learner: Learner) -> int:
    """Return the number of episodes to compute at a time: as many as fit in memory, or fewer if the
    learner declares a maximum.
    """
    items = shape.ways * (shape.shots + shape.queries)
    pairs = shape.ways**2 * shape.shots * shape.queries
    fit = max(1, min(ITEMS // items, PAIRS // pairs))
    return min(fit, learner.max_episodes(shape) or fit)


def chunks(episodes: int, shape: EpisodeShape, learner: Learner) -> list[range]:
    """Split the numbers of the episodes into batches."""
    size = max_episodes(shape, learner)
    return [range(start, min(start + size, episodes)) for start in range(0, episodes, size)]

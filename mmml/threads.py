"""The number of threads for computation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread for small tensors, for which several threads would mostly wait for one
    another.

    On a busy machine, they would wait for milliseconds at each of many operations.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

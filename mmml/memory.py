"""Reuse of freed memory by glibc's allocator."""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let large tensors reuse freed memory, instead of new pages from the kernel.

    By default, glibc returns every large block at once, and the kernel clears the next one page by
    page: on a CPU, this takes a quarter to a third of a training step. Results do not change;
    without glibc this has no effect.
    """
    with suppress(AttributeError, OSError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(M_MMAP_MAX, 0)
        allocator.mallopt(M_TRIM_THRESHOLD, -1)
        allocator.mallopt(M_TOP_PAD, 64 << 20)

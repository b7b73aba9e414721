"""One thread: these tensors are so small that threads spend their time waiting for one another."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scored(samples):
    """The same samples, each with a score."""
    return replace(samples, targets=np.linspace(-1, 1, int(samples.counts.sum())).astype(np.float32))

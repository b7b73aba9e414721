"""One thread: these tensors are so small that threads spend their time waiting for one another."""

from collections.abc import Iterator

import numpy as np
import pytest

from mmml import threads
from tests.conftest import with_scores


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    with threads.one_thread():
        yield


@pytest.fixture
def scored(samples):
    """The same samples, each with a score."""
    return with_scores(samples, np.linspace(-1, 1, int(samples.counts.sum())))

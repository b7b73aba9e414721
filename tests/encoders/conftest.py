"""One thread: these tensors are so small that threads spend their time waiting for one another."""

from collections.abc import Iterator

import pytest

from mmml import threads


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    with threads.one_thread():
        yield

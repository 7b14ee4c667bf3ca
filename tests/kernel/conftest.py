"""What holds for tests on the running kernel: a test closes what it opens."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.kernel.door import nothing_left_open


@pytest.fixture(autouse=True)
def descriptors_are_given_back() -> Iterator[None]:
    """Fail a test after which more files are open than before."""
    with nothing_left_open():
        yield
        gc.collect()

"""Every test here runs twice: on the running kernel, as root, and on the simulated one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ebee.kernel.protocol import Kernel
from tests.shared.places import Wire, live_wire, named_kernel, simulated_wire


@pytest.fixture(params=["live", "vm"])
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A kernel, in which and at which nothing is left open in the end."""
    with named_kernel(request.param) as made:
        yield made


@pytest.fixture
def wire(kernel: Kernel) -> Iterator[Wire]:
    """An interface, and a way to send packets to it."""
    with ExitStack() as undo:
        yield undo.enter_context(live_wire() if kernel.label == "live" else simulated_wire(kernel))


@pytest.fixture
def bpffs(kernel: Kernel, tmp_path: Path) -> Iterator[str]:
    """A folder in which objects can be pinned."""
    folder = str(tmp_path)
    if kernel.label == "live":
        from tests.kernel.place import mounted_bpffs

        with mounted_bpffs(tmp_path):
            yield folder
        return
    kernel.mount("bpf", folder)
    yield folder
    for path in kernel.pinned_paths():
        kernel.unpin(path)

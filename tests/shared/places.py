"""Where tests of both kernels attach: a cable of the running kernel's, or a simulated interface."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.kernel.simulated import SimulatedKernel
from ebee.record import NamedTuple
from tests.kernel.door import nothing_left_open

FRAME = bytes(12) + b"\x88\xb5" + bytes(range(46))
"""An Ethernet frame of a type that is free for experiments, so that no protocol answers it."""
_KINDS = (ObjectKind.PROGRAM, ObjectKind.MAP, ObjectKind.LINK, ObjectKind.BTF)


class Wire(NamedTuple):
    """An interface.

    Attributes:
        send: lets a frame arrive at it.
    """

    name: str
    ifindex: int
    send: Callable[[bytes], object]


@contextmanager
def named_kernel(name: str) -> Iterator[Kernel]:
    """A kernel, in which and at which nothing is left open in the end.

    Args:
        name: `live`, `vm`, or an engine of the simulated kernel.
    """
    if name == "live":
        if os.geteuid() != 0:
            pytest.skip("the live kernel is asked as root")
        with nothing_left_open():
            yield LiveKernel()
            gc.collect()
        return
    # As many CPUs as tests of per-CPU maps need to see a difference.
    made = SimulatedKernel(cpus=2, engine="auto" if name == "vm" else name)
    with nothing_left_open(), nothing_left_inside(made):
        yield made
        gc.collect()
        made.stop()


@contextmanager
def live_wire() -> Iterator[Wire]:
    """One end of a cable in a network of its own."""
    from ebee.testing import private_network

    with private_network() as net:
        yield Wire(net.a, net.a_index, net.send)


@contextmanager
def simulated_wire(kernel: Kernel) -> Iterator[Wire]:
    """An interface of that name, so that messages agree."""
    assert isinstance(kernel, SimulatedKernel)
    ifindex = kernel.add_device("veth0")
    yield Wire("veth0", ifindex, lambda frame: kernel.receive("veth0", frame))


@contextmanager
def nothing_left_inside(kernel: SimulatedKernel) -> Iterator[None]:
    """Fail when objects, or memory of the machine's, are there at the end that were not at the begin."""
    before = sorted(kernel.machine.memory.regions)
    yield
    left = {kind.value: kernel.next_id(kind, 0) for kind in _KINDS}
    assert left == dict.fromkeys(left), "objects are left in the simulated kernel"
    assert sorted(kernel.machine.memory.regions) == before
    assert (kernel.machine.maps, kernel.machine.programs) == ({}, {})

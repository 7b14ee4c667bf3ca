"""A run to call helpers in: memory to put arguments into, maps, and answers as a program sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ebee.abi.bpf import MapType, ProgType
from ebee.abi.helpers import number_of
from ebee.vm.code import Code
from ebee.vm.contexts import raw_context
from ebee.vm.faults import Refusal
from ebee.vm.helpers.kfuncs import find_kfunc
from ebee.vm.helpers.registry import find_helper
from ebee.vm.machine import Context, Machine, Run, map_address
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.maps.base import VmMap

CALLBACK = 0x5000


class Desk:
    """A machine with a run that has a context.

    Attributes:
        callback: what is called where a helper calls the function at CALLBACK.
    """

    def __init__(
        self,
        make_context: Callable[[Machine], Context] | None = None,
        *,
        type: ProgType = ProgType.SCHED_CLS,
        cpu: int = 0,
    ) -> None:
        self.machine = Machine()
        self.machine.clock_ns = lambda: 8_000_000_000
        make = make_context or (lambda machine: raw_context(machine.memory, bytes(8)))
        self.context = make(self.machine)
        self.callback: Callable[..., int] = lambda *_: 0
        self.run = Run(self.machine, Code("test", type, ()), self.context, self._call, cpu=cpu)
        self.place = self.machine.memory.add("the scratch", 4096)
        self._used = 0

    @property
    def ctx(self) -> int:
        """The context's address."""
        return self.context.region.address()

    def put(self, data: bytes) -> int:
        """Return the address of bytes that a program could have on its stack."""
        at = self._used
        self._used += len(data) + 7 & ~7
        self.place.element(0)[at : at + len(data)] = data
        return self.place.address(0, at)

    def room(self, size_bytes: int) -> int:
        """Return the address of bytes to be written, which are ones before that."""
        return self.put(b"\xff" * size_bytes)

    def get(self, address: int, size_bytes: int) -> bytes:
        """Return bytes of the program's memory."""
        return self.machine.memory.read(address, size_bytes)

    def number(self, address: int, size_bytes: int = 8) -> int:
        """Return a signed number of the program's memory."""
        return int.from_bytes(self.get(address, size_bytes), "little", signed=True)

    def call(self, name: str, *arguments: int) -> int:
        """Return what a helper answers, refusals as the program sees them."""
        number = number_of(name)
        assert number is not None
        return self._answer(lambda *five: find_helper(number)(self.run, *five), arguments)

    def kernel_call(self, name: str, *arguments: int) -> int:
        """Return what a kernel function answers."""
        return self._answer(lambda *five: find_kfunc(name)(self.run, *five), arguments)

    def map(self, type: MapType, key: int = 4, value: int = 8, entries: int = 4, flags: int = 0) -> VmMap:
        """Make a map on the machine."""
        index = len(self.machine.maps) + 1
        setup = MapSetup(type, "table", key, value, entries, flags)
        made = make_map(setup, self.machine.memory, cpus=self.machine.cpus, index=index)
        self.machine.maps[index] = made
        return made

    def address(self, table: VmMap) -> int:
        """Return how a program names a map."""
        return map_address(table.index)

    def _call(self, address: int, arguments: Sequence[int]) -> int:
        assert address == CALLBACK
        return self.callback(*arguments)

    def _answer(self, function: Callable[..., int], arguments: Sequence[int]) -> int:
        five = [value & (1 << 64) - 1 for value in (*arguments, 0, 0, 0, 0, 0)[:5]]
        try:
            return function(*five)
        except Refusal as refusal:
            return -refusal.errno

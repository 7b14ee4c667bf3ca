"""What the parts of the simulated kernel share: descriptors, objects with ids, what holds what."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import wraps
from threading import RLock

from ebee.kernel.protocol import ObjectKind
from ebee.vm.faults import Refusal
from ebee.vm.machine import DEFAULT_BUDGET, Engine, Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, TypeVar

    from ebee.btf import Btf
    from ebee.kernel.simulated.devices import Devices
    from ebee.kernel.simulated.hooks import Hooks
    from ebee.kernel.simulated.pipe import TraceBuffer
    from ebee.kernel.simulated.symbols import Symbols

    _Thing = TypeVar("_Thing", bound="Thing")
    _Method = TypeVar("_Method", bound=Callable[..., Any])

BPFFS = "/sys/fs/bpf"
FIRST_FD = 1_000_000
"""Descriptors begin here, where no process has real ones: one taken for the other is EBADF."""


def locked(method: _Method) -> _Method:
    """Let one thread at a time come through a part of the door: the machine has one memory."""

    @wraps(method)
    def alone(self: Any, *arguments: Any, **words: Any) -> Any:
        with self.state.running:
            return method(self, *arguments, **words)

    return alone  # type: ignore[return-value]


class Thing:
    """What descriptors, pins, links, programs and maps hold; it goes when nobody holds it any more.

    Attributes:
        kind: which ids it has; None for what has none (perf events, sockets).
        id: 0 before it is registered, and for what has no ids.
        users: how many descriptors and pins hold it, which are user space's.
    """

    kind: ObjectKind | None = None

    def __init__(self) -> None:
        self.id = 0
        self.users = 0
        self._holders = 0
        self.forget: Callable[[], None] = _nothing

    def hold(self) -> Self:
        """Count one more holder."""
        self._holders += 1
        return self

    def drop(self) -> None:
        """Count one less; with the last it goes, and gives back what it holds itself."""
        self._holders -= 1
        if not self._holders:
            self.forget()
            self.gone()

    def hold_as_user(self) -> Self:
        """Count a descriptor or a pin."""
        self.users += 1
        return self.hold()

    def drop_as_user(self) -> None:
        """Count one less of them."""
        self.users -= 1
        if not self.users:
            self.unused()
        self.drop()

    def unused(self) -> None:
        """Nothing of user space's holds it any more."""

    def gone(self) -> None:
        """Give back what it holds."""


class State:
    """The whole of one simulated kernel.

    Attributes:
        machine, engine: programs run there, one at a time: `running` is held meanwhile.
        budget: how many instructions a run may take.
        types: gives the kernel's own BTF.
        most_packet_bytes: how long packets of test runs may be, where that is to be more than the running
            kernel takes, which is less than a page.
        devices, hooks, trace: the network, what tracing programs are attached to, what programs print.
        events: how many perf events were opened.
        pins: what is pinned, by its path; mounts: the folders below which that can be.
    """

    devices: Devices
    hooks: Hooks
    trace: TraceBuffer
    symbols: Symbols

    def __init__(self, machine: Machine, engine: Engine, types: Callable[[], Btf | None]) -> None:
        self.machine = machine
        self.engine = engine
        self.types = types
        self.budget = DEFAULT_BUDGET
        self.running = RLock()
        self.most_packet_bytes = 0
        self.events = 0
        self.pins: dict[str, Thing] = {}
        self.mounts: list[str] = [BPFFS]
        self._open: dict[int, Thing] = {}
        self._next_fd = FIRST_FD
        self._known: dict[ObjectKind, dict[int, Thing]] = {kind: {} for kind in ObjectKind}
        # The kernel's own types have the first id of all BTF.
        self._next_ids = dict.fromkeys(ObjectKind, 1) | {ObjectKind.BTF: 2}

    # -- descriptors -----------------------------------------------------------------------------
    def open(self, thing: Thing) -> int:
        """Return a new descriptor of a thing."""
        fd = self._next_fd
        self._next_fd += 1
        self._open[fd] = thing.hold_as_user()
        return fd

    def close(self, fd: int) -> None:
        """Give a descriptor back.

        Raises:
            Refusal: EBADF, it is none of this kernel's, or was closed before.
        """
        thing = self._open.pop(fd, None)
        if thing is None:
            raise Refusal(errno.EBADF)
        thing.drop_as_user()

    def find_open(self, fd: int) -> Thing | None:
        """Return what a descriptor stands for; None for nothing."""
        return self._open.get(fd)

    def thing(self, fd: int) -> Thing:
        """Return what a descriptor stands for.

        Raises:
            Refusal: EBADF, nothing.
        """
        found = self._open.get(fd)
        if found is None:
            raise Refusal(errno.EBADF)
        return found

    def get(self, fd: int, kind: type[_Thing]) -> _Thing:
        """Return what a descriptor of a kind stands for.

        Raises:
            Refusal: EBADF, nothing; EINVAL, something of another kind.
        """
        found = self.thing(fd)
        if not isinstance(found, kind):
            raise Refusal(errno.EINVAL)
        return found

    # -- ids -------------------------------------------------------------------------------------
    def register(self, thing: Thing) -> None:
        """Give a thing its id; ids are not used again."""
        kind = thing.kind
        assert kind is not None
        known = self._known[kind]
        thing.id = self._next_ids[kind]
        self._next_ids[kind] += 1
        known[thing.id] = thing
        thing.forget = lambda: _forget(known, thing.id)

    def find(self, kind: ObjectKind, number: int) -> Thing | None:
        """Return what has an id."""
        return self._known[kind].get(number)

    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        """Return the next id there is."""
        return min((number for number in self._known[kind] if number > after), default=None)

    def all(self, kind: ObjectKind) -> Iterator[Thing]:
        """Go through all that has ids of a kind."""
        yield from list(self._known[kind].values())


def _forget(known: dict[int, Thing], number: int) -> None:
    known.pop(number, None)


def _nothing() -> None:
    """For what has no id."""

"""What the simulated kernel holds: BTF, maps, programs, links, perf events, packet sockets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from weakref import ref

from ebee.abi.bpf import LinkType, MapType
from ebee.kernel.protocol import MapCreate, ObjectKind, PerfEvent, ProgramLoad
from ebee.kernel.simulated.state import State, Thing, locked
from ebee.kernel.simulated.tags import tag_of
from ebee.vm.code import Code
from ebee.vm.maps import VmMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf


class BtfThing(Thing):
    """Types that were loaded; `data` as they came."""

    kind = ObjectKind.BTF

    def __init__(self, data: bytes, btf: Btf) -> None:
        super().__init__()
        self.data = data
        self.btf = btf


class MapThing(Thing):
    """A map.

    Attributes:
        vm: the machine's map.
        request: what it was made from.
        btf: the types of its keys and values.
        held: what its slots hold (programs, inner maps), by key.
        pattern: of a map of maps, a map like those it holds.
        views: the memory that user space has mapped for writing, while it is there.
        owner: of a program array, the first program that used it or that was put into it.
    """

    kind = ObjectKind.MAP

    def __init__(self, state: State, vm: VmMap, request: MapCreate, btf: BtfThing | None) -> None:
        super().__init__()
        self.state = state
        self.vm = vm
        self.request = request
        self.btf = None if btf is None else btf.hold()
        self.held: dict[bytes, Thing] = {}
        self.pattern: MapCreate | None = None
        self.views: list[ref[memoryview]] = []
        self.owner: ProgramThing | None = None

    def put(self, key: bytes, thing: Thing | None) -> None:
        """Let a slot hold a thing, or nothing; what it held before is given back."""
        before = self.held.pop(key, None)
        if thing is not None:
            self.held[key] = thing.hold()
        if before is not None:
            before.drop()

    def unused(self) -> None:
        """A program array is emptied when user space has let go of it, as the kernel does."""
        if self.request.type == MapType.PROG_ARRAY:
            for key in list(self.held):
                self.vm.delete(key)
                self.put(key, None)

    @locked  # memory that was mapped may let go of it at any moment
    def gone(self) -> None:
        for key in list(self.held):
            self.put(key, None)
        del self.state.machine.maps[self.vm.index]
        self.vm.close()
        if self.btf is not None:
            self.btf.drop()


class ProgramThing(Thing):
    """A program.

    Attributes:
        code: as the machine runs it.
        maps: those that it names, each once.
        loads: the map that a wide load names, by its slot.
        run_count, run_time_ns: of all runs but test runs.
        load_time_ns: boot clock.
        attach_target: the function or tracepoint of the kernel that it was loaded for.
    """

    kind = ObjectKind.PROGRAM

    def __init__(
        self, state: State, request: ProgramLoad, code: Code, maps: tuple[MapThing, ...], btf: BtfThing | None
    ) -> None:
        super().__init__()
        self.state = state
        self.request = request
        self.code = code
        for item in maps:
            item.hold()
        self.maps = maps
        self.btf = None if btf is None else btf.hold()
        self.loads: dict[int, MapThing] = {}
        self.run_count = 0
        self.run_time_ns = 0
        self.load_time_ns = 0
        self.attach_target = ""

    @property
    def name(self) -> str:
        """What the kernel calls it."""
        return self.request.name

    @cached_property
    def tag(self) -> bytes:
        """What tells this code from other code: see `ebee.kernel.simulated.tags`."""
        return tag_of(self.request.instructions)

    @cached_property
    def reach(self) -> int:
        """How many bytes of its context it reaches."""
        from ebee.kernel.simulated.reach import context_reach

        return context_reach(self.code.instructions)

    def gone(self) -> None:
        self.state.machine.programs.pop(self.id, None)
        for item in self.maps:
            item.drop()
        if self.btf is not None:
            self.btf.drop()


class LinkThing(Thing):
    """A program at its place.

    Attributes:
        details: what link_info tells; `None` values are asked for when it is told.
        detach: takes the program off its place; called once.
        update: puts another program there; None where links of this kind do not take one.
    """

    kind = ObjectKind.LINK

    def __init__(self, type: LinkType, program: ProgramThing, details: dict[str, int | str | bytes]) -> None:
        super().__init__()
        self.type = type
        self.program = program.hold()
        self.details = details
        self.attached = True
        self.cookie = 0
        self.detach: Callable[[], None] | None = None
        self.may_be_forced = False
        self.replaceable = False
        self.others: tuple[Thing, ...] = ()

    def take_off(self) -> None:
        """Detach, once."""
        if self.attached and self.detach is not None:
            self.detach()
        self.attached = False

    def replace(self, program: ProgramThing) -> None:
        """Let it run another program."""
        before, self.program = self.program, program.hold()
        before.drop()

    def gone(self) -> None:
        self.take_off()
        self.program.drop()
        for other in self.others:
            other.drop()


class EventThing(Thing):
    """A perf event, and the program that runs at it in the older way.

    Attributes:
        number: by which perf event arrays know it.
    """

    def __init__(self, event: PerfEvent, number: int) -> None:
        super().__init__()
        self.event = event
        self.number = number
        self.enabled = False
        self.program: ProgramThing | None = None
        self.detach: Callable[[], None] | None = None

    def gone(self) -> None:
        if self.detach is not None:
            self.detach()
        if self.program is not None:
            self.program.drop()


class SocketThing(Thing):
    """A packet socket with a filter: it hears what an interface receives.

    Attributes:
        heard: the packets that the filter let through, cut to the length that it returned.
    """

    def __init__(self, program: ProgramThing) -> None:
        super().__init__()
        self.program: ProgramThing | None = program.hold()
        self.heard: list[bytes] = []
        self.detach: Callable[[], None] | None = None

    def set_program(self, program: ProgramThing | None) -> None:
        """Put another filter on it, or none."""
        before, self.program = self.program, None if program is None else program.hold()
        if before is not None:
            before.drop()

    def gone(self) -> None:
        if self.detach is not None:
            self.detach()
        self.set_program(None)

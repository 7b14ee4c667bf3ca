"""What the programs of one simulated kernel share: memory, maps, the time, the task they run for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from ebee.record import NamedTuple, Record
from ebee.vm.arena import Arena
from ebee.vm.code import Code
from ebee.vm.memory import CODE, CONTEXT, MAPS, STACK, Memory, Region, address_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ebee.vm.maps.base import VmMap
    from ebee.vm.packet import Packet
else:
    Protocol = object

STACK_BYTES = 512
"""Of each function's frame."""
MOST_FRAMES = 8
MOST_TAIL_CALLS = 33
DEFAULT_BUDGET = 100_000_000
"""Instructions of one run before it counts as endless."""


class Task(Record):
    """The task that a program sees as the current one.

    Attributes:
        pid, tgid: the thread's and the process's id, as the kernel calls them.
        comm: at most 15 bytes.
        cgroup_id: of its cgroup; `ancestors` are the ids of all above it and its own, from the root on.
        start_ns: when it began, boot clock.
        kernel_stack, user_stack: the addresses that stack helpers find, innermost first.
        address: of its struct task_struct; what is there is in `Memory.kernel`, where it was put.
    """

    pid: int = 4242
    tgid: int = 4242
    comm: str = "ebee"
    uid: int = 1000
    gid: int = 1000
    parent_tgid: int = 1
    cgroup_id: int = 1
    ancestors: tuple[int, ...] = (1,)
    start_ns: int = 0
    kernel_stack: tuple[int, ...] = ()
    user_stack: tuple[int, ...] = ()
    address: int = 0xFFFF_8881_0000_0000


class Machine:
    """A machine: programs run on it, one at a time.

    Args:
        arena: where its bytes lie.
        cpus: how many CPUs per-CPU maps have values for.

    Attributes:
        maps: by their index, which addresses in the MAPS region carry.
        programs: by id, for tail calls.
        clock_ns: gives the monotonic time; settable, so that runs can be repeated.
        random: what bpf_get_prandom_u32 draws from; seed it to repeat a run.
        print_line: is given each finished line of bpf_printk, without the task and time in front.
        slots: what helpers keep from one run to the next, each under its own name.
    """

    def __init__(self, arena: Arena | None = None, *, cpus: int = 2) -> None:
        self.memory = Memory(arena or Arena())
        self.cpus = cpus
        self.maps: dict[int, VmMap] = {}
        self.programs: dict[int, Code] = {}
        self.task = Task()
        self.clock_ns: Callable[[], int] = time.monotonic_ns
        self.random = random.Random()
        self.print_line: Callable[[str], None] = lambda _: None
        self.slots: dict[str, object] = {}
        self.stack = self.memory.add("the stack", STACK_BYTES, elements=MOST_FRAMES, number=STACK)
        self.memory.add_opaque("a map", MAPS)
        self.memory.add_opaque("a function", CODE)

    def map_at(self, address: int) -> VmMap | None:
        """Return the map that an address of the MAPS region names; None for anything else."""
        index = map_index(address)
        return None if index is None else self.maps.get(index)


class Context(Record):
    """What a program's first argument points at, and what stands behind it.

    Attributes:
        region: the context's memory, region CONTEXT while the program runs.
        packet: the packet, for programs that have one.
        event: whatever else helpers of this type of program look at.
        others: more memory that it points at, such as its socket.
    """

    region: Region
    packet: Packet | None = None
    event: object = None
    others: tuple[Region, ...] = ()


class Outcome(NamedTuple):
    """What a run gave.

    Attributes:
        return_value: r0 at the end, as 64 bits without a sign.
        instructions: how many were executed; 0 where the engine does not count them.
        redirected: `Run.redirected` at the end.
    """

    return_value: int
    instructions: int = 0
    redirected: object = None


class Run:
    """One run of a program, as helpers see it.

    Attributes:
        code: the program; another one after a tail call.
        cpu: the CPU that it runs on.
        call: calls a function of the program by its address, with up to five arguments, and returns
            its r0: for helpers that take callbacks.
        redirected: where bpf_redirect() and bpf_redirect_map() point: helpers of the network set it.
        slots: what helpers keep for the time of this run.
    """

    def __init__(
        self,
        machine: Machine,
        code: Code,
        context: Context,
        call: Callable[[int, Sequence[int]], int],
        *,
        cpu: int = 0,
    ) -> None:
        self.machine = machine
        self.memory = machine.memory
        self.code = code
        self.context = context
        self.call = call
        self.cpu = cpu
        self.redirected: object = None
        self.slots: dict[str, object] = {}


class Engine(Protocol):
    """What runs code on a machine."""

    name: str
    machine: Machine

    def run(
        self,
        code: Code,
        context: Context,
        *,
        budget: int = DEFAULT_BUDGET,
        cpu: int = 0,
        repeat: int = 1,
    ) -> Outcome:
        """Run a program from its first instruction with r1 at the context; the last run's outcome.

        Raises:
            MachineError: it did what it must not; with its line.
        """


def function_address(slot: int) -> int:
    """Return the address of a function that begins at a slot, for callbacks."""
    return address_of(CODE, slot)


def function_slot(address: int) -> int | None:
    """Return at which slot the function with an address begins; None for what is no function's address."""
    slot = (address - address_of(CODE)) >> 28
    return slot if 0 <= slot < 1 << 24 and address == function_address(slot) else None


def map_address(index: int) -> int:
    """Return the address by which programs know a map."""
    return address_of(MAPS, index)


def map_index(address: int) -> int | None:
    """Return which map an address names; None where it names none, or a place within one."""
    index = (address - address_of(MAPS)) >> 28
    return index if address == map_address(index) and index >= 0 and index < 1 << 24 else None


__all__ = ["CONTEXT", "Context", "Engine", "Machine", "Outcome", "Run", "Task"]

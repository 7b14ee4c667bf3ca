"""Timers: programs start them, `run_timers` calls what is due.

A timer is 16 bytes in a map's value, of which the first 8 hold its number here. It is fired by a small
program that calls the function with the map, the key and the value.
"""

from __future__ import annotations

import struct
from itertools import count

from ebee.abi import bpf
from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import LD_IMM64
from ebee.vm.code import Code
from ebee.vm.contexts.base import release
from ebee.vm.contexts.raw import raw_context
from ebee.vm.helpers.common import EBUSY, EDEADLK, EINVAL, map_of, number_at, put_number, u64
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Engine, Machine, Run, map_address
from ebee.vm.maps.base import VmMap
from ebee.vm.memory import ELEMENT_MASK, ELEMENT_SHIFT

SLOT = "timers"
_CLOCKS = (0, 1, 7)
"""CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME; here they are one."""


class Timer:
    """A timer.

    Attributes:
        address: of its bytes.
        table: the map in whose value it lies.
        code, callback: the program, and its function's slot.
        due_ns: when it is due; None while it is not started.
    """

    def __init__(self, number: int, address: int, table: VmMap) -> None:
        self.number = number
        self.address = address
        self.table = table
        self.code: Code | None = None
        self.callback = 0
        self.due_ns: int | None = None


class Timers:
    """The timers of a machine.

    Attributes:
        running: the one whose function is being called.
        programs: the small programs that call functions, by program and function.
    """

    def __init__(self) -> None:
        self.by_number: dict[int, Timer] = {}
        self.numbers = count(1)
        self.running: Timer | None = None
        self.programs: dict[tuple[int, int], tuple[Code, Code]] = {}


def timers_of(machine: Machine) -> Timers:
    """Return the timers of a machine."""
    found = machine.slots.setdefault(SLOT, Timers())
    assert isinstance(found, Timers)
    return found


def _timer_at(run: Run, address: int) -> Timer | None:
    found = timers_of(run.machine).by_number.get(number_at(run, address, 8))
    return found if found is not None and found.address == address else None


@helper("timer_init")
def timer_init(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Make a timer."""
    table = map_of(run, r2, "timer_init")
    if r3 not in _CLOCKS:
        return -EINVAL
    return make_timer(run, r1, table)


def make_timer(run: Run, address: int, table: VmMap) -> int:
    """Make a timer of bytes that are none yet."""
    if _timer_at(run, address) is not None:
        return -EBUSY
    timers = timers_of(run.machine)
    number = next(timers.numbers)
    timers.by_number[number] = Timer(number, address, table)
    put_number(run, address, 8, number)
    return 0


@helper("timer_set_callback")
def timer_set_callback(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Say which function a timer calls."""
    timer = _timer_at(run, r1)
    if timer is None:
        return -EINVAL
    timer.code, timer.callback = run.code, r2 >> ELEMENT_SHIFT & ELEMENT_MASK
    return 0


@helper("timer_start")
def timer_start(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Start a timer, also one that runs already."""
    timer = _timer_at(run, r1)
    if r3 & ~(bpf.F_TIMER_ABS | bpf.F_TIMER_CPU_PIN) or timer is None or timer.code is None:
        return -EINVAL
    timer.due_ns = u64(r2) if r3 & bpf.F_TIMER_ABS else run.machine.clock_ns() + u64(r2)
    return 0


@helper("timer_cancel")
def timer_cancel(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Stop a timer; 1 where it had been started."""
    timer = _timer_at(run, r1)
    if timer is None:
        return -EINVAL
    if timers_of(run.machine).running is timer:
        return -EDEADLK
    was_started, timer.due_ns, timer.code = timer.due_ns is not None, None, None
    return int(was_started)


def next_due_ns(machine: Machine) -> int | None:
    """Return when the first of the machine's timers is due, by its clock; None where none is started."""
    due = [timer.due_ns for timer in timers_of(machine).by_number.values() if timer.due_ns is not None]
    return min(due, default=None)


def run_timers(machine: Machine, engine: Engine) -> int:
    """Call the functions of all timers that are due, earliest first; how many.

    What these functions start is called next time, even if it is due at once.

    Raises:
        MachineError: a function did what it must not.
    """
    now = machine.clock_ns()
    waiting = [(t.due_ns, t.number, t) for t in timers_of(machine).by_number.values() if t.due_ns is not None]
    fired = 0
    for due_ns, _, timer in sorted(waiting, key=lambda each: each[:2]):
        if due_ns <= now and timer.due_ns == due_ns:
            timer.due_ns = None
            fired += _fire(machine, engine, timer)
    return fired


def _fire(machine: Machine, engine: Engine, timer: Timer) -> int:
    """Call a timer's function; 0 where its element is gone, and the timer with it."""
    element = timer.address >> ELEMENT_SHIFT << ELEMENT_SHIFT
    key = next((key for key, value in timer.table.each() if value == element), None)
    timers, code = timers_of(machine), timer.code
    if key is None or code is None:
        del timers.by_number[timer.number]
        return 0
    place = machine.memory.add("the key", len(key), writable=False)
    place.element(0)[:] = key
    address = map_address(timer.table.index)
    context = raw_context(machine.memory, struct.pack("<QQQ", address, place.address(), element))
    timers.running = timer
    try:
        engine.run(_caller(timers, code, timer.callback), context)
    finally:
        timers.running = None
        release(machine.memory, context)
        machine.memory.remove(place)
    return 1


def _caller(timers: Timers, code: Code, slot: int) -> Code:
    """Return a program that calls a function of another with the three numbers that its context holds.

    It is that program with its first instruction a jump to what is added at its end, so that functions
    stay at their slots.
    """
    key = (id(code), slot)
    if key not in timers.programs:
        end = len(code.instructions)
        jump = Instruction(0x06, imm=end - 1)
        added = (
            Instruction(0x79, dst=2, src=1, offset=8),
            Instruction(0x79, dst=3, src=1, offset=16),
            Instruction(0x79, dst=1, src=1, offset=0),
            Instruction(0x85, src=1, imm=slot - (end + 4)),
            Instruction(0x95),
        )
        name = code.functions.get(slot, code.name)
        rest = code.instructions[1:]
        if code.instructions[0].opcode == LD_IMM64:
            rest = (Instruction(0x05), *rest[1:])
        made = code.replaced(instructions=(jump, *rest, *added), functions={**code.functions, end: name})
        timers.programs[key] = code, made
    return timers.programs[key][1]

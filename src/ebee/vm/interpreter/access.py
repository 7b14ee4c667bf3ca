"""Loads, stores and atomic operations: what reaches memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from ebee.asm.opcodes import LD_IMM64, MODE_MASK, SIZE_MASK, Atomic, Class, Mode, Size
from ebee.vm.faults import Fault
from ebee.vm.interpreter.form import Form, Returned, Site, Step
from ebee.vm.interpreter.numbers import U32, U64, extended, signed

_BYTES = {Size.B: 1, Size.H: 2, Size.W: 4, Size.DW: 8}

# What an atomic operation leaves in memory, of what was there and the source register.
_CHANGES: dict[int, Callable[[int, int], int]] = {
    Atomic.ADD: operator.add,
    Atomic.OR: operator.or_,
    Atomic.AND: operator.and_,
    Atomic.XOR: operator.xor,
}
_FETCHES = {kind | Atomic.FETCH: change for kind, change in _CHANGES.items()} | {Atomic.XCHG: lambda _, b: b}


def _size_of(site: Site) -> int:
    return _BYTES[site.instruction.opcode & SIZE_MASK]


def _load_number(site: Site) -> Step:
    """Load 64 bits of the program's own: the number takes two slots."""
    registers, dst, following = site.registers, site.instruction.dst, site.slot + 2
    if site.second is None:
        raise Fault(f"{site.text()}: the upper half of its number is missing")
    if any(site.second[:4]):
        raise Fault(f"{site.text()}: its second slot has more in it than the upper half of the number")
    if site.instruction.src:
        raise site.wrong("src", "0 because maps and functions are addresses here")
    number = (site.second.imm & U32) << 32 | site.instruction.imm & U32

    def step() -> int:
        registers[dst] = number
        return following

    return step


def _load(site: Site) -> Step:
    registers, following, load = site.registers, site.following, site.processor.load
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        registers[dst] = load(registers[src] + offset & U64, size_bytes)
        return following

    return step


def _load_signed(site: Site) -> Step:
    registers, following, load = site.registers, site.following, site.processor.load
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        registers[dst] = extended(load(registers[src] + offset & U64, size_bytes), 8 * size_bytes, 64)
        return following

    return step


def _store(site: Site) -> Step:
    registers, following, store = site.registers, site.following, site.processor.memory.store
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        store(registers[dst] + offset & U64, size_bytes, registers[src])
        return following

    return step


def _store_number(site: Site) -> Step:
    registers, following, store = site.registers, site.following, site.processor.memory.store
    _, dst, _, offset, number = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        store(registers[dst] + offset & U64, size_bytes, number)
        return following

    return step


def _atomic(site: Site) -> Step:
    """Make what the instruction's number says. One program runs at a time, so that nothing comes between."""
    kind, size_bytes = site.instruction.imm, _size_of(site)
    if kind == Atomic.LOAD_ACQ:
        site.must_not_write("dst")
        return _load(site)
    if kind == Atomic.STORE_REL:
        return _store(site)
    if size_bytes < 4 or kind not in (*_CHANGES, *_FETCHES, Atomic.CMPXCHG):
        raise site.unknown()
    if kind in _CHANGES:
        return _change(site, _CHANGES[kind])
    if kind == Atomic.CMPXCHG:
        return _compare_and_exchange(site)
    site.must_not_write("src")
    return _fetch(site, _FETCHES[kind])


def _change(site: Site, change: Callable[[int, int], int]) -> Step:
    """Change memory."""
    registers, following, memory = site.registers, site.following, site.processor.memory
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        address = registers[dst] + offset & U64
        memory.store(address, size_bytes, change(memory.load(address, size_bytes), registers[src]))
        return following

    return step


def _fetch(site: Site, change: Callable[[int, int], int]) -> Step:
    """Change memory; what was there goes into the source register."""
    registers, following, memory = site.registers, site.following, site.processor.memory
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)

    def step() -> int:
        address = registers[dst] + offset & U64
        old = memory.load(address, size_bytes)
        memory.store(address, size_bytes, change(old, registers[src]))
        registers[src] = old
        return following

    return step


def _compare_and_exchange(site: Site) -> Step:
    """Store the source register where memory is equal to r0; what was there goes into r0."""
    registers, following, memory = site.registers, site.following, site.processor.memory
    _, dst, src, offset, _ = site.instruction
    size_bytes = _size_of(site)
    mask = (1 << 8 * size_bytes) - 1

    def step() -> int:
        address = registers[dst] + offset & U64
        old = memory.load(address, size_bytes)
        # Stored either way, as processors do it: memory that cannot be written is a fault either way.
        memory.store(address, size_bytes, registers[src] if old == registers[0] & mask else old)
        registers[0] = old
        return following

    return step


def _load_packet(site: Site) -> Step:
    """Load from the packet in network byte order, as classic BPF does; return 0 where it is not there."""
    registers, following, processor = site.registers, site.following, site.processor
    _, _, src, _, number = site.instruction
    size_bytes = _size_of(site)
    is_indirect = site.instruction.opcode & MODE_MASK == Mode.IND

    def step() -> int:
        offset = signed(registers[src] & U32, 32) + number if is_indirect else number
        registers[0] = 0
        found = processor.packet_bytes(offset, size_bytes)
        if found is None:
            raise Returned
        registers[0] = int.from_bytes(found, "big")
        return following

    return step


def _forms() -> Mapping[int, Form]:
    forms = {LD_IMM64: Form(_load_number, "dst src imm", "dst")}
    for size in _BYTES:
        forms[Class.LDX | Mode.MEM | size] = Form(_load, "dst src offset", "dst")
        forms[Class.STX | Mode.MEM | size] = Form(_store, "dst src offset")
        forms[Class.ST | Mode.MEM | size] = Form(_store_number, "dst offset imm")
        forms[Class.STX | Mode.ATOMIC | size] = Form(_atomic, "dst src offset imm")
        if size != Size.DW:
            forms[Class.LDX | Mode.MEMSX | size] = Form(_load_signed, "dst src offset", "dst")
            forms[Class.LD | Mode.ABS | size] = Form(_load_packet, "imm")
            forms[Class.LD | Mode.IND | size] = Form(_load_packet, "src imm")
    return forms


FORMS = _forms()

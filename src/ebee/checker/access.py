"""Loads, stores and what helpers read and write: whether the bytes may be reached.

Source: kernel/bpf/verifier.c, check_mem_access(), check_helper_mem_access().
"""

from __future__ import annotations

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import Atomic, Class, Mode, Size
from ebee.checker.arithmetic import extended
from ebee.checker.complaint import EACCES, EINVAL, Complaint
from ebee.checker.operations import FURTHEST
from ebee.checker.scalars import UNKNOWN, Scalar, constant, of_bytes
from ebee.checker.state import STACK_BYTES
from ebee.checker.values import ANYTHING, Pointer, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.walk import Pairs, Walk

_SIZES = {Size.B: 1, Size.H: 2, Size.W: 4, Size.DW: 8}
_READ_ONLY, _WRITE_ONLY = 1 << 7, 1 << 8
_LOCK_BYTES = 4
# Source: net/core/filter.c and kernel/bpf/verifier.c, may_access_direct_pkt_data().
_MAY_NOT_WRITE_PACKETS = frozenset(
    {"LWT_IN", "LWT_OUT", "LWT_SEG6LOCAL", "SK_REUSEPORT", "FLOW_DISSECTOR", "CGROUP_SKB"}
)


def load(walk: Walk, instruction: Instruction) -> Pairs:
    """Do an instruction of class LDX."""
    opcode, dst, src, offset, _ = instruction
    size = _SIZES[opcode & 0x18]
    base = walk.need(src)
    walk.writable(dst)
    value = read(walk, src, base, offset, size)
    if opcode & 0xE0 == Mode.MEMSX and value is not ANYTHING:
        value = extended(value, 8 * size) if isinstance(value, Scalar) else UNKNOWN
    walk.registers[dst] = value
    return ((dst, value), (src, base)) if dst != src else ((dst, value),)


def store(walk: Walk, instruction: Instruction) -> Pairs:
    """Do an instruction of class ST or STX."""
    opcode, dst, src, offset, imm = instruction
    size = _SIZES[opcode & 0x18]
    if opcode & 7 == Class.STX:
        atomic = opcode & 0xE0 == Mode.ATOMIC
        if imm and not atomic:
            raise Complaint(EINVAL, "BPF_STX uses reserved fields")
        value = walk.need(src)
        base = walk.need(dst)
        if atomic:
            return _atomic(walk, instruction, base, value, size)
        if base.kind == "fp" and isinstance(value, Scalar) and not value.umax >> 8 * size:
            value = walk.in_family(src, value)
        write(walk, dst, base, offset, size, value)
        return ((src, value), (dst, base))
    if src:
        raise Complaint(EINVAL, "BPF_ST uses reserved fields")
    base = walk.need(dst)
    write(walk, dst, base, offset, size, constant(imm))
    return ((dst, base),)


def _atomic(walk: Walk, instruction: Instruction, base: Value, value: Value, size: int) -> Pairs:
    _, dst, src, offset, imm = instruction
    if imm == Atomic.LOAD_ACQ:
        result = read(walk, src, value, offset, size)
        walk.registers[dst] = result
        return ((dst, result),)
    if imm == Atomic.STORE_REL:
        write(walk, dst, base, offset, size, value)
        return ()
    if size < 4:
        raise Complaint(EINVAL, "invalid atomic operand size")
    if imm == Atomic.CMPXCHG:
        walk.need(0)
    kind = base.kind
    if kind == "ctx" or kind.startswith(("pkt", "sock", "flow_keys")):
        raise Complaint(EACCES, f"BPF_ATOMIC stores into R{dst} {kind} is not allowed")
    _check_alignment(base, offset, size)
    read(walk, dst, base, offset, size)
    write(walk, dst, base, offset, size, of_bytes(size))
    if not imm & Atomic.FETCH:
        return ()
    target = 0 if imm == Atomic.CMPXCHG else src
    old: Value = ANYTHING if base is ANYTHING else of_bytes(size)
    walk.registers[target] = old
    return ((target, old),)


def _check_alignment(base: Value, offset: int, size: int) -> None:
    """Complain of an atomic operation across words, which no processor does."""
    if not isinstance(base, Pointer) or base.kind != "map_value" or base.variable is not None:
        return
    if (base.offset + offset) % size:
        raise Complaint(EACCES, f"misaligned value access off 0+{base.offset}+{offset} size {size}")


# -- one access -------------------------------------------------------------------------------------
def read(walk: Walk, register: int, base: Value, offset: int, size: int) -> Value:
    """Return what an instruction loads.

    Args:
        register: that holds the address, for the words of a complaint.
    """
    pointer = _pointer(register, base)
    if pointer is ANYTHING:
        return ANYTHING
    place = _reach(walk, register, pointer, offset, size, writing=False)
    if pointer.kind == "fp":
        return _read_stack(walk, pointer, place, size)
    if pointer.kind == "ctx":
        return _read_context(walk, place, size)
    if pointer.kind == "map_value":
        return _read_value(pointer, place, size)
    if pointer.kind in ("pkt", "pkt_meta", "mem", "ringbuf_mem") or size < 8:
        return of_bytes(size)
    return ANYTHING


def write(walk: Walk, register: int, base: Value, offset: int, size: int, value: Value) -> None:
    """Let an instruction store a value."""
    pointer = _pointer(register, base)
    if pointer is ANYTHING:
        walk.state.forget_stacks()
        return
    place = _reach(walk, register, pointer, offset, size, writing=True)
    if pointer.kind != "fp":
        return
    frame = walk.state.frames[pointer.frame]
    if place is not None:
        if size < 8 and isinstance(value, Pointer) and value is not ANYTHING:
            raise Complaint(EACCES, "invalid size of register spill")
        frame.write(place, size, value)
    elif pointer.variable is not None:
        low = max(pointer.low + offset, -STACK_BYTES)
        high = min(pointer.offset + pointer.variable.smax + offset + size, 0)
        frame.fill(low, max(high - low, 0), "?")


def _pointer(register: int, base: Value) -> Pointer:
    """Return an address that may be used as one."""
    if isinstance(base, Scalar):
        if base.vague:
            return ANYTHING
        raise Complaint(EACCES, f"R{register} invalid mem access 'scalar'")
    if base.maybe_null or base.kind in ("pkt_end", "func"):
        raise Complaint(EACCES, f"R{register} invalid mem access '{base.name}'")
    return base


def _reach(
    walk: Walk, register: int, pointer: Pointer, offset: int, size: int, *, writing: bool
) -> int | None:
    """Complain of bytes that may not be reached; return their offset, None where it is not known."""
    kind = pointer.kind
    if kind == "fp":
        return _reach_stack(walk, register, pointer, offset, size, writing=writing)
    if kind == "ctx":
        return _reach_context(walk, pointer, offset, size, writing=writing)
    if kind == "map_value":
        assert pointer.map is not None
        check_map_rights(pointer, offset, size, writing=writing)
        reach_memory(register, pointer, offset, size, pointer.map.value_size_bytes)
        _check_lock(pointer, offset, size)
    elif kind in ("mem", "ringbuf_mem"):
        reach_memory(register, pointer, offset, size, pointer.size)
    elif kind in ("pkt", "pkt_meta"):
        if walk.strict_alignment:
            _check_packet_alignment(pointer, offset, size)
        reach_packet(walk, register, pointer, offset, size, writing=writing)
    return pointer.offset + offset if pointer.variable is None else None


# -- the stack --------------------------------------------------------------------------------------
def _reach_stack(
    walk: Walk, register: int, pointer: Pointer, offset: int, size: int, *, writing: bool
) -> int | None:
    place = pointer.offset + offset
    words = "write to" if writing else "read from"
    if pointer.variable is not None:
        variable_stack(pointer, register, offset, size, words)
        return None
    if place % size:
        raise Complaint(EACCES, f"misaligned stack access off 0+{pointer.offset}+{offset} size {size}")
    stack_bounds(register, place, size, words)
    walk.use_stack(pointer.frame, -place)
    return place


def stack_bounds(register: int, place: int, size: int, words: str) -> None:
    """Complain of bytes that are not in the 512 below r10."""
    if place < -STACK_BYTES or place + size > 0:
        error = EINVAL if -STACK_BYTES <= place < 0 else EACCES
        raise Complaint(error, f"invalid {words} stack R{register} off={place} size={size}")


def variable_stack(pointer: Pointer, register: int, offset: int, size: int, words: str) -> None:
    """Complain of an index into the stack that may leave it."""
    variable = pointer.variable
    assert variable is not None
    if variable.vague:
        return
    if variable.smax >= FURTHEST or variable.smin <= -FURTHEST:
        raise Complaint(EACCES, f"invalid unbounded variable-offset {words} stack R{register}")
    if pointer.low + offset < -STACK_BYTES or pointer.offset + variable.smax + offset + size > 0:
        raise Complaint(
            EACCES,
            f"invalid variable-offset {words} stack R{register} var_off={_bits(variable)} "
            f"off={pointer.offset + offset} size={size}",
        )


def _bits(number: Scalar) -> str:
    return f"({number.value:#x}; {number.mask:#x})"


def _read_stack(walk: Walk, pointer: Pointer, place: int | None, size: int) -> Value:
    if place is None:
        return ANYTHING
    frame = walk.state.frames[pointer.frame]
    if size < 8 and frame.holds_pointer(place):
        raise Complaint(EACCES, "invalid size of register fill")
    value = frame.read(place, size)
    if value is not None:
        return value
    if not walk.facts.unset_stack:
        first = frame.unset(place, size) or 0
        raise Complaint(EACCES, f"invalid read from stack off {place}+{first} size {size}")
    return of_bytes(size)


# -- the context ------------------------------------------------------------------------------------
def _reach_context(walk: Walk, pointer: Pointer, offset: int, size: int, *, writing: bool) -> int | None:
    if pointer.variable is not None:
        raise Complaint(EACCES, f"variable ctx access var_off={_bits(pointer.variable)} disallowed")
    place = pointer.offset + offset
    layout = walk.layout
    if layout is not None and not layout.allows(place, size, writing=writing):
        raise Complaint(EACCES, f"invalid bpf_context access off={place} size={size}")
    return place


def _read_context(walk: Walk, place: int | None, size: int) -> Value:
    layout = walk.layout
    if layout is None or place is None:
        return ANYTHING
    kind = layout.pointers.get((place, size))
    if kind is None:
        return of_bytes(size) if size < 8 or layout.numbers else ANYTHING
    if kind == ANYTHING.kind:
        return ANYTHING
    if kind.endswith("_or_null"):
        return Pointer(kind.removesuffix("_or_null"), maybe_null=True, id=walk.new_id())
    return Pointer(kind)


# -- map values and other memory --------------------------------------------------------------------
def check_map_rights(pointer: Pointer, offset: int, size: int, *, writing: bool) -> None:
    """Complain of a write into a map that programs may only read, and of the opposite."""
    assert pointer.map is not None
    where = f"value_size={pointer.map.value_size_bytes} off={pointer.offset + offset} size={size}"
    if writing and pointer.map.flags & _READ_ONLY:
        raise Complaint(EACCES, f"write into map forbidden, {where}")
    if not writing and pointer.map.flags & _WRITE_ONLY:
        raise Complaint(EACCES, f"read from map forbidden, {where}")


def reach_memory(register: int, pointer: Pointer, offset: int, size: int, whole: int) -> None:
    """Complain of bytes that are not all in a stretch of so many."""
    variable = pointer.variable
    smin, umax = (variable.smin, variable.umax) if variable else (0, 0)
    if variable is not None and variable.vague:
        return
    place = pointer.offset + offset
    if smin < 0 and smin + place < 0:
        raise Complaint(
            EACCES,
            f"R{register} min value is negative, either use unsigned index or do a if (index >=0) check.",
        )
    _within(register, pointer, smin + place, size, whole, "min")
    if umax >= FURTHEST:
        raise Complaint(
            EACCES, f"R{register} unbounded memory access, make sure to bounds check any such access"
        )
    _within(register, pointer, umax + place, size, whole, "max")


def _within(register: int, pointer: Pointer, place: int, size: int, whole: int, end: str) -> None:
    if place >= 0 and place + size <= whole:
        return
    what = "map value, value" if pointer.kind == "map_value" else "memory, mem"
    raise Complaint(
        EACCES,
        f"invalid access to {what}_size={whole} off={place} size={size}",
        f"R{register} {end} value is outside of the allowed memory range",
    )


def _check_lock(pointer: Pointer, offset: int, size: int) -> None:
    assert pointer.map is not None
    lock = pointer.map.lock_offset
    if lock is None:
        return
    first = pointer.offset + offset
    last = first + size
    if pointer.variable is not None:
        first, last = first + pointer.variable.smin, last + pointer.variable.umax
    if first < lock + _LOCK_BYTES and lock < last:
        raise Complaint(EACCES, "bpf_spin_lock cannot be accessed directly by load/store")


def _read_value(pointer: Pointer, place: int | None, size: int) -> Value:
    found = pointer.map
    assert found is not None
    if found.contents is not None and place is not None:
        return constant(int.from_bytes(found.contents[place : place + size], "little"))
    if found.contents is None and found.flags & _READ_ONLY:
        # It may be frozen, and the kernel may know what is in it.
        return ANYTHING
    if size < 8 or (found.kernel_pointers is not None and place not in found.kernel_pointers):
        return of_bytes(size)
    return ANYTHING


# -- packets ----------------------------------------------------------------------------------------
def _check_packet_alignment(pointer: Pointer, offset: int, size: int) -> None:
    """The network card lets a packet begin two bytes off, behind which its IP header is aligned."""
    variable = pointer.variable
    bits = 0 if variable is None else variable.value | variable.mask
    if (2 + pointer.offset + offset + bits) % size or bits % size:
        shown = "0" if variable is None else _bits(variable)
        raise Complaint(
            EACCES, f"misaligned packet access off 2+{shown}+{pointer.offset}+{offset} size {size}"
        )


def reach_packet(
    walk: Walk, register: int, pointer: Pointer, offset: int, size: int, *, writing: bool
) -> None:
    """Complain of bytes of the packet that were not proven to be there."""
    if writing and walk.code.type.name in _MAY_NOT_WRITE_PACKETS:
        raise Complaint(EACCES, "cannot write into packet")
    variable = pointer.variable
    if variable is not None and variable.vague:
        return
    if variable is not None and variable.smin < 0:
        raise Complaint(
            EACCES,
            f"R{register} min value is negative, either use unsigned index or do a if (index >=0) check.",
        )
    place, proven = pointer.offset + offset, max(pointer.range, 0)
    if place < 0 or place + size > proven:
        raise Complaint(
            EACCES,
            f"invalid access to packet, off={place} size={size}, "
            f"R{register}(id={pointer.id},off={place},r={proven})",
            f"R{register} offset is outside of the packet",
        )

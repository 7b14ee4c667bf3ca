"""Conditional jumps: which ways are open, and what is known on each.

Source: kernel/bpf/verifier.c, check_cond_jmp_op(), try_match_pkt_pointers().
"""

from __future__ import annotations

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import MAY_GOTO, Alu, Class, Jump, Source
from ebee.checker.arithmetic import compute
from ebee.checker.comparisons import Pair, ways
from ebee.checker.complaint import EINVAL, Complaint
from ebee.checker.scalars import M32, M64, ZERO, Scalar, constant
from ebee.checker.state import State
from ebee.checker.values import ANYTHING, Pointer, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.walk import Walk

_MOST_PACKET_BYTES = 0xFFFF
_BEYOND, _AT = -1, -2
"""Ranges of pointers that are known to lie behind the packet's end, or not before it."""
_NEVER_NULL = frozenset(
    {"map_value", "map_key", "map_ptr", "sock", "sock_common", "tcp_sock", "mem", "ringbuf_mem"}
)
# Whether a comparison holds of a number and itself.
_OF_ITSELF = {
    Jump.JEQ: True,
    Jump.JGE: True,
    Jump.JLE: True,
    Jump.JSGE: True,
    Jump.JSLE: True,
    Jump.JNE: False,
    Jump.JGT: False,
    Jump.JLT: False,
    Jump.JSGT: False,
    Jump.JSLT: False,
}


def branch(walk: Walk, instruction: Instruction) -> int | None:
    """Do a conditional jump: go on at the slot returned, the other way waits.

    Returns:
        None where neither way is open.
    """
    opcode, dst, src, offset, imm = instruction
    state = walk.state
    there, here = state.slot + 1 + offset, state.slot + 1
    if opcode == MAY_GOTO:
        _wait(walk, state.copy(), there, ())
        walk.passed(())
        return here
    if imm if opcode & Source.X else src:
        raise Complaint(EINVAL, "BPF_JMP/JMP32 uses reserved fields")
    right: Value
    if opcode & Source.X:
        right = walk.need(src)
        left = walk.need(dst)
        numbers: tuple[int, ...] = (dst, src)
    else:
        left = walk.need(dst)
        right = constant(imm)
        numbers = (dst,)
    wide = opcode & 7 == Class.JMP
    operation = opcode & 0xF0
    if len(numbers) == 2 and dst == src and operation in _OF_ITSELF:
        walk.passed(())
        return there if _OF_ITSELF[operation] else here
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        return _numbers(walk, numbers, left, right, operation, there, wide=wide)
    return _pointers(walk, numbers, left, right, operation, there, wide=wide)


def _wait(walk: Walk, other: State, slot: int, pairs: tuple[tuple[int, Value | None], ...]) -> None:
    """Let a state wait to be followed from a slot on."""
    other.trail = (other.trail, other.slot, pairs)
    other.slot = slot
    walk.waiting.append(other)


# -- numbers ----------------------------------------------------------------------------------------
def _numbers(
    walk: Walk,
    numbers: tuple[int, ...],
    left: Scalar,
    right: Scalar,
    operation: int,
    there: int,
    *,
    wide: bool,
) -> int | None:
    state = walk.state
    yes, no = ways(operation, left, right, wide=wide)
    if yes is not None and no is not None:
        if left.vague or right.vague:
            state.certain = False
        other = state.copy()
        _learn(other, numbers, (left, right), yes)
        _wait(walk, other, there, _shown(other, numbers))
    elif yes is not None:
        _learn(state, numbers, (left, right), yes)
        walk.passed(_shown(state, numbers))
        return there
    if no is None:
        return None
    _learn(state, numbers, (left, right), no)
    walk.passed(_shown(state, numbers))
    return state.slot + 1


def _shown(state: State, numbers: tuple[int, ...]) -> tuple[tuple[int, Value | None], ...]:
    return tuple((number, state.registers[number]) for number in numbers)


def _learn(state: State, numbers: tuple[int, ...], before: Pair, after: Pair) -> None:
    """Set what is known of compared numbers, and of all others of their families."""
    for number, old, new in zip(numbers, before, after, strict=False):
        if new is old:
            continue
        state.registers[number] = new
        if old.id:
            _tell_family(state, old, new)


def _tell_family(state: State, old: Scalar, new: Scalar) -> None:
    def change(value: Value) -> Value:
        if not isinstance(value, Scalar) or value.id != old.id or value is new:
            return value
        step = value.delta - new.delta & M64
        wide = not value.narrow and not new.narrow
        if not wide and value.umax > M32:
            return value
        if not step and wide:
            return new.linked(old.id, value.delta)
        found = compute(Alu.ADD, new, constant(step), wide=wide)
        return found.linked(old.id, value.delta, narrow=value.narrow)

    state.replace(change)


# -- pointers ---------------------------------------------------------------------------------------
def _pointers(
    walk: Walk, numbers: tuple[int, ...], left: Value, right: Value, operation: int, there: int, *, wide: bool
) -> int | None:
    state = walk.state
    if left is ANYTHING or right is ANYTHING or _is_vague(left) or _is_vague(right):
        state.certain = False
        return _fork(walk, state.copy(), there, numbers)
    taken = _known_way(left, right, operation, wide=wide)
    if taken is not None:
        walk.passed(())
        return there if taken else state.slot + 1
    other = state.copy()
    if wide and operation in (Jump.JEQ, Jump.JNE):
        equal, unequal = (other, state) if operation == Jump.JEQ else (state, other)
        _equality(equal, unequal, left, right, immediate=len(numbers) == 1)
    elif wide and len(numbers) == 2:
        _packet_bounds(state, other, numbers, left, right, operation)
    return _fork(walk, other, there, numbers)


def _is_vague(value: Value) -> bool:
    return isinstance(value, Scalar) and value.vague


def _fork(walk: Walk, other: State, there: int, numbers: tuple[int, ...]) -> int:
    _wait(walk, other, there, _shown(other, numbers))
    walk.passed(_shown(walk.state, numbers))
    return walk.state.slot + 1


def _known_way(left: Value, right: Value, operation: int, *, wide: bool) -> bool | None:
    """Return which way is taken where that is known; None for both."""
    if isinstance(left, Pointer) and isinstance(right, Pointer):
        return _packet_way(left, right, operation) if wide else None
    pointer, number = (left, right) if isinstance(left, Pointer) else (right, left)
    assert isinstance(pointer, Pointer)
    assert isinstance(number, Scalar)
    zero = not number.umax if wide else not number.vmax
    if not zero or pointer.maybe_null or pointer.kind not in _NEVER_NULL:
        return None
    return {Jump.JEQ: False, Jump.JNE: True}.get(operation)


def _equality(equal: State, unequal: State, left: Value, right: Value, *, immediate: bool) -> None:
    """Tell pointers that may be NULL what a test of them against 0, or each other, says."""
    if immediate and isinstance(left, Pointer) and left.maybe_null and right is not None:
        if isinstance(right, Scalar) and not right.value:
            _set_null(equal, left, null=True)
            _set_null(unequal, left, null=False)
        return
    if isinstance(left, Pointer) and isinstance(right, Pointer) and left.maybe_null != right.maybe_null:
        _set_null(equal, left if left.maybe_null else right, null=False)


def _set_null(state: State, pointer: Pointer, *, null: bool) -> None:
    made: dict[int, Value] = {}

    def change(value: Value) -> Value:
        if not isinstance(value, Pointer) or not value.maybe_null or value.id != pointer.id:
            return value
        if null:
            return ZERO
        return made.setdefault(id(value), value.changed(maybe_null=False))

    state.replace(change)
    if null and pointer.reference:
        state.references = {id: slot for id, slot in state.references.items() if id != pointer.reference}


# -- packets ----------------------------------------------------------------------------------------
_MIRRORED = {Jump.JGT: Jump.JLT, Jump.JLT: Jump.JGT, Jump.JGE: Jump.JLE, Jump.JLE: Jump.JGE}


def _packet_way(left: Pointer, right: Pointer, operation: int) -> bool | None:
    if right.kind == "pkt_end":
        packet = left
    elif left.kind == "pkt_end":
        packet, operation = right, _MIRRORED.get(operation, operation)
    else:
        return None
    if packet.kind != "pkt" or packet.range >= 0:
        return None
    if packet.range == _BEYOND and operation in (Jump.JLE, Jump.JGT):
        return operation == Jump.JGT
    if operation in (Jump.JLT, Jump.JGE):
        return operation == Jump.JGE
    return None


def _packet_bounds(
    state: State, other: State, numbers: tuple[int, ...], left: Value, right: Value, operation: int
) -> None:
    """Learn how long the packet is: `state` goes on where the comparison does not hold."""
    if not isinstance(left, Pointer) or not isinstance(right, Pointer) or operation not in _MIRRORED:
        return
    register = numbers[0]
    if _is_pair(right, left):
        left, right, register, operation = right, left, numbers[1], _MIRRORED[operation]
    elif not _is_pair(left, right):
        return
    # From here on: packet OPERATION end.
    inside, outside = (state, other) if operation in (Jump.JGT, Jump.JGE) else (other, state)
    # The end itself is inside of `>` and `<=`, and outside of the others.
    open_end = operation in (Jump.JGE, Jump.JLT)
    _set_range(inside, left, left.offset + open_end)
    if left.kind == "pkt":
        outside.registers[register] = left.changed(range=_AT if open_end else _BEYOND)


def _is_pair(packet: Pointer, end: Pointer) -> bool:
    return (packet.kind == "pkt" and end.kind == "pkt_end") or (
        packet.kind == "pkt_meta" and end.kind == "pkt" and not end.offset and end.variable is None
    )


def _set_range(state: State, pointer: Pointer, proven: int) -> None:
    longest = pointer.offset + (pointer.variable.umax if pointer.variable else 0)
    if pointer.offset < 0 or longest > _MOST_PACKET_BYTES:
        return

    def change(value: Value) -> Value:
        if (
            isinstance(value, Pointer)
            and value.kind == pointer.kind
            and value.id == pointer.id
            and value.range < proven
        ):
            return value.changed(range=proven)
        return value

    state.replace(change)

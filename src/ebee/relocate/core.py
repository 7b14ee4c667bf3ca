"""CO-RE relocations -> instructions that hold what is true on this kernel.

An instruction whose relocation has no answer becomes a call of a helper that does not exist, as
libbpf does it: where a check before it makes it unreachable the verifier never sees it, and where not
the verifier names its slot, which leads to the reason.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ebee.asm import Instruction
from ebee.asm.opcodes import CLASS_MASK, SIZE_MASK, SOURCE_MASK, Class, Size, Source
from ebee.btf import Btf
from ebee.btf.core import Answer, Matcher
from ebee.btf.ext import CoreRelocation
from ebee.errors import FormatError, RelocationError
from ebee.record import NamedTuple
from ebee.spec import Function

POISON_HELPER = 0x0BAD2310
"""The helper that poisoned instructions call, 195896080; libbpf's number, so that its users know it."""

_POISON = Instruction(opcode=0x85, imm=POISON_HELPER)
_WIDE_LOAD = 0x18
_SIZES = {1: Size.B, 2: Size.H, 4: Size.W, 8: Size.DW}
_BYTES = {size: count_bytes for count_bytes, size in _SIZES.items()}
_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1


class Relocated(NamedTuple):
    """A function with its CO-RE relocations applied.

    Attributes:
        function: a new one; its instructions are final as far as CO-RE goes.
        poisoned: why an instruction was made invalid, by slot.
    """

    function: Function
    poisoned: dict[int, str]


class _Poisoned(Exception):  # noqa: N818 - an outcome, not an error
    """The instruction cannot do what it was compiled for; says why."""


def apply_core_relocations(
    function: Function, local: Btf, targets: Sequence[Btf], *, matcher: Matcher | None = None
) -> Relocated:
    """Return a function whose instructions hold the kernel's offsets, sizes, ids and values.

    Args:
        function: as the compiler made it; it is not changed.
        local: the object's types.
        targets: the kernel's types: vmlinux first, then modules'.
        matcher: one that has answered other functions of the same object; it remembers types.

    Raises:
        RelocationError: an instruction is not what its relocation says, or the kernel's types give
            several answers. The message begins with the place, the C line where it is known.
        FormatError: one of the BTFs contradicts itself.
    """
    matcher = matcher or Matcher(local, targets)
    instructions = list(function.instructions)
    poisoned: dict[int, str] = {}
    for relocation in function.core_relocations:
        try:
            _apply(instructions, relocation.slot, matcher.resolve(relocation))
        except _Poisoned as reason:
            poisoned[relocation.slot] = str(reason)
            _poison(instructions, relocation.slot)
        except RelocationError as error:
            raise _placed(error, function, relocation, local) from None
    return Relocated(function.replaced(instructions=instructions), poisoned)


def _apply(instructions: list[Instruction], slot: int, answer: Answer) -> None:
    if not 0 <= slot < len(instructions):
        raise RelocationError(f"slot {slot}, expected one below {len(instructions)}")
    if answer.poison:
        raise _Poisoned(answer.poison)
    found = instructions[slot]
    group = found.opcode & CLASS_MASK
    if found.opcode == _WIDE_LOAD:
        _apply_wide(instructions, slot, answer)
    elif group in (Class.ALU, Class.ALU64) and found.opcode & SOURCE_MASK == Source.K:
        instructions[slot] = _immediate(found, answer)
    elif group in (Class.LDX, Class.ST, Class.STX):
        instructions[slot] = _access(found, answer)
    else:
        raise RelocationError(
            f"{answer.what}: an instruction with opcode {found.opcode:#04x}, "
            f"expected arithmetic with a number, a load or a store"
        )


def _immediate(found: Instruction, answer: Answer) -> Instruction:
    value = _checked(answer, found.imm, _U32)
    # ALU64 extends its 32 bits by the sign, ALU by zeros.
    highest = _U32 if found.opcode & CLASS_MASK == Class.ALU else _U32 >> 1
    if not -(1 << 31) <= value <= highest:
        raise RelocationError(f"{answer.what}: {value}, expected a number of 32 bits")
    return found._replace(imm=_signed(value))


def _access(found: Instruction, answer: Answer) -> Instruction:
    value = _checked(answer, found.offset, _U64)
    if answer.resize:
        raise _Poisoned(answer.resize)
    if not 0 <= value < 1 << 15:
        raise RelocationError(f"{answer.what}: offset {value}, expected one below 32768")
    found = found._replace(offset=value)
    if answer.local_size_bytes == answer.target_size_bytes:
        return found
    size_bytes = _BYTES[found.opcode & SIZE_MASK]
    if size_bytes != answer.local_size_bytes:
        raise RelocationError(
            f"{answer.what}: an access of {size_bytes} bytes, expected the field's {answer.local_size_bytes}"
        )
    if answer.target_size_bytes not in _SIZES:
        raise RelocationError(
            f"{answer.what}: the kernel's field has {answer.target_size_bytes} bytes, expected 1, 2, 4 or 8"
        )
    return found._replace(opcode=found.opcode & ~SIZE_MASK | _SIZES[answer.target_size_bytes])


def _apply_wide(instructions: list[Instruction], slot: int, answer: Answer) -> None:
    low = instructions[slot]
    high = instructions[slot + 1] if slot + 1 < len(instructions) else None
    if high is None or high[:4] != (0, 0, 0, 0) or low.src or low.offset:
        raise RelocationError(f"{answer.what}: a broken wide load, expected one of a plain number")
    value = _checked(answer, low.imm & _U32 | (high.imm & _U32) << 32, _U64) & _U64
    instructions[slot] = low._replace(imm=_signed(value & _U32))
    instructions[slot + 1] = high._replace(imm=_signed(value >> 32))


def _checked(answer: Answer, held: int, mask: int) -> int:
    """Return the new value, once it is sure that the instruction held the old one."""
    if answer.expected is not None and (held ^ answer.expected) & mask:
        raise RelocationError(
            f"{answer.what}: the instruction holds {held}, expected {answer.expected}",
            hint="the object's code and its BTF do not belong together; compile it again",
        )
    return answer.value


def _poison(instructions: list[Instruction], slot: int) -> None:
    """Put the invalid call in an instruction's place, in both slots of a wide load."""
    if instructions[slot].opcode == _WIDE_LOAD and slot + 1 < len(instructions):
        instructions[slot + 1] = _POISON
    instructions[slot] = _POISON


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 == 1 else value


def _placed(
    error: RelocationError, function: Function, relocation: CoreRelocation, local: Btf
) -> RelocationError:
    place = _c_line(function, relocation.slot, local)
    where = f"{place}: function {function.name}" if place else f"function {function.name}"
    return RelocationError(f"{where}, instruction {relocation.slot}: {error}", hint=error.hint)


def _c_line(function: Function, slot: int, local: Btf) -> str:
    """Return `file:line` of an instruction; empty where the object does not say."""
    index = bisect_right([line.slot for line in function.lines], slot) - 1
    if index < 0:
        return ""
    try:
        path = local.string(function.lines[index].file_offset)
    except FormatError:
        return ""
    return f"{path}:{function.lines[index].line}"

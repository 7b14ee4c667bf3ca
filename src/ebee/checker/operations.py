"""Instructions that compute: numbers with numbers, and the few things that may be done with pointers.

Source: kernel/bpf/verifier.c, check_alu_op(), adjust_ptr_min_max_vals().
"""

from __future__ import annotations

from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import ALU_SIGNS, Alu, Class, Source
from ebee.checker.arithmetic import compute, cut, extended, negated, truncated
from ebee.checker.complaint import EACCES, EINVAL, Complaint
from ebee.checker.scalars import M32, M64, S64_MIN, UNKNOWN, VAGUE, ZERO, Scalar, constant, of_bytes
from ebee.checker.values import ANYTHING, SOCKET_KINDS, Pointer, Value, somewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.checker.walk import Pairs, Walk

FURTHEST = 1 << 29
"""What may be added to a pointer is less (BPF_MAX_VAR_OFF)."""
_FIXED_KINDS = frozenset({"pkt_end", *SOCKET_KINDS})


def operate(walk: Walk, instruction: Instruction) -> Pairs:
    """Do an instruction of class ALU or ALU64; return the registers that it shows."""
    opcode, dst, src, offset, imm = instruction
    operation, wide = opcode & 0xF0, opcode & 7 == Class.ALU64
    if operation == Alu.MOV:
        return _move(walk, instruction, wide=wide)
    if operation in (Alu.NEG, Alu.END):
        _check_one_operand(instruction, operation)
        old = walk.need(dst)
        walk.writable(dst)
        result = _one_operand(operation, old, imm, wide=wide)
        walk.registers[dst] = result
        return ((dst, result),)
    unused = imm if opcode & Source.X else src
    signs = (0, 1) if operation in (Alu.DIV, Alu.MOD) else (0,)
    if unused or offset not in signs:
        raise Complaint(EINVAL, "BPF_ALU uses reserved fields")
    if opcode & Source.X:
        right = walk.need(src)
        left = walk.need(dst)
        shown: Pairs = ((src, right),)
    else:
        right = constant(imm if wide else imm & M32)
        left = walk.need(dst)
        shown = ()
        _check_constant(operation, imm, wide=wide)
    walk.writable(dst)
    result = _two_operands(walk, instruction, left, right, wide=wide)
    walk.registers[dst] = result
    return ((dst, result), *shown)


def _check_constant(operation: int, imm: int, *, wide: bool) -> None:
    if operation in (Alu.DIV, Alu.MOD) and imm == 0:
        raise Complaint(EINVAL, "div by zero")
    if operation in (Alu.LSH, Alu.RSH, Alu.ARSH) and not 0 <= imm < (64 if wide else 32):
        raise Complaint(EINVAL, f"invalid shift {imm}")


def _check_one_operand(instruction: Instruction, operation: int) -> None:
    _, _, src, offset, imm = instruction
    if operation == Alu.NEG and (src or offset or imm):
        raise Complaint(EINVAL, "BPF_NEG uses reserved fields")
    if operation == Alu.END and (src or offset or imm not in (16, 32, 64)):
        raise Complaint(EINVAL, "BPF_END uses reserved fields")


def _one_operand(operation: int, old: Value, imm: int, *, wide: bool) -> Value:
    if not isinstance(old, Scalar):
        return ANYTHING
    if operation == Alu.NEG:
        return negated(old, wide=wide)
    # Newer kernels follow the bytes of what is known.
    return cut(VAGUE, imm // 8) if imm in (16, 32, 64) else VAGUE


# -- moves ------------------------------------------------------------------------------------------
def _move(walk: Walk, instruction: Instruction, *, wide: bool) -> Pairs:
    opcode, dst, src, offset, imm = instruction
    result: Value
    if not opcode & Source.X:
        if src or offset:
            raise Complaint(EINVAL, "BPF_MOV uses reserved fields")
        walk.writable(dst)
        result = constant(imm if wide else imm & M32)
        walk.registers[dst] = result
        return ((dst, result),)
    if imm:
        raise Complaint(EINVAL, "BPF_MOV uses reserved fields")
    source = walk.need(src)
    walk.writable(dst)
    if isinstance(source, Scalar):
        result = _moved(walk, src, source, offset, wide=wide)
    elif source is ANYTHING or offset:
        result = ANYTHING
    else:
        result = source if wide else of_bytes(4)
    walk.registers[dst] = result
    return ((dst, result), (src, source))


def _moved(walk: Walk, src: int, source: Scalar, offset: int, *, wide: bool) -> Value:
    if offset in (8, 16, 32):
        result = extended(source, offset)
        return result if wide else truncated(result)
    if offset:
        return ANYTHING
    if not wide and source.umax > M32:
        return truncated(source)
    return walk.in_family(src, source)


# -- two operands -----------------------------------------------------------------------------------
def _two_operands(walk: Walk, instruction: Instruction, left: Value, right: Value, *, wide: bool) -> Value:
    operation = instruction.opcode & 0xF0
    if left is ANYTHING or right is ANYTHING:
        known = right if left is ANYTHING else left
        return somewhere(known) if isinstance(known, Pointer) else ANYTHING
    if isinstance(left, Scalar) and isinstance(right, Scalar):
        same = instruction.opcode & Source.X and instruction.src == instruction.dst
        if same and operation in (Alu.SUB, Alu.XOR):
            return ZERO
        result = compute(operation, left, right, wide=wide, is_signed=instruction.offset == 1)
        if left.id and not right.mask and result.mask and operation in (Alu.ADD, Alu.SUB):
            step = right.value if operation == Alu.ADD else -right.value
            return result.linked(left.id, left.delta + step & M64, narrow=left.narrow or not wide)
        return result
    if isinstance(left, Pointer) and isinstance(right, Pointer):
        if operation == Alu.SUB:
            return UNKNOWN if wide else of_bytes(4)
        sign = ALU_SIGNS[operation]
        raise Complaint(EACCES, f"R{instruction.dst} pointer {sign} pointer prohibited")
    if isinstance(left, Pointer):
        assert isinstance(right, Scalar)
        return _pointer(walk, instruction.dst, left, right, operation, wide=wide)
    assert isinstance(left, Scalar)
    assert isinstance(right, Pointer)
    return _pointer(walk, instruction.dst, right, left, operation, wide=wide, turned=True)


def _pointer(
    walk: Walk,
    register: int,
    pointer: Pointer,
    number: Scalar,
    operation: int,
    *,
    wide: bool,
    turned: bool = False,
) -> Value:
    """Return a pointer with a number added or taken away; complain of all else.

    Args:
        turned: the number stands on the left.
    """
    if not wide:
        if operation == Alu.SUB:
            return of_bytes(4)
        raise Complaint(EACCES, f"R{register} 32-bit pointer arithmetic prohibited")
    if number.vague or (pointer.variable is not None and pointer.variable.vague):
        return somewhere(pointer)
    if pointer.maybe_null:
        raise Complaint(
            EACCES, f"R{register} pointer arithmetic on {pointer.name} prohibited, null-check it first"
        )
    if pointer.kind in _FIXED_KINDS:
        raise Complaint(EACCES, f"R{register} pointer arithmetic on {pointer.kind} prohibited")
    if pointer.kind in ("map_ptr", "func"):
        return ANYTHING
    _check_sane(pointer.kind, number)
    if operation in (Alu.AND, Alu.OR, Alu.XOR):
        raise Complaint(EACCES, f"R{register} bitwise operator {ALU_SIGNS[operation]} on pointer prohibited")
    if operation not in (Alu.ADD, Alu.SUB):
        raise Complaint(
            EACCES, f"R{register} pointer arithmetic with {ALU_SIGNS[operation]} operator prohibited"
        )
    if operation == Alu.SUB and turned:
        raise Complaint(EACCES, f"R{register} tried to subtract pointer from scalar")
    if operation == Alu.SUB and pointer.kind == "fp":
        raise Complaint(EACCES, f"R{register} subtraction from stack pointer prohibited")
    result = _shifted(walk, pointer, number, operation)
    _check_sane(pointer.kind, result.variable or ZERO, result.offset)
    return result


def _shifted(walk: Walk, pointer: Pointer, number: Scalar, operation: int) -> Pointer:
    if not number.mask:
        step = number.smin if operation == Alu.ADD else -number.smin
        return pointer.changed(offset=pointer.offset + step)
    variable = compute(operation, pointer.variable or ZERO, number, wide=True)
    if pointer.kind not in ("pkt", "pkt_meta"):
        return pointer.changed(variable=variable)
    # Behind a length that is not known, all that was proven counts no more.
    return pointer.changed(variable=variable, id=walk.new_id(), range=0)


def _check_sane(kind: str, number: Scalar, offset: int = 0) -> None:
    """Complain of what would lead far away, so that offsets cannot overflow later."""
    if not number.mask and abs(number.smin) >= FURTHEST:
        raise Complaint(EINVAL, f"math between {kind} pointer and {number.smin} is not allowed")
    if abs(offset) >= FURTHEST:
        raise Complaint(EINVAL, f"{kind} pointer offset {offset} is not allowed")
    if number.smin == S64_MIN:
        raise Complaint(
            EINVAL, f"math between {kind} pointer and register with unbounded min value is not allowed"
        )
    if abs(number.smin) >= FURTHEST:
        raise Complaint(EINVAL, f"value {number.smin} makes {kind} pointer be out of bounds")

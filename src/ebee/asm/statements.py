"""One statement of assembly -> its instructions. The grammar is the one that `disassemble` writes."""

from __future__ import annotations

from collections.abc import Callable

from ebee.asm.cursor import Cursor, Token
from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import (
    ALU_SIGNS,
    ATOMIC_NAMES,
    CALL,
    CALLX,
    EXIT,
    GOTO,
    GOTOL,
    GOTOX,
    JUMP_SIGNS,
    LAST_REGISTER,
    LD_IMM64,
    MAY_GOTO,
    NOSPEC,
    SIGN_EXTENSIONS,
    SIGNED_ALU_SIGNS,
    SIGNED_SIZE_NAMES,
    SIZE_NAMES,
    Alu,
    Atomic,
    Class,
    Endian,
    Mode,
    Offset,
    PseudoCall,
    PseudoLoad,
    Size,
    Source,
)
from ebee.errors import ParseError, TypeMismatchError
from ebee.record import NamedTuple
from ebee.text import did_you_mean

_ALU_BY_SIGN = {sign: operation for operation, sign in ALU_SIGNS.items() if operation != Alu.MOV}
_SIGNED_ALU_BY_SIGN = {sign: operation for operation, sign in SIGNED_ALU_SIGNS.items()}
_JUMP_BY_SIGN = {sign: operation for operation, sign in JUMP_SIGNS.items()}
_SIZE_BY_NAME = {name: size for size, name in SIZE_NAMES.items()}
_SIGNED_SIZE_BY_NAME = {name: size for size, name in SIGNED_SIZE_NAMES.items()}
_ATOMIC_BY_SIGN = {ALU_SIGNS[operation]: operation for operation in ATOMIC_NAMES}
_FETCH_BY_NAME = {f"fetch_{name}": operation | Atomic.FETCH for operation, name in ATOMIC_NAMES.items()}
_BITS_BY_TYPE = {extension[1:-1]: bits for bits, extension in SIGN_EXTENSIONS.items()}
_SWAPS = {
    f"{order}{bits}": (opcode, bits)
    for order, opcode in (
        ("le", Class.ALU | Alu.END | Endian.LE),
        ("be", Class.ALU | Alu.END | Endian.BE),
        ("bswap", Class.ALU64 | Alu.END),
    )
    for bits in (16, 32, 64)
}
_REGISTERS = {f"{letter}{number}": number for letter in "rw" for number in range(LAST_REGISTER + 1)}


class Reference(NamedTuple):
    """A name in a statement that only the whole text can give a number.

    Attributes:
        name: the token that holds it.
        field: which field of the statement's first instruction takes the distance in slots,
            `offset` or `imm`; `call` for a name that may be a label or a helper's.
    """

    name: Token
    field: str


class Statement(NamedTuple):
    """The instructions of a statement, two slots for a wide load, and what they refer to."""

    instructions: tuple[Instruction, ...]
    reference: Reference | None = None


class Register(NamedTuple):
    """A register as it was written: `letter` is `r` for all 64 bits or `w` for the lower 32."""

    letter: str
    number: int


class Memory(NamedTuple):
    """A place in memory as it was written: `*(u32 *)(r10 -4)`."""

    size: int
    signed: bool
    register: int
    offset: int


def parse_statement(cursor: Cursor, *, wide: bool) -> Statement:
    """Read one statement, to the end of its line.

    Args:
        cursor: before the statement's first token.
        wide: whether a small number is loaded by a wide load all the same, as a dump's `(18)` says.
    """
    word = cursor.token
    if _is_like_register(word):
        statement = _assignment(cursor, wide)
    elif word.text == "*":
        statement = _one(_store(cursor))
    elif word.text in _KEYWORDS:
        cursor.next()
        statement = _KEYWORDS[word.text](cursor)
    else:
        cursor.fail("expected an instruction", hint=did_you_mean(word.text, _KEYWORDS))
    cursor.expect_end()
    return statement


def _one(instruction: Instruction) -> Statement:
    return Statement((instruction,))


def _is_like_register(token: Token) -> bool:
    """Say whether a token is a register or could be one but for its number."""
    return token.text[:1] in ("r", "w") and token.text[1:].isdecimal()


def _register(cursor: Cursor, letter: str | None = None) -> Register:
    """Read a register, of the given letter if there is one."""
    token = cursor.token
    if token.text not in _REGISTERS:
        cursor.fail(f"expected a register {letter or 'r'}0 to {letter or 'r'}10")
    if letter is not None and token.text[0] != letter:
        other = letter + token.text[1:]
        message = f"expected a register of {64 if letter == 'r' else 32} bits, found '{token.text}'"
        raise cursor.error(TypeMismatchError, message, token, f"write '{other}'")
    cursor.next()
    return Register(token.text[0], _REGISTERS[token.text])


def _number(cursor: Cursor, what: str, low: int, high: int) -> int:
    """Read a number, which may have a sign of its own before it: `- 4`."""
    sign = -1 if cursor.token.text == "-" else 1
    if cursor.token.text in ("-", "+"):
        cursor.next()
    token = cursor.token
    if token.kind != "number":
        cursor.fail(f"expected {what}")
    value = sign * int(token.text, 16 if "x" in token.text.lower() else 10)
    if not low <= value <= high:
        cursor.fail(f"expected {what} from {low} to {high}")
    cursor.next()
    return value


def _immediate(cursor: Cursor, what: str = "a number") -> int:
    """Read 32 bits, written with or without a sign, as a signed number."""
    return _signed_32(_number(cursor, what, -(1 << 31), (1 << 32) - 1))


def _signed_32(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def _offset(cursor: Cursor, what: str = "an offset") -> int:
    return _number(cursor, what, -(1 << 15), (1 << 15) - 1)


def _memory(cursor: Cursor, *, signed: bool = False) -> Memory:
    """Read `(u32 *)(r10 -4)`, with signed types too where a load may have them."""
    size, is_signed = _pointer_type(cursor, signed=signed)
    return _address(cursor, size, is_signed)


def _pointer_type(cursor: Cursor, *, signed: bool) -> tuple[int, bool]:
    cursor.expect("(")
    sizes = _SIZE_BY_NAME | _SIGNED_SIZE_BY_NAME if signed else _SIZE_BY_NAME
    name = cursor.choose(sizes, "one of the types " + ", ".join(sizes))
    cursor.expect("*", ")")
    return sizes[name], name in _SIGNED_SIZE_BY_NAME


def _address(cursor: Cursor, size: int, signed: bool) -> Memory:
    cursor.expect("(")
    register = _register(cursor, "r").number
    offset = 0 if cursor.token.text == ")" else _offset(cursor)
    cursor.expect(")")
    return Memory(size, signed, register, offset)


def _target(cursor: Cursor, field: str, opcode: int, **fields: int) -> Statement:
    """Read `pc+3` or a label's name into a field of a jump."""
    token = cursor.token
    if cursor.take("pc"):
        distance = _offset(cursor) if field == "offset" else _immediate(cursor, "a distance")
        return _one(Instruction(opcode, **fields)._replace(**{field: distance}))
    if token.kind != "name":
        cursor.fail("expected a label or a distance such as pc+3")
    cursor.next()
    return Statement((Instruction(opcode, **fields),), Reference(token, field))


def _goto(cursor: Cursor) -> Statement:
    return _target(cursor, "offset", GOTO)


def _goto_long(cursor: Cursor) -> Statement:
    return _target(cursor, "imm", GOTOL)


def _may_goto(cursor: Cursor) -> Statement:
    return _target(cursor, "offset", MAY_GOTO)


def _goto_register(cursor: Cursor) -> Statement:
    return _one(Instruction(GOTOX, dst=_register(cursor, "r").number))


def _call_register(cursor: Cursor) -> Statement:
    return _one(Instruction(CALLX, dst=_register(cursor, "r").number))


def _exit(cursor: Cursor) -> Statement:
    return _one(Instruction(EXIT))


def _no_speculation(cursor: Cursor) -> Statement:
    return _one(Instruction(NOSPEC))


def _if(cursor: Cursor) -> Statement:
    left = _register(cursor)
    operation = _JUMP_BY_SIGN[cursor.choose(_JUMP_BY_SIGN, "a comparison such as ==")]
    opcode = operation | (Class.JMP if left.letter == "r" else Class.JMP32)
    if _is_like_register(cursor.token):
        fields = {"dst": left.number, "src": _register(cursor, left.letter).number}
        opcode |= Source.X
    else:
        fields = {"dst": left.number, "imm": _immediate(cursor, "a register or a number")}
    cursor.expect("goto")
    return _target(cursor, "offset", opcode, **fields)


def _call(cursor: Cursor) -> Statement:
    token = cursor.token
    if cursor.take("pc"):
        distance = _immediate(cursor, "a distance")
        # A dump names the subprogram too; the distance says the same.
        if cursor.take("#"):
            cursor.next()
        return _one(Instruction(CALL, src=PseudoCall.CALL, imm=distance))
    if token.kind == "number":
        return _one(Instruction(CALL, imm=_immediate(cursor)))
    if cursor.take("kernel-function"):
        return _one(Instruction(CALL, src=PseudoCall.KFUNC, imm=_call_number(cursor)))
    if cursor.take("unknown"):
        return _one(Instruction(CALL, imm=_call_number(cursor)))
    if token.kind != "name":
        cursor.fail("expected a helper's name or number, a label or a distance such as pc+3")
    cursor.next()
    if cursor.token.text == "#":
        _call_number(cursor)
    return Statement((Instruction(CALL),), Reference(token, "call"))


def _call_number(cursor: Cursor) -> int:
    cursor.expect("#")
    return _immediate(cursor)


def _store(cursor: Cursor) -> Instruction:
    cursor.expect("*")
    memory = _memory(cursor)
    cursor.expect("=")
    fields = {"dst": memory.register, "offset": memory.offset}
    if _is_like_register(cursor.token):
        source = _register(cursor, "r").number
        return Instruction(Class.STX | Mode.MEM | memory.size, src=source, **fields)
    value = _immediate(cursor, "a register or a number")
    return Instruction(Class.ST | Mode.MEM | memory.size, imm=value, **fields)


def _lock(cursor: Cursor) -> Statement:
    cursor.expect("*")
    memory = _memory(cursor)
    operation = _ATOMIC_BY_SIGN[cursor.choose(_ATOMIC_BY_SIGN, "one of += |= &= ^=")]
    return _one(_atomic(memory, operation, _register(cursor, "r").number))


def _atomic(memory: Memory, operation: int, source: int) -> Instruction:
    opcode = Class.STX | Mode.ATOMIC | memory.size
    return Instruction(opcode, memory.register, source, memory.offset, operation)


def _store_release(cursor: Cursor) -> Statement:
    cursor.expect("(")
    memory = _memory(cursor)
    cursor.expect(",")
    source = _register(cursor, "r").number
    cursor.expect(")")
    return _one(_atomic(memory, Atomic.STORE_REL, source))


def _assignment(cursor: Cursor, wide: bool) -> Statement:
    target = _register(cursor)
    if cursor.take("="):
        return _move(cursor, target, wide)
    sign = cursor.choose((*_ALU_BY_SIGN, *_SIGNED_ALU_BY_SIGN, "="), "an assignment such as = or +=")
    signed = sign in _SIGNED_ALU_BY_SIGN
    operation = _SIGNED_ALU_BY_SIGN[sign] if signed else _ALU_BY_SIGN[sign]
    return _one(_alu(cursor, target, operation, Offset.SIGNED if signed else 0))


def _alu(cursor: Cursor, target: Register, operation: int, offset: int = 0) -> Instruction:
    """Read the right side, a register of the same width or a number."""
    opcode = operation | _alu_class(target)
    if _is_like_register(cursor.token):
        source = _register(cursor, target.letter).number
        return Instruction(opcode | Source.X, target.number, source, offset)
    return Instruction(opcode, target.number, 0, offset, _immediate(cursor, "a register or a number"))


def _alu_class(target: Register) -> int:
    return Class.ALU64 if target.letter == "r" else Class.ALU


def _move(cursor: Cursor, target: Register, wide: bool) -> Statement:
    """Read what stands to the right of `=`."""
    token = cursor.token
    if token.kind == "number":
        return _load_number(cursor, target, wide)
    if _is_like_register(token):
        return _one(_alu(cursor, target, Alu.MOV))
    if token.text in _NARROW_SOURCES:
        cursor.next()
        return _one(_NARROW_SOURCES[token.text](cursor, target))
    if target.letter == "w":
        name = f"w{target.number}"
        expected = f"expected a register w0 to w10, a number, -{name} or (s8){name} for 32 bits"
        cursor.fail(expected, hint=f"loads name 64-bit registers: write 'r{target.number}'")
    return _move_64(cursor, target)


def _move_64(cursor: Cursor, target: Register) -> Statement:
    """Read what only a 64-bit register can be given."""
    name = cursor.token.text
    known = (*_ADDRESSES, *_SWAPS, *_WIDE_SOURCES, *_ATOMIC_CALLS)
    if name not in known:
        cursor.fail("expected a register, a number or a load", hint=did_you_mean(name, known))
    if name in _ATOMIC_CALLS:
        return _one(_fetching_atomic(cursor, target))
    cursor.next()
    if name in _ADDRESSES:
        return _ADDRESSES[name](cursor, target.number)
    return _one(_swap(cursor, target, name) if name in _SWAPS else _WIDE_SOURCES[name](cursor, target))


def _load_number(cursor: Cursor, target: Register, wide: bool) -> Statement:
    """Read a number into a move if it fits into one, else into a wide load."""
    if target.letter == "w":
        return _one(_alu(cursor, target, Alu.MOV))
    value = _number(cursor, "a number", -(1 << 63), (1 << 64) - 1)
    # `ll` is how LLVM marks a wide load.
    if cursor.take("ll") or wide or not -(1 << 31) <= value < 1 << 31:
        return _wide_load(target.number, PseudoLoad.NONE, value, value >> 32)
    return _one(Instruction(Class.ALU64 | Alu.MOV, target.number, imm=value))


def _wide_load(register: int, pseudo_source: int, low: int, high: int = 0) -> Statement:
    first = Instruction(LD_IMM64, register, pseudo_source, 0, _signed_32(low))
    return Statement((first, Instruction(0, imm=_signed_32(high))))


def _map(cursor: Cursor, register: int) -> Statement:
    """Read `[id:5]`, `[fd:5]` or `[idx:5]`; `[0]+8` or `+8` after it is a place in an array's value."""
    cursor.expect("[")
    by_index = cursor.choose(("id", "fd", "idx"), "id, fd or idx") == "idx"
    cursor.expect(":")
    number = _immediate(cursor)
    cursor.expect("]")
    if cursor.take("["):
        cursor.expect("0", "]")
    elif cursor.token.kind == "end":
        return _wide_load(register, PseudoLoad.MAP_IDX if by_index else PseudoLoad.MAP_FD, number)
    pseudo_source = PseudoLoad.MAP_IDX_VALUE if by_index else PseudoLoad.MAP_VALUE
    return _wide_load(register, pseudo_source, number, _immediate(cursor, "an offset such as +4"))


def _btf(cursor: Cursor, register: int) -> Statement:
    cursor.expect("[", "id", ":")
    number, descriptor = _immediate(cursor), 0
    if cursor.take(","):
        cursor.expect("fd", ":")
        descriptor = _immediate(cursor)
    cursor.expect("]")
    return _wide_load(register, PseudoLoad.BTF_ID, number, descriptor)


def _subprogram(cursor: Cursor, register: int) -> Statement:
    """Read `[+3]` or `[label]`."""
    cursor.expect("[")
    name = cursor.token
    if name.kind == "name":
        cursor.next()
        distance, reference = 0, Reference(name, "imm")
    else:
        distance, reference = _immediate(cursor, "a label or a distance such as +3"), None
    cursor.expect("]")
    return _wide_load(register, PseudoLoad.FUNC, distance)._replace(reference=reference)


def _negate(cursor: Cursor, target: Register) -> Instruction:
    _same_register(cursor, target)
    return Instruction(_alu_class(target) | Alu.NEG, target.number)


def _same_register(cursor: Cursor, target: Register) -> None:
    name = f"{target.letter}{target.number}"
    if not cursor.take(name):
        cursor.fail(f"expected '{name}', the register on the left")


def _swap(cursor: Cursor, target: Register, name: str) -> Instruction:
    opcode, bits = _SWAPS[name]
    _same_register(cursor, target)
    return Instruction(opcode, target.number, imm=bits)


def _extend_sign(cursor: Cursor, target: Register) -> Instruction:
    bits = _BITS_BY_TYPE[cursor.choose(_BITS_BY_TYPE, "one of the types s8, s16, s32")]
    cursor.expect(")")
    source = _register(cursor, target.letter).number
    return Instruction(_alu_class(target) | Alu.MOV | Source.X, target.number, source, bits)


def _load(cursor: Cursor, target: Register) -> Instruction:
    size, signed = _pointer_type(cursor, signed=True)
    if cursor.token.text == "skb":
        return _load_packet(cursor, target, size, signed)
    memory = _address(cursor, size, signed)
    opcode = Class.LDX | (Mode.MEMSX if signed else Mode.MEM) | size
    return Instruction(opcode, target.number, memory.register, memory.offset)


def _load_packet(cursor: Cursor, target: Register, size: int, signed: bool) -> Instruction:
    if target.number or signed or size == Size.DW:
        message = "a load from a packet goes to r0 and has one of the types u32, u16, u8"
        raise cursor.error(ParseError, message, cursor.token, None)
    cursor.expect("skb", "[")
    if _is_like_register(cursor.token):
        source = _register(cursor, "r").number
        cursor.take("+")
        instruction = Instruction(Class.LD | Mode.IND | size, src=source, imm=_immediate(cursor))
    else:
        instruction = Instruction(Class.LD | Mode.ABS | size, imm=_immediate(cursor))
    cursor.expect("]")
    return instruction


def _per_cpu_address(cursor: Cursor, target: Register) -> Instruction:
    cursor.expect("(", "void", "__percpu", "*", ")", "(")
    source = _register(cursor, "r").number
    cursor.expect(")")
    return Instruction(Class.ALU64 | Alu.MOV | Source.X, target.number, source, Offset.ADDR_PERCPU)


def _address_space_cast(cursor: Cursor, target: Register) -> Instruction:
    cursor.expect("(")
    source = _register(cursor, "r").number
    cursor.expect(",")
    to_space = _number(cursor, "an address space", 0, 0xFFFF)
    cursor.expect(",")
    from_space = _number(cursor, "an address space", 0, 0xFFFF)
    cursor.expect(")")
    spaces = _signed_32(to_space << 16 | from_space)
    opcode = Class.ALU64 | Alu.MOV | Source.X
    return Instruction(opcode, target.number, source, Offset.ADDR_SPACE_CAST, spaces)


def _load_acquire(cursor: Cursor, target: Register) -> Instruction:
    cursor.expect("(")
    memory = _memory(cursor)
    cursor.expect(")")
    opcode = Class.STX | Mode.ATOMIC | memory.size
    return Instruction(opcode, target.number, memory.register, memory.offset, Atomic.LOAD_ACQ)


def _fetching_atomic(cursor: Cursor, target: Register) -> Instruction:
    """Read `atomic64_xchg((u64 *)(r1 +0), r2)`, whose last register is also the one on the left."""
    name = cursor.token
    operation, wide = _ATOMIC_CALLS[cursor.next().text]
    cursor.expect("(")
    memory = _memory(cursor)
    if wide != (memory.size == Size.DW):
        cursor.fail("expected atomic64_ for the type u64 and atomic_ for the others", token=name)
    cursor.expect(",")
    if operation == Atomic.CMPXCHG:
        cursor.expect("r0", ",")
        source = _register(cursor, "r").number
        expected_target = 0
    else:
        expected_target = source = _register(cursor, "r").number
    if target.number != expected_target:
        message = f"the old value goes to r{target.number}, expected r{expected_target}"
        raise cursor.error(ParseError, message, name, f"write 'r{expected_target} = {name.text}…'")
    cursor.expect(")")
    return _atomic(memory, operation, source)


_ATOMIC_CALLS = {
    f"{prefix}_{name}": (operation, wide)
    for prefix, wide in (("atomic", False), ("atomic64", True))
    for name, operation in (_FETCH_BY_NAME | {"cmpxchg": Atomic.CMPXCHG, "xchg": Atomic.XCHG}).items()
}
_KEYWORDS: dict[str, Callable[[Cursor], Statement]] = {
    "if": _if,
    "goto": _goto,
    "gotol": _goto_long,
    "gotox": _goto_register,
    "may_goto": _may_goto,
    "call": _call,
    "callx": _call_register,
    "exit": _exit,
    "lock": _lock,
    "store_release": _store_release,
    "nospec": _no_speculation,
}
_ADDRESSES: dict[str, Callable[[Cursor, int], Statement]] = {
    "map": _map,
    "btf": _btf,
    "subprog": _subprogram,
}
_NARROW_SOURCES: dict[str, Callable[[Cursor, Register], Instruction]] = {
    "-": _negate,
    "(": _extend_sign,
}
_WIDE_SOURCES: dict[str, Callable[[Cursor, Register], Instruction]] = {
    "*": _load,
    "&": _per_cpu_address,
    "addr_space_cast": _address_space_cast,
    "load_acquire": _load_acquire,
}

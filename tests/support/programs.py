"""Random programs that every verifier accepts, by the way they are made.

A program gets a packet of at least `PACKET_BYTES` and two maps, an array of one value and a hash. Its
first instructions check the packet, look the array's value up and fill registers and a stretch of the
stack; then come statements that keep to what is known: r6 is the context, r7 the packet, r8 the value,
r9 counts loops, all others are numbers. The result is a mix of the numbers and of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from hypothesis import strategies as st

from ebee.asm import Instruction
from ebee.asm.opcodes import (
    CALL,
    EXIT,
    LD_IMM64,
    Alu,
    Atomic,
    Class,
    Endian,
    Jump,
    Mode,
    PseudoCall,
    PseudoLoad,
    Size,
    Source,
)

PACKET_BYTES = 64
VALUE_BYTES = 32
STACK_BYTES = 64
ARRAY, HASH = 0, 1
"""The numbers of the maps: what the wide loads with PseudoLoad.MAP_IDX name."""
KEY_AT, NEW_VALUE_AT = -4, -48
"""Offsets from the frame pointer of what helpers are given: within the stretch that is filled."""

_CONTEXT, _PACKET, _VALUE, _COUNTER, _FRAME = 6, 7, 8, 9, 10
_NUMBERS = range(6)
_SIZES = {1: Size.B, 2: Size.H, 4: Size.W, 8: Size.DW}
_LOOKUP, _UPDATE, _DELETE = 1, 2, 3

Code = list[Instruction]


def move(register: int, number: int) -> Instruction:
    """Return `register = number`."""
    return Instruction(Class.ALU64 | Alu.MOV, register, imm=number)


def copy(to: int, register: int) -> Instruction:
    """Return `to = register`."""
    return Instruction(Class.ALU64 | Alu.MOV | Source.X, to, register)


def call(helper: int) -> Instruction:
    """Return the call of a helper."""
    return Instruction(CALL, imm=helper)


def map_load(register: int, index: int) -> Code:
    """Return the wide load of a map by its number."""
    return [Instruction(LD_IMM64, register, PseudoLoad.MAP_IDX, imm=index), Instruction(0)]


def _numbers(values: Sequence[int]) -> Code:
    """Return what gives r0 to r5 new numbers, as helpers and functions leave them unreadable."""
    return [move(register, value) for register, value in zip(_NUMBERS, values, strict=True)]


_registers = st.sampled_from(list(_NUMBERS))
_words = st.integers(-(1 << 31), (1 << 31) - 1) | st.sampled_from([0, 1, -1, 255, 0x7FFFFFFF, -(1 << 31)])
_six = st.lists(_words, min_size=6, max_size=6)
_widths = st.sampled_from([Class.ALU, Class.ALU64])
_plain = st.sampled_from([Alu.ADD, Alu.SUB, Alu.MUL, Alu.OR, Alu.AND, Alu.XOR, Alu.MOV])
_shifts = st.sampled_from([Alu.LSH, Alu.RSH, Alu.ARSH])
_divisions = st.sampled_from([Alu.DIV, Alu.MOD])
_unsigned = (Jump.JEQ, Jump.JNE, Jump.JGT, Jump.JGE, Jump.JLT, Jump.JLE, Jump.JSET)
_conditions = st.sampled_from([*_unsigned, Jump.JSGT, Jump.JSGE, Jump.JSLT, Jump.JSLE])


@st.composite
def _arithmetic(draw: st.DrawFn) -> Code:
    kind, dst, src = draw(_widths), draw(_registers), draw(_registers)
    form = draw(st.sampled_from(["register", "number", "shift", "division", "negate", "swap", "extend"]))
    if form == "register":
        operation = draw(_plain | _shifts | _divisions)
        signed = operation in (Alu.DIV, Alu.MOD) and draw(st.booleans())
        return [Instruction(kind | operation | Source.X, dst, src, int(signed))]
    if form == "number":
        return [Instruction(kind | draw(_plain), dst, imm=draw(_words))]
    if form == "shift":
        return [
            Instruction(kind | draw(_shifts), dst, imm=draw(st.integers(0, 31 if kind == Class.ALU else 63)))
        ]
    if form == "division":
        return [
            Instruction(kind | draw(_divisions), dst, 0, draw(st.integers(0, 1)), draw(_words.filter(bool)))
        ]
    if form == "negate":
        return [Instruction(kind | Alu.NEG, dst)]
    if form == "swap":
        opcode = draw(st.sampled_from([Class.ALU | Endian.LE, Class.ALU | Endian.BE, Class.ALU64]))
        return [Instruction(opcode | Alu.END, dst, imm=draw(st.sampled_from([16, 32, 64])))]
    bits = draw(st.sampled_from([8, 16] if kind == Class.ALU else [8, 16, 32]))
    return [Instruction(kind | Alu.MOV | Source.X, dst, src, bits)]


@st.composite
def _place(draw: st.DrawFn, sizes: Sequence[int]) -> tuple[int, int, int]:
    """Draw a pointer, an offset and a size, of bytes that are there; aligned."""
    size = draw(st.sampled_from(list(sizes)))
    pointer = draw(st.sampled_from([_PACKET, _VALUE, _FRAME]))
    if pointer == _FRAME:
        return pointer, -size * draw(st.integers(1, STACK_BYTES // size)), size
    room = PACKET_BYTES if pointer == _PACKET else VALUE_BYTES
    return pointer, size * draw(st.integers(0, room // size - 1)), size


@st.composite
def _access(draw: st.DrawFn) -> Code:
    pointer, offset, size = draw(_place(tuple(_SIZES)))
    register, form = draw(_registers), draw(st.sampled_from(["load", "signed", "store", "number"]))
    if form == "load" or (form == "signed" and size == 8):
        return [Instruction(Class.LDX | Mode.MEM | _SIZES[size], register, pointer, offset)]
    if form == "signed":
        # The kernel has no such loads from packets: the verifier takes them, and so do we.
        return [Instruction(Class.LDX | Mode.MEMSX | _SIZES[size], register, pointer, offset)]
    if form == "store":
        return [Instruction(Class.STX | Mode.MEM | _SIZES[size], pointer, register, offset)]
    return [Instruction(Class.ST | Mode.MEM | _SIZES[size], pointer, 0, offset, draw(_words))]


@st.composite
def _atomic(draw: st.DrawFn) -> Code:
    pointer, offset, size = draw(_place((4, 8)).filter(lambda place: place[0] != _PACKET))
    kind = draw(st.sampled_from([Atomic.ADD, Atomic.OR, Atomic.AND, Atomic.XOR, Atomic.XCHG, Atomic.CMPXCHG]))
    fetch = Atomic.FETCH if draw(st.booleans()) else 0
    return [
        Instruction(Class.STX | Mode.ATOMIC | _SIZES[size], pointer, draw(_registers), offset, kind | fetch)
    ]


@st.composite
def _context_load(draw: st.DrawFn) -> Code:
    """Load ingress_ifindex or rx_queue_index."""
    register, offset = draw(_registers), draw(st.sampled_from([12, 16]))
    return [Instruction(Class.LDX | Mode.MEM | Size.W, register, _CONTEXT, offset)]


@st.composite
def _lookup(draw: st.DrawFn) -> Code:
    """Look a key of the hash up, and add to its value where it is there."""
    key, numbers = draw(st.integers(0, 7)), draw(_six)
    found = [
        Instruction(Class.LDX | Mode.MEM | Size.DW, 1, 0, 8),
        Instruction(Class.ALU64 | Alu.ADD, 1, imm=draw(_words)),
        Instruction(Class.STX | Mode.MEM | Size.DW, 0, 1, 8),
    ]
    skip = Instruction(Class.JMP | Jump.JEQ, 0, 0, len(found), 0)
    return [*_key(key), *map_load(1, HASH), call(_LOOKUP), skip, *found, *_numbers(numbers)]


@st.composite
def _update(draw: st.DrawFn) -> Code:
    key, numbers, result = draw(st.integers(0, 7)), draw(_six), draw(st.sampled_from([1, 2, 5]))
    value = [copy(3, _FRAME), Instruction(Class.ALU64 | Alu.ADD, 3, imm=NEW_VALUE_AT)]
    flags = move(4, draw(st.integers(0, 2)))
    fill = _numbers(numbers)
    del fill[result]
    return [*_key(key), *value, flags, *map_load(1, HASH), call(_UPDATE), copy(result, 0), *fill]


@st.composite
def _delete(draw: st.DrawFn) -> Code:
    key, numbers = draw(st.integers(0, 7)), draw(_six)
    return [*_key(key), *map_load(1, HASH), call(_DELETE), *_numbers(numbers)[1:]]


def _key(key: int) -> Code:
    """Return what leaves a key on the stack, and its address in r2."""
    return [
        Instruction(Class.ST | Mode.MEM | Size.W, _FRAME, 0, KEY_AT, key),
        copy(2, _FRAME),
        Instruction(Class.ALU64 | Alu.ADD, 2, imm=KEY_AT),
    ]


_simple = st.one_of(_arithmetic(), _arithmetic(), _access(), _access(), _atomic(), _context_load())
_statements = st.one_of(_simple, _simple, _simple, _lookup(), _update(), _delete())


@st.composite
def _branch(draw: st.DrawFn) -> Code:
    """An `if`, with or without an `else`."""
    kind, condition = draw(st.sampled_from([Class.JMP, Class.JMP32])), draw(_conditions)
    left, right, number = draw(_registers), draw(_registers), draw(_words)
    body, other = (
        _flat(draw(st.lists(_statements, max_size=3))),
        _flat(draw(st.lists(_statements, max_size=2))),
    )
    if other:
        body = [*body, Instruction(Class.JMP | Jump.JA, offset=len(other))]
    if draw(st.booleans()):
        return [Instruction(kind | condition | Source.X, left, right, len(body)), *body, *other]
    return [Instruction(kind | condition, left, 0, len(body), number), *body, *other]


@st.composite
def _loop(draw: st.DrawFn) -> Code:
    """A loop with its number of rounds in r9, and one branch at most."""
    rounds = draw(st.integers(1, 4))
    body = _flat(draw(st.lists(_statements, max_size=4))) + draw(st.just([]) | _branch())
    again = [Instruction(Class.ALU64 | Alu.ADD, _COUNTER, imm=-1)]
    back = Instruction(Class.JMP | Jump.JNE, _COUNTER, 0, -len(body) - 2, 0)
    return [move(_COUNTER, rounds), *body, *again, back]


@st.composite
def _local_call(draw: st.DrawFn) -> Code:
    """A call of the function behind the program; where it is, `programs` fills in."""
    numbers = draw(_six)
    return [Instruction(CALL, 0, PseudoCall.CALL, 0, 0), *_numbers(numbers)[1:]]


_bodies = st.lists(
    st.one_of(_statements, _statements, _branch(), _loop(), _local_call()), min_size=1, max_size=8
)


@st.composite
def programs(draw: st.DrawFn) -> Code:
    """Draw a program."""
    numbers, stack = draw(_six), draw(st.lists(_words, min_size=8, max_size=8))
    main = [*_begin(stack), *_numbers(numbers), *_flat(draw(_bodies)), *_end()]
    given = [copy(3, 1), copy(4, 2), copy(5, 1), copy(0, 2)]
    function = [*given, *_flat(draw(st.lists(_arithmetic(), min_size=1, max_size=4))), Instruction(EXIT)]
    return _linked(main, function)


def _begin(stack: Sequence[int]) -> Code:
    """Return the begin: the packet checked, the value found, the stack filled."""
    leave = [move(0, 0), Instruction(EXIT)]
    load = partial(Instruction, Class.LDX | Mode.MEM | Size.W)
    check = [
        copy(_CONTEXT, 1),
        load(_PACKET, 1, 0),
        load(3, 1, 4),
        copy(2, _PACKET),
        Instruction(Class.ALU64 | Alu.ADD, 2, imm=PACKET_BYTES),
        Instruction(Class.JMP | Jump.JLE | Source.X, 2, 3, len(leave)),
        *leave,
    ]
    filled = [
        Instruction(Class.ST | Mode.MEM | Size.DW, _FRAME, 0, -8 * place, number)
        for place, number in enumerate(stack, 1)
    ]
    found = Instruction(Class.JMP | Jump.JNE, 0, 0, len(leave), 0)
    find = [*_key(0), *map_load(1, ARRAY), call(_LOOKUP), found, *leave, copy(_VALUE, 0)]
    return [*check, *filled, *find]


def _end() -> Code:
    """Return the end: r0 is a mix of all numbers and of the stack."""
    mixed: Code = []
    for register in list(_NUMBERS)[1:]:
        mixed += [
            Instruction(Class.ALU64 | Alu.MUL, 0, imm=31),
            Instruction(Class.ALU64 | Alu.XOR | Source.X, 0, register),
        ]
    for place in range(1, STACK_BYTES // 8 + 1):
        mixed += [
            Instruction(Class.LDX | Mode.MEM | Size.DW, 1, _FRAME, -8 * place),
            Instruction(Class.ALU64 | Alu.MUL, 0, imm=31),
            Instruction(Class.ALU64 | Alu.XOR | Source.X, 0, 1),
        ]
    high = [copy(1, 0), Instruction(Class.ALU64 | Alu.RSH, 1, imm=32)]
    return [*mixed, *high, Instruction(Class.ALU64 | Alu.XOR | Source.X, 0, 1), Instruction(EXIT)]


def _linked(main: Code, function: Code) -> Code:
    """Return both, one behind the other, with the calls pointing there; without calls the main one alone."""
    calls = [slot for slot, one in enumerate(main) if one.opcode == CALL and one.src == PseudoCall.CALL]
    for slot in calls:
        main[slot] = main[slot]._replace(imm=len(main) - slot - 1)
    return [*main, *function] if calls else main


def _flat(parts: Sequence[Code]) -> Code:
    return [instruction for part in parts for instruction in part]


def with_maps(instructions: Sequence[Instruction], place: Callable[[int], tuple[int, int]]) -> Code:
    """Return instructions whose maps are what a kernel or a machine takes: the source field and a number."""
    placed = list(instructions)
    for slot, instruction in enumerate(instructions):
        if instruction.opcode == LD_IMM64 and instruction.src == PseudoLoad.MAP_IDX:
            src, number = place(instruction.imm)
            placed[slot] = instruction._replace(src=src, imm=_signed(number & 0xFFFFFFFF))
            placed[slot + 1] = Instruction(0, imm=_signed(number >> 32))
    return placed


def _signed(half: int) -> int:
    return half - (1 << 32) if half >> 31 else half

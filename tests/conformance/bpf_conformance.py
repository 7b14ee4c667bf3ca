"""Reads the files of the public suite bpf_conformance: sections, and the assembly in them.

A file holds `-- asm` (or `-- raw`, which goes before it), `-- mem` in hex, and `-- result`, r0 at the end,
or `-- error`. Programs get the memory in r1 and its size in r2. Comments begin with `#`; a label is a word
with a colon; `exit` as a label is the first exit.

Source: the suite's README and its tests (https://github.com/Alan-Jowett/bpf_conformance).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ebee.asm import Instruction, decode
from ebee.asm.opcodes import (
    CALL,
    CALLX,
    EXIT,
    GOTO,
    GOTOL,
    LD_IMM64,
    Alu,
    Atomic,
    Class,
    Endian,
    Jump,
    Mode,
    PseudoCall,
    Size,
    Source,
)
from ebee.record import NamedTuple

_ALU = {
    **{name.lower(): getattr(Alu, name) for name in ("ADD", "SUB", "MUL", "DIV", "OR", "AND", "LSH", "RSH")},
    **{name.lower(): getattr(Alu, name) for name in ("NEG", "MOD", "XOR", "MOV", "ARSH")},
}
_SIGNED_ALU = {"sdiv": Alu.DIV, "smod": Alu.MOD}
_JUMPS = {
    name.lower(): getattr(Jump, name)
    for name in ("JEQ", "JNE", "JGT", "JGE", "JLT", "JLE", "JSET", "JSGT", "JSGE", "JSLT", "JSLE")
}
_SIZES = {"b": Size.B, "h": Size.H, "w": Size.W, "dw": Size.DW}
_SWAPS = {
    "le": Class.ALU | Alu.END | Endian.LE,
    "be": Class.ALU | Alu.END | Endian.BE,
    "swap": Class.ALU64 | Alu.END,
    "bswap": Class.ALU64 | Alu.END,
}
_ATOMICS = {"add": Atomic.ADD, "or": Atomic.OR, "and": Atomic.AND, "xor": Atomic.XOR}
_EXCHANGES = {"xchg": Atomic.XCHG, "cmpxchg": Atomic.CMPXCHG}


class Case(NamedTuple):
    """One file of the suite.

    Attributes:
        result: what r0 must be; None where the program must be stopped.
    """

    name: str
    instructions: list[Instruction]
    memory: bytes
    result: int | None


def read_case(path: Path) -> Case:
    """Return what a file says."""
    sections = read_sections(path)
    raw, result = sections.get("raw"), sections.get("result")
    return Case(
        path.stem,
        assemble(sections["asm"]) if raw is None else raw_code(raw),
        bytes.fromhex("".join(sections.get("mem", ()))),
        int(result[0], 0) if result else None,
    )


def read_sections(path: Path) -> dict[str, list[str]]:
    """Return the lines of each section, without comments."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("--"):
            lines = sections.setdefault(text.removeprefix("--").strip(), [])
        elif text:
            lines.append(text)
    return sections


def raw_code(lines: Sequence[str]) -> list[Instruction]:
    """Return the instructions of raw code, which is written as numbers of 64 bits or as bytes."""
    words = " ".join(lines).split()
    if words[0].startswith("0x"):
        return decode(b"".join(int(word, 16).to_bytes(8, "little") for word in words))
    return decode(bytes.fromhex("".join(words)))


def assemble(lines: Sequence[str]) -> list[Instruction]:
    """Return the instructions of the suite's assembly."""
    labels: dict[str, int] = {}
    statements: list[tuple[int, list[str]]] = []
    slot = 0
    for line in lines:
        words = re.split(r"[\s,]+", line.strip())
        if words[0].endswith(":"):
            labels[words[0][:-1]] = slot
            continue
        if words[0] == "exit":
            labels.setdefault("exit", slot)
        statements.append((slot, words))
        slot += 2 if words[0] == "lddw" else 1
    return [
        instruction
        for at, words in statements
        for instruction in _statement(words, partial(_distance, slot=at, labels=labels))
    ]


def _distance(target: str, slot: int, labels: dict[str, int]) -> int:
    return int(target, 0) if target[0] in "+-" else labels[target] - slot - 1


def _statement(words: list[str], distance: Callable[[str], int]) -> list[Instruction]:
    name, operands = words[0], words[1:]
    swap = re.fullmatch(r"(le|be|b?swap)(16|32|64)", name)
    if name == "lddw":
        return _wide_load(operands)
    if name == "lock":
        return [_atomic(operands)]
    if name == "call":
        return [_call(operands, distance)]
    if name.startswith(("ldx", "st")):
        return [_memory(name, operands)]
    if swap:
        return [Instruction(_SWAPS[swap[1]], _register(operands[0]), imm=int(swap[2]))]
    if name == "exit":
        return [Instruction(EXIT)]
    if name == "ja":
        return [Instruction(GOTO, offset=distance(operands[0]))]
    if name == "ja32":
        return [Instruction(GOTOL, imm=distance(operands[0]))]
    return [_two_operands(name, operands, distance)]


def _two_operands(name: str, operands: list[str], distance: Callable[[str], int]) -> Instruction:
    """Read what has a 32-bit twin: arithmetic and conditional jumps."""
    stem, narrow = name.removesuffix("32"), name.endswith("32")
    second = operands[1] if len(operands) > 1 else "0"
    fields = {"src": _register(second)} if second[0] == "%" else {"imm": _number(second)}
    source = Source.X if "src" in fields else Source.K
    if stem in _JUMPS:
        opcode = (Class.JMP32 if narrow else Class.JMP) | _JUMPS[stem] | source
        return Instruction(opcode, _register(operands[0]), offset=distance(operands[2]), **fields)
    extension = re.fullmatch(r"movsx(8|16|32)(32|64)", name)
    operation = Alu.MOV if extension else (_ALU | _SIGNED_ALU)[stem]
    offset = int(extension[1]) if extension else int(stem in _SIGNED_ALU)
    opcode = (Class.ALU if narrow else Class.ALU64) | operation | source
    return Instruction(opcode, _register(operands[0]), offset=offset, **fields)


def _wide_load(operands: list[str]) -> list[Instruction]:
    number = int(operands[1], 0)
    first = Instruction(LD_IMM64, _register(operands[0]), imm=_signed(number))
    return [first, Instruction(0, imm=_signed(number >> 32))]


def _memory(name: str, operands: list[str]) -> Instruction:
    if name.startswith("ldx"):
        is_signed = name.startswith("ldxs")
        mode, size = (Mode.MEMSX, name[4:]) if is_signed else (Mode.MEM, name[3:])
        register, offset = _place(operands[1])
        return Instruction(Class.LDX | mode | _SIZES[size], _register(operands[0]), register, offset)
    register, offset = _place(operands[0])
    if name.startswith("stx"):
        opcode = Class.STX | Mode.MEM | _SIZES[name[3:]]
        return Instruction(opcode, register, _register(operands[1]), offset)
    opcode = Class.ST | Mode.MEM | _SIZES[name[2:]]
    return Instruction(opcode, register, 0, offset, _number(operands[1]))


def _atomic(operands: list[str]) -> Instruction:
    fetch = Atomic.FETCH if operands[0] == "fetch" else 0
    name, place, source = operands[1:] if fetch else operands
    stem = name.removesuffix("32")
    operation = _EXCHANGES.get(stem) or _ATOMICS[stem] | fetch
    register, offset = _place(place)
    size = Size.W if name.endswith("32") else Size.DW
    return Instruction(Class.STX | Mode.ATOMIC | size, register, _register(source), offset, operation)


def _call(operands: list[str], distance: Callable[[str], int]) -> Instruction:
    kind, target = operands if len(operands) == 2 else ("helper", operands[0])
    if kind == "local":
        return Instruction(CALL, src=PseudoCall.CALL, imm=distance(target))
    if target[0] == "%":
        return Instruction(CALLX, _register(target))
    return Instruction(CALL, imm=_number(target))


def _place(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\[(%r\d+)([+-]\w+)?\]", text)
    assert found, text
    return _register(found[1]), int(found[2] or "0", 0)


def _register(text: str) -> int:
    assert text.startswith("%r"), text
    return int(text[2:])


def _number(text: str) -> int:
    return _signed(int(text, 0))


def _signed(number: int) -> int:
    low = number & 0xFFFF_FFFF
    return low - (1 << 32) if low >> 31 else low

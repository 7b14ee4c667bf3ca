"""Small programs and types that probes load."""

from __future__ import annotations

import struct
from sys import byteorder

from ebee.asm import Instruction, encode
from ebee.btf.btf import MAGIC
from ebee.btf.types import FuncLinkage, Kind

MOV_IMM = 0xB7  # r = imm
MOV_REG = 0xBF  # r = r
SUB_IMM = 0x17  # r -= imm
JNE_IMM = 0x55  # if r != imm goto
JLT_IMM = 0xA5  # if r < imm goto
JEQ32_IMM = 0x16  # if w == imm goto
DIV_IMM = 0x37  # r /= imm; signed with an offset of 1
CALL = 0x85
EXIT = 0x95
LD_IMM64 = 0x18
PSEUDO_MAP_VALUE = 2


def assemble(*instructions: tuple[int, ...]) -> bytes:
    """Return the code of (opcode, dst, src, offset, imm) in the host's byte order; zeros may be left out."""
    return encode([Instruction(*fields) for fields in instructions], byteorder)


def returning(value: int) -> bytes:
    """Return a program that does nothing and returns a number."""
    return assemble((MOV_IMM, 0, 0, 0, value), (EXIT,))


BOUNDED_LOOP = assemble((MOV_IMM, 0, 0, 0, 10), (SUB_IMM, 0, 0, 0, 1), (JNE_IMM, 0, 0, -2, 0), (EXIT,))
ISA = {
    "v2": assemble((MOV_IMM,), (JLT_IMM, 0, 0, 1, 1), (MOV_IMM,), (EXIT,)),
    "v3": assemble((MOV_IMM,), (JEQ32_IMM, 0, 0, 1, 0), (MOV_IMM,), (EXIT,)),
    "v4": assemble((MOV_IMM,), (DIV_IMM, 0, 0, 1, 1), (EXIT,)),
}
"""One instruction that each version of the instruction set brought: jlt, 32-bit jumps, signed division.

Not gotol for v4: kernels that do not know it took it for a goto.
"""


def calling(helper: int) -> bytes:
    """Return a program that calls a helper with whatever the registers hold."""
    return assemble((CALL, 0, 0, 0, helper), (MOV_IMM,), (EXIT,))


def reading_map(map_fd: int) -> bytes:
    """Return a program that takes the address of a map's value, as global data does."""
    return assemble((LD_IMM64, 1, PSEUDO_MAP_VALUE, 0, map_fd), (0,), (MOV_IMM,), (EXIT,))


def btf(*, context: str = "") -> bytes:
    """Return BTF with `int` (type 1) and, with a context, `int probe(struct CONTEXT *)` (FUNC is type 5).

    Types: 1 int, 2 struct CONTEXT, 3 pointer to it, 4 prototype, 5 function.
    """
    strings, offsets = b"\0", {}
    for name in ("int", context, "probe", "ctx"):
        offsets[name] = len(strings) if name else 0
        strings += name.encode() + b"\0" if name else b""
    # INT's tail: signed, 32 bits
    types = _type(offsets["int"], Kind.INT, 0, 4, 1 << 24 | 32)
    if context:
        types += _type(offsets[context], Kind.STRUCT, 0, 4)
        types += _type(0, Kind.PTR, 0, 2)
        types += _type(0, Kind.FUNC_PROTO, 1, 1, offsets["ctx"], 3)
        types += _type(offsets["probe"], Kind.FUNC, FuncLinkage.GLOBAL, 4)
    header = struct.pack("=HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


FUNCTION_TYPE_ID = 5


def _type(name: int, kind: Kind, vlen: int, size_or_type: int, *tail: int) -> bytes:
    return struct.pack(f"={3 + len(tail)}I", name, kind << 24 | vlen, size_or_type, *tail)

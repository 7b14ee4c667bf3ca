"""One eBPF instruction of 8 bytes, and its coding."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ebee.errors import FormatError
from ebee.record import NamedTuple

INSTRUCTION_BYTES = 8


class Instruction(NamedTuple):
    """One 8-byte slot: a wide load (ld_imm64) takes two, the second with opcode 0.

    Slots rather than logical instructions, because jump offsets, line info and the verifier all
    count slots.

    Attributes:
        opcode: the first byte: class, operation or size, and source or mode.
        dst, src: register numbers, 4 bits each.
        offset: signed 16 bits: of a jump in slots, of a memory access in bytes.
        imm: signed 32 bits.

    Source: Documentation/bpf/standardization/instruction-set.rst.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0


def decode(code: bytes, byte_order: str = "little") -> list[Instruction]:
    """Return the instructions of a stretch of code.

    Raises:
        FormatError: the length is not a multiple of 8.
    """
    if len(code) % INSTRUCTION_BYTES:
        raise FormatError(f"code: {len(code)} bytes, expected a multiple of {INSTRUCTION_BYTES}")
    big = byte_order == "big"
    # The two registers share a byte, and which half is which follows the byte order.
    return [
        Instruction(opcode, regs >> 4, regs & 15, offset, imm)
        if big
        else Instruction(opcode, regs & 15, regs >> 4, offset, imm)
        for opcode, regs, offset, imm in struct.iter_unpack(">BBhi" if big else "<BBhi", code)
    ]


def encode(instructions: Iterable[Instruction], byte_order: str = "little") -> bytes:
    """Return the bytes of instructions.

    Raises:
        FormatError: a field does not fit.
    """
    big = byte_order == "big"
    pack = struct.Struct(">BBhi" if big else "<BBhi").pack
    try:
        return b"".join(
            pack(opcode, dst << 4 | src if big else src << 4 | dst, offset, imm)
            for opcode, dst, src, offset, imm in instructions
        )
    except struct.error as error:
        raise FormatError(f"code: an instruction's field does not fit: {error}") from None

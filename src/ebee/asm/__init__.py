"""eBPF instructions: bytes <-> records <-> text."""

from ebee.asm.instruction import INSTRUCTION_BYTES, Instruction, decode, encode

__all__ = ["INSTRUCTION_BYTES", "Instruction", "decode", "encode"]

"""eBPF instructions: bytes <-> records <-> text.

The numbers they are made of are in `ebee.asm.opcodes`.
"""

from ebee.asm.assemble import assemble
from ebee.asm.disassemble import AddressName, CallName, address_text, disassemble
from ebee.asm.instruction import INSTRUCTION_BYTES, Instruction, decode, encode

__all__ = [
    "INSTRUCTION_BYTES",
    "AddressName",
    "CallName",
    "Instruction",
    "address_text",
    "assemble",
    "decode",
    "disassemble",
    "encode",
]

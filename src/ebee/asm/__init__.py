"""eBPF instructions: bytes <-> records <-> text.

The numbers they are made of are in `ebee.asm.opcodes`. What makes and reads text is imported when
it is first used: loading a program needs none of it.
"""

from __future__ import annotations

from ebee.asm.instruction import INSTRUCTION_BYTES, Instruction, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.asm.assembler import assemble
    from ebee.asm.disassembler import AddressName, CallName, address_text, disassemble

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ebee.asm' has no attribute '{name}'")
    from importlib import import_module

    module = "assembler" if name == "assemble" else "disassembler"
    found = getattr(import_module(f"ebee.asm.{module}"), name)
    globals()[name] = found
    return found

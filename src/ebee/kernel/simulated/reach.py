"""How far into its context a program reaches: a run must bring that much.

Source: kernel/bpf/verifier.c, max_ctx_offset. The verifier follows every path; this goes through the
instructions once and in their order, which tells the same of what compilers write.
"""

from __future__ import annotations

from collections.abc import Sequence

from ebee.asm import Instruction

_CLASS_MASK = 7
_LDX, _ST, _STX, _ALU, _ALU64 = 1, 2, 3, 4, 7
_MOV64_REGISTER = 0xBF
_ADD64_NUMBER = 0x07
_CALL = 0x85
_SIZE_MASK = 0x18
_SIZE_BYTES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_CALLER_SAVED = range(6)


def context_reach(instructions: Sequence[Instruction]) -> int:
    """Return the end of the furthest load or store through the context, in bytes from its begin."""
    # Registers that point into the context, and how far.
    pointers = {1: 0}
    reach = 0
    for opcode, dst, src, offset, imm in instructions:
        kind = opcode & _CLASS_MASK
        base = src if kind == _LDX else dst if kind in (_ST, _STX) else None
        if base in pointers:
            reach = max(reach, pointers[base] + offset + _SIZE_BYTES[opcode & _SIZE_MASK])
        if opcode == _MOV64_REGISTER and not offset and src in pointers:
            pointers[dst] = pointers[src]
        elif opcode == _ADD64_NUMBER and dst in pointers:
            pointers[dst] += imm
        elif opcode == _CALL:
            for register in _CALLER_SAVED:
                pointers.pop(register, None)
        elif kind in (0, _LDX, _ALU, _ALU64):
            pointers.pop(dst, None)
    return reach

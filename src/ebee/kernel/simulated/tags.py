"""A program's tag: by its instructions, whatever the numbers of its maps.

Source: kernel/bpf/core.c, bpf_prog_calc_tag().
"""

from __future__ import annotations

from ebee.asm.opcodes import LD_IMM64, PseudoLoad

_INSTRUCTION_BYTES = 8
_TAG_BYTES = 8


def tag_of(instructions: bytes) -> bytes:
    """Return the first 8 bytes of the SHA-256 of instructions, with the numbers of map loads zero.

    Kernel: SHA-256 since 6.18, SHA-1 before.
    """
    from hashlib import sha256

    plain = bytearray(instructions)
    for at in range(0, len(plain), _INSTRUCTION_BYTES):
        if plain[at] == LD_IMM64 and plain[at + 1] >> 4 in (PseudoLoad.MAP_FD, PseudoLoad.MAP_VALUE):
            plain[at + 4 : at + 8] = bytes(4)
            plain[at + 12 : at + 16] = bytes(len(plain[at + 12 : at + 16]))
    return sha256(plain).digest()[:_TAG_BYTES]

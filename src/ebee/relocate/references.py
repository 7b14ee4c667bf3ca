"""Fill in what only a kernel knows: map descriptors, kernel functions and variables."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from ebee.asm import Instruction
from ebee.btf import Btf, Kind
from ebee.errors import RelocationError
from ebee.record import NamedTuple
from ebee.relocate.linking import LinkedProgram
from ebee.spec import MapReference
from ebee.spec.programs import ExternReference
from ebee.text import did_you_mean

PSEUDO_MAP_FD = 1
PSEUDO_MAP_VALUE = 2
PSEUDO_BTF_ID = 3
PSEUDO_KFUNC_CALL = 2


class Target(NamedTuple):
    """What a kernel has for a program.

    Attributes:
        map_fds: descriptors of the object's maps by name.
        kernel_types: the kernel's own BTF; None where it has none.
        symbol_address: gives the address of a kernel symbol, None for one that is not there.
    """

    map_fds: Mapping[str, int]
    kernel_types: Btf | None = None
    symbol_address: Callable[[str], int | None] = lambda name: None


def resolve(program: LinkedProgram, target: Target) -> list[Instruction]:
    """Return a linked program's instructions with every reference filled in.

    Raises:
        RelocationError: the kernel lacks what a reference names, or another object is to define it.
    """
    instructions = list(program.instructions)
    for reference in program.references:
        if isinstance(reference, MapReference):
            _set_map(instructions, reference, target.map_fds[reference.map_name])
        else:
            _set_extern(instructions, reference, target)
    return instructions


def _set_wide(instructions: list[Instruction], slot: int, src: int, low: int, high: int) -> None:
    """Set the two halves of a wide load."""
    instructions[slot] = instructions[slot]._replace(src=src, imm=low)
    instructions[slot + 1] = instructions[slot + 1]._replace(imm=high)


def _set_map(instructions: list[Instruction], reference: MapReference, fd: int) -> None:
    if reference.offset is None:
        _set_wide(instructions, reference.slot, PSEUDO_MAP_FD, fd, 0)
    else:
        _set_wide(instructions, reference.slot, PSEUDO_MAP_VALUE, fd, reference.offset)


def _set_extern(instructions: list[Instruction], reference: ExternReference, target: Target) -> None:
    slot, types = reference.slot, target.kernel_types
    if not reference.is_ksym and not reference.weak:
        raise RelocationError(
            f"extern {reference.name}: not defined in this object, and not declared __ksym or __kconfig",
            hint="link the object that defines it into this one; if it is the kernel's, declare it so, "
            "and compile with -g",
        )
    if reference.is_call:
        instructions[slot] = _kernel_call(instructions[slot], reference, types)
    elif reference.typeless:
        _set_address(instructions, reference, target.symbol_address(reference.name))
    else:
        _set_variable(instructions, reference, types)


def _kernel_call(call: Instruction, reference: ExternReference, types: Btf | None) -> Instruction:
    type_id = _find(reference, types, Kind.FUNC)
    if type_id is not None:
        return call._replace(src=PSEUDO_KFUNC_CALL, imm=type_id, offset=0)
    if reference.weak:
        # Never reached: programs ask bpf_ksym_exists() first, and the verifier drops dead code.
        return call._replace(src=0, imm=MISSING_KFUNC_CALL)
    raise _missing(reference, types, "kernel function", (Kind.FUNC,))


MISSING_KFUNC_CALL = 2002000000
"""What a call of an absent weak kernel function becomes; as libbpf writes it, so that logs agree."""


def _set_variable(instructions: list[Instruction], reference: ExternReference, types: Btf | None) -> None:
    type_id = _find(reference, types, Kind.VAR, Kind.FUNC)
    if type_id is not None:
        _set_wide(instructions, reference.slot, PSEUDO_BTF_ID, type_id, 0)
    elif reference.weak:
        _set_wide(instructions, reference.slot, 0, 0, 0)
    else:
        raise _missing(reference, types, "kernel variable", (Kind.VAR,))


def _set_address(instructions: list[Instruction], reference: ExternReference, address: int | None) -> None:
    if address is None and not reference.weak:
        raise RelocationError(
            f"extern {reference.name}: this kernel has no such symbol",
            hint="declare it __weak to load without it",
        )
    low, high = struct.unpack("=ii", struct.pack("=Q", address or 0))
    _set_wide(instructions, reference.slot, 0, low, high)


def _find(reference: ExternReference, types: Btf | None, *kinds: Kind) -> int | None:
    # `name___flavor` asks for `name`, as type names do.
    name = reference.name.partition("___")[0]
    return None if types is None else types.find(name, *kinds)


def _missing(
    reference: ExternReference, types: Btf | None, what: str, kinds: Sequence[Kind]
) -> RelocationError:
    if types is None:
        return RelocationError(
            f"extern {reference.name}: this kernel has no BTF to look it up in",
            hint="it needs a kernel with CONFIG_DEBUG_INFO_BTF=y",
        )
    names = [found.name for _, found in types if found.kind in kinds]
    return RelocationError(
        f"extern {reference.name}: this kernel has no such {what}",
        hint=did_you_mean(reference.name, names) or "declare it __weak to load without it",
    )

"""Put a program and all the functions it calls into one stretch of instructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ebee.asm import Instruction
from ebee.btf.ext import LineInfo
from ebee.errors import RelocationError
from ebee.record import NamedTuple
from ebee.spec import Function, MapReference
from ebee.spec.programs import ExternReference, FunctionReference

PSEUDO_CALL = 1
PSEUDO_FUNC = 4


class LinkedProgram(NamedTuple):
    """A program with its subprograms behind it; slots count from the whole's begin.

    Attributes:
        instructions: one per slot.
        references: maps, data and externs that are still to be filled in.
        functions: where each function begins, with its FUNC type; the program itself is first.
        lines: line info of all of it.
        names: where each function begins, with its name.
    """

    instructions: list[Instruction]
    references: list[MapReference | ExternReference]
    functions: list[tuple[int, int]]
    lines: list[LineInfo]
    names: list[tuple[int, str]]


def link(main: Function, functions: Mapping[str, Function]) -> LinkedProgram:
    """Return a program's instructions with every function that it reaches behind it, once each.

    Args:
        main: the function it begins at.
        functions: all functions of the object by name.

    Raises:
        RelocationError: it calls a function that is not there.
    """
    parts = list(_reachable(main, functions))
    starts: dict[str, int] = {}
    place = 0
    for part in parts:
        starts[part.name] = place
        place += len(part.instructions)
    instructions = [instruction for part in parts for instruction in part.instructions]
    references: list[MapReference | ExternReference] = []
    for part in parts:
        start = starts[part.name]
        for reference in part.references:
            slot = start + reference.slot
            if isinstance(reference, FunctionReference):
                instructions[slot] = _aimed(
                    instructions[slot], starts[reference.function] - slot - 1, is_call=reference.is_call
                )
            else:
                references.append(reference._replace(slot=slot))
    return LinkedProgram(
        instructions,
        references,
        functions=[(starts[part.name], part.type_id) for part in parts],
        lines=[line._replace(slot=line.slot + starts[part.name]) for part in parts for line in part.lines],
        names=[(starts[part.name], part.name) for part in parts],
    )


def _reachable(main: Function, functions: Mapping[str, Function]) -> Iterator[Function]:
    """Go through a function and all that it calls or takes the address of, breadth first."""
    seen = {main.name}
    waiting = [main]
    for part in waiting:
        yield part
        for reference in part.references:
            if isinstance(reference, FunctionReference) and reference.function not in seen:
                seen.add(reference.function)
                try:
                    waiting.append(functions[reference.function])
                except KeyError:
                    raise RelocationError(
                        f"function {part.name}: calls {reference.function}, which the object does not have"
                    ) from None


def _aimed(instruction: Instruction, distance: int, *, is_call: bool) -> Instruction:
    return instruction._replace(src=PSEUDO_CALL if is_call else PSEUDO_FUNC, imm=distance)

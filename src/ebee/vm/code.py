"""A program as the engines take it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from ebee.abi.bpf import AttachType, ProgType
from ebee.asm.instruction import Instruction
from ebee.record import NamedTuple, Record


class Place(NamedTuple):
    """A line of the user's.

    Attributes:
        text: the line itself; empty where it is not known.
    """

    file: str
    line: int
    column: int
    text: str


class Code(Record):
    """A program, ready to run: maps and functions are addresses of the machine.

    Attributes:
        instructions: one for each slot; the second slot of a wide load stays.
        places: by slot, in order: from that slot on, the code comes from that line.
        functions: the slot at which each function begins, with its name; slot 0 is the program.
        kernel_functions: what calls with src 2 call, by the call's imm: names of kfuncs.
    """

    name: str
    type: ProgType
    instructions: tuple[Instruction, ...]
    expected_attach_type: AttachType | int = 0
    license: str = ""
    places: Sequence[tuple[int, Place]] = ()
    functions: Mapping[int, str] = {}
    kernel_functions: Mapping[int, str] = {}

    def place_of(self, slot: int) -> Place | None:
        """Return the line that a slot comes from."""
        index = bisect_right([first for first, _ in self.places], slot) - 1
        return self.places[index][1] if index >= 0 else None

    def function_of(self, slot: int) -> str:
        """Return the name of the function that holds a slot."""
        begins = [first for first in sorted(self.functions) if first <= slot]
        return self.functions[begins[-1]] if begins else self.name

"""What the rules ask: C lines, names and registers at the place where the verifier stopped."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from ebee.asm import Instruction
from ebee.loader.verifier import c_line
from ebee.loader.verifier.log import Report, Step
from ebee.loader.verifier.trace import Origin, follow
from ebee.record import NamedTuple
from ebee.source import Span

_VALUE = r"=([^\s(=]*(?:\((?:[^()]|\([^()]*\))*\))?)"
_MAP_NAME = re.compile(r"map=([\w.]+)")
_MAP_ARGUMENT = re.compile(r"\(\s*&(\w+)\s*,")
CALL = 0x85
ACCESS_BYTES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
"""By the size bits of a load's or store's opcode."""

# What a program gives back when it wants to leave things as they are.
_NEUTRAL = {"XDP": "XDP_PASS", "SCHED_CLS": "TC_ACT_OK", "SK_SKB": "SK_PASS", "SK_MSG": "SK_PASS"}
PACKET_TYPES = frozenset({"XDP", "SCHED_CLS", "SCHED_ACT", "CGROUP_SKB", "SK_SKB", "LWT_IN", "LWT_OUT"})


class Line(NamedTuple):
    """From the instruction in `slot` on, code comes from this C line.

    Attributes:
        slot: counted from the begin of the linked program.
        path: the C file, as the compiler was told it.
        line, column: counted from 1; the column in bytes; 0 where it is not known.
        text: the line.
    """

    slot: int
    path: str
    line: int
    column: int
    text: str


class Place(NamedTuple):
    """A place with the text that stands there."""

    span: Span
    text: str


class Finding(NamedTuple):
    """What a rule found.

    Attributes:
        message: what is wrong, without the program's name.
        hint: what to do about it; None rather than a guess.
        slot: of the instruction to blame, where it is not the one the verifier stopped at.
        notes: further places: a sentence and an instruction's slot.
    """

    message: str
    hint: str | None = None
    slot: int | None = None
    notes: tuple[tuple[str, int], ...] = ()


class Scene:
    """One refused program, and where the verifier stopped in it."""

    __slots__ = ("_entries", "instructions", "license", "poisoned", "program_type", "report")

    def __init__(
        self,
        report: Report,
        lines: Sequence[Line],
        instructions: Sequence[Instruction],
        *,
        program_type: str,
        license: str,
        poisoned: Mapping[int, str],
    ) -> None:
        self.report = report
        self.instructions = instructions
        self.program_type = program_type
        self.license = license
        self.poisoned = poisoned
        self._entries = [line for line in lines if line.line > 0]

    # -- places ----------------------------------------------------------------------------------
    def place(self, slot: int) -> Place | None:
        """Return the C line of an instruction."""
        index = bisect_right(self._entries, slot, key=lambda line: line.slot) - 1
        if index < 0 or slot < 0:
            return None
        entry = self._entries[index]
        column = _in_characters(entry.text, entry.column)
        return Place(Span(entry.path, entry.line, column, _word_length(entry.text, column)), entry.text)

    def text(self, slot: int) -> str:
        """Return the C line's text, empty where it is not known."""
        place = self.place(slot)
        return "" if place is None else place.text

    def assigned(self, slot: int, *, of: str = "") -> str:
        """Return the variable that the C line of an instruction assigns to.

        Args:
            of: what the right-hand side must contain, such as a helper's name.
        """
        return c_line.assigned(self.text(slot), of=of)

    # -- the path --------------------------------------------------------------------------------
    @property
    def last(self) -> Step | None:
        return self.report.steps[-1] if self.report.steps else None

    @property
    def last_text(self) -> str:
        """The C line of the last step, empty where it is not known."""
        return self.text(self.last.slot) if self.last else ""

    @property
    def verb(self) -> str:
        """`writes` or `reads`, as the last step does."""
        return "writes" if self.last and self.last.text.startswith(("*", "lock")) else "reads"

    def step(self, index: int) -> Step:
        return self.report.steps[index]

    def origin(self, register: int, *, before: int | None = None) -> Origin:
        """Return where a register's value came from; by default just before the last step."""
        steps = self.report.steps
        return follow(steps, register, len(steps) - 1 if before is None else before)

    def state(self, register: int, *, before: int | None = None) -> str:
        """Return what the log says last of a register, such as `map_value(map=counts,ks=4,vs=8)`."""
        pattern = re.compile(rf"\bR{register}(?:_\w+)?{_VALUE}")
        steps = self.report.steps
        end = len(steps) - 1 if before is None else before
        for text in (*(step.state for step in reversed(steps[: max(end, 0)])), self.report.entry):
            if found := pattern.search(text):
                return found[1]
        return ""

    def called(self) -> str:
        """Return the function that the last step calls, such as `bpf_map_lookup_elem`, else nothing."""
        found = re.match(r"call (\w+)#", self.last.text) if self.last else None
        return found[1] if found else ""

    def map_name(self, state: str, slot: int) -> str:
        """Return the map's name from a register's state, or from the call in an instruction's C line.

        Kernels before 6.9 do not tell the name.
        """
        found = _MAP_NAME.search(state) or _MAP_ARGUMENT.search(self.text(slot))
        return found[1] if found else ""

    @property
    def a_program(self) -> str:
        return f"a program of type {self.program_type}" if self.program_type else "a program of this type"

    # -- words -----------------------------------------------------------------------------------
    def leave(self) -> str:
        """Return the statement that gives up quietly at the last step, such as `return XDP_PASS;`."""
        if self.program_type.startswith("CGROUP") and self._in_main():
            return "return 1;"
        return f"return {_NEUTRAL.get(self.program_type, '0') if self._in_main() else '0'};"

    def subprogram_calls(self) -> list[tuple[int, int]]:
        """Return each call of one of the program's own functions: the call's slot and the function's."""
        return [
            (slot, slot + 1 + instruction.imm)
            for slot, instruction in enumerate(self.instructions)
            if instruction.opcode == CALL and instruction.src == 1
        ]

    def _in_main(self) -> bool:
        """Whether the last step is the program's own, not one of a subprogram's."""
        last = self.last.slot if self.last else 0
        return all(target > last for _, target in self.subprogram_calls())


def _in_characters(text: str, column: int) -> int:
    """Turn a column in bytes into one in characters; 0 where it lies outside of the line."""
    data = text.encode("utf-8", "surrogatepass")
    if not 1 <= column <= len(data):
        return 0
    return len(data[: column - 1].decode("utf-8", "ignore")) + 1


def _word_length(text: str, column: int) -> int:
    word = re.match(r"\w+", text[column - 1 :]) if column else None
    return len(word[0]) if word else 1

"""Text -> instructions: lines, labels, and what of a dump can be read again."""

from __future__ import annotations

from functools import cache

from ebee.asm.helpers import helper_ids
from ebee.asm.instruction import Instruction
from ebee.asm.opcodes import LD_IMM64, PseudoCall
from ebee.errors import ParseError, SourceError, UnknownNameError
from ebee.source import SourceText
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from ebee.asm.cursor import Cursor
    from ebee.asm.statements import Reference

# A label or a dump's slot number; `::` belongs to no label.
_PREFIX = r"\s*(?:(?P<label>[A-Za-z_][\w.$]*)|(?P<slot>[0-9]+))\s*:(?!:)"
_OPCODE = r"\s*\((?P<opcode>[0-9a-fA-F]{2})\)"
# Dumps have a function's prototype before its code, and bytes under an instruction where asked to.
_SLOT_BYTES = r"(?:[0-9a-f]{2} ){7}[0-9a-f]{2}"
_DUMP_EXTRA = rf"\s*(?:[A-Za-z_].*\)\s*:|{_SLOT_BYTES}(?: {_SLOT_BYTES})?)\s*$"
_COMMENT = r";|//"


class _Pending:
    """An instruction that waits for the labels to be known."""

    __slots__ = ("cursor", "reference", "slot")

    def __init__(self, slot: int, reference: Reference, cursor: Cursor) -> None:
        self.slot = slot
        self.reference = reference
        self.cursor = cursor


def assemble(text: str, path: str = "<asm>") -> list[Instruction]:
    """Return the instructions of a text, in slots.

    The language is what `disassemble` writes, one instruction a line, so that a dump of bpftool or
    of the verifier can be pasted back: slot numbers, the opcode in parentheses, prototypes and bytes
    under the instructions may be there. Beside it there are:

    - labels, `name:`, for `goto name`, `call name` and `r1 = subprog[name]`;
    - helpers by name, `call bpf_map_lookup_elem`. A number after the name, `#1`, is not looked at,
      because in a dump of a loaded program it is an address;
    - `map[fd:5]`, the same as `map[id:5]`: a load takes a descriptor and a dump shows an id.
      `map[idx:2]` and `btf[id:77]` for the other pseudo sources;
    - `callx r1`, which the kernel's text does not tell from other calls;
    - comments from `;` or `//` to the end of the line.

    A number takes a wide load where it needs more than 32 bits, is followed by `ll` or has `(18)`
    before it.

    Args:
        text: all of it.
        path: what complaints call it.

    Raises:
        ParseError: a line is not an instruction; TypeMismatchError: registers of unlike widths;
            UnknownNameError: no such label or helper. Each has a diagnostic for every wrong line.
    """
    return _Assembler(SourceText(path, text)).run()


class _Assembler:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._instructions: list[Instruction] = []
        self._labels: dict[str, tuple[int, int]] = {}  # slot, line
        self._pending: list[_Pending] = []
        self._errors: list[SourceError] = []

    def run(self) -> list[Instruction]:
        for number, line in enumerate(self._source.text.splitlines(), 1):
            try:
                self._line(number, line)
            except SourceError as error:
                self._errors.append(error)
        for pending in self._pending:
            try:
                self._resolve(pending)
            except SourceError as error:
                self._errors.append(error)
        if self._errors:
            raise _joined(self._errors)
        return self._instructions

    def _line(self, number: int, line: str) -> None:
        comment = _pattern(_COMMENT).search(line)
        stop = comment.start() if comment else len(line)
        if _pattern(_DUMP_EXTRA).match(line[:stop]):
            return
        start = self._labels_before(number, line, stop)
        prefix = _pattern(_OPCODE).match(line, start, stop)
        if prefix is not None:
            start = prefix.end()
        if line[start:stop].strip() or prefix is not None:
            self._statement(number, start, stop, int(prefix["opcode"], 16) if prefix else None)

    def _labels_before(self, number: int, line: str, stop: int) -> int:
        """Take the labels and slot numbers at the start of a line; return where they end."""
        start = 0
        while (prefix := _pattern(_PREFIX).match(line, start, stop)) is not None:
            if prefix["label"] is not None:
                self._label(prefix["label"], number, start, stop)
            start = prefix.end()
        return start

    def _label(self, name: str, number: int, start: int, stop: int) -> None:
        slot, line = self._labels.setdefault(name, (len(self._instructions), number))
        if line != number or slot != len(self._instructions):
            from ebee.asm.cursor import Cursor

            cursor = Cursor(self._source, number, start, stop)
            message = f"the label '{name}' is on line {line} already"
            raise cursor.error(ParseError, message, cursor.token, "give one of the two another name")

    def _statement(self, number: int, start: int, stop: int, opcode: int | None) -> None:
        from ebee.asm.cursor import Cursor
        from ebee.asm.statements import parse_statement

        cursor = Cursor(self._source, number, start, stop)
        first = cursor.token
        statement = parse_statement(cursor, wide=opcode == LD_IMM64)
        found = statement.instructions[0].opcode
        if opcode is not None and found != opcode:
            message = f"an instruction of opcode {found:02x} has ({opcode:02x}) before it"
            raise cursor.error(ParseError, message, first, f"write ({found:02x}) or leave it out")
        if statement.reference is not None:
            self._pending.append(_Pending(len(self._instructions), statement.reference, cursor))
        self._instructions += statement.instructions

    def _resolve(self, pending: _Pending) -> None:
        """Put a label's distance, or a helper's id, into an instruction."""
        slot, cursor, (name, field) = pending.slot, pending.cursor, pending.reference
        instruction = self._instructions[slot]
        if name.text in self._labels:
            distance = self._labels[name.text][0] - (slot + 1)
            if field == "call":
                instruction = instruction._replace(src=PseudoCall.CALL, imm=distance)
            else:
                instruction = _with_distance(instruction, distance, pending)
        elif field == "call":
            instruction = instruction._replace(imm=self._helper(pending))
        else:
            hint = did_you_mean(name.text, self._labels) or f"write a line '{name.text}:' where it goes"
            raise cursor.error(UnknownNameError, f"no label is called '{name.text}'", name, hint)
        self._instructions[slot] = instruction

    def _helper(self, pending: _Pending) -> int:
        helpers, name = helper_ids(), pending.reference.name
        if name.text not in helpers:
            hint = did_you_mean(name.text, (*self._labels, *helpers))
            message = f"no label or helper is called '{name.text}'"
            raise pending.cursor.error(UnknownNameError, message, name, hint or _CALL_HINT)
        return helpers[name.text]


_CALL_HINT = "a loaded program's dump names kernel functions that stand in for helpers: write the helper"


def _with_distance(instruction: Instruction, distance: int, pending: _Pending) -> Instruction:
    name, field = pending.reference
    if field == "offset" and not -(1 << 15) <= distance < 1 << 15:
        message = f"'{name.text}' is {distance:+d} slots away, expected at most 32767"
        raise pending.cursor.error(ParseError, message, name, "gotol reaches 32 bits far (kernel 6.6)")
    return instruction._replace(**{field: distance})


def _joined(errors: list[SourceError]) -> SourceError:
    """Return the first error, with the diagnostics of all in the order of the text."""
    diagnostics = [diagnostic for error in errors for diagnostic in error.diagnostics]
    diagnostics.sort(key=lambda diagnostic: diagnostic.span.line if diagnostic.span else 0)
    first = next(error for error in errors if diagnostics[0] in error.diagnostics)
    return type(first)(diagnostics[0].headline(), diagnostics=diagnostics, hint=diagnostics[0].hint)


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    import re

    return re.compile(expression)

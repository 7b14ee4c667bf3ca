"""The code of a loaded program as the kernel runs it, with the C lines it comes from.

Source: tools/bpf/bpftool/xlated_dumper.c; include/uapi/linux/bpf.h, struct bpf_func_info and
bpf_line_info.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from ebee.asm import Instruction, decode, disassemble
from ebee.asm.opcodes import LD_IMM64, PseudoCall
from ebee.btf import Btf
from ebee.btf.ext import LineInfo
from ebee.errors import NotPermittedError
from ebee.introspect.symbols import CallNames, call_names
from ebee.introspect.types import program_types, prototype
from ebee.kernel.protocol import Kernel, ProgramInfo
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CALL = 0x85
_SLOT_BYTES = 8
_U64 = (1 << 64) - 1


class SourceLine(NamedTuple):
    """A line of C: its text without the white space before it, its file, and where it is; 0 unknown."""

    text: str
    file: str
    line: int
    column: int


class Row(NamedTuple):
    """One instruction.

    Attributes:
        slot: its number; a wide load takes two.
        text: such as `(b7) r0 = 2`.
        code: its 8 or 16 bytes.
        prototype: of the function that begins here, else None.
        source: the line that begins here, else None.
    """

    slot: int
    text: str
    code: bytes
    prototype: str | None
    source: SourceLine | None


def program_code(kernel: Kernel, fd: int) -> list[Row]:
    """Return the instructions of a program as the verifier left them.

    Raises:
        NotPermittedError: the kernel keeps them to itself.
    """
    info = kernel.program_info(fd, code=True)
    if not info.instructions:
        raise NotPermittedError(
            f"dump program id {info.id}: the kernel does not show its instructions",
            hint="it takes CAP_SYS_ADMIN, and kernel.kptr_restrict must not be 2",
        )
    types = program_types(kernel, info.btf_id) if info.btf_id else None
    return list(_rows(info, types))


def _rows(info: ProgramInfo, types: Btf | None) -> Iterator[Row]:
    instructions = decode(info.instructions)
    functions = _functions(info, types)
    lines = _lines(info)
    for slot, text in disassemble(instructions, call_name=_Calls(instructions, info).name):
        source = None
        # The kernel leaves out lines of code it removed, so a line may begin before this slot.
        if types is not None and lines and lines[0].slot <= slot:
            source = _source_line(types, lines.pop(0))
        width = 2 if instructions[slot].opcode == LD_IMM64 else 1
        code = info.instructions[slot * _SLOT_BYTES : (slot + width) * _SLOT_BYTES]
        yield Row(slot, text, code, functions.get(slot), source)


class _Calls:
    """Names for the calls of one program."""

    def __init__(self, instructions: Sequence[Instruction], info: ProgramInfo) -> None:
        self._ksyms = info.jited_ksyms
        self._names: CallNames = call_names(i for i in instructions if i.opcode == _CALL)

    def name(self, call: Instruction) -> str | None:
        """Return what bpftool writes: a symbol, an address, or for a subprogram `+3#symbol`."""
        if call.src == PseudoCall.CALL:
            return self._subprogram(call)
        address = (self._names.base + call.imm) & _U64
        return self._names(address) or f"{address:#x}"

    def _subprogram(self, call: Instruction) -> str:
        # In code that is compiled the kernel puts the subprogram's number where the distance was.
        if not self._ksyms:
            return f"{call.offset:+d}"
        address = self._ksyms[call.imm] if 0 <= call.imm < len(self._ksyms) else 0
        return f"{call.offset:+d}#{self._names(address) or f'{address:#x}'}"


def _functions(info: ProgramInfo, types: Btf | None) -> dict[int, str]:
    """Return the prototypes of functions by the slot they begin at."""
    if types is None or not info.func_info_record_bytes:
        return {}
    records = _records(info.func_info, info.func_info_record_bytes, "=II")
    return {slot: prototype(types, type_id) for slot, type_id in records}


def _lines(info: ProgramInfo) -> list[LineInfo]:
    if not info.line_info_record_bytes:
        return []
    records = _records(info.line_info, info.line_info_record_bytes, "=IIII")
    return [LineInfo(slot, file, text, place >> 10, place & 0x3FF) for slot, file, text, place in records]


def _records(data: bytes, record_bytes: int, layout: str) -> Iterator[tuple[int, ...]]:
    """Yield the head of each record; newer kernels may have longer ones."""
    for start in range(0, len(data) - record_bytes + 1, record_bytes):
        yield struct.unpack_from(layout, data, start)


def _source_line(types: Btf, line: LineInfo) -> SourceLine:
    return SourceLine(
        types.string(line.text_offset).lstrip(), types.string(line.file_offset), line.line, line.column
    )


def code_lines(rows: Sequence[Row], *, opcodes: bool = False, linum: bool = False) -> Iterator[str]:
    """Yield code as lines for people.

    Args:
        opcodes: each instruction's bytes below it.
        linum: with each C line its file, line and column.
    """
    for row in rows:
        if row.prototype is not None:
            yield f"{row.prototype}:"
        if row.source is not None:
            yield f"; {row.source.text}{_place(row.source) if linum else ''}"
        yield f"{row.slot:4d}: {row.text}"
        if opcodes:
            yield f"       {row.code.hex(' ')}"


def _place(source: SourceLine) -> str:
    return f" [file:{source.file} line_num:{source.line} line_col:{source.column}]"


def code_facts(rows: Sequence[Row], *, opcodes: bool = False, linum: bool = False) -> list[dict[str, Any]]:
    """Return code as bpftool's JSON has it: proto, src, file, line_num, line_col, disasm, opcodes."""
    return [_row_facts(row, opcodes, linum) for row in rows]


def _row_facts(row: Row, opcodes: bool, linum: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if row.prototype is not None:
        facts["proto"] = row.prototype
    if row.source is not None:
        facts["src"] = row.source.text
        if linum:
            facts |= {"file": row.source.file, "line_num": row.source.line, "line_col": row.source.column}
            facts = {key: value for key, value in facts.items() if value != 0}
    facts["disasm"] = row.text
    if opcodes:
        facts["opcodes"] = _opcode_facts(row.code)
    return facts


def _opcode_facts(code: bytes) -> dict[str, Any]:
    """Return an instruction's fields as hex numbers."""
    from sys import byteorder

    low, high = code[1] & 15, code[1] >> 4
    source, destination = (high, low) if byteorder == "little" else (low, high)
    return {
        "code": f"0x{code[0]:02x}",
        "src_reg": f"0x{source:x}",
        "dst_reg": f"0x{destination:x}",
        "off": _hex_list(code[2:4]),
        "imm": _hex_list(code[4:]),
    }


def _hex_list(data: bytes) -> list[str]:
    return [f"0x{byte:02x}" for byte in data]

"""ELF bytes -> sections, symbols, relocations.

Everything that a file says about itself is checked against its length before it is used: objects
come from anywhere, and a broken one must give an error with its place, not a wrong program.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property

from ebee.errors import FormatError
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_HEADER_BYTES = 64
_SECTION_HEADER_BYTES = 64
_SYMBOL_BYTES = 24
_MOST_UNBACKED_BYTES = 1 << 30


class FileType:
    """What an ELF file is for (ET_REL and so on)."""

    RELOCATABLE = 1
    EXECUTABLE = 2
    SHARED = 3


class Machine:
    """ELF machine numbers (EM_BPF and so on), those that are met here."""

    X86_64 = 62
    AARCH64 = 183
    BPF = 247

    NAMES = {3: "x86", 40: "Arm", 62: "x86-64", 183: "arm64", 243: "RISC-V", 247: "BPF", 22: "s390"}


class SectionType:
    """Kinds of sections (SHT_PROGBITS and so on)."""

    NULL = 0
    PROGBITS = 1
    SYMTAB = 2
    STRTAB = 3
    RELA = 4
    NOBITS = 8
    REL = 9


class SectionFlag:
    """Bits of a section's flags (SHF_WRITE and so on)."""

    WRITE = 1
    ALLOC = 2
    EXECUTABLE = 4


class SymbolType:
    """Kinds of symbols (STT_FUNC and so on)."""

    NONE = 0
    OBJECT = 1
    FUNC = 2
    SECTION = 3
    FILE = 4


class Binding:
    """How far a symbol is seen (STB_LOCAL and so on)."""

    LOCAL = 0
    GLOBAL = 1
    WEAK = 2


class Visibility:
    """Who may use a global symbol (STV_DEFAULT and so on)."""

    DEFAULT = 0
    INTERNAL = 1
    HIDDEN = 2


class Section(NamedTuple):
    """A section header with its name."""

    number: int
    name: str
    type: int
    flags: int
    offset: int
    size_bytes: int
    link: int
    info: int
    entry_bytes: int

    @property
    def is_executable(self) -> bool:
        """Whether code stands in it."""
        return self.type == SectionType.PROGBITS and bool(self.flags & SectionFlag.EXECUTABLE)


class Symbol(NamedTuple):
    """A symbol. `section` is a section's number; 0 means that it is defined elsewhere."""

    number: int
    name: str
    value: int
    size_bytes: int
    type: int
    binding: int
    visibility: int
    section: int


class Relocation(NamedTuple):
    """A place in a section that depends on a symbol; `addend` is None where it stands in the place."""

    offset: int
    type: int
    symbol: int
    addend: int | None


class ElfFile:
    """A 64-bit ELF file.

    Args:
        data: the whole file.
        path: what messages call it.

    Attributes:
        byte_order: `little` or `big`.
        machine: its e_machine.
        type: its e_type.
        sections: in order; number 0 is the empty one.
    """

    byte_order: Literal["little", "big"]

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        self._data = data
        self._check_identity()
        mark = "<" if self.byte_order == "little" else ">"
        self._mark = mark
        if len(data) < _HEADER_BYTES:
            raise self._broken(f"{len(data)} bytes, expected a header of {_HEADER_BYTES}")
        fields = struct.unpack_from(mark + "HHIQQQIHHHHHH", data, 16)
        self.type, self.machine = fields[0], fields[1]
        self.sections = self._read_sections(fields[5], fields[10], fields[11], fields[12])
        self._by_name = {section.name: section for section in reversed(self.sections)}

    def _check_identity(self) -> None:
        data = self._data
        if data[:4] != b"\x7fELF":
            raise self._broken(f"begins with {data[:4].hex(' ') or 'nothing'}, expected 7f 45 4c 46 (ELF)")
        if len(data) < 16:
            raise self._broken(f"{len(data)} bytes, expected a header of {_HEADER_BYTES}")
        if data[4] != 2:
            raise self._broken("a 32-bit file, expected a 64-bit one")
        if data[5] not in (1, 2):
            raise self._broken(f"byte order {data[5]}, expected 1 (little) or 2 (big)")
        self.byte_order = "little" if data[5] == 1 else "big"

    def _broken(self, found: str) -> FormatError:
        return FormatError(f"ELF file {self.path}: {found}")

    def section(self, name: str) -> Section | None:
        """Return the first section of that name, or None."""
        return self._by_name.get(name)

    def data(self, section: Section) -> bytes:
        """Return a section's bytes; zeros for one that takes no room in the file (.bss)."""
        if section.type == SectionType.NOBITS:
            return bytes(section.size_bytes)
        return self._slice(section.offset, section.size_bytes, f"section {section.name}")

    @cached_property
    def symbols(self) -> list[Symbol]:
        """All symbols in order; empty where the file was stripped."""
        table = next((s for s in self.sections if s.type == SectionType.SYMTAB), None)
        if table is None:
            return []
        names = self._strings(table.link, "the symbol table's names")
        records = struct.iter_unpack(self._mark + "IBBHQQ", self._whole(table, _SYMBOL_BYTES))
        return [
            Symbol(number, self._string(names, name), value, size, info & 15, info >> 4, other & 3, section)
            for number, (name, info, other, section, value, size) in enumerate(records)
        ]

    def relocations(self, section: Section) -> list[Relocation]:
        """Return the relocations for the places of one section, in the order of the file.

        Raises:
            FormatError: one of them names a symbol that is not there.
        """
        found = []
        for table in self.sections:
            if table.type in (SectionType.REL, SectionType.RELA) and table.info == section.number:
                found += list(self._relocations(table))
        return found

    def _relocations(self, table: Section) -> Iterator[Relocation]:
        with_addend = table.type == SectionType.RELA
        form, size = ("QQq", 24) if with_addend else ("QQ", 16)
        for offset, info, *addend in struct.iter_unpack(self._mark + form, self._whole(table, size)):
            if info >> 32 >= len(self.symbols):
                raise self._broken(
                    f"a relocation in {table.name} names symbol {info >> 32}, "
                    f"expected one below {len(self.symbols)}"
                )
            yield Relocation(offset, info & 0xFFFFFFFF, info >> 32, addend[0] if addend else None)

    def _whole(self, section: Section, record_bytes: int) -> bytes:
        data = self.data(section)
        if len(data) % record_bytes:
            raise self._broken(
                f"section {section.name} has {len(data)} bytes, expected a multiple of {record_bytes}"
            )
        return data

    def _slice(self, offset: int, length: int, what: str) -> bytes:
        if offset + length > len(self._data):
            raise self._broken(f"{what} ends at {offset + length}, expected within {len(self._data)} bytes")
        return self._data[offset : offset + length]

    def _strings(self, number: int, what: str) -> bytes:
        if not 0 < number < len(self.sections):
            raise self._broken(f"{what} are in section {number}, expected one below {len(self.sections)}")
        return self.data(self.sections[number])

    def _string(self, strings: bytes, offset: int) -> str:
        end = strings.find(b"\0", offset)
        if end < 0:
            raise self._broken(f"a name stands at {offset}, expected within {len(strings)} bytes of names")
        return strings[offset:end].decode("utf-8", "surrogateescape")

    def _read_sections(self, offset: int, entry_bytes: int, count: int, names_number: int) -> list[Section]:
        if count == 0:
            return []
        if entry_bytes != _SECTION_HEADER_BYTES:
            raise self._broken(f"section headers of {entry_bytes} bytes, expected {_SECTION_HEADER_BYTES}")
        table = self._slice(offset, count * entry_bytes, "the table of sections")
        raw = list(struct.iter_unpack(self._mark + "IIQQQQIIQQ", table))
        if names_number >= count:
            raise self._broken(f"section names are in section {names_number}, expected one below {count}")
        names = self._slice(raw[names_number][4], raw[names_number][5], "the table of section names")
        sections = [
            Section(number, self._string(names, name), kind, flags, place, size, link, info, entry)
            for number, (name, kind, flags, _, place, size, link, info, _, entry) in enumerate(raw)
        ]
        # A .bss may say any size without a byte behind it in the file.
        unbacked_bytes = sum(s.size_bytes for s in sections if s.type == SectionType.NOBITS)
        if unbacked_bytes > _MOST_UNBACKED_BYTES:
            raise self._broken(f"{unbacked_bytes} bytes of .bss, expected {_MOST_UNBACKED_BYTES} or fewer")
        return sections


def read_elf(data: bytes, path: str = "<bytes>") -> ElfFile:
    """Return the sections, symbols and relocations of an ELF file.

    Raises:
        FormatError: the bytes are not a whole 64-bit ELF file.
    """
    return ElfFile(data, path)

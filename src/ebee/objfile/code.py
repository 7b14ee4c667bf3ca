"""Code sections -> functions with open references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ebee.asm import INSTRUCTION_BYTES, Instruction, decode
from ebee.btf.ext import Ext
from ebee.elf import ElfFile, Relocation, Section, Symbol
from ebee.elf.reader import Binding, SymbolType, Visibility
from ebee.errors import FormatError, UnsupportedConstructError
from ebee.objfile.externs import Extern
from ebee.record import NamedTuple
from ebee.spec import Function, MapReference
from ebee.spec.programs import ExternReference, FunctionReference, Reference

LD_IMM64 = 0x18
CALL = 0x85
PSEUDO_CALL = 1


class Place(NamedTuple):
    """A place in a section, by the section's number and a byte offset."""

    section: int
    offset: int


class Targets(NamedTuple):
    """What relocations of code may point at.

    Attributes:
        maps: declared maps by the place of their variable in `.maps`.
        data: data sections' map names by the section's number.
        externs: what is declared to be the kernel's.
    """

    maps: Mapping[Place, str]
    data: Mapping[int, str]
    externs: Mapping[str, Extern]


class _FunctionSymbol(NamedTuple):
    symbol: Symbol
    name: str

    @property
    def first_slot(self) -> int:
        return self.symbol.value // INSTRUCTION_BYTES

    @property
    def end_slot(self) -> int:
        return (self.symbol.value + self.symbol.size_bytes) // INSTRUCTION_BYTES


class Code:
    """All functions of an ELF file.

    Args:
        elf: the file.
        ext: its .BTF.ext, empty where it has none.
        targets: what its relocations may point at.

    Raises:
        FormatError: a function or a relocation contradicts the file.
    """

    def __init__(self, elf: ElfFile, ext: Ext, targets: Targets) -> None:
        self._elf = elf
        self._ext = ext
        self._targets = targets
        self._sections = [section for section in elf.sections if section.is_executable]
        self._symbols = _name_functions(elf, self._sections)
        self.functions: dict[str, Function] = {}
        self.globals: set[str] = set()
        self.hidden: set[str] = set()
        for section in self._sections:
            self._read_section(section)

    def name_at(self, place: Place) -> str | None:
        """Return the name of the function that begins at a place, or None."""
        found = self._symbols.get(place)
        return None if found is None else found.name

    def _read_section(self, section: Section) -> None:
        code = self._elf.data(section)
        if len(code) % INSTRUCTION_BYTES:
            raise self._broken(section, f"{len(code)} bytes of code, expected a multiple of 8")
        slots = decode(code, self._elf.byte_order)
        inside = [item for place, item in self._symbols.items() if place.section == section.number]
        if slots and not inside:
            raise self._broken(section, "code without a function's symbol, as in a stripped file")
        references = self._references(section, slots)
        for item in inside:
            self._read_function(section, slots, item, references)

    def _read_function(
        self, section: Section, slots: list[Instruction], item: _FunctionSymbol, found: list[Reference]
    ) -> None:
        first, end = item.first_slot, item.end_slot
        if item.symbol.value % INSTRUCTION_BYTES or not first < end <= len(slots):
            raise self._broken(
                section, f"function {item.name} runs from slot {first} to {end}, expected within {len(slots)}"
            )
        types = {entry.offset_bytes: entry.type_id for entry in self._ext.functions.get(section.name, ())}
        self.functions[item.name] = Function(
            name=item.name,
            section=section.name,
            instructions=slots[first:end],
            references=[r._replace(slot=r.slot - first) for r in found if first <= r.slot < end],
            type_id=types.get(item.symbol.value, 0),
            lines=[
                line._replace(slot=line.slot - first)
                for line in self._ext.lines.get(section.name, ())
                if first <= line.slot < end
            ],
            core_relocations=[
                entry._replace(slot=entry.slot - first)
                for entry in self._ext.core_relocations.get(section.name, ())
                if first <= entry.slot < end
            ],
            is_static=item.symbol.binding == Binding.LOCAL,
        )
        if item.symbol.binding != Binding.LOCAL:
            self.globals.add(item.name)
        if item.symbol.visibility in (Visibility.HIDDEN, Visibility.INTERNAL):
            self.hidden.add(item.name)

    def _references(self, section: Section, slots: list[Instruction]) -> list[Reference]:
        relocations = self._elf.relocations(section)
        found = [self._reference(section, slots, relocation) for relocation in relocations]
        relocated = {reference.slot for reference in found}
        for slot, instruction in enumerate(slots):
            # A call within the section may come without a relocation: its distance is final.
            is_call = instruction.opcode == CALL and instruction.src == PSEUDO_CALL
            if is_call and slot not in relocated:
                target = (slot + 1 + instruction.imm) * INSTRUCTION_BYTES
                found.append(self._function_reference(section, slot, Place(section.number, target), True))
        return sorted(found, key=lambda reference: reference.slot)

    def _reference(self, section: Section, slots: list[Instruction], relocation: Relocation) -> Reference:
        slot, odd = divmod(relocation.offset, INSTRUCTION_BYTES)
        if odd or slot >= len(slots):
            raise self._broken(
                section, f"a relocation at byte {relocation.offset}, expected an instruction's begin"
            )
        symbol, instruction = self._elf.symbols[relocation.symbol], slots[slot]
        is_call = instruction.opcode == CALL
        if not is_call and (instruction.opcode != LD_IMM64 or slot + 1 >= len(slots)):
            raise self._broken(
                section,
                f"a relocation of instruction {slot} (opcode {instruction.opcode:#04x}) "
                f"for symbol {symbol.name}, expected a wide load or a call",
            )
        if symbol.section == 0:
            return self._extern_reference(slot, symbol, is_call)
        # What the compiler left in the instruction counts from the symbol; of a call, in slots.
        rest = (instruction.imm + 1) * INSTRUCTION_BYTES if is_call else instruction.imm
        place = Place(symbol.section, symbol.value + rest)
        if any(place.section == code.number for code in self._sections):
            return self._function_reference(section, slot, place, is_call)
        return self._data_reference(section, slot, symbol, place)

    def _extern_reference(self, slot: int, symbol: Symbol, is_call: bool) -> Reference:
        declared = self._targets.externs.get(symbol.name)
        return ExternReference(
            slot,
            symbol.name,
            is_call,
            weak=symbol.binding == Binding.WEAK,
            is_ksym=declared is not None,
            typeless=declared is not None and declared.typeless,
        )

    def _function_reference(self, section: Section, slot: int, place: Place, is_call: bool) -> Reference:
        name = self.name_at(place)
        if name is None:
            raise self._broken(
                section, f"instruction {slot} calls byte {place.offset}, expected a function's begin"
            )
        return FunctionReference(slot, name, is_call)

    def _data_reference(self, section: Section, slot: int, symbol: Symbol, place: Place) -> Reference:
        declared = self._targets.maps.get(place)
        if declared is not None:
            return MapReference(slot, declared)
        data = self._targets.data.get(place.section)
        if data is not None:
            return MapReference(slot, data, place.offset)
        known = place.section < len(self._elf.sections)
        where = self._elf.sections[place.section].name if known else f"number {place.section}"
        if where == "maps" or where.startswith("maps/"):
            raise UnsupportedConstructError(
                f"object {self._elf.path}: map {self._name_of_data(place)} is defined in the old section "
                f"'{where}', expected '.maps'",
                hint="declare it as a struct with __uint(type, …), __type(key, …), __type(value, …) in "
                'SEC(".maps")',
            )
        raise self._broken(
            section,
            f"instruction {slot} refers to {symbol.name or 'data'} in section {where}, "
            "expected a map, a global variable or a function",
        )

    def _name_of_data(self, place: Place) -> str:
        """Return the variable that begins at a place: relocations may name its section only."""
        here = (s.name for s in self._elf.symbols if Place(s.section, s.value) == place and s.name)
        return next(here, "of no name")

    def _broken(self, section: Section, found: str) -> FormatError:
        return FormatError(f"object {self._elf.path}, section {section.name}: {found}")


def _name_functions(elf: ElfFile, sections: Iterable[Section]) -> dict[Place, _FunctionSymbol]:
    """Return the functions by their place, each with a name of its own, in the order of the code.

    Static functions of several files linked into one may share a name.
    """
    numbers = {section.number: section for section in sections}
    symbols = [s for s in elf.symbols if s.type == SymbolType.FUNC and s.section in numbers]
    symbols.sort(key=lambda symbol: (symbol.section, symbol.value, symbol.binding == Binding.LOCAL))
    found: dict[Place, _FunctionSymbol] = {}
    taken: set[str] = set()
    for symbol in symbols:
        name = symbol.name if symbol.name not in taken else f"{symbol.name}@{symbol.number}"
        taken.add(name)
        found.setdefault(Place(symbol.section, symbol.value), _FunctionSymbol(symbol, name))
    return found

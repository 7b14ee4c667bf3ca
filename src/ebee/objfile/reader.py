"""An ELF object -> ObjectSpec."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import basename

from ebee.abi.bpf import F_MMAPABLE, F_RDONLY_PROG, MapType, ProgType
from ebee.btf import Btf, Kind
from ebee.btf import decode as decode_btf
from ebee.btf.ext import Ext, decode_ext
from ebee.btf.types import VarLinkage
from ebee.elf import ElfFile, Machine, Section, read_elf
from ebee.elf.reader import FileType, SectionFlag, SectionType, SymbolType
from ebee.errors import FormatError, SpecError
from ebee.objfile.code import Code, Place, Targets
from ebee.objfile.declared import SECTION, DeclaredMap, declared_maps
from ebee.objfile.externs import KCONFIG, declared_externs, kconfig_map, kconfig_variables, place_kconfig
from ebee.objfile.sections import section_meaning
from ebee.objfile.types import loadable_types
from ebee.source import SourceText
from ebee.spec import MapSpec, ObjectSpec, ProgramSpec, VariableSpec

_DATA_PREFIXES = (".data", ".rodata", ".bss")
_NAME_BYTES = 15
"""The longest name the kernel takes (BPF_OBJ_NAME_LEN less the terminating zero)."""


def read_object(data: bytes, path: str = "<bytes>", *, source: SourceText | None = None) -> ObjectSpec:
    """Return what an object file holds.

    Args:
        data: the whole file.
        path: what messages call it; its name up to the first dot becomes the object's.
        source: the text it was compiled from, for messages.

    Raises:
        FormatError: the bytes are not a whole BPF object.
        SpecError: what it declares contradicts itself.
    """
    return _Reader(data, path, source).read()


class _Reader:
    """One reading of one file, in steps that build on each other."""

    def __init__(self, data: bytes, path: str, source: SourceText | None) -> None:
        self._elf = read_elf(data, path)
        _check_machine(self._elf)
        name = basename(path).strip("<>").partition(".")[0] or "object"
        self._spec = ObjectSpec(name, byte_order=self._elf.byte_order, source=source)

    def read(self) -> ObjectSpec:
        spec = self._spec
        spec.license = self._text_of("license")
        spec.kernel_version = self._version()
        raw = self._raw_btf()
        ext = self._ext(raw)
        declared = self._declared_maps(raw)
        data = dict(self._data_maps(raw))
        spec.maps = {item.spec.name: item.spec for item in declared}
        spec.maps |= {item.name: item for item in data.values()}
        maps = self._elf.section(SECTION)
        places = {Place(maps.number, item.offset): item.spec.name for item in declared} if maps else {}
        data_names = {number: item.name for number, item in data.items()}
        code = Code(self._elf, ext, Targets(places, data_names, declared_externs(raw)))
        spec.functions = code.functions
        if raw is not None:
            spec.btf, spec.btf_data = loadable_types(raw, self._elf, code.hidden)
        spec.variables = dict(self._variables(data))
        self._take_kconfig()
        spec.programs = dict(self._programs(code))
        self._fill_slots(declared, code)
        return spec

    def _text_of(self, name: str) -> str:
        section = self._elf.section(name)
        if section is None:
            return ""
        return self._elf.data(section).partition(b"\0")[0].decode("utf-8", "replace")

    def _version(self) -> int:
        section = self._elf.section("version")
        if section is None:
            return 0
        return int.from_bytes(self._elf.data(section)[:4], self._elf.byte_order)

    def _raw_btf(self) -> Btf | None:
        section = self._elf.section(".BTF")
        return None if section is None else decode_btf(self._elf.data(section))

    def _ext(self, btf: Btf | None) -> Ext:
        section = self._elf.section(".BTF.ext")
        return Ext() if section is None or btf is None else decode_ext(self._elf.data(section), btf)

    def _declared_maps(self, btf: Btf | None) -> list[DeclaredMap]:
        section = self._elf.section(SECTION)
        if section is None:
            return []
        if btf is None:
            raise SpecError(
                f"object {self._elf.path}: maps are declared in {SECTION}, but there is no BTF of them",
                hint="compile with -g",
            )
        symbols = {s.name: s for s in self._elf.symbols if s.section == section.number}
        return list(declared_maps(btf, symbols.get, section.size_bytes))

    def _data_maps(self, btf: Btf | None) -> Iterator[tuple[int, MapSpec]]:
        for section in self._elf.sections:
            if section.size_bytes and _is_data(section):
                yield section.number, self._data_map(section, btf)

    def _data_map(self, section: Section, btf: Btf | None) -> MapSpec:
        type_id = 0 if btf is None else btf.find(section.name, Kind.DATASEC) or 0
        read_only = section.name.startswith(".rodata")
        # Static variables alone are nobody's business outside, so libbpf leaves such a map unmapped.
        is_shared = btf is not None and any(
            btf.type(entry.type_id).linkage != VarLinkage.STATIC for entry in btf.type(type_id).variables
        )
        return MapSpec(
            name=section.name,
            type=MapType.ARRAY,
            key_size_bytes=4,
            value_size_bytes=section.size_bytes,
            max_entries=1,
            flags=(F_RDONLY_PROG if read_only else 0) | (F_MMAPABLE if is_shared else 0),
            value_type_id=type_id,
            contents=self._elf.data(section),
            frozen=read_only,
            kernel_name=_data_map_name(self._spec.name, section.name),
        )

    def _variables(self, data: dict[int, MapSpec]) -> Iterator[tuple[str, VariableSpec]]:
        types = dict(_variable_types(self._spec.btf))
        for symbol in self._elf.symbols:
            home = data.get(symbol.section)
            if home is None or symbol.type != SymbolType.OBJECT:
                continue
            end = symbol.value + symbol.size_bytes
            if end > home.value_size_bytes:
                raise FormatError(
                    f"object {self._elf.path}: variable {symbol.name} ends at {end}, "
                    f"expected within {home.value_size_bytes} bytes of {home.name}"
                )
            type_id = types.get((home.name, symbol.name), 0)
            yield (
                symbol.name,
                VariableSpec(
                    name=symbol.name,
                    map=home,
                    offset_bytes=symbol.value,
                    size_bytes=symbol.size_bytes,
                    type_id=type_id,
                    btf=self._spec.btf if type_id else None,
                    read_only=home.frozen,
                ),
            )

    def _take_kconfig(self) -> None:
        """Add the map of `extern … __kconfig` values, which the loader fills, and aim code at it."""
        spec = self._spec
        home = kconfig_map(spec.btf, _data_map_name(spec.name, KCONFIG))
        if home is None or spec.btf is None:
            return
        spec.maps[KCONFIG] = home
        symbols = {symbol.name: symbol for symbol in self._elf.symbols if symbol.section == 0}
        variables = {item.name: item for item in kconfig_variables(spec.btf, home, symbols)}
        spec.variables |= variables
        for function in spec.functions.values():
            place_kconfig(function, variables)

    def _programs(self, code: Code) -> Iterator[tuple[str, ProgramSpec]]:
        for function in code.functions.values():
            if function.section == ".text" or function.name not in code.globals:
                continue
            meaning = section_meaning(function.section)
            if meaning is None:
                yield function.name, ProgramSpec(function.name, function.section, ProgType.UNSPEC, function)
                continue
            yield (
                function.name,
                ProgramSpec(
                    name=function.name,
                    section=function.section,
                    type=meaning.type,
                    function=function,
                    expected_attach_type=meaning.expected_attach_type,
                    attach_type_optional=meaning.attach_type_optional,
                    flags=meaning.flags,
                    attach_target=meaning.attach_target,
                    auto_attach=meaning.auto_attach,
                    autoload=meaning.autoload,
                ),
            )

    def _fill_slots(self, declared: list[DeclaredMap], code: Code) -> None:
        """Note which maps and programs the initialisers of `values` name."""
        section = self._elf.section(SECTION)
        if section is None:
            return
        names = {Place(section.number, item.offset): item.spec.name for item in declared}
        for relocation in self._elf.relocations(section):
            symbol = self._elf.symbols[relocation.symbol]
            home = next(
                (d for d in declared if d.offset <= relocation.offset < d.offset + d.size_bytes), None
            )
            if home is None or home.values_offset is None or relocation.offset < home.values_offset:
                raise FormatError(
                    f"object {self._elf.path}: a relocation at byte {relocation.offset} of {SECTION} "
                    f"for {symbol.name} lies in no map's values"
                )
            pointed = Place(symbol.section, symbol.value)
            target = names.get(pointed) or code.name_at(pointed)
            if target is None:
                raise FormatError(
                    f"object {self._elf.path}: map {home.spec.name} begins with {symbol.name or 'a place'}, "
                    "expected a map or a program"
                )
            home.spec.initial[(relocation.offset - home.values_offset) // 8] = target


def _check_machine(elf: ElfFile) -> None:
    if elf.machine != Machine.BPF:
        machine = Machine.NAMES.get(elf.machine, f"number {elf.machine}")
        raise FormatError(
            f"object {elf.path}: for machine {machine}, expected BPF",
            hint="compile it with `ebee compile`, or with clang's -target bpf",
        )
    if elf.type != FileType.RELOCATABLE:
        raise FormatError(f"object {elf.path}: ELF type {elf.type}, expected 1 (relocatable)")


def _is_data(section: Section) -> bool:
    """Whether a section holds global variables: .data, .rodata, .bss, and those followed by `.name`."""
    known = any(section.name == name or section.name.startswith(f"{name}.") for name in _DATA_PREFIXES)
    return known and bool(section.flags & SectionFlag.ALLOC) and section.type in _LOADED


_LOADED = (SectionType.PROGBITS, SectionType.NOBITS)


def _data_map_name(object_name: str, section_name: str) -> str:
    """Return the kernel's name for a data section: `hello.bss`; custom sections as they are.

    Eight characters of the object's name are what libbpf leaves beside `.rodata`; the same names
    let other tools find the same maps.
    """
    if "." in section_name[1:]:
        name = section_name
    else:
        name = object_name[: _NAME_BYTES - max(7, len(section_name))] + section_name
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in name)[:_NAME_BYTES]


def _variable_types(btf: Btf | None) -> Iterator[tuple[tuple[str, str], int]]:
    """Go through (section, variable) and the variable's type."""
    if btf is None:
        return
    for _, found in btf:
        if found.kind is Kind.DATASEC:
            for entry in found.variables:
                variable = btf.type(entry.type_id)
                yield (found.name, variable.name), variable.type_id

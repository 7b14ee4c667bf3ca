"""What an object leaves to the kernel: `extern … __ksym` and `extern … __kconfig`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ebee.abi.bpf import F_MMAPABLE, F_RDONLY_PROG, MapType
from ebee.btf import Btf, Kind
from ebee.elf import Symbol
from ebee.elf.reader import Binding
from ebee.record import NamedTuple
from ebee.spec import Function, MapReference, MapSpec, VariableSpec
from ebee.spec.programs import ExternReference

KCONFIG = ".kconfig"
KSYMS = ".ksyms"


class Extern(NamedTuple):
    """A declaration of something that is not in the object.

    Attributes:
        section: `.ksyms` or `.kconfig`.
        typeless: `extern void name __ksym`: only its address is asked for.
    """

    section: str
    typeless: bool


def declared_externs(btf: Btf | None) -> dict[str, Extern]:
    """Return what is declared to be the kernel's, by name; other externs are another object's."""
    found: dict[str, Extern] = {}
    if btf is None:
        return found
    for section in (KSYMS, KCONFIG):
        section_id = btf.find(section, Kind.DATASEC)
        for entry in () if section_id is None else btf.type(section_id).variables:
            item = btf.type(entry.type_id)
            found[item.name] = Extern(section, item.kind is Kind.VAR and _is_void(btf, item.type_id))
    return found


def _is_void(btf: Btf, type_id: int) -> bool:
    return btf.resolve(type_id)[0] == 0


def kconfig_map(btf: Btf | None, kernel_name: str) -> MapSpec | None:
    """Return the map that the values of `.kconfig` lie in; None where the object asks for none.

    Args:
        btf: the object's types as the kernel takes them, with the section's layout.
    """
    section_id = None if btf is None else btf.find(KCONFIG, Kind.DATASEC)
    if btf is None or section_id is None or not btf.type(section_id).size_bytes:
        return None
    size_bytes = btf.type(section_id).size_bytes
    return MapSpec(
        name=KCONFIG,
        type=MapType.ARRAY,
        key_size_bytes=4,
        value_size_bytes=size_bytes,
        max_entries=1,
        flags=F_RDONLY_PROG | F_MMAPABLE,
        value_type_id=section_id,
        contents=bytes(size_bytes),
        frozen=True,
        kernel_name=kernel_name,
    )


def kconfig_variables(btf: Btf, home: MapSpec, symbols: Mapping[str, Symbol]) -> Iterator[VariableSpec]:
    """Go through the values that `.kconfig` asks for.

    Args:
        home: their map.
        symbols: the object's externs by name.
    """
    for entry in btf.type(home.value_type_id).variables:
        variable = btf.type(entry.type_id)
        symbol = symbols.get(variable.name)
        yield VariableSpec(
            name=variable.name,
            map=home,
            offset_bytes=entry.offset_bytes,
            size_bytes=entry.size_bytes,
            type_id=variable.type_id,
            btf=btf,
            read_only=True,
            from_kernel=True,
            optional=symbol is not None and symbol.binding == Binding.WEAK,
        )


def place_kconfig(function: Function, variables: Mapping[str, VariableSpec]) -> None:
    """Turn a function's references to values of `.kconfig` into references to their map."""
    for index, reference in enumerate(function.references):
        if isinstance(reference, ExternReference) and reference.name in variables and not reference.is_call:
            place = variables[reference.name].offset_bytes
            function.references[index] = MapReference(reference.slot, KCONFIG, place)

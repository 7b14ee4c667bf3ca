"""Maps declared in `.maps`, in the way of BTF: a struct whose members' types carry the numbers.

struct {
    __uint(type, BPF_MAP_TYPE_HASH);    int (*type)[1]: the number is the array's length
    __type(key, __u32);                 __u32 *key: the type is what the pointer points to
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __array(values, struct inner);      struct inner *values[]: maps or programs in its slots
} name SEC(".maps");
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ebee.abi.bpf import MapType
from ebee.btf import Btf, Kind
from ebee.btf.types import Member, VarLinkage
from ebee.elf import Symbol
from ebee.errors import FormatError, SpecError
from ebee.record import NamedTuple
from ebee.spec import MapSpec, Pinning
from ebee.text import did_you_mean

SECTION = ".maps"
_POINTER_BYTES = 8
_MAPS_OF_MAPS = frozenset((MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS))

# Members that hold one number, and the attribute of MapSpec it becomes.
_NUMBERS = {
    "type": "type",
    "max_entries": "max_entries",
    "map_flags": "flags",
    "numa_node": "numa_node",
    "key_size": "key_size_bytes",
    "value_size": "value_size_bytes",
    "map_extra": "map_extra",
    "pinning": "pinning",
}


class DeclaredMap(NamedTuple):
    """A map's spec and where its variable lies in `.maps`.

    Attributes:
        offset: of the variable in the section, in bytes.
        values_offset: of its first slot (member `values`); None where it declares none.
    """

    spec: MapSpec
    offset: int
    size_bytes: int
    values_offset: int | None


def declared_maps(
    btf: Btf, symbol_of: Callable[[str], Symbol | None], section_bytes: int
) -> Iterator[DeclaredMap]:
    """Go through the maps that `.maps` declares.

    Args:
        btf: the object's types.
        symbol_of: the symbol of a variable of the section.
        section_bytes: the section's size.

    Raises:
        FormatError: the section and its types do not fit together.
        SpecError: a declaration is wrong; names the map and the member.
    """
    section_id = btf.find(SECTION, Kind.DATASEC)
    if section_id is None:
        if section_bytes:
            raise FormatError(f"section {SECTION}: {section_bytes} bytes, but BTF does not describe it")
        return
    for entry in btf.type(section_id).variables:
        variable = btf.type(entry.type_id)
        symbol = symbol_of(variable.name)
        if variable.kind is not Kind.VAR or symbol is None:
            raise FormatError(f"section {SECTION}: {variable.name or 'a type'} is no variable of it")
        if variable.linkage == VarLinkage.GLOBAL_EXTERN:
            raise SpecError(
                f"map {variable.name}: declared extern, expected its definition in this object",
                hint="link the object that defines it into this one",
            )
        # Not the type's size: that of a struct with initialised `values` leaves them out.
        end = symbol.value + symbol.size_bytes
        if end > section_bytes:
            raise FormatError(f"map {variable.name}: ends at {end}, expected within {section_bytes} bytes")
        spec, values = _read_map(btf, variable.name, variable.type_id, inner=False)
        values_offset = None if values is None else symbol.value + values
        yield DeclaredMap(spec, symbol.value, symbol.size_bytes, values_offset)


def _read_map(btf: Btf, name: str, type_id: int, *, inner: bool) -> tuple[MapSpec, int | None]:
    _, struct = btf.resolve(type_id)
    if struct.kind is not Kind.STRUCT:
        raise SpecError(f"map {name}: declared as {struct.kind.name.lower()}, expected a struct")
    spec = MapSpec(name, MapType.UNSPEC)
    values_offset = None
    for member in struct.members:
        if member.name in _NUMBERS:
            setattr(spec, _NUMBERS[member.name], _number(btf, name, member))
    _name_numbers(spec)
    for member in struct.members:
        if member.name in _NUMBERS:
            continue
        if member.name in ("key", "value"):
            _take_type(btf, spec, member)
        elif member.name == "values":
            values_offset = member.bit_offset // 8
            _take_values(btf, spec, member, inner=inner)
        else:
            raise SpecError(
                f"map {name}: member '{member.name}' is not known",
                hint=did_you_mean(member.name, [*_NUMBERS, "key", "value", "values"])
                or f"members are {', '.join(_NUMBERS)}, key, value, values",
            )
    _dictate_sizes(spec)
    return spec, values_offset


def _number(btf: Btf, name: str, member: Member) -> int:
    """Return the number a member's type carries: an array's length, or a __ulong's enumerator."""
    _, pointed = btf.resolve(member.type_id)
    if pointed.kind is Kind.PTR:
        _, array = btf.resolve(pointed.type_id)
        if array.kind is Kind.ARRAY:
            return array.length
    if pointed.kind in (Kind.ENUM, Kind.ENUM64) and pointed.enumerators:
        return pointed.enumerators[0].value
    raise SpecError(
        f"map {name}: member '{member.name}' carries no number",
        hint=f"write __uint({member.name}, NUMBER)",
    )


def _take_type(btf: Btf, spec: MapSpec, member: Member) -> None:
    """Set the key's or value's type and size from what the member points to."""
    _, pointer = btf.resolve(member.type_id)
    if pointer.kind is not Kind.PTR:
        raise SpecError(
            f"map {spec.name}: member '{member.name}' is no pointer",
            hint=f"write __type({member.name}, TYPE)",
        )
    size_bytes = btf.size_bytes(pointer.type_id)
    said = spec.key_size_bytes if member.name == "key" else spec.value_size_bytes
    if said and said != size_bytes:
        raise SpecError(
            f"map {spec.name}: {member.name}_size is {said}, but its type has {size_bytes} bytes",
            hint=f"leave {member.name}_size out",
        )
    if member.name == "key":
        spec.key_type_id, spec.key_size_bytes = pointer.type_id, size_bytes
    else:
        spec.value_type_id, spec.value_size_bytes = pointer.type_id, size_bytes


def _take_values(btf: Btf, spec: MapSpec, member: Member, *, inner: bool) -> None:
    """Read what the slots of a map of maps, or of a program array, are declared to hold."""
    _, array = btf.resolve(member.type_id)
    _, pointer = btf.resolve(array.type_id) if array.kind is Kind.ARRAY else (0, array)
    if pointer.kind is not Kind.PTR:
        raise SpecError(
            f"map {spec.name}: 'values' is no array of pointers", hint="write __array(values, TYPE)"
        )
    _, pointed = btf.resolve(pointer.type_id)
    spec.value_size_bytes = 4
    if spec.type == MapType.PROG_ARRAY:
        if pointed.kind is not Kind.FUNC_PROTO:
            raise SpecError(
                f"map {spec.name}: 'values' of a program array are no functions",
                hint="write __array(values, int (void *))",
            )
    elif spec.type not in _MAPS_OF_MAPS:
        raise SpecError(
            f"map {spec.name}: 'values' in a map of type {spec.type.name}, "
            "expected ARRAY_OF_MAPS, HASH_OF_MAPS or PROG_ARRAY"
        )
    elif inner:
        raise SpecError(f"map {spec.name}: maps of maps of maps, expected one level")
    else:
        spec.inner, _ = _read_map(btf, f"{spec.name}.inner", pointer.type_id, inner=True)


def _name_numbers(spec: MapSpec) -> None:
    """Turn the numbers into what they name, and refuse what no kernel takes."""
    try:
        spec.type = MapType(spec.type)
    except ValueError:
        raise SpecError(f"map {spec.name}: type {spec.type} is not known") from None
    if spec.type is MapType.UNSPEC:
        raise SpecError(f"map {spec.name}: no type", hint="write __uint(type, BPF_MAP_TYPE_…)")
    try:
        spec.pinning = Pinning(spec.pinning)
    except ValueError:
        raise SpecError(f"map {spec.name}: pinning {int(spec.pinning)}, expected 0 or 1") from None


def _dictate_sizes(spec: MapSpec) -> None:
    """Set the sizes that the kernel dictates, so that leaving them out is no mistake."""
    if spec.type in _OF_RECORDS:
        # A type told of a buffer is that of its records; the kernel wants the buffer's own sizes.
        spec.key_size_bytes = spec.value_size_bytes = 0
    spec.key_size_bytes = spec.key_size_bytes or _KEY_BYTES.get(spec.type, 0)
    spec.value_size_bytes = spec.value_size_bytes or _VALUE_BYTES.get(spec.type, 0)


_OF_RECORDS = frozenset((MapType.RINGBUF, MapType.USER_RINGBUF, MapType.PERF_EVENT_ARRAY))
_DESCRIPTORS = (MapType.PERF_EVENT_ARRAY, MapType.PROG_ARRAY, MapType.CGROUP_ARRAY)
_KEY_BYTES = dict.fromkeys((*_DESCRIPTORS, MapType.ARRAY_OF_MAPS), 4)
_VALUE_BYTES = dict.fromkeys((*_DESCRIPTORS, *_MAPS_OF_MAPS), 4)

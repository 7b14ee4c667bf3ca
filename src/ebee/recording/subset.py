"""Those of the kernel's types that a program depends on: few of 130,000, so that a recording can hold them.

Offsets that CO-RE fills in must be those of the kernel whose memory was recorded, wherever the program runs
later. Structs are whole, with all that lies within them; what pointers point at is left out, because no
relocation follows one.
"""

from __future__ import annotations

from collections.abc import Iterable

from ebee.abi.bpf import ProgType
from ebee.btf import Btf, Kind
from ebee.btf.compatible import essential_name
from ebee.btf.encode import encode
from ebee.btf.types import Type
from ebee.spec import ObjectSpec, ProgramSpec

_NAMED_BY_RELOCATIONS = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF)
_WRAPPERS = (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)


def needed_types(spec: ObjectSpec, types: Btf | None) -> bytes:
    """Return the types that an object needs of a kernel, as a BTF section; empty where it needs none.

    Args:
        types: the kernel's.
    """
    names = set(_named_by_relocations(spec))
    hooks = {name for program in spec.programs.values() if (name := _tracepoint(program))}
    if types is None or not names | hooks:
        return b""
    subset = _Subset(types)
    for name in sorted(names):
        for type_id in types.find_all(name):
            if types.type(type_id).kind in _NAMED_BY_RELOCATIONS:
                subset.add(type_id)
    for name in sorted(hooks):
        subset.add_hook(name)
    return encode(subset.types, byte_order=types.byte_order)


def _tracepoint(program: ProgramSpec) -> str:
    """Return the raw tracepoint of a program; its arguments are typed whether the program asks or not."""
    if program.type is ProgType.RAW_TRACEPOINT and program.auto_attach is not None:
        return program.auto_attach.target
    return program.attach_target if program.type is ProgType.TRACING else ""


def _named_by_relocations(spec: ObjectSpec) -> Iterable[str]:
    if spec.btf is None:
        return
    for function in spec.functions.values():
        for entry in function.core_relocations:
            name = spec.btf.type(entry.type_id).name or spec.btf.resolve(entry.type_id)[1].name
            if name:
                yield essential_name(name)


class _Subset:
    """Types that were taken, with new ids in the order they were added."""

    def __init__(self, types: Btf) -> None:
        self.types: list[Type] = []
        self._whole = types
        self._ids: dict[int, int] = {0: 0}
        self._pointer = 0

    def add(self, type_id: int) -> int:
        """Take a type and all that lies within it; returns its new id."""
        if type_id in self._ids:
            return self._ids[type_id]
        found = self._whole.type(type_id)
        if found.kind is Kind.PTR:
            self._pointer = self._pointer or self._append(Type(Kind.PTR))
            self._ids[type_id] = self._pointer
            return self._pointer
        new_id = self._ids[type_id] = self._append(found)
        self.types[new_id - 1] = self._within(found)
        return new_id

    def add_hook(self, name: str) -> None:
        """Take what a raw tracepoint's arguments are typed by, and the structs they point at."""
        type_id = self._whole.find(f"btf_trace_{name}", Kind.TYPEDEF)
        if type_id is None:  # of a module, whose types are elsewhere: that it is there must do
            self._append(Type(Kind.TYPEDEF, f"btf_trace_{name}", type_id=self._append(Type(Kind.PTR))))
            return
        pointer = self._whole.resolve(type_id)[1]
        prototype = self._whole.resolve(pointer.type_id)[1]
        parameters = tuple(p._replace(type_id=self._parameter(p.type_id)) for p in prototype.parameters)
        new_prototype = self._append(prototype._replace(type_id=0, parameters=parameters))
        new_pointer = self._append(Type(Kind.PTR, type_id=new_prototype))
        self._append(Type(Kind.TYPEDEF, f"btf_trace_{name}", type_id=new_pointer))

    def _parameter(self, type_id: int) -> int:
        _, found = self._whole.resolve(type_id)
        if found.kind is not Kind.PTR:
            return self.add(type_id)
        target_id, target = self._whole.resolve(found.type_id)
        is_struct = target.kind in (Kind.STRUCT, Kind.UNION)
        return self._append(Type(Kind.PTR, type_id=self.add(target_id) if is_struct else 0))

    def _append(self, added: Type) -> int:
        self.types.append(added)
        return len(self.types)

    def _within(self, found: Type) -> Type:
        if found.kind in (Kind.STRUCT, Kind.UNION):
            return found._replace(
                members=tuple(m._replace(type_id=self.add(m.type_id)) for m in found.members)
            )
        if found.kind is Kind.ARRAY:
            return found._replace(
                type_id=self.add(found.type_id), index_type_id=self.add(found.index_type_id)
            )
        if found.kind in _WRAPPERS:
            return found._replace(type_id=self.add(found.type_id))
        return found

"""BTF made in memory, type by type."""

from __future__ import annotations

from ebee.btf import Btf, Kind, Type, decode
from ebee.btf.encode import encode
from ebee.btf.types import ByteOrder, Enumerator, IntEncoding, Member, Parameter


class Builder:
    """Types in the order of their ids; every method returns the id of what it added."""

    def __init__(self) -> None:
        self.types: list[Type] = []

    def add(self, added: Type) -> int:
        self.types.append(added)
        return len(self.types)

    def integer(self, name: str, size_bytes: int, *, signed: bool = False) -> int:
        encoding = IntEncoding.SIGNED if signed else 0
        return self.add(Type(Kind.INT, name, size_bytes, encoding=encoding, bit_size=8 * size_bytes))

    def boolean(self) -> int:
        return self.add(Type(Kind.INT, "_Bool", 1, encoding=IntEncoding.BOOL, bit_size=8))

    def char(self) -> int:
        return self.integer("char", 1, signed=True)

    def floating(self, name: str, size_bytes: int) -> int:
        return self.add(Type(Kind.FLOAT, name, size_bytes))

    def pointer(self, type_id: int = 0) -> int:
        return self.add(Type(Kind.PTR, type_id=type_id))

    def typedef(self, name: str, type_id: int) -> int:
        return self.add(Type(Kind.TYPEDEF, name, type_id=type_id))

    def const(self, type_id: int) -> int:
        return self.add(Type(Kind.CONST, type_id=type_id))

    def forward(self, name: str, *, union: bool = False) -> int:
        return self.add(Type(Kind.FWD, name, flag=union))

    def array(self, type_id: int, length: int) -> int:
        return self.add(Type(Kind.ARRAY, type_id=type_id, index_type_id=type_id, length=length))

    def struct(self, name: str, size_bytes: int, *members: Member, kind: Kind = Kind.STRUCT) -> int:
        flag = any(member.bit_size for member in members)
        return self.add(Type(kind, name, size_bytes, flag=flag, members=members))

    def union(self, name: str, size_bytes: int, *members: Member) -> int:
        return self.struct(name, size_bytes, *members, kind=Kind.UNION)

    def enum(self, name: str, size_bytes: int = 4, *, wide: bool = False, **values: int) -> int:
        signed = any(value < 0 for value in values.values())
        enumerators = tuple(Enumerator(*item) for item in values.items())
        kind = Kind.ENUM64 if wide else Kind.ENUM
        return self.add(Type(kind, name, size_bytes, flag=signed, enumerators=enumerators))

    def prototype(self, result_id: int, *parameter_ids: int) -> int:
        parameters = tuple(Parameter("", type_id) for type_id in parameter_ids)
        return self.add(Type(Kind.FUNC_PROTO, type_id=result_id, parameters=parameters))

    def btf(self, byte_order: ByteOrder = "little") -> Btf:
        return decode(encode(self.types, byte_order=byte_order))

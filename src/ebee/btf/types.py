"""The kinds of BTF types, and one record for a type of any kind.

One record with a field for every kind's facts (and zero where a kind has none) keeps decoding and
matching plain: BTF's own wire format is a common header and a tail that depends on the kind.
"""

from __future__ import annotations

from enum import IntEnum

from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

ByteOrder: TypeAlias = 'Literal["little", "big"]'


class Kind(IntEnum):
    """What a type is. The kernel's names are BTF_KIND_INT and so on."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


class IntEncoding:
    """How an INT reads: bits of its encoding (BTF_INT_SIGNED and so on)."""

    SIGNED = 1
    CHAR = 2
    BOOL = 4


class FuncLinkage:
    """Linkage of a FUNC (BTF_FUNC_STATIC and so on)."""

    STATIC = 0
    GLOBAL = 1
    EXTERN = 2


class VarLinkage:
    """Linkage of a VAR (BTF_VAR_STATIC and so on)."""

    STATIC = 0
    GLOBAL_ALLOCATED = 1
    GLOBAL_EXTERN = 2


class Member(NamedTuple):
    """A field of a struct or union; `bit_size` is 0 unless it is a bit field."""

    name: str
    type_id: int
    bit_offset: int
    bit_size: int = 0


class Enumerator(NamedTuple):
    """A name and its value."""

    name: str
    value: int


class Parameter(NamedTuple):
    """A parameter of a FUNC_PROTO; a last one without name and type means `...`."""

    name: str
    type_id: int


class SectionVariable(NamedTuple):
    """Where a VAR lies in its DATASEC, in bytes."""

    type_id: int
    offset_bytes: int
    size_bytes: int


Items = tuple[Member, ...] | tuple[Enumerator, ...] | tuple[Parameter, ...] | tuple[SectionVariable, ...]


class Type(NamedTuple):
    """A BTF type of any kind.

    Attributes:
        kind: what it is.
        name: empty where it has none.
        size_bytes: of INT, FLOAT, STRUCT, UNION, ENUM, ENUM64 and DATASEC.
        type_id: what it refers to: PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG, VAR, DECL_TAG,
            the prototype of a FUNC, the result of a FUNC_PROTO, the element of an ARRAY.
        flag: the kind flag: bit fields in a STRUCT or UNION, a union's FWD, a signed ENUM or ENUM64.
        encoding: IntEncoding bits of an INT.
        bit_size: of an INT, as a rule 8 * size_bytes.
        bit_offset: of an INT; zero in all that compilers write.
        length: elements of an ARRAY.
        index_type_id: the type of an ARRAY's index.
        linkage: of a FUNC (FuncLinkage) or VAR (VarLinkage).
        component: of a DECL_TAG: which member or parameter, -1 for the whole.
        members, enumerators, parameters, variables: the tail of a STRUCT or UNION, an ENUM or
            ENUM64, a FUNC_PROTO, a DATASEC.
    """

    kind: Kind
    name: str = ""
    size_bytes: int = 0
    type_id: int = 0
    flag: bool = False
    encoding: int = 0
    bit_size: int = 0
    bit_offset: int = 0
    length: int = 0
    index_type_id: int = 0
    linkage: int = 0
    component: int = 0
    members: tuple[Member, ...] = ()
    enumerators: tuple[Enumerator, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    variables: tuple[SectionVariable, ...] = ()


VOID = Type(Kind.VOID, "void")

MODIFIERS = frozenset((Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG))
"""Kinds that stand before a type without changing what its bytes are."""

"""For any types and any bytes: what goes in comes out, or an error says why not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.btf import Kind, Type, decode
from ebee.btf.core import CoreKind, Matcher
from ebee.btf.encode import complete_datasecs, encode
from ebee.btf.ext import CoreRelocation
from ebee.btf.types import Enumerator, Member, Parameter, SectionVariable
from ebee.btf.values import codec_of, decode_value, encode_value
from ebee.errors import EbeeError, FormatError, RelocationError, SpecError
from tests.unit.btf.builder import Builder

VMLINUX = Path("/sys/kernel/btf/vmlinux")

U8, U16, U24, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 24, 32))
NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), max_size=6)
IDS = st.integers(0, 12)
REFERENCES = (Kind.PTR, Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)


def tuples(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.tuples(*parts), max_size=4).map(tuple)


@st.composite
def composites(draw: st.DrawFn) -> Type:
    kind, flag = draw(st.sampled_from((Kind.STRUCT, Kind.UNION))), draw(st.booleans())
    rows = draw(tuples(NAMES, IDS, U24 if flag else U32, U8 if flag else st.just(0)))
    return Type(kind, draw(NAMES), draw(U32), flag=flag, members=tuple(Member(*row) for row in rows))


@st.composite
def enums(draw: st.DrawFn) -> Type:
    kind, flag = draw(st.sampled_from((Kind.ENUM, Kind.ENUM64))), draw(st.booleans())
    bits = 32 if kind is Kind.ENUM else 64
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if flag else (0, (1 << bits) - 1)
    rows = draw(tuples(NAMES, st.integers(low, high)))
    return Type(kind, draw(NAMES), draw(U32), flag=flag, enumerators=tuple(Enumerator(*row) for row in rows))


TYPES = st.one_of(
    st.builds(
        lambda name, size, encoding, offset, bits: Type(
            Kind.INT, name, size, encoding=encoding, bit_offset=offset, bit_size=bits
        ),
        NAMES,
        U32,
        st.integers(0, 15),
        U8,
        U8,
    ),
    st.builds(lambda kind, name, to: Type(kind, name, type_id=to), st.sampled_from(REFERENCES), NAMES, IDS),
    st.builds(lambda e, i, n: Type(Kind.ARRAY, type_id=e, index_type_id=i, length=n), IDS, IDS, U32),
    composites(),
    enums(),
    st.builds(lambda name, flag: Type(Kind.FWD, name, flag=flag), NAMES, st.booleans()),
    st.builds(lambda name, to, link: Type(Kind.FUNC, name, type_id=to, linkage=link), NAMES, IDS, U16),
    st.builds(lambda name, to, link: Type(Kind.VAR, name, type_id=to, linkage=link), NAMES, IDS, U32),
    st.builds(lambda name, size: Type(Kind.FLOAT, name, size), NAMES, U32),
    st.builds(
        lambda name, to, part: Type(Kind.DECL_TAG, name, type_id=to, component=part),
        NAMES,
        IDS,
        st.integers(-1, (1 << 31) - 1),
    ),
    st.builds(
        lambda to, rows: Type(Kind.FUNC_PROTO, type_id=to, parameters=tuple(Parameter(*row) for row in rows)),
        IDS,
        tuples(NAMES, IDS),
    ),
    st.builds(
        lambda name, size, rows: Type(
            Kind.DATASEC, name, size, variables=tuple(SectionVariable(*row) for row in rows)
        ),
        NAMES,
        U32,
        tuples(IDS, U32, U32),
    ),
)


@given(st.lists(TYPES, max_size=12), st.sampled_from(("little", "big")))
def test_decoding_what_was_encoded_gives_the_types(types: list[Type], order: Any) -> None:
    assert [found for _, found in decode(encode(types, byte_order=order))] == types


@given(st.lists(TYPES, max_size=12), st.binary(max_size=40))
def test_any_types_decode_any_bytes_or_say_why_not(types: list[Type], data: bytes) -> None:
    btf = decode(encode(types))
    for type_id in range(len(btf)):
        with suppress(FormatError, SpecError):
            value = decode_value(btf, type_id, data[: codec_of(btf, type_id).size_bytes])
            encode_value(btf, type_id, value)


@given(st.lists(TYPES, max_size=12), st.dictionaries(NAMES, U16, max_size=2))
def test_any_types_are_completed_or_say_why_not(types: list[Type], sizes: dict[str, int]) -> None:
    try:
        completed = decode(complete_datasecs(decode(encode(types)), sizes, {}))
    except EbeeError:
        return
    assert len(completed) > len(types)


RELOCATIONS = st.builds(
    CoreRelocation,
    st.just(0),
    st.integers(0, 13),
    st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda path: ":".join(map(str, path))),
    st.integers(0, 13),
)
FEW_NAMES = st.sampled_from(("", "a", "b", "a___x"))


@given(
    st.lists(TYPES, min_size=1, max_size=12), st.lists(TYPES, max_size=12), st.lists(RELOCATIONS), st.data()
)
def test_any_types_match_any_others_or_say_why_not(
    local: list[Type], target: list[Type], relocations: list[CoreRelocation], data: st.DataObject
) -> None:
    local, target = (
        [found._replace(name=data.draw(FEW_NAMES)) for found in types] for types in (local, target)
    )
    matcher = Matcher(decode(encode(local)), [decode(encode(target))])
    for relocation in relocations:
        try:
            answer = matcher.resolve(relocation)
        except (FormatError, RelocationError):
            continue
        assert not answer.poison or answer.poison.startswith(answer.what)


def small_object() -> bytes:
    types = Builder()
    u32 = types.integer("u32", 4)
    inner = types.union("", 4, Member("a", u32, 0), Member("b", types.array(u32, 1), 0))
    types.struct("s", 12, Member("x", u32, 0), Member("", inner, 32), Member("p", types.pointer(5), 64))
    types.enum("e", A=1, B=2)
    types.prototype(u32, types.typedef("t", 5))
    return encode(types.types)


SMALL = small_object()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), U8), max_size=6), st.lists(RELOCATIONS, max_size=8))
def test_corrupted_types_give_an_answer_or_an_error(
    changes: list[tuple[int, int]], relocations: list[CoreRelocation]
) -> None:
    broken = bytearray(SMALL)
    for place, value in changes:
        broken[place] = value
    try:
        matcher = Matcher(decode(SMALL), [decode(bytes(broken))])
        other = Matcher(decode(bytes(broken)), [decode(SMALL)])
    except FormatError:
        return
    for relocation in relocations:
        for each in (matcher, other):
            with suppress(FormatError, RelocationError):
                each.resolve(relocation)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Builder, int, int]:
    """A struct of ints, bit fields, text and arrays without gaps in what it names, and its size."""
    types, members, place = Builder(), list[Member](), 0
    char = types.char()
    for index in range(draw(st.integers(1, 6))):
        size = draw(st.sampled_from((1, 2, 4, 8)))
        number = types.integer(f"i{size}", size, signed=draw(st.booleans()))
        bits = draw(st.integers(0, 8 * size))
        shape = draw(st.sampled_from(("int", "bits", "array", "text")))
        if shape == "array":
            members.append(Member(f"m{index}", types.array(number, 3), place))
            size *= 3
        elif shape == "text":
            members.append(Member(f"m{index}", types.array(char, 5), place))
            size = 5
        else:
            members.append(Member(f"m{index}", number, place, bits if shape == "bits" else 0))
        place += 8 * size
    type_id = types.struct("s", place // 8, *members)
    return types, type_id, place // 8


@given(layouts(), st.sampled_from(("little", "big")), st.data())
def test_values_that_were_encoded_decode_to_themselves(
    layout: tuple[Builder, int, int], order: Any, data: st.DataObject
) -> None:
    types, type_id, size = layout
    btf = types.btf(order)
    value = decode_value(btf, type_id, data.draw(st.binary(min_size=size, max_size=size)))
    assert decode_value(btf, type_id, encode_value(btf, type_id, value)) == value


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel shows no BTF at /sys/kernel/btf/vmlinux")
def test_the_kernels_own_types_are_encoded_to_the_same_bytes() -> None:
    raw = VMLINUX.read_bytes()
    btf = decode(raw)
    assert encode((found for _, found in btf), strings=btf.strings, byte_order=btf.byte_order) == raw


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel shows no BTF at /sys/kernel/btf/vmlinux")
def test_every_struct_of_the_kernel_has_a_codec_whose_values_come_back() -> None:
    btf = decode(VMLINUX.read_bytes())
    structs = [type_id for type_id, found in btf if found.kind in (Kind.STRUCT, Kind.UNION)][::23]
    for type_id in structs:
        size = codec_of(btf, type_id).size_bytes
        if size < 4096:
            value = decode_value(btf, type_id, bytes(range(256)) * (size // 256) + bytes(range(size % 256)))
            assert repr(decode_value(btf, type_id, encode_value(btf, type_id, value))) == repr(value)


def test_core_kinds_are_the_thirteen_of_the_kernel() -> None:
    assert [kind.value for kind in CoreKind] == list(range(13))

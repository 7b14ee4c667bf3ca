"""Bytes and Python values of BTF types."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from ebee.btf import Kind, Type
from ebee.btf.types import Member, SectionVariable
from ebee.btf.values import StructValue, decode_value, encode_value
from ebee.errors import FormatError, SpecError
from tests.unit.btf.builder import Builder


def event() -> tuple[Builder, int]:
    """struct event { u32 pid; char comm[16]; u16 ports[2]; }"""
    types = Builder()
    u32, char, u16 = types.integer("u32", 4), types.char(), types.integer("u16", 2)
    comm, ports = types.array(char, 16), types.array(u16, 2)
    members = Member("pid", u32, 0), Member("comm", comm, 32), Member("ports", ports, 160)
    return types, types.struct("event", 24, *members)


@pytest.mark.parametrize(
    ("size", "signed", "data", "value"),
    [
        (1, True, "ff", -1),
        (2, False, "0102", 0x201),
        (4, True, "feffffff", -2),
        (8, False, "ffffffffffffffff", (1 << 64) - 1),
        (16, True, "00" * 15 + "80", -(1 << 127)),
        (16, False, "01" + "00" * 14 + "80", (1 << 127) + 1),
        (3, False, "010203", 0x030201),
    ],
)
def test_integers_of_every_size_go_both_ways(size: int, signed: bool, data: str, value: int) -> None:
    types = Builder()
    type_id = types.integer("int", size, signed=signed)
    btf = types.btf()
    assert decode_value(btf, type_id, bytes.fromhex(data)) == value
    assert encode_value(btf, type_id, value).hex() == data


def test_big_endian_types_read_big_endian_bytes() -> None:
    types = Builder()
    type_id = types.integer("u32", 4)
    assert decode_value(types.btf("big"), type_id, b"\0\0\1\2") == 0x102


def test_bool_float_pointer_and_enum_have_their_python_types() -> None:
    types = Builder()
    ids = types.boolean(), types.floating("double", 8), types.pointer(), types.enum("e", A=-1, B=2)
    btf = types.btf()
    values = [True, 1.5, 0xFFFF_8880_0000_0000, -1]
    for type_id, value in zip(ids, values, strict=True):
        decoded = decode_value(btf, type_id, encode_value(btf, type_id, value))
        assert (decoded, type(decoded)) == (value, type(value))


def test_an_enum_takes_the_name_of_an_enumerator() -> None:
    types = Builder()
    type_id = types.enum("mode", OFF=0, ON=7)
    assert encode_value(types.btf(), type_id, "ON") == b"\7\0\0\0"
    with pytest.raises(SpecError) as caught:
        encode_value(types.btf(), type_id, "ONN")
    assert str(caught.value) == "mode: enum mode has no 'ONN'"
    assert caught.value.hint == "did you mean 'ON'?"


def test_a_struct_of_ints_arrays_and_text_goes_both_ways() -> None:
    types, type_id = event()
    btf = types.btf()
    data = encode_value(btf, type_id, {"pid": 7, "comm": "bash", "ports": [1, 2]})
    assert data == b"\7\0\0\0bash" + bytes(12) + b"\1\0\2\0"
    value = decode_value(btf, type_id, data)
    assert repr(value) == "StructValue(pid=7, comm='bash', ports=[1, 2])"
    assert (value.pid, value["comm"]) == (7, "bash")


def test_text_that_is_not_utf8_comes_back_byte_by_byte() -> None:
    types, type_id = event()
    btf = types.btf()
    data = encode_value(btf, type_id, {"comm": b"\xff\xfe\x80"})
    assert encode_value(btf, type_id, decode_value(btf, type_id, data)) == data


class Point(NamedTuple):
    pid: int


@pytest.mark.parametrize("value", [{"pid": 7}, SimpleNamespace(pid=7), Point(7), b"\7" + bytes(23)])
def test_a_struct_is_made_from_a_dict_an_object_a_named_tuple_or_bytes(value: object) -> None:
    types, type_id = event()
    assert encode_value(types.btf(), type_id, value) == b"\7" + bytes(23)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"comm": "x" * 17}, "event.comm: 17 bytes, expected at most 16"),
        ({"pid": -1}, "event.pid: -1, expected 0 to 4294967295"),
        ({"pid": 1.5}, "event.pid: 1.5 (float), expected a whole number"),
        ({"ports": [1, 65536]}, "event.ports[1]: 65536, expected 0 to 65535"),
        ({"ports": [1, 2, 3]}, "event.ports: 3 elements, expected at most 2"),
        ({"ports": 5}, "event.ports: 5 (int), expected a list"),
        ({"comm": 5}, "event.comm: 5 (int), expected str or bytes"),
        ({"pod": 5}, "event: no member 'pod', expected one of pid, comm, ports"),
        (b"1234", "event: 4 bytes, expected 24"),
        (5, "event: 5 (int), expected a dict, an object with attributes or 24 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_path_of_the_member(value: object, message: str) -> None:
    types, type_id = event()
    with pytest.raises(SpecError) as caught:
        encode_value(types.btf(), type_id, value)
    assert str(caught.value) == message


def test_a_misspelt_member_gets_a_hint() -> None:
    types, type_id = event()
    with pytest.raises(SpecError) as caught:
        encode_value(types.btf(), type_id, {"pit": 5})
    assert caught.value.hint == "did you mean 'pid'?"


def test_bytes_of_another_size_are_not_decoded() -> None:
    types, type_id = event()
    with pytest.raises(FormatError, match=r"^event: 23 bytes, expected 24$"):
        decode_value(types.btf(), type_id, bytes(23))


@pytest.mark.parametrize(("order", "data"), [("little", b"\x15\x03"), ("big", b"\xa8\xc0")])
def test_bit_fields_are_cut_out_in_both_byte_orders(order: str, data: bytes) -> None:
    types = Builder()
    u16, s16 = types.integer("u16", 2), types.integer("s16", 2, signed=True)
    members = Member("low", u16, 0, 3), Member("middle", s16, 3, 2), Member("high", u16, 5, 5)
    type_id = types.struct("bits", 2, *members)
    btf = types.btf("big" if order == "big" else "little")
    value = decode_value(btf, type_id, data)
    assert value == {
        "low": 5,
        "middle": -2 if order == "little" else 1,
        "high": 24 if order == "little" else 3,
    }
    assert encode_value(btf, type_id, value) == data


def test_a_bit_field_refuses_what_it_cannot_hold() -> None:
    types = Builder()
    type_id = types.struct("bits", 4, Member("flag", types.integer("u32", 4), 0, 1))
    with pytest.raises(SpecError, match=r"^bits\.flag: 2, expected 0 to 1$"):
        encode_value(types.btf(), type_id, {"flag": 2})


def with_union() -> tuple[Builder, int, int]:
    """union u { u32 number; u8 bytes[4]; }; struct s { u16 kind; union { u32 a; u8 b; }; }"""
    types = Builder()
    u8, u16, u32 = types.integer("u8", 1), types.integer("u16", 2), types.integer("u32", 4)
    named = types.union("u", 4, Member("number", u32, 0), Member("bytes", types.array(u8, 4), 0))
    nameless = types.union("", 4, Member("a", u32, 0), Member("b", u8, 0))
    struct_id = types.struct("s", 8, Member("kind", u16, 0), Member("", nameless, 32))
    return types, named, struct_id


def test_a_union_is_made_of_one_member() -> None:
    types, union_id, _ = with_union()
    btf = types.btf()
    assert encode_value(btf, union_id, {"number": 258}) == b"\2\1\0\0"
    with pytest.raises(SpecError, match=r"^u: members number and bytes of a union are given, expected one$"):
        encode_value(btf, union_id, {"number": 258, "bytes": [9]})


def test_a_decoded_union_takes_the_one_member_that_was_changed() -> None:
    types, union_id, _ = with_union()
    btf = types.btf()
    value = copy.deepcopy(decode_value(btf, union_id, b"\1\2\3\4"))
    assert encode_value(btf, union_id, value) == b"\1\2\3\4"
    value.bytes = [9]
    assert encode_value(btf, union_id, value) == b"\x09\0\0\0"


def test_members_of_an_anonymous_union_stand_beside_the_others() -> None:
    types, _, struct_id = with_union()
    btf = types.btf()
    value = decode_value(btf, struct_id, b"\1\0\0\0\x05\6\0\0")
    assert value == {"kind": 1, "a": 0x605, "b": 5}
    value.b = 8
    assert encode_value(btf, struct_id, value) == b"\1\0\0\0\x08\6\0\0"
    assert encode_value(btf, struct_id, {"kind": 1, "a": 2}) == b"\1\0\0\0\2\0\0\0"


def test_a_flexible_array_takes_the_rest_of_the_bytes() -> None:
    types = Builder()
    u16, char = types.integer("u16", 2), types.char()
    numbers = types.struct("numbers", 2, Member("n", u16, 0), Member("rest", types.array(u16, 0), 16))
    text = types.struct("text", 2, Member("n", u16, 0), Member("rest", types.array(char, 0), 16))
    btf = types.btf()
    assert decode_value(btf, numbers, b"\1\0\2\0\3\0") == {"n": 1, "rest": [2, 3]}
    assert decode_value(btf, numbers, b"\1\0") == {"n": 1, "rest": []}
    assert decode_value(btf, text, b"\1\0hello\0") == {"n": 1, "rest": "hello"}
    assert encode_value(btf, numbers, {"n": 1, "rest": [2, 3]}) == b"\1\0\2\0\3\0"


def test_a_flexible_array_inside_another_struct_has_no_room() -> None:
    types = Builder()
    u16 = types.integer("u16", 2)
    inner = types.struct("inner", 2, Member("n", u16, 0), Member("rest", types.array(u16, 0), 16))
    outer = types.struct("outer", 4, Member("first", inner, 0), Member("second", u16, 16))
    with pytest.raises(SpecError, match=r"^outer\.first: 4 bytes, expected 2$"):
        encode_value(types.btf(), outer, {"first": {"rest": [7]}})


def test_a_data_section_decodes_into_its_variables() -> None:
    types = Builder()
    u32 = types.integer("u32", 4)
    ids = [types.add(Type(Kind.VAR, name, type_id=u32, linkage=1)) for name in ("first", "second")]
    places = tuple(SectionVariable(type_id, 4 * index, 4) for index, type_id in enumerate(ids))
    section = types.add(Type(Kind.DATASEC, ".bss", 8, variables=places))
    assert decode_value(types.btf(), section, b"\1\0\0\0\2\0\0\0") == {"first": 1, "second": 2}


def test_what_has_no_values_says_so() -> None:
    with pytest.raises(FormatError, match=r"^BTF: void void has no values$"):
        decode_value(Builder().btf(), 0, b"")


def test_an_unknown_attribute_names_the_members() -> None:
    value = StructValue(pid=1)
    with pytest.raises(AttributeError, match=r"^struct value: no member 'pod', expected one of pid$"):
        _ = value.pod
    with pytest.raises(AttributeError):
        value.pod = 1


def test_a_struct_that_holds_itself_is_refused() -> None:
    types = Builder()
    type_id = types.struct("loop", 4, Member("again", 1, 0))
    with pytest.raises(FormatError, match=r"^BTF: loop is nested more than 32 deep$"):
        decode_value(types.btf(), type_id, bytes(4))


def test_unions_that_double_at_each_level_are_refused() -> None:
    types = Builder()
    type_id = types.integer("u8", 1)
    for level in range(30):
        type_id = types.union(f"u{level}", 1, Member("a", type_id, 0), Member("b", type_id, 0))
    with pytest.raises(FormatError, match="more than can be decoded"):
        decode_value(types.btf(), type_id, b"\0")

"""Layouts: where fields stand, and values <-> bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.abi import contexts, layouts
from ebee.abi.layout import Field, Layout, Value
from ebee.errors import InternalError, SpecError

ALL = {name: value for name, value in (vars(layouts) | vars(contexts)).items() if isinstance(value, Layout)}
ALL |= {f"LINK_INFO_TAILS[{name}]": tail for name, tail in layouts.LINK_INFO_TAILS.items()}


@pytest.mark.parametrize(
    ("layout", "size_bytes"),
    [
        (layouts.NLMSGHDR, 16),
        (layouts.NLATTR, 4),
        (layouts.IFINFOMSG, 16),
        (layouts.IFADDRMSG, 8),
        (layouts.TCMSG, 20),
        (contexts.XDP_MD, 24),
        (layouts.PERF_EVENT_HEADER, 8),
        (layouts.ATTR_MAP_ELEM, 32),
        (layouts.FUNC_INFO, 8),
        (layouts.LINE_INFO, 16),
    ],
)
def test_structs_have_the_sizes_that_the_kernel_promises(layout: Layout, size_bytes: int) -> None:
    """These never change."""
    assert layout.size_bytes == size_bytes


@pytest.mark.parametrize(
    ("layout", "field", "offset_bytes"),
    [
        (layouts.PROG_INFO, "tag", 8),
        (layouts.PROG_INFO, "name", 64),
        (layouts.PROG_INFO, "btf_id", 128),
        (layouts.PROG_INFO, "verified_insns", 216),
        (layouts.MAP_INFO, "name", 24),
        (layouts.MAP_INFO, "map_extra", 80),
        (layouts.ATTR_PROG_LOAD, "license", 16),
        (layouts.ATTR_PROG_LOAD, "expected_attach_type", 68),
        (layouts.ATTR_MAP_CREATE, "map_name", 28),
        (layouts.ATTR_LINK_CREATE, "perf_event_bpf_cookie", 16),
        (layouts.PERF_EVENT_ATTR, "config", 8),
        (layouts.PERF_EVENT_ATTR, "config1", 56),
        (layouts.PERF_EVENT_MMAP_PAGE, "data_head", 1024),
        (layouts.LINK_INFO_TAILS["xdp"], "ifindex", 16),
        (layouts.LINK_INFO_TAILS["perf_event"], "kprobe_func_name", 24),
    ],
)
def test_fields_stand_where_released_kernels_have_them(layout: Layout, field: str, offset_bytes: int) -> None:
    """Offsets are part of the kernel's promise to user space."""
    assert layout.fields[field].offset_bytes == offset_bytes


def test_a_bit_field_names_its_word_and_its_bits() -> None:
    """`disabled`, `inherit` and `exclude_kernel` share the word at 40; `gpl_compatible` is one bit."""
    fields = layouts.PERF_EVENT_ATTR.fields
    assert [(fields[name].offset_bytes, fields[name].mask) for name in ("disabled", "inherit")] == [
        (40, 1),
        (40, 2),
    ]
    assert fields["precise_ip"].mask == 3 << 15
    packed = layouts.PERF_EVENT_ATTR.pack(disabled=1, precise_ip=2, exclude_kernel=1)
    assert struct.unpack_from("=Q", packed, 40)[0] == 1 | 2 << 15 | 1 << 5
    assert layouts.PROG_INFO.fields["gpl_compatible"].mask == 1


@pytest.mark.parametrize("layout", ALL.values(), ids=ALL)
def test_every_field_lies_within_its_struct(layout: Layout) -> None:
    """No field ends past the size, and none has the name of another."""
    assert all(field.offset_bytes + field.size_bytes <= layout.size_bytes for field in layout)
    assert len(layout.fields) == len(layout.rows)


def values_for(field: Field) -> st.SearchStrategy[Value]:
    """Return values that a field takes."""
    if field.type.startswith("char"):
        text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        return text.filter(lambda found: len(found.encode()) < field.size_bytes)
    if field.type.startswith("u8["):
        return st.binary(min_size=field.size_bytes, max_size=field.size_bytes)
    if field.mask:
        return st.integers(0, field.mask // (field.mask & -field.mask))
    bits = field.size_bytes * 8
    signed = field.type.startswith("s")
    return st.integers(-(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1)


def overlap(one: Field, other: Field) -> bool:
    """Whether two fields share bits, as members of a union do."""
    apart = (
        one.offset_bytes + one.size_bytes <= other.offset_bytes
        or other.offset_bytes + other.size_bytes <= one.offset_bytes
    )
    return not apart and not (one.mask and other.mask and not one.mask & other.mask)


@given(st.data())
def test_what_was_packed_is_unpacked_again(data: st.DataObject) -> None:
    """Of any subset of fields that do not overlap, each comes back as it went in."""
    layout = data.draw(st.sampled_from([layouts.PROG_INFO, layouts.PERF_EVENT_ATTR, layouts.ATTR_MAP_CREATE]))
    drawn = data.draw(st.lists(st.sampled_from(list(layout.fields)), unique=True))
    chosen: list[str] = []
    for name in drawn:
        if not any(overlap(layout.fields[name], layout.fields[other]) for other in chosen):
            chosen.append(name)
    values = {name: data.draw(values_for(layout.fields[name]), label=name) for name in chosen}
    unpacked = layout.unpack(layout.pack(**values))
    assert {name: unpacked[name] for name in chosen} == values


def test_what_is_not_named_is_zero() -> None:
    """An empty struct is all zeros and as long as it is."""
    assert layouts.TCMSG.pack() == bytes(20)


def test_a_shorter_answer_gives_the_fields_it_holds() -> None:
    """A kernel of 4.13 answers with the first 40 bytes of bpf_prog_info, say."""
    short = layouts.PROG_INFO.pack(id=7, tag=b"12345678", load_time=5)[:42]
    found = layouts.PROG_INFO.unpack(short)
    assert found["id"] == 7
    assert found["tag"] == b"12345678"
    assert "load_time" not in found
    assert list(found)[-1] == "xlated_prog_insns"


def test_text_ends_with_a_zero_and_is_cut_there() -> None:
    """15 bytes of name fit into 16."""
    packed = layouts.ATTR_MAP_CREATE.pack(map_name="a" * 15)
    assert packed[28:44] == b"a" * 15 + b"\0"
    packed[30] = 0
    assert layouts.ATTR_MAP_CREATE.unpack(packed)["map_name"] == "aa"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"map_name": "a" * 16}, "field map_name: 'aaaaaaaaaaaaaaaa' takes 16 bytes, expected 15 or fewer"),
        ({"map_name": "a\0b"}, r"field map_name: 'a\x00b' holds a zero byte, which would end it"),
        ({"max_entries": 1 << 32}, "field max_entries: 4294967296, expected a number that fits u32"),
        ({"max_entries": -1}, "field max_entries: -1, expected a number that fits u32"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(values: dict[str, Value], message: str) -> None:
    """The field and the room it has are told."""
    with pytest.raises(SpecError) as refused:
        layouts.ATTR_MAP_CREATE.pack(**values)
    assert str(refused.value) == message


def test_a_bit_field_refuses_more_than_its_bits() -> None:
    """Neighbours are never overwritten."""
    with pytest.raises(SpecError) as refused:
        layouts.PERF_EVENT_ATTR.pack(precise_ip=4)
    assert str(refused.value) == "field precise_ip: 4, expected 0 to 3"


def test_bytes_that_are_too_many_are_refused() -> None:
    """A tag has 8 bytes."""
    with pytest.raises(SpecError) as refused:
        layouts.PROG_INFO.pack(tag=bytes(9))
    assert str(refused.value) == "field tag: 9 bytes, expected 8 or fewer"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": 1}, "struct bpf_prog_info: field 'nmae' is set, which it has not"),
        ({"id": "7"}, "field id: a str, expected a number"),
        ({"tag": "text"}, "field tag: a str, expected bytes"),
        ({"name": b"x"}, "field name: a bytes, expected a string"),
        ({"name": 3}, "field name: a int, expected a string"),
    ],
)
def test_mistakes_of_our_own_say_so(values: dict[str, Value], message: str) -> None:
    """A wrong name or type is never written somewhere."""
    with pytest.raises(InternalError) as refused:
        layouts.PROG_INFO.pack(**values)
    assert str(refused.value) == message


def test_attributes_of_commands_fit_into_bpf_attr() -> None:
    """Parts of the union are no longer than the union."""
    parts = [layout for name, layout in ALL.items() if name.startswith("ATTR_")]
    assert len(parts) == 22
    assert max(part.size_bytes for part in parts) <= layouts.ATTR_SIZE_BYTES

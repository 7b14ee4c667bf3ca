"""Blueprints: places in words, first values of variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.errors import SpecError
from ebee.spec import AttachPoint
from tests.support.objects import spec_of

_WORD = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)


@given(_WORD, st.lists(_WORD, max_size=3))
def test_a_place_is_written_as_it_is_read(family: str, target: list[str]) -> None:
    """A target may hold colons itself."""
    point = AttachPoint(family, ":".join(target))
    assert AttachPoint.parse(str(point)) == point


def test_spaces_around_the_colon_do_not_count() -> None:
    """People write them."""
    assert AttachPoint.parse(" xdp : eth0 ") == AttachPoint("xdp", "eth0")


def test_records_of_ring_and_perf_buffers_may_be_declared_by_their_type() -> None:
    """The kernel wants the buffers' own sizes; the type is kept for reading."""
    spec = spec_of("""
        struct event { int pid; };
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __type(value, struct event); }
            ring SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __type(key, int); __type(value, struct event); }
            perf SEC(".maps");
    """)
    ring, perf = spec.maps["ring"], spec.maps["perf"]
    assert (ring.key_size_bytes, ring.value_size_bytes) == (0, 0)
    assert (perf.key_size_bytes, perf.value_size_bytes) == (4, 4)
    assert spec.btf is not None
    assert spec.btf.type(ring.value_type_id).name == "event"


def test_a_first_value_of_the_wrong_size_is_refused() -> None:
    """Bytes are taken as they are, if there are as many as the variable has."""
    spec = spec_of('int x; SEC("xdp") int it(void *ctx) { return x; }')
    spec.variables["x"].value = b"\1\2\3\4"
    assert spec.variables["x"].value == 0x04030201
    with pytest.raises(SpecError):
        spec.variables["x"].value = b"\1"


def test_values_in_a_map_of_no_known_type_are_refused_in_words() -> None:
    """A number that names no type is found first."""
    with pytest.raises(SpecError) as caught:
        spec_of('struct { __uint(type, 4711); __array(values, int (void *)); } odd SEC(".maps");')
    assert str(caught.value) == "map odd: type 4711 is not known"

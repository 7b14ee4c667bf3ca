"""Maps as dicts, and differences that say what differs."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import MapType
from ebee.btf.values import StructValue
from ebee.maps import Map
from ebee.packets import Packet
from ebee.spec import MapSpec
from ebee.testing import as_dict, assert_map
from ebee.testing.compare import explain_comparison


class Held(Map):
    """A map that holds what a test says."""

    def __init__(self, type: MapType, held: dict[Any, Any]) -> None:
        self.spec = MapSpec("counts", type)
        self._fd = None
        self._held = held

    def items(self) -> Any:
        return self._held.items()

    def __contains__(self, key: object) -> bool:
        return key in self._held


HASH = Held(MapType.HASH, {17: 2, 6: 0})
ARRAY = Held(MapType.ARRAY, {0: 0, 1: 7, 2: StructValue(a=0, b=[0, 0]), 3: b"\0\0"})
PER_CPU = Held(
    MapType.PERCPU_HASH, {"x": [1, 2], "y": [StructValue(n=1, l=[1, 2]), StructValue(n=5, l=[3, 4])]}
)


def complaint(found: Any, expected: dict[Any, Any]) -> list[str]:
    """Return what is said of a map that holds something else."""
    with pytest.raises(AssertionError) as caught:
        assert_map(found, expected)
    return str(caught.value).splitlines()


def test_arrays_are_what_is_not_zero() -> None:
    """There is an entry under every index."""
    assert as_dict(ARRAY) == {1: 7}
    assert as_dict(ARRAY, zeros=True) == dict(ARRAY.items())
    assert as_dict(HASH) == {17: 2, 6: 0}
    assert as_dict(HASH, zeros=False) == {17: 2}


def test_per_cpu_values_are_added_up() -> None:
    """Which CPU counted is nothing that a test knows."""
    assert as_dict(PER_CPU) == {"x": 3, "y": {"n": 6, "l": [4, 6]}}
    assert as_dict(Held(MapType.PERCPU_ARRAY, {0: [0, 0], 1: [0, 1]})) == {1: 1}
    assert as_dict(Held(MapType.PERCPU_HASH, {0: [b"a", b"b"]})) == {0: [b"a", b"b"]}


def test_what_is_expected_may_name_zeros_of_an_array() -> None:
    """Or leave them out."""
    assert_map(ARRAY, {1: 7})
    assert_map(ARRAY, {0: 0, 1: 7})
    assert_map({1: 2}, {1: 2})
    assert complaint(ARRAY, {1: 7, 9: 0}) == [
        "map counts: 1 entry differs",
        "  [9]: found no such key, expected 0",
    ]


def test_each_entry_that_differs_has_a_line() -> None:
    """In the order of the keys, which may be of several types."""
    assert complaint(HASH, {17: 3, "udp": 1}) == [
        "map counts: 3 entries differ",
        "  ['udp']: found no such key, expected 1",
        "  [17]: found 2, expected 3",
        "  [6]: found 0, expected no such key",
    ]


def test_of_structs_the_members_that_differ_are_shown() -> None:
    """A struct of thirty members is not worth reading for one."""
    flow = Held(MapType.HASH, {1: StructValue(packets=3, bytes=180, flags=2)})
    assert complaint(flow, {1: {"packets": 3, "bytes": 240, "flags": 0}}) == [
        "map counts: 1 entry differs",
        "  [1]: .bytes found 180, expected 240, .flags found 2, expected 0",
    ]
    assert complaint(flow, {1: {"packets": 3}})[1] == (
        "  [1]: found {'packets': 3, 'bytes': 180, 'flags': 2}, expected {'packets': 3}"
    )


def test_a_long_list_is_cut() -> None:
    """With how much is left."""
    lines = complaint(Held(MapType.HASH, dict.fromkeys(range(50), 1)), {})
    assert len(lines) == 22
    assert lines[-1] == "  ... and 30 more"


def test_a_comparison_of_others_is_left_alone() -> None:
    """pytest knows how to show those."""
    assert explain_comparison({1: 2}, {1: 3}) is None
    assert explain_comparison(HASH, 5) is None
    assert explain_comparison({17: 2}, HASH) == [
        "map counts: 1 entry differs",
        "  [6]: found 0, expected no such key",
    ]


def test_packets_differ_by_rows_of_bytes() -> None:
    """As hex, where they differ alone; and what differs besides."""
    found, expected = Packet(bytes(40), 7), Packet(bytes(18) + b"\1" + bytes(13) + b"\2\3", 8)
    assert explain_comparison(found, expected) == [
        "<Packet 802.3 of length 0, 40 bytes> is another than <Packet 802.3 of length 0, 34 bytes>",
        "  0010  found     00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "        expected  00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "  0020  found     00 00 00 00 00 00 00 00",
        "        expected  02 03",
        "  found 40 bytes, expected 34",
        "  .timestamp_ns found 7, expected 8",
    ]

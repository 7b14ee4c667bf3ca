"""A map reads and writes like a dict, with sizes and types checked."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.abi.bpf import MapType
from ebee.errors import EbeeError, GoneError, MapError, SpecError
from ebee.maps import Map, create_map
from ebee.maps.key import as_key
from ebee.maps.map import kernel_name, requested_entries
from ebee.spec import MapSpec
from tests.support.kernel import FakeKernel
from tests.support.objects import spec_of

_FLOWS = """
    struct flow { unsigned int from; unsigned short ports[2]; struct { int a; } in; };
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8);
             __type(key, struct flow); __type(value, long); } flows SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 8);
             __type(key, int); __type(value, int); } each SEC(".maps");
"""


def _map(name: str = "flows") -> Map:
    spec = spec_of(_FLOWS)
    return create_map(FakeKernel(), spec.maps[name], btf=spec.btf)


def _plain(key_bytes: int = 4, value_bytes: int = 8, kind: MapType = MapType.HASH) -> Map:
    return create_map(FakeKernel(), MapSpec("plain", kind, key_bytes, value_bytes, 16))


def test_struct_keys_come_back_as_keys_that_a_dict_takes() -> None:
    """Their members are attributes, arrays in them are tuples."""
    flows = _map()
    flows[{"from": 1, "ports": [2, 3], "in": {"a": 4}}] = 5
    (key,) = flows
    assert (key["from"], key.ports, key["in"].a) == (1, (2, 3), 4)
    assert dict(flows) == {key: 5}
    assert flows[key] == 5
    assert hash(key) == hash(next(iter(flows)))
    assert repr(key) == "StructKey(from=1, ports=(2, 3), in=StructKey(a=4))"


def test_a_key_cannot_be_changed() -> None:
    """It would be lost in a dict."""
    flows = _map()
    flows[{"from": 1}] = 5
    (key,) = flows
    with pytest.raises(TypeError, match="a map's key cannot be changed"):
        key.ports = (1, 2)


def test_keys_that_vanish_meanwhile_are_left_out_of_items_and_values() -> None:
    """Programs remove what they like."""
    numbers = _plain()
    numbers[1], numbers[2] = 10, 20
    kernel = numbers._kernel
    real = kernel.map_lookup
    kernel.map_lookup = lambda fd, key, *rest: None if key[0] == 1 else real(fd, key, *rest)  # type: ignore[method-assign]
    assert list(numbers.items()) == [((2).to_bytes(4, "little"), (20).to_bytes(8, "little"))]
    assert list(numbers.values()) == [(20).to_bytes(8, "little")]


def test_per_cpu_values_are_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value takes a multiple of eight bytes."""
    monkeypatch.setattr(FakeKernel, "cpu_count", lambda _: 3)
    each = _map("each")
    each[1] = [10, 20, 30]
    assert each[1] == [10, 20, 30]
    assert each.value_room_bytes == 24
    with pytest.raises(SpecError) as caught:
        each[1] = 5
    assert str(caught.value) == "map each: one value for a per-CPU map, expected a list of 3"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (1 << 32, "map plain: key 4294967296 does not fit into 4 bytes"),
        (b"abc", "map plain: key b'abc', expected 4 bytes or an integer"),
        ("text", "map plain: key 'text', expected 4 bytes or an integer"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(key: Any, message: str) -> None:
    """A map without types takes integers and bytes."""
    with pytest.raises(EbeeError) as caught:
        _plain()[key] = 1
    assert str(caught.value) == message


def test_sizes_of_bytes_are_checked_before_the_kernel_reads_them() -> None:
    """It would read beyond."""
    plain = _plain()
    with pytest.raises(MapError) as caught:
        plain.lookup_elem(b"12345")
    assert str(caught.value) == "map plain: a key of 5 bytes, expected 4"
    with pytest.raises(MapError) as caught:
        plain.update_elem(b"1234", b"1")
    assert str(caught.value) == "map plain: a value of 1 bytes, expected 8"


def test_what_is_not_there_is_a_key_error() -> None:
    """As in a dict."""
    plain = _plain()
    with pytest.raises(KeyError):
        _ = plain[1]
    with pytest.raises(KeyError):
        del plain[1]
    assert plain.get(1) is None
    assert 1 not in plain


def test_a_closed_map_says_so() -> None:
    """Closing twice does nothing."""
    plain = _plain()
    plain.close()
    plain.close()
    with pytest.raises(GoneError) as caught:
        len(plain)
    assert str(caught.value) == "map plain: used after it was closed"
    assert repr(plain) == "<Map plain: HASH, closed>"


def test_memory_that_somebody_still_looks_at_does_not_keep_a_map_from_closing() -> None:
    """An array made of it keeps it."""
    plain = _plain(kind=MapType.ARRAY)
    data = bytearray(128)
    plain._kernel.map_memory = lambda *_, **__: memoryview(data)  # type: ignore[method-assign]
    looked_at = memoryview(plain.memory())
    plain.close()
    assert len(looked_at) == 128


@pytest.mark.parametrize(
    ("kind", "asked", "expected"),
    [
        (MapType.RINGBUF, 1, 4096),
        (MapType.RINGBUF, 5000, 8192),
        (MapType.RINGBUF, 0, 0),
        (MapType.HASH, 5, 5),
        (MapType.PERF_EVENT_ARRAY, 3, 3),
    ],
)
def test_ring_buffers_are_rounded_up_to_what_the_kernel_takes(
    kind: MapType, asked: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power of two of whole pages."""
    monkeypatch.setattr("resource.getpagesize", lambda: 4096)
    assert requested_entries(MapSpec("m", kind, max_entries=asked), FakeKernel()) == expected


def test_names_are_cut_to_what_the_kernel_takes() -> None:
    """Fifteen characters of its alphabet."""
    assert kernel_name("a-long/name.of_mäny") == "a_long_name.of_"


def test_values_that_are_hashable_already_stay() -> None:
    """Numbers, text, bytes."""
    assert [as_key(value) for value in (1, "a", b"b", [1, [2]])] == [1, "a", b"b", (1, (2,))]

"""Maps of every type that objects declare, through `obj.maps`, on both kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ebee.abi.bpf import F_MMAPABLE, F_RDONLY_PROG, MapType
from ebee.errors import EbeeError, KernelError, MapError
from ebee.kernel.protocol import Kernel, MapCreate, ObjectKind
from ebee.loader import LoadedObject
from ebee.maps import Map, create_map
from ebee.sessions.c import load
from ebee.spec import MapSpec
from tests.support.objects import spec_of

_TEXT = """
    struct key { int a; char name[4]; };
    struct value { long sum; short parts[3]; };
    #define MAP(kind, k, v, n, name) \\
        struct { __uint(type, BPF_MAP_TYPE_##kind); __uint(max_entries, n); \\
                 __type(key, k); __type(value, v); } name SEC(".maps")
    MAP(HASH, struct key, struct value, 16, structs);
    MAP(HASH, int, long, 2, full);
    MAP(ARRAY, int, short, 5, slots);
    MAP(PERCPU_ARRAY, int, int, 2, per_cpu);
    MAP(PERCPU_HASH, int, char, 2, per_cpu_hash);
    MAP(LRU_HASH, int, int, 1024, recent);
    MAP(LRU_PERCPU_HASH, int, int, 1024, recent_per_cpu);
    struct prefix { unsigned int bits; unsigned char network[4]; };
    struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 8); __uint(map_flags, 1);
             __type(key, struct prefix); __type(value, int); } routes SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, int); }
        queue SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_STACK); __uint(max_entries, 2); __type(value, int); }
        stack SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 64); __type(value, int); }
        bloom SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } in SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2);
             __uint(key_size, 4); __uint(value_size, 4); } jumps SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
             __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 16);
             __uint(key_size, 4); __uint(value_size, 8 * 16); } stacks SEC(".maps");
    struct { __uint(type, BPF_MAP_TYPE_DEVMAP); __uint(max_entries, 4);
             __uint(key_size, 4); __uint(value_size, 4); } devices SEC(".maps");
    SEC("socket") int it(void *ctx) { return 0; }
"""
_CREATED = [
    "structs",
    "full",
    "slots",
    "per_cpu",
    "per_cpu_hash",
    "recent",
    "recent_per_cpu",
    "routes",
    "queue",
    "stack",
    "bloom",
    "ring",
    "in",
    "jumps",
    "events",
    "stacks",
    "devices",
]


@pytest.fixture
def obj(kernel: Kernel) -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT), kernel=kernel) as loaded:
        yield loaded


def _refusal(action: Any) -> tuple[type[EbeeError], str, str | None]:
    with pytest.raises(EbeeError) as caught:
        action()
    return type(caught.value), str(caught.value), caught.value.hint


def test_every_type_is_made_as_it_is_declared(obj: LoadedObject, kernel: Kernel) -> None:
    """And told so."""
    assert list(obj.maps) == _CREATED
    for item in obj.maps.values():
        info, spec = item.info(), item.spec
        assert (info.type, info.name) == (spec.type, spec.name[:15])
        assert (info.key_size_bytes, info.value_size_bytes) == (spec.key_size_bytes, spec.value_size_bytes)
        # The kernel lets programs only read maps of devices, and says so.
        assert info.flags == spec.flags | (F_RDONLY_PROG if spec.type is MapType.DEVMAP else 0)
        assert info.frozen is False
    assert obj.maps["events"].info().max_entries == kernel.cpu_count()


def test_a_hash_is_a_dict(obj: LoadedObject) -> None:
    """Structs are keys and values, by the names of their members."""
    structs = obj.maps["structs"]
    structs[{"a": 1, "name": "x"}] = {"sum": -5, "parts": [1, 2, 3]}
    ((key, value),) = structs.items()
    assert (key.a, key.name, value.sum, value.parts) == (1, "x", -5, [1, 2, 3])
    assert structs.pop(key) == value
    assert len(structs) == 0


def test_an_array_has_all_its_slots_always(obj: LoadedObject) -> None:
    """They cannot be removed."""
    slots = obj.maps["slots"]
    slots[3] = -7
    assert dict(slots.items()) == {0: 0, 1: 0, 2: 0, 3: -7, 4: 0}
    kind, message, _ = _refusal(lambda: slots.__delitem__(3))
    assert (kind, message.partition(": ")[0]) == (MapError, "delete a key of map slots")


@pytest.mark.parametrize("name", ["per_cpu", "per_cpu_hash", "recent_per_cpu"])
def test_per_cpu_values_are_lists(obj: LoadedObject, kernel: Kernel, name: str) -> None:
    """One for each possible CPU."""
    values = list(range(kernel.cpu_count()))
    obj.maps[name][1] = values
    assert obj.maps[name][1] == values


def test_the_least_recent_goes_when_an_lru_map_is_full(obj: LoadedObject) -> None:
    """It never has more than its entries, and takes every one."""
    recent = obj.maps["recent"]
    for number in range(3000):
        recent[number] = number
    assert 0 < len(recent) <= 1024
    assert recent[2999] == 2999


def test_the_longest_prefix_is_found(obj: LoadedObject) -> None:
    """Keys begin with the prefix's length in bits."""
    routes = obj.maps["routes"]
    for bits, network, value in ((8, b"\x0a\0\0\0", 1), (16, b"\x0a\x01\0\0", 2)):
        routes.update_elem(bits.to_bytes(4, "little") + network, value.to_bytes(4, "little"))
    found = routes.lookup_elem((32).to_bytes(4, "little") + b"\x0a\x01\x02\x03")
    assert found == (2).to_bytes(4, "little")
    assert routes.lookup_elem((32).to_bytes(4, "little") + b"\x0b\x01\x02\x03") is None


@pytest.mark.parametrize(("name", "first"), [("queue", 10), ("stack", 20)])
def test_queues_and_stacks_are_looked_at(kernel: Kernel, obj: LoadedObject, name: str, first: int) -> None:
    """A look-up without a key shows what comes next; a third value finds no room."""
    item = obj.maps[name]
    for value in (10, 20):
        kernel.map_update(item.fd, b"", value.to_bytes(4, "little"))
    assert kernel.map_lookup(item.fd, b"", 4) == first.to_bytes(4, "little")
    assert _refusal(lambda: kernel.map_update(item.fd, b"", bytes(4)))[0] is MapError


def test_keys_are_walked_in_the_arrays_order(kernel: Kernel, obj: LoadedObject) -> None:
    """From the first on, and again from the first for a key that is none."""
    fd = obj.maps["slots"].fd
    assert kernel.map_next_key(fd, None, 4) == bytes(4)
    assert kernel.map_next_key(fd, (3).to_bytes(4, "little"), 4) == (4).to_bytes(4, "little")
    assert kernel.map_next_key(fd, (4).to_bytes(4, "little"), 4) is None
    assert kernel.map_next_key(fd, (99).to_bytes(4, "little"), 4) == bytes(4)


_BYTES_4 = bytes(4)
_REFUSED: dict[str, Any] = {
    "a missing key": lambda o: o.maps["full"].delete_elem(_BYTES_4),
    "a look-up": lambda o: o.maps["full"].lookup_elem(_BYTES_4),
}


@pytest.mark.parametrize("what", list(_REFUSED))
def test_a_key_that_is_not_there_is_no_error(obj: LoadedObject, what: str) -> None:
    """Look-ups give None, removals False."""
    assert not _REFUSED[what](obj)


def test_a_missing_key_is_a_key_error(obj: LoadedObject) -> None:
    """As a dict's."""
    with pytest.raises(KeyError) as caught:
        obj.maps["full"][77]
    assert caught.value.args == (77,)
    with pytest.raises(KeyError):
        del obj.maps["full"][77]


def test_a_full_map_says_so(obj: LoadedObject) -> None:
    """With its name."""
    full = obj.maps["full"]
    full[1], full[2] = 1, 2
    assert _refusal(lambda: full.__setitem__(3, 3)) == (
        MapError,
        "store a value of map full: the key or index is beyond max_entries, or the map is full (E2BIG)",
        None,
    )
    full[2] = 20  # what is there can be changed
    assert full[2] == 20


def test_an_index_beyond_the_array_says_so(obj: LoadedObject) -> None:
    """By its size."""
    assert _refusal(lambda: obj.maps["slots"].__setitem__(5, 1)) == (
        MapError,
        "store a value of map slots: the key or index is beyond max_entries, or the map is full (E2BIG)",
        None,
    )
    assert obj.maps["slots"].lookup_elem((5).to_bytes(4, "little")) is None


def test_a_key_that_is_there_is_not_made_again(obj: LoadedObject) -> None:
    """BPF_NOEXIST, and BPF_EXIST the other way round."""
    full = obj.maps["full"]
    full[1] = 1
    key, value = full.encode_key(1), full.encode_value(2)
    assert _refusal(lambda: full.update_elem(key, value, flags=1)) == (
        MapError,
        "store a value of map full: the key is there already, and BPF_NOEXIST was asked for (EEXIST)",
        None,
    )
    other = full.encode_key(2)
    assert _refusal(lambda: full.update_elem(other, value, flags=2)) == (
        MapError,
        "store a value of map full: the key is not there (ENOENT)",
        None,
    )
    assert _refusal(lambda: full.update_elem(key, value, flags=64))[:2] == (
        MapError,
        "store a value of map full: invalid argument (EINVAL)",
    )


def test_a_key_of_the_wrong_size_is_refused_before_the_kernel_sees_it(obj: LoadedObject) -> None:
    """With both sizes."""
    assert _refusal(lambda: obj.maps["full"].lookup_elem(b"x")) == (
        MapError,
        "map full: a key of 1 bytes, expected 4",
        None,
    )
    assert _refusal(lambda: obj.maps["full"].update_elem(_BYTES_4, b"x")) == (
        MapError,
        "map full: a value of 1 bytes, expected 8",
        None,
    )


def test_a_frozen_map_is_written_no_more(kernel: Kernel, obj: LoadedObject) -> None:
    """Nor is it frozen twice."""
    full = obj.maps["full"]
    full[1] = 1
    kernel.map_freeze(full.fd)
    assert full.info().frozen
    assert full[1] == 1
    refused = (
        "the map cannot be written or read that way from user space: it is frozen or has BPF_F_RDONLY or "
        "BPF_F_WRONLY (EPERM)"
    )
    hint = "frozen maps, such as .rodata, are set before they are loaded"
    assert _refusal(lambda: full.__setitem__(1, 2)) == (
        MapError,
        f"store a value of map full: {refused}",
        hint,
    )
    assert _refusal(lambda: full.__delitem__(1)) == (MapError, f"delete a key of map full: {refused}", hint)
    assert _refusal(lambda: kernel.map_freeze(full.fd)) == (
        MapError,
        f"freeze map (fd {full.fd}): {refused}",
        hint,
    )


@pytest.mark.parametrize("name", ["ring", "in", "bloom", "queue", "jumps", "devices", "stacks", "events"])
def test_maps_without_such_an_operation_say_so(obj: LoadedObject, kernel: Kernel, name: str) -> None:
    """The same errno on both: told by comparing what each is known to answer."""
    item = obj.maps[name]
    answers = [
        _answer(lambda: kernel.map_lookup(item.fd, bytes(item.spec.key_size_bytes), item.value_room_bytes)),
        _answer(lambda: kernel.map_delete(item.fd, bytes(item.spec.key_size_bytes))),
        _answer(lambda: kernel.map_next_key(item.fd, None, item.spec.key_size_bytes)),
        _answer(
            lambda: kernel.map_update(
                item.fd, bytes(item.spec.key_size_bytes), b"\xff" * item.value_room_bytes
            )
        ),
    ]
    assert answers == _ANSWERS[name]


def _answer(action: Any) -> str:
    try:
        found = action()
    except EbeeError as error:
        return getattr(error, "errno_name", type(error).__name__)
    return repr(found)


_ZEROS = repr(bytes(4))
_ANSWERS = {
    "ring": ["524", "524", "524", "524"],
    "in": ["524", "524", "524", "524"],
    "bloom": ["None", "ENOTSUP", "ENOTSUP", "None"],
    "queue": ["None", "EINVAL", "EINVAL", "None"],
    "jumps": ["None", "False", _ZEROS, "EBADF"],
    "devices": ["None", "True", _ZEROS, "EINVAL"],
    "stacks": ["None", "False", "None", "EINVAL"],
    "events": ["524", "False", _ZEROS, "EBADF"],
}


_MADE = [
    (MapType.HASH, 4, 4, 0, 0, "EINVAL"),
    (MapType.HASH, 0, 4, 1, 0, "EINVAL"),
    (MapType.HASH, 4, 0, 1, 0, "EINVAL"),
    (MapType.HASH, 4, 4, 1, 1 << 30, "EINVAL"),
    (MapType.ARRAY, 8, 4, 1, 0, "EINVAL"),
    (MapType.ARRAY, 4, 4, 0, 0, "EINVAL"),
    (MapType.ARRAY, 4, 4, 1, 1, "EINVAL"),
    (MapType.RINGBUF, 4, 4, 4096, 0, "EINVAL"),
    (MapType.LPM_TRIE, 8, 4, 1, 0, "EINVAL"),
    (MapType.QUEUE, 4, 4, 1, 0, "EINVAL"),
    (MapType.PROG_ARRAY, 4, 8, 1, 0, "EINVAL"),
    (MapType.HASH, 513, 4, 1, 0, ""),
    (MapType.PERCPU_HASH, 4, 1 << 16, 1, 0, "E2BIG"),
]


@pytest.mark.parametrize(("kind", "key", "value", "entries", "flags", "expected"), _MADE)
def test_sizes_that_do_not_fit_the_type_are_refused(
    kernel: Kernel, kind: MapType, key: int, value: int, entries: int, flags: int, expected: str
) -> None:
    """Each with the same errno and the same words."""
    spec = MapSpec("odd", kind, key, value, entries, flags=flags)
    try:
        create_map(kernel, spec).close()
        found, message = "", ""
    except MapError as error:
        found, message = error.errno_name, str(error)
    assert found == expected
    shape = f"key {key} bytes, value {value} bytes, max_entries {entries}, flags {flags:#x}"
    if expected == "EINVAL":
        assert message == f"create map odd: the kernel does not take type {kind.name}, {shape} (EINVAL)"


def test_memory_of_maps_is_shared(kernel: Kernel) -> None:
    """Of arrays that were made for it; what is mapped for writing is not frozen, and the other way round."""
    with create_map(kernel, MapSpec("mapped", MapType.ARRAY, 4, 8, 3, flags=F_MMAPABLE)) as item:
        view = kernel.map_memory(item.fd, 24, writable=True)
        item.update_elem((1).to_bytes(4, "little"), b"12345678")
        assert bytes(view[8:16]) == b"12345678"
        view[16:24] = b"abcdefgh"
        assert item.lookup_elem((2).to_bytes(4, "little")) == b"abcdefgh"
        assert _errno(lambda: kernel.map_freeze(item.fd)) == "EBUSY"
        view.release()
        del view
        kernel.map_freeze(item.fd)
        assert _errno(lambda: kernel.map_memory(item.fd, 24, writable=True)) == "EPERM"
        with kernel.map_memory(item.fd, 24, writable=False) as shown:
            assert shown.readonly
            assert bytes(shown[16:24]) == b"abcdefgh"
        assert _errno(lambda: kernel.map_memory(item.fd, 1 << 20, writable=False)) == "EINVAL"
    with create_map(kernel, MapSpec("plain", MapType.ARRAY, 4, 8, 3)) as item:
        assert _refusal(lambda: kernel.map_memory(item.fd, 24, writable=False))[1] == (
            f"map memory of map (fd {item.fd}): "
            "the map was not made with BPF_F_MMAPABLE, or is shorter (EINVAL)"
        )


def test_mapped_memory_outlives_the_descriptor(kernel: Kernel) -> None:
    """Until the view goes."""
    item = create_map(kernel, MapSpec("mapped", MapType.ARRAY, 4, 8, 1, flags=F_MMAPABLE))
    number = item.info().id
    view = kernel.map_memory(item.fd, 8, writable=True)
    view[:8] = b"12345678"
    item.close()
    assert bytes(view[:8]) == b"12345678"
    kernel.close(kernel.open_id(ObjectKind.MAP, number))
    view.release()


def _errno(action: Any) -> str:
    with pytest.raises(KernelError) as caught:
        action()
    return caught.value.errno_name


def test_types_that_do_not_fit_are_left_out(kernel: Kernel) -> None:
    """A key whose size alone is declared: the kernel takes the map without types."""
    text = """
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __uint(key_size, 4);
                 __type(value, long); } half SEC(".maps");
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int);
                 __type(value, long); } whole SEC(".maps");
        SEC("socket") int it(void *ctx) { return 0; }
    """
    with load(spec_of(text), kernel=kernel) as loaded:
        half, whole = loaded.maps["half"], loaded.maps["whole"]
        assert (half.info().btf_id, half.info().btf_value_type_id) == (0, 0)
        assert whole.info().btf_id != 0
        half[b"key1"] = 5
        assert dict(half.items()) == {b"key1": 5}


@pytest.mark.parametrize(
    ("key_type", "value_type", "expected"),
    [
        ("key", "value", ""),
        ("", "value", "EINVAL"),
        ("key", "", "EINVAL"),
        ("value", "value", "EINVAL"),
        ("none", "value", "EINVAL"),
    ],
)
def test_types_are_held_against_the_map(
    kernel: Kernel, key_type: str, value_type: str, expected: str
) -> None:
    """Their sizes, and that there are such types."""
    spec = spec_of(_TEXT)
    item = spec.maps["full"]
    numbers = {"key": item.key_type_id, "value": item.value_type_id, "none": 99999, "": 0}
    btf_fd = kernel.btf_load(spec.btf_data).fd
    request = MapCreate(
        MapType.HASH,
        4,
        8,
        4,
        btf_fd=btf_fd,
        btf_key_type_id=numbers[key_type],
        btf_value_type_id=numbers[value_type],
    )
    assert _answer(lambda: kernel.close(kernel.map_create(request))) == (expected or "None")
    kernel.close(btf_fd)


def test_a_map_that_is_closed_says_so(obj: LoadedObject) -> None:
    """And closing it twice does nothing."""
    item: Map = obj.maps["full"]
    item.close()
    item.close()
    assert _refusal(lambda: item[1])[1] == "map full: used after it was closed"

"""The machine's maps and the running kernel's: the same questions get the same answers and errnos."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import (
    F_INNER_MAP,
    F_MMAPABLE,
    F_NO_PREALLOC,
    F_RDONLY,
    F_RDONLY_PROG,
    F_WRONLY,
    Command,
    MapType,
    ProgType,
)
from ebee.asm import assemble, encode
from ebee.errors import KernelError
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.command import bpf
from ebee.kernel.live.maps import element
from ebee.kernel.live.syscall import address, buffer
from ebee.kernel.protocol import Kernel, MapCreate, ProgramLoad, RunRequest
from ebee.kernel.simulated import SimulatedKernel
from ebee.vm.arena import Arena
from ebee.vm.faults import Refusal
from ebee.vm.maps import MapSetup, VmMap, make_map
from ebee.vm.memory import Memory
from tests.kernel.door import needs_root

pytestmark = [needs_root, pytest.mark.userspace_machine]

Operation = tuple[str, tuple[Any, ...]]

# On emulated kernels everything takes long.
_SHARE = 5 if "EBEE_EMULATED" in os.environ else 1
FEW = settings(max_examples=25 // _SHARE, deadline=None)
FEWER = settings(max_examples=10 // _SHARE, deadline=None)
LIVE = LiveKernel()
CPUS = LIVE.cpu_count()

HASHES = [MapType.HASH, MapType.PERCPU_HASH]
LRU = [MapType.LRU_HASH, MapType.LRU_PERCPU_HASH]
ARRAYS = [MapType.ARRAY, MapType.PERCPU_ARRAY]
OF_MAPS = [MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS]


def n4(number: int) -> bytes:
    return number.to_bytes(4, "little")


class LiveMap:
    """A map of the running kernel, with the machine's methods."""

    def __init__(self, setup: MapSetup, inner_fd: int = 0) -> None:
        self.setup = setup
        self.fd = LIVE.map_create(request(setup, inner_fd))
        self.value_bytes = setup.value_size_bytes

    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        return LIVE.map_lookup(self.fd, key, self.value_bytes, flags)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        LIVE.map_update(self.fd, key, value, flags)

    def remove(self, key: bytes) -> None:
        if not LIVE.map_delete(self.fd, key):
            raise OSError(errno.ENOENT, "")

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        value = buffer(self.value_bytes)
        try:
            bpf(Command.MAP_LOOKUP_AND_DELETE_ELEM, element(self.fd, address(key), address(value), flags))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def next_key(self, key: bytes | None) -> bytes | None:
        return LIVE.map_next_key(self.fd, key, self.setup.key_size_bytes)

    def freeze(self) -> None:
        LIVE.map_freeze(self.fd)

    def keys(self) -> list[bytes]:
        """Return all keys; their order in a hash is the kernel's own."""
        return sorted(walked(self))


def walked(some: Any) -> Iterator[bytes]:
    key = some.next_key(None)
    while key is not None:
        yield key
        key = some.next_key(key)


def request(setup: MapSetup, inner_fd: int = 0) -> MapCreate:
    """Return how a map is asked for at the door."""
    sizes = (setup.key_size_bytes, setup.value_size_bytes, setup.max_entries)
    return MapCreate(
        setup.type, *sizes, setup.flags, setup.name, inner_map_fd=inner_fd, map_extra=setup.extra
    )


def machine_map(setup: MapSetup) -> VmMap:
    return make_map(setup, Memory(Arena()), cpus=CPUS, index=1)


@contextmanager
def pair(setup: MapSetup) -> Iterator[tuple[LiveMap, VmMap]]:
    """Make a map twice: on the running kernel and on the machine."""
    live, vm = LiveMap(setup), machine_map(setup)
    live.value_bytes = vm.user_value_bytes
    try:
        yield live, vm
    finally:
        LIVE.close(live.fd)
        vm.close()


def answer(action: Callable[[], Any]) -> Any:
    """Return what an action gives, or the errno that it is refused with."""
    try:
        return action()
    except (Refusal, KernelError, OSError) as error:
        return f"errno {error.errno}"


def asked(some: Any, operation: Operation) -> Any:
    """Return what one map answers."""
    name, arguments = operation
    if name == "keys":
        return answer(lambda: sorted(walked(some)))
    return answer(lambda: getattr(some, name)(*arguments))


def hold(setup: MapSetup, operations: list[Operation], *, frozen: bool = False) -> None:
    """Do the same with both maps and compare every answer."""
    with pair(setup) as (live, vm):
        if frozen:
            assert answer(live.freeze) == answer(vm.freeze)
        for number, operation in enumerate(operations):
            said = f"{number}: {operation}"
            assert (said, asked(vm, operation)) == (said, asked(live, operation))


def operations(keys: st.SearchStrategy[bytes], value_bytes: int, *names: str) -> st.SearchStrategy[Any]:
    """Return lists of operations; names stand in it as often as they shall come."""
    values = st.integers(0, 255).map(lambda number: bytes([number]) * value_bytes)
    flags = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4, 8, 1 << 33])
    looking = st.sampled_from([0, 0, 0, 1, 4])
    arguments: dict[str, st.SearchStrategy[Any]] = {
        "read": st.tuples(keys, looking),
        "take": st.tuples(keys, looking),
        "write": st.tuples(keys, values, flags),
        "remove": st.tuples(keys),
        "next_key": st.tuples(st.one_of(keys, st.none())),
        "keys": st.just(()),
    }
    one = st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), arguments[name]))
    return st.lists(one, max_size=60)


KEYS = st.one_of(st.integers(0, 7), st.just(0xFFFF_FFFF)).map(n4)
NO_KEY = st.just(b"")
PREFIXES = st.tuples(
    st.one_of(st.integers(0, 17), st.just(0xFFFF_FFFF)),
    st.sampled_from([b"\x0a\0", b"\x0a\x01", b"\x0a\xff", b"\x80\0", b"\0\0", b"\xff\xff"]),
).map(lambda parts: n4(parts[0]) + parts[1])
ALWAYS = ("read", "write", "write", "write", "remove")


@pytest.fixture(scope="module")
def recent() -> None:
    """Skip on a kernel that answers otherwise, because it is older than what the machine does as."""
    with pair(MapSetup(MapType.STACK_TRACE, "m", 4, 8, 4)) as (live, _):
        if answer(lambda: live.take(n4(0))) is not None:
            pytest.skip("this kernel's maps are older than those of the userspace machine")


class TestOperations:
    @pytest.mark.parametrize("flags", [0, F_NO_PREALLOC])
    @pytest.mark.parametrize("kind", HASHES)
    def test_hashes(self, kind: MapType, flags: int) -> None:
        @FEW
        @given(operations(KEYS, user_bytes(kind), *ALWAYS, "keys"))
        def check(done: list[Operation]) -> None:
            hold(MapSetup(kind, "m", 4, 8, 4, flags), done)

        check()

    @pytest.mark.parametrize("kind", LRU)
    def test_lru_hashes_with_room(self, kind: MapType) -> None:
        @FEW
        @given(operations(KEYS, user_bytes(kind), *ALWAYS, "keys"))
        def check(done: list[Operation]) -> None:
            hold(MapSetup(kind, "m", 4, 8, 256), done)

        check()

    @pytest.mark.parametrize("kind", ARRAYS)
    def test_arrays(self, kind: MapType) -> None:
        @FEW
        @given(operations(KEYS, user_bytes(kind), *ALWAYS, "next_key", "keys"))
        def check(done: list[Operation]) -> None:
            hold(MapSetup(kind, "m", 4, 8, 4), done)

        check()

    @pytest.mark.parametrize("kind", [MapType.QUEUE, MapType.STACK])
    @FEW
    @given(operations(NO_KEY, 8, *ALWAYS, "take", "next_key"))
    def test_queues_and_stacks(self, kind: MapType, done: list[Operation]) -> None:
        hold(MapSetup(kind, "m", 0, 8, 3), done)

    @pytest.mark.parametrize("entries", [4, 200])
    @pytest.mark.usefixtures("recent")
    def test_tries(self, entries: int) -> None:
        @FEW
        @given(operations(PREFIXES, 8, *ALWAYS, "take", "next_key"))
        def check(done: list[Operation]) -> None:
            hold(MapSetup(MapType.LPM_TRIE, "m", 6, 8, entries, F_NO_PREALLOC), done)

        check()

    @pytest.mark.usefixtures("recent")
    @FEW
    @given(operations(NO_KEY, 8, "write", "remove", "take", "next_key"))
    def test_bloom_filters(self, done: list[Operation]) -> None:
        hold(
            MapSetup(MapType.BLOOM_FILTER, "m", 0, 8, 100),
            [*done, ("write", (b"", bytes(8))), ("read", (b"",))],
        )

    @pytest.mark.parametrize("kind", [*HASHES, *LRU, *ARRAYS])
    @pytest.mark.usefixtures("recent")
    def test_taking_values(self, kind: MapType) -> None:
        @FEW
        @given(operations(KEYS, user_bytes(kind), "write", "write", "take", "read"))
        def check(done: list[Operation]) -> None:
            hold(MapSetup(kind, "m", 4, 8, 64), done)

        check()

    @pytest.mark.parametrize("value_bytes", [4, 8])
    @pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.DEVMAP_HASH])
    @pytest.mark.usefixtures("recent")
    def test_maps_of_interfaces(self, kind: MapType, value_bytes: int) -> None:
        self.redirects(kind, value_bytes, st.sampled_from([n4(0), n4(1)]))

    @pytest.mark.parametrize("value_bytes", [4, 8])
    @pytest.mark.usefixtures("recent")
    def test_maps_of_cpus(self, value_bytes: int) -> None:
        self.redirects(MapType.CPUMAP, value_bytes, st.sampled_from([n4(0), n4(1), n4(16385)]))

    def redirects(self, kind: MapType, value_bytes: int, firsts: st.SearchStrategy[bytes]) -> None:
        """Compare a map whose values begin with one of a few numbers."""

        @FEW
        @given(operations(KEYS, 0, *ALWAYS, "take", "keys"), firsts)
        def check(done: list[Operation], first: bytes) -> None:
            value = first.ljust(value_bytes, b"\0")
            hold(MapSetup(kind, "m", 4, value_bytes, 3), [with_value(one, value) for one in done])

        check()

    @pytest.mark.parametrize(
        "setup",
        [
            *(MapSetup(kind, "m", 4, 4, 3) for kind in (MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY)),
            *(MapSetup(kind, "m", 4, 4, 3) for kind in (MapType.CGROUP_ARRAY, MapType.XSKMAP)),
            *(
                MapSetup(kind, "m", 4, size, 3)
                for kind in (MapType.SOCKMAP, MapType.SOCKHASH)
                for size in (4, 8)
            ),
            *(MapSetup(MapType.REUSEPORT_SOCKARRAY, "m", 4, size, 3) for size in (4, 8)),
            MapSetup(MapType.STACK_TRACE, "m", 4, 16, 3),
        ],
        ids=lambda setup: f"{setup.type.name}-{setup.value_size_bytes}",
    )
    @pytest.mark.usefixtures("recent")
    def test_maps_that_user_space_cannot_fill_with_bytes(self, setup: MapSetup) -> None:
        @FEW
        @given(operations(KEYS, setup.value_size_bytes, "read", "remove", "take", "next_key"))
        def check(done: list[Operation]) -> None:
            hold(setup, done)

        check()

    @pytest.mark.parametrize("kind", [MapType.RINGBUF, MapType.USER_RINGBUF])
    @pytest.mark.usefixtures("recent")
    def test_rings_have_no_elements(self, kind: MapType) -> None:
        hold(
            MapSetup(kind, "m", 0, 0, os.sysconf("SC_PAGESIZE")),
            [("read", (b"",)), ("write", (b"", b"")), ("remove", (b"",)), ("take", (b"",)), ("keys", ())],
        )

    @pytest.mark.parametrize("flags", [F_RDONLY, F_WRONLY, F_RDONLY_PROG])
    @pytest.mark.parametrize("kind", [*HASHES, *ARRAYS])
    def test_rights(self, kind: MapType, flags: int) -> None:
        done = [
            ("write", (n4(1), bytes(user_bytes(kind)))),
            ("read", (n4(1),)),
            ("read", (n4(1), 1)),
            ("remove", (n4(1),)),
            ("keys", ()),
        ]
        hold(MapSetup(kind, "m", 4, 8, 4, flags), done)
        hold(MapSetup(kind, "m", 4, 8, 4, flags), done, frozen=True)


def user_bytes(kind: MapType) -> int:
    """Return how long a value of 8 bytes is to user space."""
    return 8 * CPUS if "PERCPU" in kind.name else 8


def with_value(operation: Operation, value: bytes) -> Operation:
    """Return an operation that writes another value."""
    name, arguments = operation
    return operation if name != "write" else (name, (arguments[0], value, arguments[2]))


_UNLIKE = (
    MapType.UNSPEC,
    # of other kinds than the machine has, or made with types
    *(MapType.STRUCT_OPS, MapType.ARENA, MapType.INSN_ARRAY, MapType.RHASH),
    *(MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE),
    # as many CPUs as the kernel was built for
    MapType.CPUMAP,
)


class TestMaking:
    """Every type, in shapes that are right and in those that differ from them in two respects."""

    _GOOD = (
        (4, 4, 1, 0, 0),
        (4, 8, 4, 0, 0),
        (0, 8, 4, 0, 0),
        (0, 0, 4096, 0, 0),
        (8, 4, 3, F_NO_PREALLOC, 0),
        (16, 8, 0, 0, 0),
    )
    _OTHERS = (
        (0, 1, 4, 5, 8, 16, 260, 261, 512, 513),
        (0, 1, 4, 6, 8, 16, 32, 33, 4096, 32768, 32769, 4194252, 4 << 20, (4 << 20) + 1),
        (0, 1, 3, 4096, 8192),
        (0, *(1 << bit for bit in range(15)), F_RDONLY | F_WRONLY, 0x180, F_MMAPABLE | F_INNER_MAP),
        (0, 1, 16),
    )

    @pytest.mark.parametrize("kind", [kind for kind in MapType if kind not in _UNLIKE], ids=lambda k: k.name)
    @pytest.mark.usefixtures("recent")
    def test_shapes(self, kind: MapType) -> None:
        inner = MapSetup(MapType.ARRAY, "inner", 4, 4, 1)
        with ExitStack() as undo:
            fd = 0
            if kind in OF_MAPS:
                fd = LIVE.map_create(request(inner))
                undo.callback(LIVE.close, fd)
            for shape in sorted(self.shapes()):
                setup = MapSetup(kind, "m", *shape)._replace(inner=inner)
                assert (shape, self.made_here(setup)) == (shape, self.made_there(setup, fd))

    def shapes(self) -> set[tuple[int, int, int, int, int]]:
        """Return shapes, but for those of much memory."""
        found: set[Any] = set()
        for good in self._GOOD:
            for one, two in combinations(range(5), 2):
                for first in self._OTHERS[one]:
                    for second in self._OTHERS[two]:
                        shape = list(good)
                        shape[one], shape[two] = first, second
                        found.add(tuple(shape))
        return {shape for shape in found if shape[1] * shape[2] < 32 << 20}

    def made_here(self, setup: MapSetup) -> Any:
        return answer(lambda: machine_map(setup).close())

    def made_there(self, setup: MapSetup, inner_fd: int) -> Any:
        return answer(lambda: LIVE.close(LIVE.map_create(request(setup, inner_fd))))


class TestMapsOfMaps:
    @pytest.mark.parametrize("outer", OF_MAPS)
    @pytest.mark.parametrize(
        "inner",
        [
            MapSetup(MapType.ARRAY, "inner", 4, 8, 4),
            MapSetup(MapType.ARRAY, "inner", 4, 8, 4, F_INNER_MAP),
            MapSetup(MapType.HASH, "inner", 4, 8, 4),
            MapSetup(MapType.PERCPU_ARRAY, "inner", 4, 8, 4),
            MapSetup(MapType.QUEUE, "inner", 0, 8, 4),
            MapSetup(MapType.LPM_TRIE, "inner", 8, 8, 4, F_NO_PREALLOC),
        ],
        ids=lambda setup: f"{setup.type.name}-{setup.flags}",
    )
    def test_the_same_inner_maps_are_taken(self, outer: MapType, inner: MapSetup) -> None:
        setup = MapSetup(outer, "m", 4, 4, 4, inner=inner)
        vm: Any = machine_map(setup)
        changes: list[dict[str, Any]] = [{}, {"max_entries": 5}, {"value_size_bytes": 16}]
        changes += [
            {"key_size_bytes": 12},
            {"flags": inner.flags ^ F_RDONLY_PROG},
            {"flags": inner.flags ^ F_RDONLY},
        ]
        with ExitStack() as undo:
            pattern = LIVE.map_create(request(inner))
            undo.callback(LIVE.close, pattern)
            live = LiveMap(setup, pattern)
            undo.callback(LIVE.close, live.fd)
            for change in changes:
                other = inner._replace(**change)
                if isinstance(answer(lambda: machine_map(other).close()), str):  # noqa: B023
                    continue
                fd = LIVE.map_create(request(other))
                undo.callback(LIVE.close, fd)
                there = answer(lambda: live.write(n4(1), n4(fd)))  # noqa: B023
                assert (change, answer(lambda: vm.accept(machine_map(other)))) == (change, there)  # noqa: B023

    @pytest.mark.parametrize("outer", OF_MAPS)
    @pytest.mark.parametrize("inner", [MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS])
    def test_the_same_maps_are_never_inner(self, outer: MapType, inner: MapType) -> None:
        setup = MapSetup(outer, "m", 4, 4, 4, inner=MapSetup(inner, "inner", 4, 4, 1))
        with ExitStack() as undo:
            deepest = LIVE.map_create(MapCreate(MapType.ARRAY, 4, 4, 1))
            undo.callback(LIVE.close, deepest)
            fd = LIVE.map_create(MapCreate(inner, 4, 4, 1, inner_map_fd=deepest if inner in OF_MAPS else 0))
            undo.callback(LIVE.close, fd)
            there = answer(lambda: LIVE.close(LIVE.map_create(request(setup, fd))))
        assert answer(lambda: machine_map(setup).close()) == there


# -- what programs see -------------------------------------------------------------------------------

_CALLS = {"lookup": 1, "update": 2, "delete": 3, "push": 87, "pop": 88, "peek": 89}
_NOT_THERE = 0xDEAD


def call_text(fd: int, name: str, key: bytes, value: int, flags: int) -> list[str]:
    """Return the lines of a call with a map; the value stands at r10 - 8."""
    lines = [f"*(u32 *)(r10 -{24 - at}) = {word(key, at)}" for at in range(0, len(key), 4)]
    lines += [f"*(u32 *)(r10 -8) = {value}", f"*(u32 *)(r10 -4) = {value}"]
    lines += [f"r1 = map[fd:{fd}]", "r2 = r10", "r2 += -24", "r3 = r10", "r3 += -8", f"r4 = {flags}"]
    if name in ("push", "pop", "peek"):
        lines += ["r2 = r3", "r3 = r4"]
    return [*lines, f"call {_CALLS[name]}"]


def program_text(fd: int, name: str, key: bytes, value: int, flags: int) -> str:
    """Return a program that does one thing with a map: r0 is the errno, or what is found."""
    lines = call_text(fd, name, key, value, flags)
    if name == "lookup":
        lines += ["if r0 != 0 goto there", f"r0 = {_NOT_THERE}", "exit", "there:", "r0 = *(u32 *)(r0 +0)"]
    elif name in ("pop", "peek"):
        lines += ["if r0 != 0 goto out", "r0 = *(u32 *)(r10 -8)", "out:"]
    return "\n".join([*lines, "exit"])


def word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little", signed=True)


def ran(kernel: Kernel, text: str) -> int:
    """Return what a program gives, as a number of 32 bits with a sign."""
    code = encode(assemble(text), "little")
    loaded = kernel.program_load(
        ProgramLoad(ProgType.SCHED_CLS, code, "GPL", log_level=1, log_size_bytes=1 << 16)
    )
    assert loaded.errno == 0, loaded.log
    try:
        answered = kernel.program_test_run(RunRequest(loaded.fd, bytes(64)))
    finally:
        kernel.close(loaded.fd)
    return (answered.return_value ^ 1 << 31) - (1 << 31)


@contextmanager
def on_cpu_0() -> Iterator[None]:
    """Run on one CPU, as the machine's programs do."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def two_kernels(setup: MapSetup) -> Iterator[list[tuple[Kernel, int]]]:
    """Make a map on both kernels."""
    kernels: list[Kernel] = [LIVE, SimulatedKernel(engine="interpreter", cpus=CPUS)]
    with ExitStack() as undo:
        undo.enter_context(on_cpu_0())
        made = []
        for kernel in kernels:
            fd = kernel.map_create(request(setup))
            undo.callback(kernel.close, fd)
            made.append((kernel, fd))
        yield made


def hold_programs(setup: MapSetup, steps: list[tuple[str, bytes, int, int]]) -> None:
    """Let programs on both kernels do the same, and compare."""
    user_size = setup.value_size_bytes * (CPUS if "PERCPU" in setup.type.name else 1)
    with two_kernels(setup) as made:
        for number, step in enumerate(steps):
            here, there = (ran(kernel, program_text(fd, *step)) for kernel, fd in reversed(made))
            assert (number, step, here) == (number, step, there)
            if setup.key_size_bytes:
                values = [kernel.map_lookup(fd, step[1], user_size) for kernel, fd in made]
                assert (number, step, values[0]) == (number, step, values[1])


def steps(keys: st.SearchStrategy[bytes], *names: str) -> st.SearchStrategy[Any]:
    flags = st.sampled_from([0, 0, 0, 1, 2, 3])
    return st.lists(st.tuples(st.sampled_from(names), keys, st.integers(1, 99), flags), max_size=20)


class TestPrograms:
    @pytest.mark.parametrize("kind", [*HASHES, *LRU, *ARRAYS])
    def test_hashes_and_arrays(self, kind: MapType) -> None:
        @FEWER
        @given(steps(st.integers(0, 4).map(n4), "lookup", "update", "update", "delete"))
        def check(done: list[tuple[str, bytes, int, int]]) -> None:
            hold_programs(MapSetup(kind, "m", 4, 8, 64 if kind in LRU else 3), done)

        check()

    @pytest.mark.parametrize("kind", [MapType.QUEUE, MapType.STACK])
    def test_queues_and_stacks(self, kind: MapType) -> None:
        @FEWER
        @given(steps(NO_KEY, "push", "push", "pop", "peek"))
        def check(done: list[tuple[str, bytes, int, int]]) -> None:
            hold_programs(MapSetup(kind, "m", 0, 8, 3), done)

        check()

    @pytest.mark.usefixtures("recent")
    @FEWER
    @given(steps(PREFIXES.map(lambda key: key + b"\0\0"), "lookup", "update", "update", "delete"))
    def test_tries(self, done: list[tuple[str, bytes, int, int]]) -> None:
        hold_programs(MapSetup(MapType.LPM_TRIE, "m", 8, 8, 4, F_NO_PREALLOC), done)

    @pytest.mark.usefixtures("recent")
    def test_bloom_filters(self) -> None:
        hold_programs(
            MapSetup(MapType.BLOOM_FILTER, "m", 0, 8, 64),
            [("peek", b"", 5, 0), ("push", b"", 5, 0), ("peek", b"", 5, 0), ("push", b"", 5, 1)],
        )

    @pytest.mark.parametrize("kind", [*HASHES, *LRU, *ARRAYS])
    def test_a_pointer_from_before_an_update_shows_the_same(self, kind: MapType) -> None:
        setup, seen = MapSetup(kind, "m", 4, 8, 4), []
        with two_kernels(setup) as made:
            for kernel, fd in made:
                kernel.map_update(fd, n4(1), n4(7) * 2 * (user_bytes(kind) // 8))
                text = [*call_text(fd, "lookup", n4(1), 0, 0), "if r0 != 0 goto there", "exit", "there:"]
                text += ["r6 = r0", *call_text(fd, "update", n4(1), 8, 0), "r0 = *(u32 *)(r6 +0)", "exit"]
                seen.append(ran(kernel, "\n".join(text)))
        assert seen[0] == seen[1]


# -- ring buffers ------------------------------------------------------------------------------------

PAGE = os.sysconf("SC_PAGESIZE")
_OUTPUT, _RESERVE, _SUBMIT, _DISCARD, _QUERY = 130, 131, 132, 133, 134


def ring_text(fd: int, name: str, number: int, flags: int) -> str:
    """Return a program that does one thing with a ring buffer; `number` is a size, or what is asked for."""
    begin = [f"r1 = map[fd:{fd}]"]
    if name == "output":
        fill = [f"*(u64 *)(r10 -{at}) = {at}" for at in range(8, 257, 8)]
        text = [*fill, *begin, "r2 = r10", "r2 += -256", f"r3 = {number}", f"r4 = {flags}", f"call {_OUTPUT}"]
    elif name == "query":
        text = [*begin, f"r2 = {number}", f"call {_QUERY}"]
    else:
        finish = _DISCARD if name == "discard" else _SUBMIT
        text = [*begin, f"r2 = {number}", "r3 = 0", f"call {_RESERVE}", "if r0 != 0 goto there"]
        text += [f"r0 = {_NOT_THERE}", "exit", "there:", f"*(u64 *)(r0 +0) = {number}", "r1 = r0"]
        text += [f"r2 = {flags}", f"call {finish}", "r0 = 0"]
    return "\n".join([*text, "exit"])


class Mapped:
    """A ring buffer as user space sees it."""

    def __init__(self, kernel: Kernel, fd: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.consumer = kernel.map_memory(fd, PAGE, writable=True)
        self.rest = kernel.map_memory(fd, PAGE + 2 * size_bytes, writable=False, offset_bytes=PAGE)

    def positions(self) -> tuple[int, int]:
        return number_of(self.consumer, 0, 8), number_of(self.rest, 0, 8)

    def consume(self) -> None:
        self.consumer[:8] = bytes(self.rest[:8])

    def records(self) -> list[tuple[int, bytes]]:
        """Return what was not consumed: the length with its bits, and the first 8 bytes."""
        found = []
        place, end = self.positions()
        while place < end:
            at = PAGE + place % self.size_bytes
            length = number_of(self.rest, at, 4)
            size = length & ~(3 << 30)
            found.append((length, bytes(self.rest[at + 8 : at + 8 + min(8, size)])))
            place += 8 + (size + 7 & ~7)
        return found

    def close(self) -> None:
        self.consumer.release()
        self.rest.release()


def number_of(memory: memoryview, at: int, size: int) -> int:
    return int.from_bytes(memory[at : at + size], "little")


RING_STEPS = st.one_of(
    st.tuples(st.just("output"), st.integers(0, 256), st.sampled_from([0, 0, 0, 1, 2, 3, 4])),
    st.tuples(st.sampled_from(["submit", "discard"]), st.integers(8, 2000), st.sampled_from([0, 1, 2])),
    st.tuples(st.just("query"), st.integers(0, 4), st.just(0)),
    st.just(("consume", 0, 0)),
)


class TestRings:
    @FEWER
    @given(st.lists(RING_STEPS, max_size=25))
    def test_records_lie_where_the_kernel_puts_them(self, done: list[tuple[str, int, int]]) -> None:
        with two_kernels(MapSetup(MapType.RINGBUF, "m", 0, 0, PAGE)) as made, ExitStack() as undo:
            rings = []
            for kernel, fd in made:
                ring = Mapped(kernel, fd, PAGE)
                undo.callback(ring.close)
                rings.append(ring)
            for number, (name, size, flags) in enumerate(done):
                seen = []
                for (kernel, fd), ring in zip(made, rings, strict=True):
                    if name == "consume":
                        ring.consume()
                    given_back = None if name == "consume" else ran(kernel, ring_text(fd, name, size, flags))
                    seen.append((number, name, given_back, ring.positions(), ring.records()))
                assert seen[1] == seen[0]

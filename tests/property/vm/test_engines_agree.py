"""The native engine gives what the interpreter gives: result, memory, instructions, the same complaint."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction
from ebee.asm.opcodes import CALL, PseudoCall
from ebee.errors import MachineError
from ebee.vm.arena import SharedArena
from ebee.vm.code import Code
from ebee.vm.contexts import release, xdp_context
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Engine, Machine, map_address
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.native import Native
from tests.support import vm
from tests.support.programs import ARRAY, HASH, PACKET_BYTES, VALUE_BYTES, programs, with_maps

pytestmark = pytest.mark.starts_processes

MAPS = {
    ARRAY: MapSetup(MapType.ARRAY, "array", 4, VALUE_BYTES, 1),
    HASH: MapSetup(MapType.HASH, "hash", 4, VALUE_BYTES, 5),
}
packets = st.binary(min_size=PACKET_BYTES, max_size=PACKET_BYTES + 8)
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Seen(NamedTuple):
    """All that a run leaves to be seen."""

    result: object
    packet: bytes
    array: bytes
    hash: dict[bytes, bytes]


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Interpreter, Native]]:
    native = Native(Machine(SharedArena()))
    yield Interpreter(Machine()), native
    native.close()


def seen(engine: Engine, machine: Machine, code: Code, packet: bytes, budget: int) -> Seen:
    """Run a program with new maps of its own."""
    for index, setup in MAPS.items():
        machine.maps[index] = make_map(setup, machine.memory, cpus=machine.cpus, index=index)
    context = xdp_context(machine.memory, packet)
    try:
        result: object = engine.run(code, context, budget=budget)
    except MachineError as error:
        result = (error.details(), error.slot)
    array, table = machine.maps[ARRAY], machine.maps[HASH]
    assert context.packet is not None
    found = Seen(
        result,
        bytes(context.packet.bytes()),
        array.read(bytes(4)) or b"",
        {key: table.read(key) or b"" for key in table.keys()},  # noqa: SIM118  # a map is no dict
    )
    release(machine.memory, context)
    for index in MAPS:
        machine.maps.pop(index).close()
    return found


_OPERATIONS = """
    r9 = r1
    r8 = *(u64 *)(r9 +0)
more:
    r9 += 16
    if r8 == 0 goto out
    r8 += -1
    r1 = *(u32 *)(r9 +4)
    *(u64 *)(r10 -16) = r1
    *(u64 *)(r10 -8) = 5
    r1 = *(u32 *)(r9 +12)
    *(u64 *)(r10 -32) = r1
    *(u64 *)(r10 -24) = r8
    r1 = map[idx:0]
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -32
    r4 = *(u32 *)(r9 +8)
    r5 = *(u32 *)(r9 +0)
    if r5 == 0 goto lookup
    if r5 == 1 goto update
    call bpf_map_delete_elem
    goto done
update:
    call bpf_map_update_elem
    goto done
lookup:
    call bpf_map_lookup_elem
    if r0 == 0 goto done
    r1 = *(u8 *)(r0 +0)
    r1 += 1
    *(u8 *)(r0 +0) = r1
done:
    *(u64 *)(r9 +0) = r0
    goto more
out:
    r0 = 0
    exit
"""
_CODE = vm.code(_OPERATIONS)
_KINDS = (
    *(MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.HASH, MapType.LRU_HASH),
    *(MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH),
)
_operations = st.tuples(
    st.integers(0, 2), st.integers(0, 9), st.sampled_from([0, 0, 0, 1, 2, 3, 4]), st.integers(0, 1 << 32 - 1)
)


def after_operations(engine: Engine, setup: MapSetup, operations: list[tuple[int, ...]], cpu: int) -> object:
    """Return what lookups, updates and deletions gave, and what the map holds then, in its order."""
    machine = engine.machine
    made = machine.maps[0] = make_map(setup, machine.memory, cpus=machine.cpus, index=0)
    data = struct.pack("<QQ", len(operations), 0) + b"".join(struct.pack("<IIII", *one) for one in operations)
    context = vm.context(machine, data)
    engine.run(_CODE, context, cpu=cpu)
    left = bytes(context.region.element(0)), [(key, made.read(key)) for key in made.keys()]  # noqa: SIM118
    machine.maps.pop(0).close()
    return left


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(_KINDS),
    key_bytes=st.sampled_from([1, 4, 7, 8, 12, 16]),
    value_bytes=st.sampled_from([1, 4, 8, 13, 16]),
    entries=st.integers(1, 6),
    operations=st.lists(_operations, max_size=40),
    cpu=st.integers(0, 1),
)
def test_maps_answer_the_same_and_hold_the_same(
    engines: tuple[Interpreter, Native],
    kind: MapType,
    key_bytes: int,
    value_bytes: int,
    entries: int,
    operations: list[tuple[int, ...]],
    cpu: int,
) -> None:
    is_array = kind in (MapType.ARRAY, MapType.PERCPU_ARRAY)
    setup = MapSetup(kind, "m", 4 if is_array else key_bytes, value_bytes, entries)

    interpreted, native = (after_operations(engine, setup, operations, cpu) for engine in engines)
    assert native == interpreted


def code_of(instructions: list[Instruction]) -> Code:
    placed = with_maps(instructions, lambda index: (0, map_address(index)))
    calls = {
        slot + 1 + one.imm
        for slot, one in enumerate(placed)
        if (one.opcode, one.src) == (CALL, PseudoCall.CALL)
    }
    functions = {0: "test"} | dict.fromkeys(calls, "function")
    return Code("test", ProgType.XDP, tuple(placed), functions=functions)


def assert_same(
    engines: tuple[Interpreter, Native], code: Code, packet: bytes, budget: int = 100_000
) -> None:
    interpreter, native = engines
    expected = seen(interpreter, interpreter.machine, code, packet, budget)
    assert seen(native, native.machine, code, packet, budget) == expected


@relaxed
@given(instructions=programs(), packet=packets)
def test_programs_leave_the_same_behind(
    engines: tuple[Interpreter, Native], instructions: list[Instruction], packet: bytes
) -> None:
    assert_same(engines, code_of(instructions), packet)


@relaxed
@given(instructions=programs(), packet=packets, budget=st.integers(1, 120))
def test_a_budget_ends_at_the_same_instruction_with_the_same_memory(
    engines: tuple[Interpreter, Native], instructions: list[Instruction], packet: bytes, budget: int
) -> None:
    assert_same(engines, code_of(instructions), packet, budget)


@relaxed
@given(
    instructions=programs(),
    packet=packets,
    changes=st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from(["offset", "imm", "dst", "src"]), st.integers(-80, 80)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_broken_programs_are_stopped_at_the_same_place_for_the_same_reason(
    engines: tuple[Interpreter, Native],
    instructions: list[Instruction],
    packet: bytes,
    changes: list[tuple[int, str, int]],
) -> None:
    code = code_of(instructions)
    broken = list(code.instructions)
    for place, field, value in changes:
        slot = place % len(broken)
        number = abs(value) % 11 if field in ("dst", "src") else value
        broken[slot] = broken[slot]._replace(**{field: number})

    assert_same(engines, code.replaced(instructions=tuple(broken)), packet)

"""Both engines of the userspace machine give what the running kernel gives, for programs that it accepts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction, encode
from ebee.asm.opcodes import CALL, EXIT, PseudoCall, PseudoLoad
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import MapCreate, ProgramLoad, RunRequest
from ebee.vm.arena import SharedArena
from ebee.vm.code import Code
from ebee.vm.contexts import release, xdp_context
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Engine, Machine, map_address
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.native import Native
from tests.kernel.door import needs_root
from tests.support.programs import ARRAY, HASH, PACKET_BYTES, VALUE_BYTES, move, programs, with_maps

pytestmark = [needs_root, pytest.mark.userspace_machine]

MAPS = {
    ARRAY: MapSetup(MapType.ARRAY, "array", 4, VALUE_BYTES, 1),
    HASH: MapSetup(MapType.HASH, "hash", 4, VALUE_BYTES, 5),
}
HASH_KEYS = [key.to_bytes(4, "little") for key in range(8)]


class Seen(NamedTuple):
    """What a run leaves to be seen everywhere: r0's lower half, the packet, the maps."""

    result: int
    packet: bytes
    array: bytes
    hash: list[bytes | None]


@pytest.fixture(scope="module")
def engines() -> Iterator[list[tuple[Engine, Machine]]]:
    here, there = Machine(), Machine(SharedArena())
    native = Native(there)
    on_machine(native, there, [move(0, 0), Instruction(EXIT)], bytes(PACKET_BYTES))  # its process is started
    yield [(Interpreter(here), here), (native, there)]
    native.close()


def in_kernel(kernel: LiveKernel, instructions: list[Instruction], packet: bytes) -> Seen:
    """Load a program with new maps and run it once."""
    opened: list[int] = []
    try:
        maps = {index: _create(kernel, setup) for index, setup in MAPS.items()}
        opened += maps.values()
        placed = with_maps(instructions, lambda index: (PseudoLoad.MAP_FD, maps[index]))
        request = ProgramLoad(
            ProgType.XDP, encode(placed), "GPL", "ebee_agree", log_level=1, log_size_bytes=1 << 22
        )
        answer = kernel.program_load(request)
        assert answer.errno == 0, answer.log[-2000:]
        opened.append(answer.fd)
        run = kernel.program_test_run(RunRequest(answer.fd, packet, data_out_bytes=len(packet)))
        return Seen(
            run.return_value,
            run.data,
            kernel.map_lookup(maps[ARRAY], bytes(4), VALUE_BYTES) or b"",
            [kernel.map_lookup(maps[HASH], key, VALUE_BYTES) for key in HASH_KEYS],
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _create(kernel: LiveKernel, setup: MapSetup) -> int:
    sizes = (setup.key_size_bytes, setup.value_size_bytes, setup.max_entries)
    return kernel.map_create(MapCreate(setup.type, *sizes, name=setup.name))


def on_machine(engine: Engine, machine: Machine, instructions: list[Instruction], packet: bytes) -> Seen:
    """Run a program once, with new maps."""
    for index, setup in MAPS.items():
        machine.maps[index] = make_map(setup, machine.memory, cpus=machine.cpus, index=index)
    placed = with_maps(instructions, lambda index: (0, map_address(index)))
    calls = [
        slot + 1 + one.imm
        for slot, one in enumerate(placed)
        if (one.opcode, one.src) == (CALL, PseudoCall.CALL)
    ]
    code = Code(
        "agree", ProgType.XDP, tuple(placed), functions={0: "agree"} | dict.fromkeys(calls, "function")
    )
    context = xdp_context(machine.memory, packet)
    outcome = engine.run(code, context)
    assert context.packet is not None
    found = Seen(
        outcome.return_value & 0xFFFF_FFFF,
        bytes(context.packet.bytes()),
        machine.maps[ARRAY].read(bytes(4)) or b"",
        [machine.maps[HASH].read(key) for key in HASH_KEYS],
    )
    release(machine.memory, context)
    for index in MAPS:
        machine.maps.pop(index).close()
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instructions=programs(), packet=st.binary(min_size=PACKET_BYTES, max_size=PACKET_BYTES + 8))
def test_programs_do_the_same_in_the_kernel_and_on_both_engines(
    engines: list[tuple[Engine, Machine]], instructions: list[Instruction], packet: bytes
) -> None:
    expected = in_kernel(LiveKernel(), instructions, packet)

    for engine, machine in engines:
        assert on_machine(engine, machine, instructions, packet) == expected, engine.name

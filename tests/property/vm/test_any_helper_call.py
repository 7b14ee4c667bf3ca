"""Whatever a helper is given, calling it gives an outcome or a MachineError, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import MapType, ProgType
from ebee.abi.helpers import name_of
from ebee.asm import Instruction
from ebee.asm.opcodes import CALL, EXIT, LD_IMM64
from ebee.errors import MachineError
from ebee.vm.code import Code
from ebee.vm.contexts import skb_context, xdp_context
from ebee.vm.helpers.registry import all_helpers
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Context, Machine, function_address, map_address
from ebee.vm.maps import MapSetup, make_map
from ebee.vm.memory import STACK, address_of

U64 = (1 << 64) - 1
_MAPS = (
    MapSetup(MapType.HASH, "hash", 4, 8, 4),
    MapSetup(MapType.ARRAY, "array", 4, 16, 4),
    MapSetup(MapType.PERCPU_ARRAY, "per_cpu", 4, 8, 2),
    MapSetup(MapType.RINGBUF, "ring", 0, 0, 4096),
    MapSetup(MapType.PERF_EVENT_ARRAY, "perf", 4, 4, 2),
    MapSetup(MapType.QUEUE, "queue", 0, 4, 4),
    MapSetup(MapType.STACK_TRACE, "stacks", 4, 64, 4),
    MapSetup(MapType.DEVMAP, "devices", 4, 4, 4),
    MapSetup(MapType.PROG_ARRAY, "programs", 4, 4, 4),
    MapSetup(MapType.LPM_TRIE, "prefixes", 8, 4, 4, flags=1),
    MapSetup(MapType.BLOOM_FILTER, "bloom", 0, 4, 16),
)
_FRAME = address_of(STACK, 0, 512)
_CALLBACK_SLOT = 12

arguments = st.one_of(
    st.integers(0, 64),
    st.integers(-40, -1),
    st.integers(-256, -1).map(lambda below: _FRAME + below),
    st.integers(0, len(_MAPS)).map(map_address),
    st.sampled_from(["context", "packet", "end", "value", "callback"]),
    st.integers(0, U64),
)


def _machine() -> Machine:
    machine = Machine()
    for index, setup in enumerate(_MAPS):
        machine.maps[index] = make_map(setup, machine.memory, cpus=2, index=index)
    return machine


def _address(named: str | int, machine: Machine, place: Context) -> int:
    if isinstance(named, int):
        return named & U64
    assert place.packet is not None
    values = machine.maps[1].values
    assert values is not None
    return {
        "context": place.region.address(),
        "packet": place.packet.address(),
        "end": place.packet.address(len(place.packet)),
        "value": values.address(),
        "callback": function_address(_CALLBACK_SLOT),
    }[named]


def _wide_load(register: int, number: int) -> list[Instruction]:
    low, high = (half - (1 << 32) if half >> 31 else half for half in (number & 0xFFFF_FFFF, number >> 32))
    return [Instruction(LD_IMM64, register, imm=low), Instruction(0, imm=high)]


@settings(deadline=None, max_examples=20)
@given(st.lists(arguments, min_size=5, max_size=5), st.booleans())
@pytest.mark.parametrize("number", sorted(all_helpers()), ids=name_of)
def test_any_helper_with_any_arguments_gives_an_outcome_or_an_error(
    number: int, given: list[str | int], of_xdp: bool
) -> None:
    machine = _machine()
    packet = bytes(range(64))
    place = (
        xdp_context(machine.memory, packet)
        if of_xdp
        else skb_context(machine.memory, packet, ProgType.SCHED_CLS)
    )
    loads = [
        instruction
        for register, named in enumerate(given, 1)
        for instruction in _wide_load(register, _address(named, machine, place))
    ]
    slots = [*loads, Instruction(CALL, imm=number), Instruction(EXIT), Instruction(0xB7), Instruction(EXIT)]
    assert slots[_CALLBACK_SLOT].opcode == 0xB7
    kind = ProgType.XDP if of_xdp else ProgType.SCHED_CLS
    program = Code("any", kind, tuple(slots), functions={0: "any", _CALLBACK_SLOT: "callback"})

    try:
        outcome = Interpreter(machine).run(program, place, budget=2000)
    except MachineError as error:
        assert error.program == "any"  # noqa: PT017
        return
    assert 0 <= outcome.return_value <= U64

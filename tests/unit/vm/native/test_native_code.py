"""From bytecode to C: blocks, what registers hold, what of the frame is cleared, looks at the budget."""

from __future__ import annotations

import pytest

from ebee.abi.arch import ARCHITECTURES
from ebee.asm import Instruction, assemble
from ebee.vm.machine import map_address
from ebee.vm.memory import CONTEXT, PACKET
from ebee.vm.native import layout
from ebee.vm.native.compile import compile_code, source_text
from ebee.vm.native.frames import frame_bytes
from ebee.vm.native.generator import Setting, generate
from ebee.vm.native.liveness import budget_checks, live_registers
from ebee.vm.native.origins import Array, Facts, Origin, Origins, region_of
from ebee.vm.native.shape import blocks_of, functions_of
from tests.support.vm import code

_NO_PLACES = {"STATE_BYTES", "ARRAY", "HASH", "TYPE_CHECKING"}
FOUND_IN = 20
"""The region that lookups in every map of these tests point into."""


def facts(*, array: Array | None = None) -> Facts:
    return Facts({0: PACKET, 4: PACKET}, lambda address: FOUND_IN, lambda address: array)


def origins_of(text: str) -> tuple[list[Instruction], Origins]:
    instructions = list(code(text).instructions)
    return instructions, Origins(instructions, blocks_of(instructions, 0), 0, facts())


def held(text: str, register: int) -> Origin | None:
    """Return what a register holds before the last instruction."""
    instructions, origins = origins_of(text)
    return origins.before(len(instructions) - 1)[register]


def frame_of(text: str) -> int:
    instructions, origins = origins_of(text)
    slots = [slot for block in blocks_of(instructions, 0).values() for slot in block.slots]
    return frame_bytes(instructions, slots, origins)


def c_of(text: str, *, array: Array | None = None) -> str:
    program = code(text)
    setting = Setting(program.functions, facts(array=array), lambda region: region != FOUND_IN, ())
    return generate(program.instructions, setting)


# -- blocks ------------------------------------------------------------------------------------------
def test_blocks_begin_at_targets_and_behind_jumps_and_calls() -> None:
    instructions = assemble(
        "r0 = 0\nmore:\nr0 += 1\ncall bpf_get_current_pid_tgid\nif r0 > 3 goto more\nexit\nr0 = 9\nexit"
    )
    blocks = blocks_of(instructions, 0)

    assert {leader: block.slots for leader, block in blocks.items()} == {0: [0], 1: [1, 2], 3: [3], 4: [4]}
    assert (blocks[3].next, blocks[3].target) == (4, 1)
    assert (blocks[4].next, blocks[4].target) == (None, None)


def test_a_wide_load_takes_two_slots() -> None:
    blocks = blocks_of(assemble("r1 = 0x1122334455667788 ll\nr0 = r1\nexit"), 0)

    assert blocks[0].slots == [0, 2, 3]


def test_ways_that_leave_the_program_are_told_and_lead_to_no_block() -> None:
    blocks = blocks_of([Instruction(0x55, offset=9), Instruction(0xB7)], 0)

    assert blocks[0].successors() == [1, 10]
    assert blocks[1].successors() == [2]
    assert sorted(blocks) == [0, 1]


def test_functions_are_those_that_are_called_pointed_at_and_known() -> None:
    text = "r1 = subprog[c]\ncall b\nexit\na:\nexit\nb:\nexit\nc:\nexit"
    instructions = code(text).instructions

    assert functions_of(instructions, ()) == [0, 5, 6]
    assert functions_of(instructions, (4,)) == [0, 4, 5, 6]
    assert functions_of(instructions, (99, -1)) == [0, 5, 6]


# -- what registers hold -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "register", "expected"),
    [
        ("exit", 1, Origin("region", CONTEXT)),
        ("exit", 10, Origin("frame", 0)),
        ("r2 = r10\nr2 += -8\nexit", 2, Origin("frame", -8)),
        ("r2 = 8\nr10 = r10\nr3 = r10\nr3 -= 8\nexit", 3, Origin("frame", -8)),
        ("r2 = r10\nr2 += r1\nexit", 2, None),
        ("w2 = w10\nexit", 2, None),
        ("r2 = *(u32 *)(r1 +0)\nr2 += 14\nexit", 2, Origin("region", PACKET)),
        ("r2 = *(u32 *)(r1 +0)\nr2 += r3\nexit", 2, Origin("region", PACKET)),
        ("r2 = *(u32 *)(r1 +8)\nexit", 2, None),
        ("r1 = map[idx:0]\ncall bpf_map_lookup_elem\nexit", 0, Origin("region", FOUND_IN)),
        ("r1 = map[idx:0]\nr1 += 1\nexit", 1, Origin("number", map_address(0) + 1)),
        ("call bpf_get_prandom_u32\nexit", 0, None),
        ("call bpf_get_prandom_u32\nexit", 1, None),
        (
            "r2 = *(u32 *)(r1 +0)\n*(u64 *)(r10 -8) = r2\nr3 = *(u64 *)(r10 -8)\nexit",
            3,
            Origin("region", PACKET),
        ),
        ("r2 = r10\n*(u64 *)(r10 -8) = r2\nr3 = *(u64 *)(r10 -8)\nexit", 3, None),
    ],
)
def test_a_register_is_followed(text: str, register: int, expected: Origin | None) -> None:
    assert held(text, register) == expected


def test_a_pointer_or_null_is_taken_for_the_pointer() -> None:
    text = """
        r2 = 0
        if r3 == 0 goto join
        r2 = *(u32 *)(r1 +0)
    join:
        exit
    """

    assert region_of(held(text, 2)) == PACKET


def test_a_frame_pointer_that_differs_by_way_is_not_known() -> None:
    text = """
        r2 = r10
        if r3 == 0 goto join
        r2 += -8
    join:
        exit
    """

    assert held(text, 2) is None


def test_a_loop_that_moves_a_frame_pointer_loses_it() -> None:
    text = """
        r2 = r10
    more:
        *(u8 *)(r2 -1) = 7
        r2 += -1
        r3 += 1
        if r3 < 4 goto more
        exit
    """
    instructions, origins = origins_of(text)

    assert [origins.before(slot)[2] for slot in range(1, len(instructions))] == [None] * 5
    assert "top - 1" not in c_of(text)


# -- the frame ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r0 = 0\nexit", 0),
        ("*(u8 *)(r10 -1) = 3\nexit", 8),
        ("*(u64 *)(r10 -24) = 3\nr0 = *(u32 *)(r10 -4)\nexit", 24),
        ("r2 = r10\nr2 += -16\ncall bpf_map_lookup_elem\nexit", 16),
        ("r2 = r10\nr3 = r2\nr3 += -40\nr0 = *(u8 *)(r3 +3)\nexit", 40),
        ("r2 = r10\nr2 += r1\nr0 = *(u8 *)(r2 +0)\nexit", 512),
        ("*(u64 *)(r1 +0) = r10\nexit", 512),
        ("r0 = r10\nexit", 512),
        ("r1 = r10\ncall f\nexit\nf:\nexit", 512),
        ("r3 = r10\ncall bpf_loop\nexit", 512),
        ("r2 = r10\nif r1 == 0 goto on\nr2 = 0\non:\nr0 = *(u8 *)(r2 -1)\nexit", 512),
        ("r0 = *(u8 *)(r10 -600)\nexit", 512),
    ],
)
def test_what_of_the_frame_is_cleared(text: str, expected: int) -> None:
    assert frame_of(text) == expected


# -- the budget --------------------------------------------------------------------------------------
def test_the_budget_is_looked_at_first_and_once_a_loop() -> None:
    instructions = assemble(
        "r0 = 0\nmore:\nr0 += 1\nif r0 == 7 goto skip\nr0 += 1\nskip:\nif r0 < 99 goto more\nr0 = 1\nexit"
    )

    # From the loop's begin to the program's end are six at most.
    assert budget_checks(blocks_of(instructions, 0), 0, ()) == {0: 1, 1: 6}


def test_the_budget_is_looked_at_behind_calls() -> None:
    instructions = assemble("call f\nr0 = 0\nexit\nf:\nexit")

    assert budget_checks(blocks_of(instructions, 0), 0, {1}) == {0: 1, 1: 2}


def test_registers_that_are_written_first_are_not_live() -> None:
    instructions = assemble("r0 = 0\nmore:\nr3 = r2\nr0 += r3\nif r0 < 9 goto more\nr4 = r7\nexit")
    live = live_registers(instructions, blocks_of(instructions, 0))

    assert live == {0: {2, 7}, 1: {0, 2, 7}, 4: {0, 7}}


# -- C -----------------------------------------------------------------------------------------------
def test_the_own_frame_is_reached_without_a_check() -> None:
    text = c_of("*(u64 *)(r10 -8) = 3\nr0 = *(u32 *)(r10 -4)\nexit")

    assert "put(top - 8, 8, 0x3ul);" in text
    assert "r0 = fetch(top - 4, 4);" in text


def test_a_place_outside_of_the_frame_is_checked() -> None:
    text = c_of("r0 = *(u64 *)(r10 -4)\nexit")

    assert "r0 = load_any(s, 0, r10 + 0xfffffffffffffffcul, 8);" in text


def test_packets_and_values_are_looked_for_where_they_are_guessed() -> None:
    text = c_of(
        "r2 = *(u32 *)(r1 +0)\nr3 = *(u8 *)(r2 +5)\nr1 = map[idx:0]\ncall bpf_map_lookup_elem\n"
        "r0 = *(u32 *)(r0 +0)\nexit"
    )

    assert "r2 = load_special(s, 0, r1, 4);" in text
    assert "r3 = load_one(s, &g2, 1, r2 + 0x5ul, 1);" in text
    assert "r0 = load_many(s, &g20, 20, 5, r0, 4);" in text


def test_lookups_in_a_known_array_are_done_in_place() -> None:
    lookup = "r2 = r10\nr2 += -4\nr1 = map[idx:0]\ncall bpf_map_lookup_elem\nexit"

    assert "lookup_array(top - 4, 7, 20, s->cpu * 0)" in c_of(lookup, array=Array(20, 7, 0))
    assert "s->lookup(s, 4, r1, r2, r3, r4, r5)" in c_of(lookup)


def test_the_numbers_of_the_state_lie_where_both_languages_say() -> None:
    names = [name for name in vars(layout) if name.isupper() and name not in _NO_PLACES]
    checks = [
        f"_Static_assert(__builtin_offsetof(struct state, {name.lower()}) == {8 * getattr(layout, name)});"
        for name in names
    ]
    text = source_text("state.h") + "\n".join(checks) + "\nvoid nothing(void) {}\n"

    assert len(checks) > 20
    assert compile_code(text, "nothing", ARCHITECTURES["x86_64"]).data


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_code_for_every_processor_needs_no_linker(arch: object) -> None:
    from ebee.abi.arch import Arch

    assert isinstance(arch, Arch)
    program = source_text("state.h", "program.h") + c_of(
        "*(u64 *)(r10 -8) = 3\nr2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +5)\nlock *(u64 *)(r10 -8) += r0\n"
        "r0 s/= 7\ncall f\nexit\nf:\nr0 = *(u64 *)(r3 +0)\nexit"
    )

    assert compile_code(program, "program", arch).data
    assert compile_code(source_text("state.h", "runner.c", "maps.c"), "_start", arch).data

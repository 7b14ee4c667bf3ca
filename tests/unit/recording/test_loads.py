"""Direct loads of typed programs: which are recorded, and what stands before them."""

from __future__ import annotations

from typing import Any

import pytest

from ebee.asm import assemble, disassemble
from ebee.btf.ext import CoreRelocation, LineInfo
from ebee.errors import Notice, SpecError
from ebee.recording.loads import with_loads_recorded
from ebee.recording.registers import Held, states
from ebee.spec import Function, MapReference
from ebee.spec.programs import FunctionReference


def function(text: str, **fields: Any) -> Function:
    """Return a function of assembly."""
    return Function("main", "tp_btf/x", list(assemble(text)), **fields)


def shown(changed: Function) -> list[str]:
    """Return a function's instructions as text."""
    return [line for _, line in disassemble(changed.instructions)]


def recorded(text: str, **fields: Any) -> list[str]:
    """Return the instructions with the recorder's calls in them."""
    return shown(with_loads_recorded(function(text, **fields), "note"))


FOLLOWS = """
r1 = *(u64 *)(r1 +0)
r0 = *(u32 *)(r1 +8)
exit
"""


def test_a_load_through_a_loaded_pointer_is_told_before() -> None:
    """What the call would lose is saved, below what the program uses of its stack."""
    assert recorded(FOLLOWS) == [
        "(79) r1 = *(u64 *)(r1 +0)",
        "(7b) *(u64 *)(r10 -8) = r1",
        "(bf) r1 = r1",
        "(b7) r2 = 8",
        "(b7) r3 = 4",
        "(85) call pc-1",
        "(79) r1 = *(u64 *)(r10 -8)",
        "(61) r0 = *(u32 *)(r1 +8)",
        "(95) exit",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "r0 = *(u64 *)(r1 +0)\nexit",
        "r2 = 1\n*(u64 *)(r10 -8) = r2\nr0 = *(u64 *)(r10 -8)\nexit",
        "r2 = r10\nr2 += -8\nr3 = 1\n*(u64 *)(r2 +0) = r3\nr0 = *(u64 *)(r2 +0)\nexit",
        "r1 = 0x1 ll\nr0 = *(u64 *)(r1 +0)\nexit",
        "call 1\nr0 = *(u64 *)(r0 +0)\nexit",
    ],
    ids=["context", "stack", "place on the stack", "variable", "value of a map"],
)
def test_loads_from_the_programs_own_memory_are_left_alone(text: str) -> None:
    """It is there when the program runs again."""
    assert recorded(text) == shown(function(text))


def test_only_what_is_set_is_saved() -> None:
    """The verifier refuses to read a register that was never written."""
    saved = recorded("r6 = *(u64 *)(r1 +0)\nr4 = 7\nr0 = *(u32 *)(r6 +8)\nexit")
    assert [line for line in saved if "(r10 -" in line] == [
        "(7b) *(u64 *)(r10 -8) = r1",
        "(7b) *(u64 *)(r10 -16) = r4",
        "(79) r1 = *(u64 *)(r10 -8)",
        "(79) r4 = *(u64 *)(r10 -16)",
    ]


def test_what_is_saved_lies_below_what_the_program_uses() -> None:
    """Through the frame pointer, and through copies of it."""
    text = (
        "r6 = *(u64 *)(r1 +0)\nr2 = r10\nr2 += -20\nr3 = 0\n*(u32 *)(r2 +0) = r3\nr0 = *(u8 *)(r6 +0)\nexit"
    )
    assert "(7b) *(u64 *)(r10 -32) = r1" in recorded(text)


def test_jumps_go_where_they_went() -> None:
    """One to a load goes to what stands before it; backwards, too."""
    text = """
    r6 = *(u64 *)(r1 +0)
    if r6 == 0x0 goto pc+3
    r0 = *(u64 *)(r6 +0)
    if r0 == 0x0 goto pc+1
    goto pc-3
    exit
    """
    lines = recorded(text)
    first, last = lines.index("(7b) *(u64 *)(r10 -8) = r1"), len(lines) - 1
    for place, line in enumerate(lines):
        if "goto pc" in line:
            target = place + 1 + int(line.rpartition("pc")[2])
            assert target == (first if "goto pc-" in line else last)


def test_a_string_of_the_kernels_that_is_printed_is_told_before() -> None:
    """By a size of 0; numbers of the program's own and what is not set are no strings."""
    lines = recorded("r3 = *(u64 *)(r1 +0)\nr4 = 7\nr1 = 0x0 ll\nr2 = 3\ncall 6\nr0 = 0\nexit")
    assert [line for line in lines if "call" in line] == ["(85) call pc-1", "(85) call bpf_trace_printk#6"]
    told = lines.index("(85) call pc-1")
    assert lines[told - 3 : told] == ["(bf) r1 = r3", "(b7) r2 = 0", "(b7) r3 = 0"]


def test_references_lines_and_relocations_are_moved_along() -> None:
    """The relocation of a load also tells the recorder the offset."""
    text = "r6 = *(u64 *)(r1 +0)\nr0 = *(u32 *)(r6 +8)\nr1 = 0x0 ll\ncall pc-1\nexit"
    changed = with_loads_recorded(
        function(
            text,
            references=[MapReference(2, "m"), FunctionReference(4, "f")],
            lines=[LineInfo(0, 0, 0, 1, 1), LineInfo(1, 0, 0, 2, 1), LineInfo(2, 0, 0, 3, 1)],
            core_relocations=[CoreRelocation(1, 7, "0:1", 0)],
        ),
        "note",
    )
    begin, load = 1, 7
    assert changed.references == [
        FunctionReference(begin + 4, "note"),
        MapReference(load + 1, "m"),
        FunctionReference(load + 3, "f"),
    ]
    assert [line.slot for line in changed.lines] == [0, begin, load + 1]
    assert [entry.slot for entry in changed.core_relocations] == [begin + 2, load]


def test_a_program_without_room_on_its_stack_is_left_as_it_is() -> None:
    """And that is said."""
    text = "r2 = 0\n*(u64 *)(r10 -512) = r2\n" + FOLLOWS
    with pytest.warns(
        Notice, match=r"^record main: its direct loads are not recorded, because 512 of 512"
    ) as said:
        assert recorded(text) == shown(function(text))
    assert str(said[0].message) == (
        "record main: its direct loads are not recorded, because 512 of 512 bytes of stack are in use"
    )


def test_a_jump_that_would_go_too_far_is_told() -> None:
    """Distances have 16 bits."""
    text = "r6 = *(u64 *)(r1 +0)\nif r6 == 0x0 goto pc+8000\n" + "r0 = *(u64 *)(r6 +0)\n" * 8000 + "exit"
    with pytest.raises(SpecError) as caught:
        recorded(text)
    assert str(caught.value) == (
        "record main: with the recorder's calls a jump goes over 71998 slots, expected at most 32767"
    )


def test_registers_are_known_by_all_ways_to_a_place() -> None:
    """Set on one way only is not set; of two kinds is foreign."""
    text = """
    r2 = 1
    if r2 == 0x0 goto pc+3
    r3 = 1
    r4 = *(u64 *)(r1 +0)
    goto pc+1
    r4 = r10
    r0 = 0
    exit
    """
    end = states(list(assemble(text)))[6]
    assert (end[1], end[2], end[3], end[4]) == (Held.OWN, Held.OWN, Held.UNSET, Held.FOREIGN)

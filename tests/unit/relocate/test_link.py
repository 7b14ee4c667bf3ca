"""Programs and their subprograms become one stretch of instructions."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction
from ebee.btf.ext import LineInfo
from ebee.errors import RelocationError
from ebee.relocate import Target, link, resolve
from ebee.spec import Function, MapReference
from ebee.spec.programs import ExternReference, FunctionReference, Reference

CALL = Instruction(0x85)
EXIT = Instruction(0x95)
WIDE = [Instruction(0x18, 1), Instruction(0)]


def function(
    name: str, instructions: list[Instruction], *references: Reference, type_id: int = 0
) -> Function:
    line = LineInfo(slot=0, file_offset=1, text_offset=2, line=3, column=4)
    return Function(name, "xdp", instructions, list(references), type_id, lines=[line])


def test_calls_reach_the_function_they_name_wherever_it_lands() -> None:
    """Two functions behind the program: every call's distance counts from the slot after it."""
    main = function(
        "main", [CALL, CALL, EXIT], FunctionReference(0, "b"), FunctionReference(1, "a"), type_id=7
    )
    a = function("a", [CALL, EXIT], FunctionReference(0, "b"), type_id=8)
    b = function("b", [EXIT], type_id=9)
    linked = link(main, {"a": a, "b": b, "main": main})
    assert linked.functions == [(0, 7), (3, 9), (4, 8)]
    assert [(i.src, i.imm) for i in linked.instructions if i.opcode == 0x85] == [(1, 2), (1, 2), (1, -2)]
    assert [line.slot for line in linked.lines] == [0, 3, 4]


def test_a_function_that_is_not_called_stays_out() -> None:
    """Only what a program reaches is loaded with it."""
    main, other = function("main", [EXIT]), function("other", [EXIT])
    assert link(main, {"main": main, "other": other}).names == [(0, "main")]


def test_functions_that_call_each_other_are_linked_once() -> None:
    """A circle of calls ends; whether it is allowed is the verifier's business."""
    one = function("one", [CALL, EXIT], FunctionReference(0, "two"))
    two = function("two", [CALL, EXIT], FunctionReference(0, "one"))
    assert [name for _, name in link(one, {"one": one, "two": two}).names] == ["one", "two"]


def test_an_address_of_a_function_is_a_wide_load() -> None:
    """Callbacks of bpf_loop() are loaded as a distance with their own mark."""
    main = function("main", [*WIDE, EXIT], FunctionReference(0, "back", is_call=False))
    linked = link(main, {"back": function("back", [EXIT])})
    assert (linked.instructions[0].src, linked.instructions[0].imm) == (4, 2)


def test_a_missing_function_is_an_error_with_both_names() -> None:
    """The caller and the called are named."""
    with pytest.raises(RelocationError, match="function main: calls gone, which the object does not have"):
        link(function("main", [CALL, EXIT], FunctionReference(0, "gone")), {})


def test_maps_and_data_get_their_descriptors() -> None:
    """A map is its descriptor, a variable a descriptor and a place."""
    main = function("main", [*WIDE, *WIDE, EXIT], MapReference(0, "m"), MapReference(2, ".bss", 12))
    found = resolve(link(main, {}), Target({"m": 5, ".bss": 6}))
    assert [(i.src, i.imm) for i in found[:4]] == [(1, 5), (0, 0), (2, 6), (0, 12)]


def test_weak_externs_that_are_missing_become_zero_or_a_call_never_made() -> None:
    """Programs test for weak externs; their absence must load."""
    main = function(
        "main",
        [*WIDE, CALL, EXIT],
        ExternReference(0, "none", is_call=False, weak=True),
        ExternReference(2, "none", is_call=True, weak=True),
    )
    found = resolve(link(main, {}), Target({}))
    assert (found[0].src, found[0].imm, found[1].imm) == (0, 0, 0)
    assert found[2].imm == 2002000000


def test_an_extern_without_kernel_types_says_what_is_missing() -> None:
    """A kernel without BTF is named as the reason."""
    main = function("main", [CALL, EXIT], ExternReference(0, "bpf_x", is_call=True))
    with pytest.raises(RelocationError) as caught:
        resolve(link(main, {}), Target({}))
    assert str(caught.value) == "extern bpf_x: this kernel has no BTF to look it up in"

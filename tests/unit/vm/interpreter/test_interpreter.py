"""Runs: their budget, their repetition, what they visit, and the error with the user's line."""

from __future__ import annotations

import pytest

from ebee.errors import MachineError
from ebee.vm.code import Place
from ebee.vm.interpreter import Interpreter, Visited
from ebee.vm.interpreter import engine as engine_module
from ebee.vm.machine import DEFAULT_BUDGET, Machine
from tests.support.vm import code, context, result, run

LOOP = """
    r0 = 0
more:
    r0 += 1
    goto more
"""


def test_an_endless_program_stops_at_its_budget_with_the_line_it_was_in() -> None:
    with pytest.raises(MachineError) as failure:
        run(code(LOOP, name="spin", lines=True), budget=100_001)

    assert str(failure.value) == "test.c:4:5: program spin: stopped after 100,001 instructions, in a loop?"
    assert failure.value.details() == (
        "error: test.c:4:5: program spin: stopped after 100,001 instructions, in a loop?\n"
        "    4 |     r0 += 1\n"
        "      |     ^\n"
        "hint: see that the loop's condition can become false, or give the run a larger budget"
    )


def test_a_run_may_take_its_whole_budget_and_no_more() -> None:
    assert run("r0 = 1\nr0 += 1\nexit", budget=3)[:2] == (2, 3)
    with pytest.raises(MachineError, match="stopped after 2 instructions"):
        run("r0 = 1\nr0 += 1\nexit", budget=2)


def test_a_budget_is_a_hundred_million_instructions_where_none_is_given() -> None:
    assert DEFAULT_BUDGET == 100_000_000


def test_a_budget_may_be_larger_than_any_run() -> None:
    assert run("r0 = 1\nexit", budget=10**30)[:2] == (1, 2)


def test_a_budget_is_each_runs_own() -> None:
    machine = Machine()

    outcome = Interpreter(machine).run(code("r0 = 1\nexit"), context(machine), budget=2, repeat=5)

    assert outcome.instructions == 2


def test_an_error_carries_program_slot_line_and_caret() -> None:
    program = code("r2 = 1\n  r0 = *(u32 *)(r1 +14)\nexit", name="hello", lines=True)

    with pytest.raises(MachineError) as failure:
        result(program, data=bytes(14))

    error = failure.value
    assert (error.program, error.slot, error.hint) == ("hello", 1, None)
    assert str(error) == (
        "test.c:2:3: program hello: read of 4 bytes at the context + 14: 14 bytes may be reached, from 0"
    )
    assert error.details() == (
        "error: test.c:2:3: program hello: read of 4 bytes at the context + 14: "
        "14 bytes may be reached, from 0\n"
        "    2 |   r0 = *(u32 *)(r1 +14)\n"
        "      |   ^"
    )


def test_a_line_of_an_included_file_is_named_with_its_file() -> None:
    program = code("r2 = 0\nr0 = *(u32 *)(r2 +0)\nexit", lines=True)
    program.places = (program.places[0], (1, Place("headers/parse.h", 30, 0, "")))

    with pytest.raises(MachineError) as failure:
        result(program)

    assert failure.value.details() == (
        "error: headers/parse.h:30: program test: read of 4 bytes at null: "
        "no memory of this program is there\n"
        "hint: compare what may be null with NULL before it is used"
    )
    assert str(failure.value) == (
        "headers/parse.h:30: program test: read of 4 bytes at null: no memory of this program is there"
    )


def test_an_error_without_line_info_names_the_instruction() -> None:
    with pytest.raises(MachineError) as failure:
        result("r1 = 0\nr0 = *(u8 *)(r1 +0)\nexit")

    assert failure.value.diagnostic is None
    assert failure.value.details() == (
        "run test: instruction 1: read of 1 byte at null: no memory of this program is there\n"
        "hint: compare what may be null with NULL before it is used"
    )


def test_repeated_runs_see_what_the_earlier_ones_left_in_the_context() -> None:
    machine = Machine()
    program = code("r0 = *(u8 *)(r1 +0)\nr0 += 1\n*(u8 *)(r1 +0) = r0\nexit")

    assert Interpreter(machine).run(program, context(machine, b"\0"), repeat=5).return_value == 5


def test_a_run_after_one_that_failed_is_as_any_other() -> None:
    machine = Machine()
    engine = Interpreter(machine)
    failing = code("r6 = 1\ncall inner\nexit\ninner:\nr7 = 1\nr1 = 0\nr0 = *(u8 *)(r1 +0)\nexit")

    with pytest.raises(MachineError):
        engine.run(failing, context(machine))
    assert engine.run(code("r0 = r6\nr0 += r7\nexit"), context(machine)).return_value == 0


def test_the_context_that_is_given_is_the_one_that_the_program_sees() -> None:
    machine = Machine()
    first, _ = context(machine, b"\x01"), context(machine, b"\x02")

    assert Interpreter(machine).run(code("r0 = *(u8 *)(r1 +0)\nexit"), first).return_value == 1


def test_slots_that_were_reached_are_told_where_asked_for() -> None:
    machine = Machine()
    engine = Interpreter(machine)
    program = code("r1 = 5 ll\nif r1 == 5 goto end\nr0 = 9\nend:\nexit")
    place = context(machine)

    engine.run(program, place)
    engine.visited = visited = Visited()
    engine.run(program, place)
    engine.visited = None
    engine.run(code("exit"), place)

    assert visited.of(program) == {0, 2, 4}
    engine.visited = again = Visited()
    engine.run(program, place, repeat=3)
    assert again.of(program) == {0, 2, 4}
    assert visited.programs() == [program]


def test_slots_of_programs_reached_by_tail_calls_and_callbacks_are_told_apart() -> None:
    machine = Machine()
    engine = Interpreter(machine)
    engine.visited = Visited()
    one, other = code("r0 = 1\nexit"), code("exit")

    engine.run(one, context(machine))
    engine.run(other, context(machine))

    assert engine.visited.of(one) == {0, 1}
    assert engine.visited.of(other) == {0}


def test_programs_beyond_those_whose_steps_are_kept_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_MOST_KEPT", 2)
    machine = Machine()
    engine = Interpreter(machine)
    programs = [code(f"r0 = {number}\nexit") for number in range(5)]

    for _ in range(2):
        results = [engine.run(program, context(machine)).return_value for program in programs]
        assert results == [0, 1, 2, 3, 4]


def test_an_interpreter_says_what_it_is() -> None:
    assert Interpreter(Machine()).name == "interpreter"

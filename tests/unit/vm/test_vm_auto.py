"""Which engine runs what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ebee.errors import Notice
from ebee.vm.arena import SharedArena
from ebee.vm.auto import Auto
from ebee.vm.interpreter import Visited
from ebee.vm.machine import Machine
from tests.support.vm import code, context

STRAIGHT = "r0 = 1\nr0 += 1\nexit"
LOOP = "r0 = 0\nmore:\nr0 += 1\nif r0 < 100 goto more\nexit"


@pytest.fixture
def engine() -> Iterator[Auto]:
    made = Auto(Machine(SharedArena()))
    yield made
    made.close()


def is_native(engine: Auto) -> bool:
    """Return whether anything ran as native code."""
    return engine._native is not None and engine._native.compiled + len(engine._native._programs) > 0


def test_a_short_program_is_interpreted(engine: Auto) -> None:
    assert engine.run(code(STRAIGHT), context(engine.machine))[:2] == (2, 3)
    assert not is_native(engine)


@pytest.mark.parametrize("text", [LOOP, "r1 = 0\nr2 = subprog[f]\nr4 = 0\ncall bpf_loop\nexit\nf:\nexit"])
def test_a_program_that_may_run_long_is_compiled(engine: Auto, text: str) -> None:
    engine.run(code(text), context(engine.machine))

    assert is_native(engine)


def test_a_program_that_is_repeated_often_is_compiled(engine: Auto) -> None:
    assert engine.run(code(STRAIGHT), context(engine.machine), repeat=100_000)[:2] == (2, 3)
    assert is_native(engine)


def test_a_long_program_is_compiled_once_it_has_run_often(engine: Auto) -> None:
    program = code("r0 += 1\n" * 300 + "exit")
    made = context(engine.machine)
    engine.run(program, made)
    assert not is_native(engine)
    for _ in range(1700):
        engine.run(program, made)

    assert is_native(engine)


def test_coverage_is_the_interpreters(engine: Auto) -> None:
    program, engine.visited = code(LOOP), Visited()
    engine.run(program, context(engine.machine))

    assert engine.visited.of(program) == {0, 1, 2, 3}
    assert not is_native(engine)


def test_both_engines_work_on_the_same_memory(engine: Auto) -> None:
    made = context(engine.machine, bytes(8))
    engine.run(code("*(u32 *)(r1 +0) = 7\nexit"), made)
    engine.run(
        code("more:\nr2 = *(u32 *)(r1 +0)\n*(u32 *)(r1 +4) = r2\nr3 += 1\nif r3 < 3 goto more\nexit"), made
    )

    assert bytes(made.region.element(0)) == b"\7\0\0\0\7\0\0\0"


def test_without_a_compiler_all_is_interpreted_and_that_is_said_once(
    engine: Auto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBEE_CLANG", "/nonexistent/clang")
    program, made = code(LOOP), context(engine.machine)

    with pytest.warns(Notice) as notices:
        assert engine.run(program, made).return_value == 100
    assert engine.run(program, made).return_value == 100

    assert [str(notice.message) for notice in notices] == [
        "looking for the compiler that EBEE_CLANG names: '/nonexistent/clang' does not exist, "
        "expected a clang that can be run; programs run on the interpreter, which is slower"
    ]

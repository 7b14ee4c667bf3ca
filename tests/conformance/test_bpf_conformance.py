"""Every engine gives what the public suite bpf_conformance says a program gives.

The suite is not part of this repository: EBEE_BPF_CONFORMANCE names a checkout of
https://github.com/Alan-Jowett/bpf_conformance.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebee.asm import Instruction
from ebee.asm.opcodes import Alu, Class
from ebee.errors import MachineError
from ebee.vm.machine import Engine
from tests.conformance.bpf_conformance import Case, assemble, raw_code, read_case, read_sections
from tests.support import vm

_CHECKOUT = os.environ.get("EBEE_BPF_CONFORMANCE", "")
_TESTS = sorted(Path(_CHECKOUT, "tests").glob("*.data")) if _CHECKOUT else []
_STOPPED = sorted(Path(_CHECKOUT, "negative").glob("unused-*.data")) if _CHECKOUT else []
_MOVE_NUMBER = Class.ALU64 | Alu.MOV

pytestmark = pytest.mark.skipif(not _CHECKOUT, reason="EBEE_BPF_CONFORMANCE names no checkout")


@pytest.fixture(scope="module", params=vm.ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with vm.engine_named(request.param) as engine:
        yield engine


def run(case: Case, engine: Engine) -> int:
    """Run a case: the machine gives programs their memory in r1, and its size goes into r2 here."""
    size = Instruction(_MOVE_NUMBER, dst=2, imm=len(case.memory))
    program = vm.code([size, *case.instructions], name=case.name)
    return vm.result(program, data=case.memory, machine=engine.machine, engine=engine)


@pytest.mark.parametrize("path", _TESTS, ids=lambda path: path.stem)
def test_a_program_gives_the_result_that_the_suite_expects(path: Path, engine: Engine) -> None:
    case = read_case(path)

    assert f"{run(case, engine):#x}" == f"{case.result:#x}"


@pytest.mark.parametrize("path", _STOPPED, ids=lambda path: path.stem)
def test_a_field_that_has_no_use_and_is_not_zero_stops_the_program(path: Path, engine: Engine) -> None:
    case = read_case(path)
    assert case.result is None

    with pytest.raises(MachineError):
        run(case, engine)


def test_the_whole_suite_is_there() -> None:
    assert len(_TESTS) >= 313
    assert len(_STOPPED) >= 45


def test_assembly_and_raw_code_say_the_same_where_a_file_has_both() -> None:
    both = [sections for sections in map(read_sections, _TESTS) if {"asm", "raw"} <= sections.keys()]

    assert both
    for sections in both:
        assert assemble(sections["asm"]) == raw_code(sections["raw"])

"""Whatever a program is, running it gives an outcome or a MachineError, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.abi.bpf import ProgType
from ebee.asm import Instruction, decode
from ebee.asm.opcodes import CALL, EXIT
from ebee.errors import MachineError
from ebee.vm.code import Code
from ebee.vm.interpreter import Interpreter
from ebee.vm.interpreter.decode import FORMS
from ebee.vm.machine import Context, Machine, Outcome
from tests.support.vm import context

BUDGET = 500
U64 = (1 << 64) - 1

slots = st.binary(min_size=8, max_size=8)
raw_code = st.lists(slots, max_size=30).map(lambda found: decode(b"".join(found)))
registers = st.integers(0, 10)
offsets = st.one_of(st.integers(-12, 12), st.integers(-(1 << 15), (1 << 15) - 1))
numbers = st.one_of(st.integers(-64, 64), st.integers(-(1 << 31), (1 << 31) - 1))


@st.composite
def likely_instructions(draw: st.DrawFn) -> Instruction:
    """Return an instruction whose fields without a use are mostly zeros."""
    opcode = draw(st.sampled_from(sorted(FORMS)))
    uses = FORMS[opcode].uses
    fields = {"dst": registers, "src": registers, "offset": offsets, "imm": numbers}
    drawn = {field: draw(values) for field, values in fields.items() if field in uses.split()}
    if opcode == CALL:
        drawn |= {"src": draw(st.integers(0, 1)), "offset": 0}
    return Instruction(opcode, **drawn)


def _check(instructions: list[Instruction]) -> None:
    machine = Machine()
    place = context(machine, bytes(range(32)), packet=bytes(range(60)))
    program = Code("any", ProgType.SOCKET_FILTER, tuple(instructions))
    outcome = outcome_or_error(machine, program, place)
    if isinstance(outcome, MachineError):
        assert 0 <= outcome.slot < max(1, len(instructions))
        assert "\n" not in str(outcome)
    else:
        assert 0 <= outcome.return_value <= U64
        assert 0 < outcome.instructions <= BUDGET


def outcome_or_error(machine: Machine, program: Code, place: Context) -> Outcome | MachineError:
    try:
        return Interpreter(machine).run(program, place, budget=BUDGET)
    except MachineError as error:
        return error


@settings(deadline=None)
@given(raw_code)
def test_any_bytes_give_an_outcome_or_an_error(instructions: list[Instruction]) -> None:
    _check(instructions)


@settings(deadline=None, max_examples=200)
@given(st.lists(likely_instructions(), max_size=40))
def test_any_instructions_give_an_outcome_or_an_error(instructions: list[Instruction]) -> None:
    _check([*instructions, Instruction(EXIT)])

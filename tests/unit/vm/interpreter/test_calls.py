"""Calls: frames of their own, callbacks, tail calls, and what cannot be called."""

from __future__ import annotations

import errno

import pytest

from ebee.abi.bpf import MapType, ProgType
from ebee.asm import Instruction
from ebee.asm.opcodes import CALL, CALLX, EXIT
from ebee.errors import MachineError
from ebee.vm.code import Code
from ebee.vm.helpers import registry
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Machine, Outcome, Run
from ebee.vm.maps import MapSetup, make_map
from tests.support.vm import code, context, result, run

U64 = (1 << 64) - 1


def test_a_function_gets_its_arguments_and_gives_r0() -> None:
    text = """
        r1 = 1
        r2 = 20
        r3 = 300
        r4 = 4000
        r5 = 50000
        call sum
        exit
    sum:
        r0 = r1
        r0 += r2
        r0 += r3
        r0 += r4
        r0 += r5
        exit
    """

    assert result(text) == 54321


def test_a_function_leaves_its_callers_registers_alone() -> None:
    text = """
        r6 = 1
        r7 = 2
        r8 = 3
        r9 = 4
        call other
        r0 = r6
        r0 += r7
        r0 += r8
        r0 += r9
        exit
    other:
        r6 = 100
        r7 = 100
        r8 = 100
        r9 = 100
        exit
    """

    assert result(text) == 10


def test_each_function_has_a_frame_of_512_bytes_of_its_own() -> None:
    text = """
        *(u64 *)(r10 -8) = 1
        *(u64 *)(r10 -512) = 2
        call other
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
    other:
        r0 = *(u64 *)(r10 -8)
        *(u64 *)(r10 -8) = 40
        r1 = *(u64 *)(r10 -8)
        r0 += r1
        exit
    """

    assert result(text) == 41


def test_a_function_reaches_its_callers_frame_by_a_pointer() -> None:
    text = """
        r1 = r10
        r1 += -8
        call other
        r0 = *(u64 *)(r10 -8)
        exit
    other:
        *(u64 *)(r1 +0) = 77
        exit
    """

    assert result(text) == 77


def test_a_frame_is_zeros_whoever_used_it_before() -> None:
    text = """
        call write
        call read
        exit
    write:
        *(u64 *)(r10 -16) = 9
        exit
    read:
        r0 = *(u64 *)(r10 -16)
        exit
    """

    assert result(text) == 0


_RECURSION = """
    r1 = {depth}
    call down
    exit
down:
    r0 += 1
    if r1 == 0 goto end
    r1 += -1
    call down
end:
    exit
"""


def test_eight_frames_may_be_in_use() -> None:
    assert result(_RECURSION.format(depth=6)) == 7


def test_a_ninth_frame_stops_the_program() -> None:
    with pytest.raises(MachineError) as failure:
        result(code(_RECURSION.format(depth=7), lines=True))

    assert str(failure.value) == (
        "test.c:9:5: program test: call of f3: 8 frames are in use, "
        "and there are no more (the program's own is one)"
    )


@pytest.mark.parametrize("call", [Instruction(CALLX, 3), Instruction(CALLX, imm=3)])
def test_callx_calls_the_function_that_a_register_points_at(call: Instruction) -> None:
    """LLVM names the register in dst, and did in the number before LLVM 19."""
    text = """
        r3 = subprog[other]
        callx r3
        r0 += 1
        exit
    other:
        r0 = 5
        exit
    """
    program = code(text)
    program.instructions = (*program.instructions[:2], call, *program.instructions[3:])

    assert result(program) == 6


def test_callx_of_a_small_number_calls_that_helper() -> None:
    machine = Machine()
    machine.clock_ns = lambda: 1234

    instructions = [*code("r3 = 5").instructions, Instruction(CALLX, 3), Instruction(EXIT)]
    assert result(instructions, machine=machine) == 1234


def test_callx_of_what_is_no_function_stops_the_program() -> None:
    instructions = [*code("r3 = r10").instructions, Instruction(CALLX, 3), Instruction(EXIT)]

    with pytest.raises(MachineError) as failure:
        result(instructions)

    assert str(failure.value) == (
        "run test: instruction 1: call of the stack, element 0 + 512: no function of the program begins there"
    )


# -- helpers -------------------------------------------------------------------------------------
@pytest.fixture
def helpers(monkeypatch: pytest.MonkeyPatch) -> dict[int, registry.HelperFunction]:
    """Return a table of helpers that tests fill; numbers from 1000 on are none of the kernel's."""
    table = dict(registry.all_helpers())
    monkeypatch.setattr(registry, "_TABLE", table)
    return table


def test_a_helper_gets_five_arguments_and_its_result_is_64_bits(
    helpers: dict[int, registry.HelperFunction],
) -> None:
    helpers[1000] = lambda run, r1, r2, r3, r4, r5: -(r1 + 10 * r2 + 100 * r3 + 1000 * r4 + 10000 * r5)
    text = "r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall 1000\nexit"

    assert result(text) == U64 - 54320


def test_a_refusal_of_a_helper_is_a_negative_errno(helpers: dict[int, registry.HelperFunction]) -> None:
    from ebee.vm.faults import Refusal

    def refuse(*_: object) -> int:
        raise Refusal(errno.EINVAL)

    helpers[1000] = refuse

    assert result("call 1000\nexit") == U64 - 21


def test_a_helpers_fault_stops_the_program_at_the_call(helpers: dict[int, registry.HelperFunction]) -> None:
    helpers[1000] = lambda run, r1, r2, r3, r4, r5: run.memory.load(r1, 4)

    with pytest.raises(MachineError) as failure:
        result(code("r1 = 0\ncall 1000\nexit", lines=True))

    assert (
        str(failure.value)
        == "test.c:2:1: program test: read of 4 bytes at null: no memory of this program is there"
    )


def test_a_callback_runs_in_a_frame_of_its_own_and_gives_r0(
    helpers: dict[int, registry.HelperFunction],
) -> None:
    def call_thrice(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        return sum(run.call(r1, (number, r2)) for number in range(3))

    helpers[1000] = call_thrice
    text = """
        r6 = 3
        *(u64 *)(r10 -8) = 5
        r1 = subprog[each]
        r2 = r10
        r2 += -8
        call 1000
        r0 += r6
        exit
    each:
        r6 = 100
        r0 = *(u64 *)(r2 +0)
        r0 += r1
        exit
    """

    assert result(text) == 3 * 5 + (0 + 1 + 2) + 3


def test_a_callback_counts_towards_the_budget(helpers: dict[int, registry.HelperFunction]) -> None:
    helpers[1000] = lambda run, r1, r2, r3, r4, r5: run.call(r1, ())
    text = """
        r1 = subprog[each]
        call 1000
        exit
    each:
        goto each
    """

    with pytest.raises(MachineError) as failure:
        run(code(text, lines=True), budget=1000)

    assert str(failure.value) == "test.c:6:9: program test: stopped after 1,000 instructions, in a loop?"


def test_a_callback_can_be_called_when_the_run_is_over(helpers: dict[int, registry.HelperFunction]) -> None:
    later: list[tuple[Run, int]] = []

    def remember(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
        later.append((run, r1))
        return 0

    helpers[1000] = remember
    text = """
        r1 = subprog[later]
        call 1000
        r0 = 1
        exit
    later:
        r0 = r1
        r0 *= 2
        exit
    """

    assert result(text) == 1
    (then, address) = later[0]
    assert then.call(address, (21,)) == 42


def test_a_helper_that_is_missing_names_itself_and_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_TABLE", {})
    monkeypatch.setattr(registry, "_HOMES", {"maps": "map_pop_elem"})

    with pytest.raises(MachineError) as failure:
        result("call bpf_map_push_elem\nexit")

    assert failure.value.details() == (
        "run test: instruction 0: call of bpf_map_push_elem: the userspace machine has no such helper\n"
        "hint: did you mean 'bpf_map_pop_elem'?"
    )


def test_a_helper_that_no_kernel_has_is_named_by_its_number() -> None:
    with pytest.raises(MachineError) as failure:
        result("call 99999\nexit")

    assert str(failure.value) == "run test: instruction 0: call of helper 99999: no kernel has such a helper"


def test_a_missing_kernel_function_names_itself() -> None:
    program = code([Instruction(CALL, src=2, imm=77), Instruction(EXIT)])
    program.kernel_functions = {77: "bpf_cpumask_create"}

    with pytest.raises(MachineError) as failure:
        result(program)

    assert str(failure.value) == (
        "run test: instruction 0: call of bpf_cpumask_create: "
        "the userspace machine has no such kernel function"
    )


# -- tail calls ----------------------------------------------------------------------------------
def _tail_call(index: int) -> str:
    return f"r2 = map[idx:0]\nr3 = {index} ll\ncall bpf_tail_call\n"


def _chain(machine: Machine, programs: dict[int, Code], first: Code) -> Outcome:
    setup = MapSetup(MapType.PROG_ARRAY, "next", 4, 4, 4)
    array = machine.maps[0] = make_map(setup, machine.memory, cpus=1, index=0)
    for index, program in programs.items():
        machine.programs[100 + index] = program
        array.write(index.to_bytes(4, "little"), (100 + index).to_bytes(4, "little"))
    return run(first, machine=machine, data=b"\x05")


def test_a_tail_call_goes_on_in_another_program_with_the_same_context() -> None:
    second = code("r0 = *(u8 *)(r1 +0)\nr0 += 1\nexit", name="second")

    assert _chain(Machine(), {2: second}, code(_tail_call(2) + "r0 = 99\nexit"))[:2] == (6, 6)


@pytest.mark.parametrize("index", [1, 4, 0xFFFF_FFFF])
def test_a_tail_call_to_nothing_goes_on_with_a_negative_r0(index: int) -> None:
    outcome = _chain(Machine(), {2: code("exit")}, code(_tail_call(index) + "exit"))

    assert outcome.return_value == U64 + 1 - errno.ENOENT


def test_a_tail_calls_index_is_32_bits() -> None:
    second = code("r0 = 3\nexit")

    assert _chain(Machine(), {2: second}, code(_tail_call(0x1_0000_0002) + "exit")).return_value == 3


def test_33_tail_calls_are_made_and_the_next_goes_on() -> None:
    machine = Machine()
    counted = machine.memory.add("a counter", 8)
    count = f"r2 = {counted.address()} ll\nlock *(u64 *)(r2 +0) += 1\n".replace("+= 1", "+= r4")
    again = code(f"r4 = 1\n{count}" + _tail_call(0) + "r0 = 7\nexit")

    assert _chain(machine, {0: again}, again).return_value == 7
    assert int.from_bytes(counted.element(0), "little") == 34


def test_a_tail_call_starts_with_an_empty_frame_and_registers_of_zeros() -> None:
    first = code("r7 = 4\n*(u64 *)(r10 -8) = 8\n" + _tail_call(1) + "exit")
    second = code("r0 = *(u64 *)(r10 -8)\nr0 += r7\nr0 += r3\nexit")

    assert _chain(Machine(), {1: second}, first).return_value == 0


def test_a_tail_call_in_a_function_returns_to_that_functions_caller() -> None:
    first = code(
        """
        r6 = 1000
        call inner
        r0 += r6
        *(u64 *)(r10 -8) = 1
        exit
    inner:
    """
        + _tail_call(1)
        + "r0 = 99\nexit"
    )
    second = code("r6 = 5\nr0 = 30\nexit", name="second")

    assert _chain(Machine(), {1: second}, first).return_value == 1030


def test_an_error_after_a_tail_call_names_the_program_it_is_in() -> None:
    second = code("r1 = 0\nr0 = *(u64 *)(r1 +0)\nexit", name="second", lines=True)

    with pytest.raises(MachineError) as failure:
        _chain(Machine(), {1: second}, code(_tail_call(1) + "exit", name="first"))

    assert failure.value.program == "second"
    assert str(failure.value) == (
        "test.c:2:1: program second: read of 8 bytes at null: no memory of this program is there"
    )


def test_an_error_in_the_caller_of_a_function_that_made_a_tail_call_names_the_caller() -> None:
    first = code(
        "call inner\nr1 = 0\nr0 = *(u64 *)(r1 +0)\nexit\ninner:\n" + _tail_call(1) + "exit", name="first"
    )

    with pytest.raises(MachineError) as failure:
        _chain(Machine(), {1: code("exit", name="second")}, first)

    assert failure.value.program == "first"
    assert failure.value.slot == 2


def test_a_tail_call_through_what_is_no_map_of_programs_stops_the_program() -> None:
    with pytest.raises(MachineError) as failure:
        result("r2 = r10\nr3 = 0\ncall bpf_tail_call\nexit")

    assert str(failure.value) == (
        "run test: instruction 2: call of bpf_tail_call: r2 is the stack, element 0 + 512, "
        "expected a map of programs"
    )


def test_a_program_may_be_of_any_type() -> None:
    machine = Machine()
    program = code("r0 = 2\nexit", type=ProgType.XDP)

    assert Interpreter(machine).run(program, context(machine)).return_value == 2

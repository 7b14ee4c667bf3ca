"""What no kernel takes stops a program when it is reached, and is shown as the kernel's tools show it."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction, decode
from ebee.asm.opcodes import EXIT, LD_IMM64, Alu, Class, Jump, Source
from ebee.errors import MachineError
from ebee.vm.interpreter.decode import FORMS
from tests.support.vm import code, result

REFUSED = [
    ("0700010001000000", "(07) r0 += 1: its offset is 1, expected 0 because it has no use"),
    ("0710000001000000", "(07) r0 += 1: its source is 1, expected 0 because it has no use"),
    ("0f00000001000000", "(0f) r0 += r0: its number is 1, expected 0 because it has no use"),
    (
        "3700020001000000",
        "(37) r0 /= 1: its offset is 2, expected 0 or 1 (signed)",
    ),
    (
        "9f00ffff00000000",
        "(9f) r0 %= r0: its offset is -1, expected 0 or 1 (signed)",
    ),
    ("b700010001000000", "(b7) r0 = 1: its offset is 1, expected 0 because it has no use"),
    ("bf00070000000000", "(bf) r0 = r0: its offset is 7, expected 0, 8, 16 or 32"),
    ("bc00200000000000", "(bc) w0 = (s32)w0: its offset is 32, expected 0, 8 or 16"),
    ("8700000001000000", "(87) r0 = -r0: its number is 1, expected 0 because it has no use"),
    ("d40000000c000000", "(d4) r0 = le12 r0: its number is 12, expected 16, 32 or 64"),
    ("bf10010000000000", "(bf) r0 = addr_space_cast(r1, 0, 0): the userspace machine has no arenas"),
    ("0501000000000000", "(05) goto pc+0: its destination is 1, expected 0 because it has no use"),
    ("0600010000000000", "(06) gotol pc+0: its offset is 1, expected 0 because it has no use"),
    ("1510000000000000", "(15) if r0 == 0x0 goto pc+0: its source is 1, expected 0 because it has no use"),
    ("1d00000001000000", "(1d) if r0 == r0 goto pc+0: its number is 1, expected 0 because it has no use"),
    ("9500000001000000", "(95) exit: its number is 1, expected 0 because it has no use"),
    ("8500010006000000", "(85) call bpf_trace_printk#6: its offset is 1, expected 0 because it has no use"),
    (
        "8501000005000000",
        "(85) call bpf_ktime_get_ns#5: its destination is 1, expected 0 because it has no use",
    ),
    (
        "8530000006000000",
        "(85) call unknown#6: its source is 3, "
        "expected 0 for a helper, 1 for a function of the program, 2 for one of the kernel",
    ),
    ("61a0fcff01000000", "(61) r0 = *(u32 *)(r10 -4): its number is 1, expected 0 because it has no use"),
    ("621afcff00000000", "(62) *(u32 *)(r10 -4) = 0: its source is 1, expected 0 because it has no use"),
    ("630afcff01000000", "(63) *(u32 *)(r10 -4) = r0: its number is 1, expected 0 because it has no use"),
    ("b70b000000000000", "(b7) r11 = 0: its destination is 11, expected a register from r0 to r10"),
    ("bfc0000000000000", "(bf) r0 = r12: its source is 12, expected a register from r0 to r10"),
    ("070a000001000000", "(07) r10 += 1: r10 is the frame pointer, which may not be written"),
    ("790a000000000000", "(79) r10 = *(u64 *)(r0 +0): r10 is the frame pointer, which may not be written"),
    (
        "dba0000001000000",
        "(db) r10 = atomic64_fetch_add((u64 *)(r0 +0), r10): "
        "r10 is the frame pointer, which may not be written",
    ),
    (
        "d30a0000 00010000",
        "(d3) r10 = load_acquire((u8 *)(r0 +0)): r10 is the frame pointer, which may not be written",
    ),
    ("db0af8ff20000000", "db 0a f8 ff 20 00 00 00: no kernel has such an instruction"),
    ("d30affff00000000", "d3 0a ff ff 00 00 00 00: no kernel has such an instruction"),
    ("db0af8ffe0000000", "db 0a f8 ff e0 00 00 00: no kernel has such an instruction"),
    ("990affff00000000", "99 0a ff ff 00 00 00 00: no kernel has such an instruction"),
    ("0d01000000000000", "0d 01 00 00 00 00 00 00: no kernel has such an instruction"),
    ("c200000000000000", "c2 00 00 00 00 00 00 00: no kernel has such an instruction"),
    ("df00000010000000", "df 00 00 00 10 00 00 00: no kernel has such an instruction"),
    ("8c00000000000000", "8c 00 00 00 00 00 00 00: no kernel has such an instruction"),
    ("ff00000000000000", "ff 00 00 00 00 00 00 00: no kernel has such an instruction"),
    ("0000000000000000", "00 00 00 00 00 00 00 00: no kernel has such an instruction"),
    ("8d01000002000000", "(8d) callx r1: its number is 2, expected 0 because it has no use"),
    ("8d0000000b000000", "(8d) callx r11: its number is 11, expected a register from 0 to 10"),
]


@pytest.mark.parametrize(("raw", "complaint"), REFUSED)
def test_an_instruction_that_no_kernel_takes_stops_the_program(raw: str, complaint: str) -> None:
    with pytest.raises(MachineError) as failure:
        result([*decode(bytes.fromhex(raw)), Instruction(EXIT)])

    assert str(failure.value) == f"run test: instruction 0: {complaint}"


def test_what_is_never_reached_stops_nothing() -> None:
    assert result([Instruction(EXIT), Instruction(0xFF), Instruction(EXIT)]) == 0


def test_a_program_without_an_exit_is_stopped_at_its_last_instruction() -> None:
    with pytest.raises(MachineError) as failure:
        result("r0 = 1\nr0 += 1")

    assert str(failure.value) == "run test: instruction 1: the program ends without an exit"


@pytest.mark.parametrize(
    ("jump", "target"),
    [
        (Instruction(Class.JMP | Jump.JA, offset=5), 7),
        (Instruction(Class.JMP | Jump.JA, offset=-3), -1),
        (Instruction(Class.JMP32 | Jump.JA, imm=1 << 20), (1 << 20) + 2),
        (Instruction(Class.JMP | Jump.JEQ | Source.K, offset=9), 11),
    ],
)
def test_a_jump_out_of_the_program_stops_it_where_it_jumps(jump: Instruction, target: int) -> None:
    nothing = Instruction(Class.ALU64 | Alu.MOV)
    with pytest.raises(MachineError) as failure:
        result([nothing, jump, Instruction(EXIT)])

    assert failure.value.slot == 1
    assert str(failure.value) == (f"run test: instruction 1: jump to slot {target}, outside the program's 3")


def test_a_jump_out_of_the_program_that_is_not_taken_changes_nothing() -> None:
    assert result([Instruction(Class.JMP | Jump.JNE | Source.K, offset=900), Instruction(EXIT)]) == 0


def test_a_jump_into_a_wide_load_stops_the_program() -> None:
    instructions = [
        Instruction(0x05, offset=1),
        Instruction(LD_IMM64, imm=1),
        Instruction(0),
        Instruction(EXIT),
    ]

    with pytest.raises(MachineError) as failure:
        result(instructions)

    assert str(failure.value) == (
        "run test: instruction 2: 00 00 00 00 00 00 00 00: no kernel has such an instruction"
    )


@pytest.mark.parametrize(
    ("slots", "complaint"),
    [
        ([Instruction(LD_IMM64, 1)], "(18) r1 = 0x0: the upper half of its number is missing"),
        (
            [Instruction(LD_IMM64, 1), Instruction(EXIT)],
            "(18) r1 = 0x0: its second slot has more in it than the upper half of the number",
        ),
        (
            [Instruction(LD_IMM64, 1, 1, 0, 5), Instruction(0)],
            "(18) r1 = map[id:5]: its source is 1, expected 0 because maps and functions are addresses here",
        ),
    ],
)
def test_a_wide_load_needs_its_second_slot(slots: list[Instruction], complaint: str) -> None:
    program = code("exit")
    program.instructions = tuple(slots)

    with pytest.raises(MachineError) as failure:
        result(program)

    assert str(failure.value) == f"run test: instruction 0: {complaint}"


def test_a_program_of_no_instructions_is_stopped() -> None:
    with pytest.raises(MachineError) as failure:
        result([])

    assert str(failure.value) == "run test: instruction 0: the program ends without an exit"


def test_every_opcode_of_the_instruction_set_is_known() -> None:
    """Those of RFC 9669, counted; callx, may_goto, and loads that acquire and stores that release."""
    alu = 12 * 4 + 2 + 3
    jumps = 11 * 4 + 3
    loads_and_stores = 1 + 3 + 3 + 4 + 3 + 4 + 4 + 4
    calls = 3

    assert len(FORMS) == alu + jumps + loads_and_stores + calls

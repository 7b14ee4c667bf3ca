"""CO-RE answers put into instructions."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction
from ebee.btf import Btf, decode
from ebee.btf.core import CoreKind
from ebee.btf.encode import encode
from ebee.btf.ext import CoreRelocation, LineInfo
from ebee.btf.types import Member
from ebee.errors import RelocationError
from ebee.relocate.core import POISON_HELPER, Relocated, apply_core_relocations
from ebee.spec import Function
from tests.unit.btf.builder import Builder

POISON = Instruction(0x85, imm=POISON_HELPER)
MOV, MOV32, LDXW, STXW, STW, WIDE = 0xB7, 0xB4, 0x61, 0x63, 0x62, 0x18


def types(*, pid: int, size: int = 4, signed: bool = False, name: str = "pid", on: int = 1) -> Btf:
    """struct task [2] with a number at a byte offset, enum mode [3]"""
    made = Builder()
    number = made.integer("number", size, signed=signed)
    made.struct("task", 1 << 20, Member(name, number, 8 * pid))
    made.enum("mode", 8, wide=True, ON=on)
    strings = b"\0prog.bpf.c\0"
    return decode(encode(made.types, strings=strings))


LOCAL = types(pid=4)
PID = CoreRelocation(0, 2, "0:0", CoreKind.FIELD_BYTE_OFFSET)
ON = CoreRelocation(0, 3, "0", CoreKind.ENUMVAL_VALUE)


def applied(target: Btf, *code: Instruction, relocation: CoreRelocation = PID) -> Relocated:
    function = Function(
        "prog", "xdp", list(code), core_relocations=[relocation], lines=[LineInfo(0, 1, 0, 12, 3)]
    )
    relocated = apply_core_relocations(function, LOCAL, [target])
    assert function.instructions == list(code), "the function given is not changed"
    return relocated


def failure(target: Btf, *code: Instruction, relocation: CoreRelocation = PID) -> str:
    with pytest.raises(RelocationError) as caught:
        applied(target, *code, relocation=relocation)
    return str(caught.value)


@pytest.mark.parametrize("opcode", [MOV, MOV32, 0x07])
def test_arithmetic_with_a_number_gets_the_kernels(opcode: int) -> None:
    relocated = applied(types(pid=40), Instruction(opcode, dst=1, imm=4))
    assert relocated.function.instructions == [Instruction(opcode, dst=1, imm=40)]
    assert relocated.poisoned == {}


@pytest.mark.parametrize("opcode", [LDXW, STXW, STW])
def test_loads_and_stores_get_the_kernels_offset(opcode: int) -> None:
    relocated = applied(types(pid=40), Instruction(opcode, 1, 2, 4, 0))
    assert relocated.function.instructions == [Instruction(opcode, 1, 2, 40, 0)]


@pytest.mark.parametrize(("size", "opcode"), [(1, 0x71), (2, 0x69), (8, 0x79)])
def test_a_load_of_an_unsigned_field_takes_its_new_size(size: int, opcode: int) -> None:
    relocated = applied(types(pid=40, size=size), Instruction(LDXW, 1, 2, 4))
    assert relocated.function.instructions == [Instruction(opcode, 1, 2, 40)]


def test_a_load_of_a_signed_field_of_another_size_is_poisoned() -> None:
    relocated = applied(types(pid=40, size=8, signed=True), Instruction(LDXW, 1, 2, 4))
    assert relocated.function.instructions == [POISON]
    assert relocated.poisoned == {
        0: "struct task.pid (0:0): the kernel's field has 8 bytes, expected 4; only pointers and unsigned "
        "integers can be read at another size"
    }


def test_a_wide_load_gets_all_64_bits() -> None:
    code = Instruction(WIDE, 1, imm=1), Instruction(0)
    relocated = applied(types(pid=4, on=0x8000_0001_FFFF_FFFF), *code, relocation=ON)
    assert relocated.function.instructions == [
        Instruction(WIDE, 1, imm=-1),
        Instruction(0, imm=-0x7FFF_FFFF),
    ]


def test_what_the_kernel_has_not_becomes_an_invalid_call_with_a_reason() -> None:
    relocated = applied(types(pid=4, name="tgid"), Instruction(MOV, 1, imm=4))
    assert relocated.function.instructions == [POISON]
    assert relocated.poisoned == {0: "struct task.pid (0:0): the kernel's struct task has no member 'pid'"}


def test_both_slots_of_a_wide_load_are_poisoned() -> None:
    relocated = applied(Builder().btf(), Instruction(WIDE, 1, imm=1), Instruction(0), relocation=ON)
    assert relocated.function.instructions == [POISON, POISON]
    assert relocated.poisoned == {0: "enum mode.ON: the kernel has no enum mode"}


def test_an_instruction_that_holds_another_value_is_an_error_with_its_line() -> None:
    assert failure(types(pid=40), Instruction(MOV, 1, imm=5)) == (
        "prog.bpf.c:12: function prog, instruction 0: struct task.pid (0:0): the instruction holds 5, "
        "expected 4"
    )


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        (
            types(pid=40),
            Instruction(0x95),
            "an instruction with opcode 0x95, expected arithmetic with a number",
        ),
        (
            types(pid=40),
            Instruction(0x0F),
            "an instruction with opcode 0x0f, expected arithmetic with a number",
        ),
        (types(pid=40), Instruction(WIDE, imm=4), "a broken wide load, expected one of a plain number"),
        (types(pid=40000), Instruction(LDXW, offset=4), "offset 40000, expected one below 32768"),
        (types(pid=4, size=8), Instruction(0x71, offset=4), "an access of 1 bytes, expected the field's 4"),
        (
            types(pid=4, size=16),
            Instruction(LDXW, offset=4),
            "the kernel's field has 16 bytes, expected 1, 2, 4",
        ),
    ],
)
def test_an_instruction_that_cannot_be_relocated_is_an_error(
    target: Btf, code: Instruction, message: str
) -> None:
    assert f"struct task.pid (0:0): {message}" in failure(target, code)


def test_a_value_that_does_not_fit_32_bits_is_an_error() -> None:
    message = failure(types(pid=4, on=1 << 31), Instruction(MOV, imm=1), relocation=ON)
    assert message.endswith("enum mode.ON: 2147483648, expected a number of 32 bits")
    fits = applied(types(pid=4, on=1 << 31), Instruction(MOV32, imm=1), relocation=ON)
    assert fits.function.instructions == [Instruction(MOV32, imm=-(1 << 31))]


def test_a_slot_past_the_end_is_an_error() -> None:
    message = failure(types(pid=4), Instruction(MOV, imm=4), relocation=PID._replace(slot=1))
    assert message == "prog.bpf.c:12: function prog, instruction 1: slot 1, expected one below 1"

"""Tables by architecture, held against the kernel's headers."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ebee.abi import arch
from ebee.errors import NotSupportedError
from tests.unit.abi.test_bpf_numbers import HEADERS

INCLUDE = HEADERS.parent.parent


@pytest.mark.parametrize("table", arch.ARCHITECTURES.values(), ids=arch.ARCHITECTURES)
def test_system_calls_have_the_numbers_of_the_header(table: arch.Arch) -> None:
    """asm/unistd_64.h of the architecture's own folder in the wheel says the same."""
    text = Path(INCLUDE, table.include_folder, "asm/unistd_64.h").read_text()
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", text))
    assert {name: int(numbers[name]) for name in table.syscalls} == table.syscalls


def test_x86_64_registers_stand_in_the_order_of_the_header() -> None:
    """The same order as user space's struct pt_regs, whose names have an r before them."""
    text = Path(INCLUDE, "x86-linux-any/asm/ptrace.h").read_text()
    struct = re.findall(r"struct pt_regs \{(.*?)\n\}", text, re.DOTALL)[-1]
    names = re.findall(r"unsigned long (\w+);", struct)
    ours = [name if re.match(r"r\d|orig", name) else name.removeprefix("e") for name in arch.X86_64.pt_regs]
    theirs = [re.sub(r"^(orig_)?r(?=[a-z])", r"\1", name).replace("eflags", "flags") for name in names]
    assert ours == theirs
    assert arch.X86_64.offset("sp") == 152


def test_arm64_registers_stand_where_the_kernel_has_them() -> None:
    """31 general registers, then sp, pc, pstate (struct user_pt_regs), then orig_x0."""
    table = arch.AARCH64
    assert [table.offset(name) for name in ("x0", "x30", "sp", "pc", "pstate", "orig_x0")] == [
        0,
        240,
        248,
        256,
        264,
        272,
    ]


@pytest.mark.parametrize("table", arch.ARCHITECTURES.values(), ids=arch.ARCHITECTURES)
def test_roles_name_registers_that_exist(table: arch.Arch) -> None:
    """Arguments, result, stack, instruction and frame all have an offset."""
    roles = (*table.arguments, *table.syscall_arguments, table.result, table.stack, table.instruction)
    assert {*roles, table.frame} <= set(table.pt_regs)


def test_other_spellings_of_a_name_are_understood() -> None:
    """As Go, Debian and Arm call them."""
    assert arch.by_name("arm64") is arch.AARCH64
    assert arch.by_name("amd64") is arch.X86_64


def test_an_architecture_without_a_table_is_refused() -> None:
    """The error names those that have one."""
    with pytest.raises(NotSupportedError) as refused:
        arch.by_name("vax")
    assert str(refused.value) == "architecture: vax, expected x86_64 or aarch64"
    assert refused.value.hint == "ebee has tables of system calls and registers for these only"


def test_the_host_is_the_running_machine() -> None:
    """By uname(2), as platform.machine() does without loading a module."""
    assert arch.host().name == os.uname().machine

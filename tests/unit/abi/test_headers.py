"""Our own <bpf/…> headers: small programs that together use every macro, with all warnings on."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from ebee.abi.arch import by_name
from ebee.clang.toolchain import OWN_INCLUDE, find_toolchain

HERE = Path(__file__).parent / "headers"
PROGRAMS = sorted(HERE.glob("*.bpf.c"))
NEEDS_VMLINUX = ("bit_fields", "chains", "iterator", "questions")
REGISTERS = ("functions", "registers", "system_calls", "usdt")


def compiler_says(source: str, *flags: str, architecture: str = "x86_64") -> str:
    """Return clang's messages for a C text; our headers are no system headers here, so that it
    warns of them as of the program."""
    toolchain = find_toolchain({})
    folders = toolchain.include_folders((by_name(architecture).include_folder, "any-linux-any"))
    own, *system = folders
    command = [*toolchain.command, *toolchain.flags, "-target", "bpf", "-g", "-O2", "-Wall", "-Wextra"]
    command += ["-nostdinc", f"-I{own}", *(word for folder in system for word in ("-isystem", folder))]
    command += [f"-I{HERE}", *flags, "-x", "c", "-c", "-", "-o", "/dev/null"]
    run = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    return run.stderr


@cache
def all_programs() -> str:
    """Return the text of all programs, to look for names in."""
    return "".join(path.read_text() for path in PROGRAMS)


@pytest.mark.parametrize("types", ["-DWITH_VMLINUX", "-DWITH_BPF_H"])
@pytest.mark.parametrize("path", PROGRAMS, ids=[path.name.partition(".")[0] for path in PROGRAMS])
def test_every_program_compiles_without_a_warning(path: Path, types: str) -> None:
    """With the types of vmlinux.h and, where they suffice, with those of <linux/bpf.h>."""
    assert compiler_says(path.read_text(), types, "-D__TARGET_ARCH_x86") == ""


@pytest.mark.parametrize("macro", ["arm64", "riscv", "powerpc", "loongarch"])
@pytest.mark.parametrize("name", REGISTERS)
def test_registers_are_known_on_other_architectures(name: str, macro: str) -> None:
    """The tables of bpf_tracing.h name fields that those architectures' types have."""
    text = Path(HERE, f"{name}.bpf.c").read_text()
    assert compiler_says(text, "-DWITH_VMLINUX", f"-D__TARGET_ARCH_{macro}") == ""


@pytest.mark.parametrize("name", REGISTERS)
def test_arm64_registers_are_read_with_the_types_of_linux_ptrace_h(name: str) -> None:
    """User space's header has struct user_pt_regs as the kernel does."""
    text = Path(HERE, f"{name}.bpf.c").read_text()
    assert compiler_says(text, "-D__TARGET_ARCH_arm64", architecture="aarch64") == ""


def test_every_public_macro_is_used_by_a_program() -> None:
    """A macro that no program uses is one that nobody knows to work."""
    inner = re.compile(
        r"_{2,3}bpf|_{3}|__BPF|__USDT|bpf_target_|BPF_PRINTK_FMT_MOD|__CORE_RELO|__PT_REGS_CAST"
    )
    other_spellings = re.compile(r"__bpf_(constant_)?(hton|ntoh|cpu|be64)|bpf_(cpu_to|be|le)\d*|BPF_USDT_MAX")
    unused = []
    for header in Path(OWN_INCLUDE, "bpf").glob("*.h"):
        for name in re.findall(r"^#define (\w+)", header.read_text(), re.MULTILINE):
            if inner.match(name) or other_spellings.match(name) or re.match(r"PT_REGS_PARM[67]", name):
                continue
            if not re.search(rf"\b{name}\b", all_programs()):
                unused.append(name)
    assert unused == []


def test_all_helpers_can_be_called() -> None:
    """Every definition of bpf_helper_defs.h is a constant that the compiler takes for a call."""
    text = Path(OWN_INCLUDE, "bpf/bpf_helper_defs.h").read_text()
    names = re.findall(r"\(\* const (bpf_\w+)\)", text)
    assert len(names) == 211
    taken = "".join(f"const void *use_{name}(void) {{ return {name}; }}\n" for name in names)
    assert compiler_says(f"#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n{taken}") == ""


@pytest.mark.parametrize("header", ["bpf_helpers.h", "bpf_tracing.h", "bpf_core_read.h", "usdt.bpf.h"])
def test_a_header_without_the_kernels_types_says_what_to_include(header: str) -> None:
    """One sentence, in place of two hundred unknown type names."""
    said = compiler_says(f"#include <bpf/{header}>\n", "-D__TARGET_ARCH_x86")
    first = re.search(r"error: (.*)", said)
    assert first is not None
    assert first[1] == (
        '"<bpf/...> headers need the types of the kernel: put #include <linux/bpf.h> or <vmlinux.h> '
        'above them (or define BPF_OWN_TYPES where the program declares __u32 and its like itself)"'
    )


def test_a_program_may_bring_its_own_types() -> None:
    """Who declares the few that are needed needs no other header."""
    types = "typedef unsigned char __u8; typedef unsigned short __u16, __be16; typedef short __s16;"
    types += "typedef int __s32; typedef unsigned __u32, __wsum, __be32; typedef long long __s64;"
    types += "typedef unsigned long long __u64;\n#define BPF_OWN_TYPES\n"
    assert compiler_says(types + "#include <bpf/bpf_helpers.h>\n") == ""


def test_registers_without_an_architecture_are_an_error_where_they_are_used() -> None:
    """Including the header alone is no error."""
    head = "#include <linux/bpf.h>\n#include <linux/ptrace.h>\n#include <bpf/bpf_tracing.h>\n"
    assert compiler_says(head) == ""
    said = compiler_says(head + "long f(struct pt_regs *ctx) { return PT_REGS_RC(ctx); }\n")
    assert (
        "error: registers are named, but not of which architecture: "
        "compile with -D__TARGET_ARCH_x86, -D__TARGET_ARCH_arm64 or another" in said
    )


def test_an_argument_on_the_stack_is_an_error() -> None:
    """x86-64 passes six in registers."""
    head = "#include <linux/bpf.h>\n#include <linux/ptrace.h>\n#include <bpf/bpf_tracing.h>\n"
    said = compiler_says(
        head + "long f(struct pt_regs *ctx) { return PT_REGS_PARM7(ctx); }\n", "-D__TARGET_ARCH_x86"
    )
    assert (
        "error: this architecture passes fewer arguments in registers: read this one from the stack" in said
    )


def test_a_kernel_function_that_is_not_weak_cannot_be_asked_for() -> None:
    """Without __weak the loader refuses before the question is asked."""
    said = compiler_says(
        "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nextern int strong(void) __ksym;\n"
        "int f(void) { return bpf_ksym_exists(strong); }\n"
    )
    assert "strong must be declared __weak" in said

"""What differs between architectures, as tables: numbers of system calls, registers, names, folders.

Sources: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h for the numbers;
struct pt_regs of arch/x86/include/asm/ptrace.h and arch/arm64/include/asm/ptrace.h for the offsets;
the System V ABI for x86-64 and the Arm procedure call standard (AAPCS64) for the roles of registers;
the elf.h of both for the machine numbers.
"""

from __future__ import annotations

from ebee.errors import NotSupportedError
from ebee.record import NamedTuple

WORD_BYTES = 8
"""The size of each register in struct pt_regs."""


class Arch(NamedTuple):
    """One architecture.

    Attributes:
        name: as platform.machine() gives it.
        elf_machine: e_machine of its ELF files.
        target_macro: what eBPF programs are compiled with to know it (a macro of <bpf/bpf_tracing.h>).
        include_folder: its folder below the ziglang wheel's lib/libc/include.
        syscall_prefix: what stands before a system call's name in the kernel's symbols.
        syscalls: numbers of system calls by name.
        pt_regs: registers by their name in the kernel's struct pt_regs -> offset in bytes.
        arguments: the registers that hold a function's arguments, first to last.
        syscall_arguments: the same of a system call, as the kernel saved them at its entry.
        result, stack, instruction, frame: the registers of these roles.
    """

    name: str
    elf_machine: int
    target_macro: str
    include_folder: str
    syscall_prefix: str
    syscalls: dict[str, int]
    pt_regs: dict[str, int]
    arguments: tuple[str, ...]
    syscall_arguments: tuple[str, ...]
    result: str
    stack: str
    instruction: str
    frame: str

    def offset(self, register: str) -> int:
        """Return where a register stands in struct pt_regs, in bytes.

        Raises:
            KeyError: there is no such register.
        """
        return self.pt_regs[register]


def _offsets(names: str) -> dict[str, int]:
    """Return offsets of registers that follow one another."""
    return {name: index * WORD_BYTES for index, name in enumerate(names.split())}


X86_64 = Arch(
    name="x86_64",
    elf_machine=62,
    target_macro="__TARGET_ARCH_x86",
    include_folder="x86-linux-any",
    syscall_prefix="__x64_sys_",
    syscalls={
        "bpf": 321,
        "perf_event_open": 298,
        "setns": 308,
        "setsockopt": 54,
        "unshare": 272,
        "mount": 165,
        "umount2": 166,
        "memfd_create": 319,
        "pidfd_open": 434,
        "process_vm_readv": 310,
    },
    pt_regs=_offsets("r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss"),
    arguments=("di", "si", "dx", "cx", "r8", "r9"),
    syscall_arguments=("di", "si", "dx", "r10", "r8", "r9"),
    result="ax",
    stack="sp",
    instruction="ip",
    frame="bp",
)

AARCH64 = Arch(
    name="aarch64",
    elf_machine=183,
    target_macro="__TARGET_ARCH_arm64",
    include_folder="aarch64-linux-any",
    syscall_prefix="__arm64_sys_",
    syscalls={
        "bpf": 280,
        "perf_event_open": 241,
        "setns": 268,
        "setsockopt": 208,
        "unshare": 97,
        "mount": 40,
        "umount2": 39,
        "memfd_create": 279,
        "pidfd_open": 434,
        "process_vm_readv": 270,
    },
    pt_regs=_offsets(" ".join(f"x{index}" for index in range(31)) + " sp pc pstate orig_x0"),
    arguments=("x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"),
    # x0 is overwritten by the result, so the kernel keeps the first argument apart.
    syscall_arguments=("orig_x0", "x1", "x2", "x3", "x4", "x5"),
    result="x0",
    stack="sp",
    instruction="pc",
    frame="x29",
)

ARCHITECTURES = {arch.name: arch for arch in (X86_64, AARCH64)}
_OTHER_NAMES = {"amd64": "x86_64", "AMD64": "x86_64", "arm64": "aarch64"}


def by_name(name: str) -> Arch:
    """Return an architecture by its name; `arm64` and `amd64` are understood too.

    Raises:
        NotSupportedError: ebee has no table for it.
    """
    found = ARCHITECTURES.get(_OTHER_NAMES.get(name, name))
    if found is None:
        known = " or ".join(ARCHITECTURES)
        raise NotSupportedError(
            f"architecture: {name}, expected {known}",
            hint="ebee has tables of system calls and registers for these only",
        )
    return found


def host() -> Arch:
    """Return the architecture of the running kernel.

    Raises:
        NotSupportedError: ebee has no table for it.
    """
    import os

    return by_name(os.uname().machine)

"""The types of the running kernel, from /sys/kernel/btf."""

from __future__ import annotations

from functools import cache

from ebee.btf import Btf, decode

VMLINUX = "/sys/kernel/btf/vmlinux"


@cache
def kernel_types() -> Btf | None:
    """Return the running kernel's types; None where it has none (CONFIG_DEBUG_INFO_BTF is off).

    Opened once in a process: 5 MB are read and walked in some 50 ms.

    Kernel: since 5.4 (/sys/kernel/btf/vmlinux).
    """
    try:
        with open(VMLINUX, "rb") as file:
            return decode(file.read())
    except OSError:
        return None

"""The part of the door that tells facts of the running kernel, from what it shows under /proc and /sys."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf
    from ebee.host.kernel_facts import KernelFacts
    from ebee.kernel.protocol import Kernel


class HostFacts:
    """Facts of the kernel that this process runs on."""

    def cpu_count(self) -> int:
        """From sysfs."""
        from ebee.host.cpus import possible_cpu_count

        return possible_cpu_count()

    def types(self) -> Btf | None:
        """From /sys/kernel/btf."""
        from ebee.host.kernel_types import kernel_types

        return kernel_types()

    def facts(self) -> KernelFacts:
        """From uname(2) and the configuration's usual places."""
        from ebee.host.kernel_facts import kernel_facts

        return kernel_facts()

    def symbol_address(self, name: str) -> int | None:
        """From /proc/kallsyms."""
        from ebee.errors import NotPermittedError
        from ebee.host.kallsyms import kernel_symbols

        symbol = kernel_symbols().find(name)
        if symbol is not None and not symbol.address:
            raise NotPermittedError(
                f"extern {name}: the kernel hides the addresses of its symbols from this process",
                hint="it takes CAP_SYSLOG, or: sysctl kernel.kptr_restrict=0",
            )
        return None if symbol is None else symbol.address

    def has_symbol(self, name: str) -> bool:
        """From /proc/kallsyms."""
        from ebee.host.kallsyms import has_symbol

        return has_symbol(name)

    def tracepoint_id(self: Kernel, category: str, name: str) -> int:
        """From tracefs, which is mounted where it is not."""
        from ebee.host.tracefs import tracepoint_id

        return tracepoint_id(self, category, name)

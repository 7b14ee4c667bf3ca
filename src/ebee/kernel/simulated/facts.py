"""Facts of the simulated kernel: its own, and the running kernel's where those are no matter of rights."""

from __future__ import annotations

import sys
from functools import cached_property

from ebee.kernel.simulated.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf
    from ebee.host.kernel_facts import KernelFacts

RELEASE = "6.18.0-ebee"
"""What it takes after, where no kernel runs: the one whose behaviour it is held against."""


class Facts:
    """The part of the simulated kernel that tells facts."""

    state: State

    def cpu_count(self) -> int:
        """As many as it was made with."""
        return self.state.machine.cpus

    def types(self) -> Btf | None:
        """Those it was given, or the running kernel's."""
        return self.state.types()

    def facts(self) -> KernelFacts:
        """The running kernel's on Linux, so that values of __kconfig are those of this machine."""
        return self._facts

    @cached_property
    def _facts(self) -> KernelFacts:
        from ebee.host.kernel_facts import KernelFacts, kernel_facts

        if sys.platform == "linux":
            return kernel_facts()
        import platform

        return KernelFacts(RELEASE, "#1 SMP", platform.machine())

    def symbol_address(self, name: str) -> int | None:
        """The running kernel's, or made up where that hides it."""
        return self.state.symbols.find(name)

    def has_symbol(self, name: str) -> bool:
        """Whether the running kernel has it; all are there where it does not tell."""
        return self.state.symbols.find(name) is not None

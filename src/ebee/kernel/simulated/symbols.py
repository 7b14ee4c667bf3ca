"""Symbols of the simulated kernel: the running one's where it tells them, made up where it does not."""

from __future__ import annotations

from ebee.errors import KernelError

_BASE = 0xFFFF_FFFF_8100_0000
_STRIDE = 0x1000


class Symbols:
    """Addresses of the kernel's functions and variables.

    They are what programs see; what lies there is only what was put into the machine's memory.
    """

    def __init__(self) -> None:
        self._made: dict[str, int] = {}

    def address(self, name: str) -> int:
        """Return where a symbol lies, or seems to."""
        return self._told(name) or self._made.setdefault(name, _BASE + _STRIDE * len(self._made))

    def find(self, name: str) -> int | None:
        """Return where a symbol lies; None where the running kernel has none of that name."""
        if name in self._made:
            return self._made[name]
        told = self._told(name)
        # An address of 0 is one that is hidden from this process: the symbol is there.
        return self.address(name) if told == 0 else told

    def _told(self, name: str) -> int | None:
        from ebee.host.kallsyms import kernel_symbols

        try:
            symbol = kernel_symbols().find(name)
        except KernelError:
            return 0
        return None if symbol is None else symbol.address

"""The kernel's own symbols, from /proc/kallsyms; read when first asked for."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

from ebee.errors import KernelError
from ebee.record import NamedTuple

KALLSYMS = "/proc/kallsyms"


class Symbol(NamedTuple):
    """A symbol of the kernel: its address (0 where they are hidden), nm's letter, and the module, if any."""

    address: int
    kind: str
    name: str
    module: str = ""


class Symbols:
    """The kernel's symbols: by name, and by the address they begin at."""

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, Symbol] = {}
        self._sorted: list[Symbol] | None = None
        for line in text.splitlines():
            parts = line.split()
            if len(parts) < 3:
                continue
            module = parts[3].strip("[]") if len(parts) > 3 else ""
            # of symbols of one name the first counts, as the kernel's own lookup has it
            self._by_name.setdefault(parts[2], Symbol(int(parts[0], 16), parts[1], parts[2], module))

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Symbol | None:
        """Return the symbol of a name, or None."""
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """Return all names, as /proc/kallsyms orders them."""
        return list(self._by_name)

    @property
    def addresses_hidden(self) -> bool:
        """Whether the kernel shows zeros for addresses (kernel.kptr_restrict, no CAP_SYSLOG)."""
        return not any(symbol.address for symbol in self._by_name.values())

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """Return the symbol that an address lies in and how far; None below the first or where hidden."""
        if self._sorted is None:
            self._sorted = sorted(symbol for symbol in self._by_name.values() if symbol.address)
        place = bisect_right(self._sorted, address, key=lambda symbol: symbol.address)
        if not place:
            return None
        symbol = self._sorted[place - 1]
        return symbol, address - symbol.address


@cache
def kernel_symbols() -> Symbols:
    """Return the running kernel's symbols, as they were when first asked for.

    Raises:
        KernelError: the kernel has no /proc/kallsyms, or /proc is not mounted.
    """
    return Symbols(_text())


def has_symbol(name: str) -> bool:
    """Return whether the kernel has a symbol; quicker than reading all of them into a table.

    Raises:
        KernelError: the kernel has no /proc/kallsyms, or /proc is not mounted.
    """
    text = _text()
    return f" {name}\n" in text or f" {name}\t" in text


def _text() -> str:
    try:
        with open(KALLSYMS) as file:
            return file.read()
    except OSError as error:
        raise KernelError(
            f"read {KALLSYMS}: {error.strerror}, expected the kernel's symbols",
            errno=error.errno or 0,
            hint="the kernel needs CONFIG_KALLSYMS, and /proc must be mounted",
        ) from None

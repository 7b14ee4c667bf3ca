"""Names for the addresses in a program's calls, as /proc/kallsyms has them."""

from __future__ import annotations

from collections.abc import Iterable

from ebee.host.kallsyms import KALLSYMS

_BASE = b" __bpf_call_base"


class CallNames:
    """The symbols that calls of one program lead to.

    A call's number is the distance from __bpf_call_base, a symbol of the kernel's. Only the symbols
    looked for are kept: a whole table of 200,000 takes half a second to make.
    """

    def __init__(self, text: bytes) -> None:
        self._text = b"\n" + text
        self.base = self._address_of(_BASE)

    def __call__(self, address: int) -> str | None:
        """Return the name of the symbol that begins at an address."""
        if not address:
            return None
        start = self._text.find(b"\n%016x " % address)
        if start < 0:
            return None
        words = self._text[start : self._text.find(b"\n", start + 1)].split()
        return words[2].decode("utf-8", "replace") if len(words) > 2 else None

    def _address_of(self, name: bytes) -> int:
        for end in (b"\n", b"\t"):
            place = self._text.find(name + end)
            if place >= 0:
                return int(self._text[self._text.rfind(b"\n", 0, place) + 1 :].split(b" ", 1)[0], 16)
        return 0


def call_names(needed: Iterable[object]) -> CallNames:
    """Return the kernel's names for addresses; none where nothing is `needed` or /proc is not mounted."""
    if not any(True for _ in needed):
        return CallNames(b"")
    try:
        with open(KALLSYMS, "rb") as file:
            return CallNames(file.read())
    except OSError:
        return CallNames(b"")

"""Network interfaces by name, as this process's network namespace has them."""

from __future__ import annotations


def interfaces() -> dict[str, int]:
    """Return the index of each interface by its name."""
    # Not from `socket`, which takes 10 ms to import.
    from _socket import if_nameindex

    return {name: index for index, name in if_nameindex()}


def near_interface(name: str) -> str:
    """Return a hint for a name that no interface has: the nearest, or all there are."""
    from ebee.text import did_you_mean

    known = interfaces()
    return did_you_mean(name, known) or f"devices here: {', '.join(known) or 'none'}"

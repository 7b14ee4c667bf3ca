"""Words and numbers as people read them: tables, sizes, hex, near names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MANY = 2000


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> list[str]:
    """Return the known words most like `word`, best first; none where nothing is near."""
    from difflib import SequenceMatcher, get_close_matches

    candidates = list(known)
    if len(candidates) > _MANY:
        # Comparing with each of a kernel's 56,000 function names takes seconds; near ones are of
        # about the same length and seldom begin with another letter.
        candidates = [c for c in candidates if abs(len(c) - len(word)) <= 3 and c[:1] == word[:1]]
    near = get_close_matches(word, candidates, n=count + 4, cutoff=0.6)
    # Of words equally near, one of the same length comes first: `xpd` is `xdp` rather than `xdpdrv`.
    likeness = {name: round(SequenceMatcher(None, name, word).ratio(), 2) for name in near}
    return sorted(near, key=lambda name: (-likeness[name], abs(len(name) - len(word))))[:count]


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint `did you mean 'x'?`, or None where no known word is near."""
    near = nearest(word, known)
    return f"did you mean '{near[0]}'?" if near else None


def size(count_bytes: int) -> str:
    """Return a size for people, in powers of 1024: `4 KiB`, `1.5 MiB`."""
    value, unit = float(count_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"


def hex_bytes(data: bytes) -> str:
    """Return bytes as two-digit hex numbers with a space between them."""
    return data.hex(" ")


def columns(rows: Sequence[Sequence[str]], *, gap: str = "  ") -> list[str]:
    """Return rows as lines whose columns begin at the same place; the last one is not padded."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    return [
        gap.join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]

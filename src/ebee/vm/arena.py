"""Where the machine's bytes lie: in this process alone, or in memory that another process sees too."""

from __future__ import annotations

_ALIGNMENT = 16


class Arena:
    """Bytes of this process."""

    def allocate(self, size_bytes: int) -> tuple[int, memoryview]:
        """Return zeros, and where they begin in the arena; aligned to 16 bytes."""
        return 0, memoryview(bytearray(size_bytes))

    def free(self, start: int, size_bytes: int) -> None:
        """Give bytes back. Here Python does."""

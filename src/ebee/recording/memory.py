"""The memory of one event, as the probe_read helpers find it on the userspace machine."""

from __future__ import annotations

from collections.abc import Iterable

from ebee.recording.events import Piece, PieceKind
from ebee.vm.machine import Machine
from ebee.vm.memory import SparseMemory


class _Half(SparseMemory):
    """User space or the kernel; counts what is read and was not recorded."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.missing = 0
        self.refused: set[int] = set()

    def read(self, address: int, size_bytes: int) -> bytes | None:
        return self._noted(address, super().read(address, size_bytes))

    def read_string(self, address: int, most_bytes: int) -> bytes | None:
        return self._noted(address, super().read_string(address, most_bytes))

    def _noted(self, address: int, found: bytes | None) -> bytes | None:
        # What could not be read while it was recorded cannot be now, and is not missed.
        if found is None and address not in self.refused and address:
            self.missing += 1
        return found


class RecordedMemory:
    """Both halves of the address space, set to what an event holds."""

    def __init__(self, user: _Half, kernel: _Half) -> None:
        self._user = user
        self._kernel = kernel

    @classmethod
    def of(cls, machine: Machine) -> RecordedMemory:
        """Give a machine such a memory."""
        user, kernel = _Half("user space"), _Half("the kernel")
        machine.memory.user, machine.memory.kernel = user, kernel
        return cls(user, kernel)

    @property
    def missing(self) -> int:
        """How many reads found nothing, and had not failed when they were recorded either."""
        return self._user.missing + self._kernel.missing

    def set(self, pieces: Iterable[Piece]) -> None:
        """Hold the memory of one event, and nothing else."""
        for half in (self._user, self._kernel):
            half.clear()
            half.refused.clear()
        for piece in pieces:
            if piece.kind is PieceKind.USER:
                self._user.put(piece.address, piece.data)
            elif piece.kind is PieceKind.KERNEL:
                self._kernel.put(piece.address, piece.data)
            elif piece.kind is PieceKind.FAILED:
                self._user.refused.add(piece.address)
                self._kernel.refused.add(piece.address)

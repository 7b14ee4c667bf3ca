"""The time and the random numbers of an event, as the machine asks for them."""

from __future__ import annotations

import random
from collections import deque

from ebee.recording.events import Event, Piece, PieceKind
from ebee.recording.recordings import Header
from ebee.vm.machine import Machine

_NS_PER_JIFFY = 4_000_000
# Helpers by their numbers.
_MONOTONIC, _COARSE, _BOOT, _TAI, _JIFFIES = 5, 160, 125, 208, 118
_CLOCKS = frozenset((_MONOTONIC, _COARSE, _BOOT, _TAI, _JIFFIES))
_RANDOM = 7


class RecordedClock(random.Random):
    """The recorded time and random numbers: each is given again in its turn, and the last goes on.

    What a line of bpf_printk() carries is the event's time and uses up none of them.
    """

    def __init__(self, machine: Machine, header: Header) -> None:
        super().__init__(0)
        self._now_ns = 0
        self._times: deque[int] = deque()
        self._numbers: deque[int] = deque()
        self._event: Event | None = None
        self._is_printing = False
        self._ahead_ns = header.wall_ns - header.monotonic_ns
        self._print = machine.print_line
        machine.slots["wall_minus_boot_ns"] = self._ahead_ns
        machine.clock_ns = self.now_ns
        machine.random = self
        machine.print_line = self._print_line

    def set(self, event: Event) -> None:
        """Take the results of another event, once it is rewound."""
        self._event = event

    def rewind(self) -> None:
        """Begin with the event's results, for one more program."""
        assert self._event is not None
        self._now_ns = self._event.time_ns
        results = [piece for piece in self._event.pieces if piece.kind is PieceKind.RESULT]
        self._times = deque(self._as_ns(piece) for piece in results if piece.number in _CLOCKS)
        self._numbers = deque(piece.address for piece in results if piece.number == _RANDOM)

    def now_ns(self) -> int:
        """Return the time, as the machine's clock."""
        if self._times and not self._is_printing:
            self._now_ns = self._times.popleft()
        return self._now_ns

    def getrandbits(self, k: int, /) -> int:
        """Return the next number."""
        return self._numbers.popleft() if self._numbers else super().getrandbits(k)

    def _as_ns(self, piece: Piece) -> int:
        """Return what the clock must say so that the helper says what it said."""
        if piece.number == _JIFFIES:
            return piece.address * _NS_PER_JIFFY
        return piece.address - self._ahead_ns if piece.number == _TAI else piece.address

    def _print_line(self, line: str) -> None:
        self._is_printing = True
        before, self._now_ns = self._now_ns, self._event.time_ns if self._event else 0
        try:
            self._print(line)
        finally:
            self._is_printing = False
            self._now_ns = before

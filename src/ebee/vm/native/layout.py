"""Where the numbers of `struct state` lie, which state.h declares in C: each takes eight bytes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

ASKED: Final = 0
SAID: Final = 1
RUNNER_SLEEPS: Final = 2
ASKER_SLEEPS: Final = 3
SPINS: Final = 4
ORDER: Final = 5
VALUE: Final = 6
KIND: Final = 7
SLOT: Final = 8
PROGRAM: Final = 9
ARGUMENTS: Final = 10
ENTRY: Final = 16
ENTERING: Final = 17
FUNCTION: Final = 18
CALL: Final = 19
REPEAT: Final = 24
BUDGET: Final = 25
CPU: Final = 26
LEFT: Final = 27
MORE: Final = 28
DEPTH: Final = 29
TAIL_CALLS: Final = 30
ROUND: Final = 31
REAL_CLOCK: Final = 32
LOOPS: Final = 33
REGISTERS: Final = 34
LOCK: Final = 44
ARENA_BYTES: Final = 45
STATE_BYTES: Final = 8 * 46

ARRAY: Final = 1
HASH: Final = 2
"""Kinds of maps that maps.c knows."""


class Said:
    """What the process says."""

    DONE, RETURNED, STEP, TAIL_CALL, OUTSIDE, FINISH = range(1, 7)


class Order:
    """What is said to it."""

    RUN, ANSWER, CALL, ABORT = range(1, 5)

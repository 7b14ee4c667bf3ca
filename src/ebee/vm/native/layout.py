"""Where the numbers of `struct state` lie, which state.h declares in C: each takes eight bytes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

ORDER: Final = 0
VALUE: Final = 1
KIND: Final = 2
SLOT: Final = 3
PROGRAM: Final = 4
ARGUMENTS: Final = 5
ENTRY: Final = 11
ENTERING: Final = 12
FUNCTION: Final = 13
CALL: Final = 14
REPEAT: Final = 19
BUDGET: Final = 20
CPU: Final = 21
LEFT: Final = 22
MORE: Final = 23
DEPTH: Final = 24
TAIL_CALLS: Final = 25
ROUND: Final = 26
REAL_CLOCK: Final = 27
LOOPS: Final = 28
REGISTERS: Final = 29
LOCK: Final = 39
ARENA_BYTES: Final = 40
STATE_BYTES: Final = 8 * 41

ARRAY: Final = 1
HASH: Final = 2
"""Kinds of maps that maps.c knows."""


class Said:
    """What the process says."""

    DONE, RETURNED, STEP, TAIL_CALL, OUTSIDE, FINISH = range(1, 7)


class Order:
    """What is said to it."""

    RUN, ANSWER, CALL, ABORT = range(1, 5)

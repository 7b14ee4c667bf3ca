"""Places in the kernel that tracing programs are attached to, by name."""

from __future__ import annotations

from collections.abc import Callable

from ebee.kernel.simulated.things import LinkThing, ProgramThing
from ebee.record import NamedTuple

_FIRST_TRACEPOINT = 1000


class Attached(NamedTuple):
    """A program at a hook.

    Attributes:
        link: whose program it is now; None for perf events of the older way.
        enabled: whether it runs when the hook is passed.
    """

    program: ProgramThing
    link: LinkThing | None
    enabled: Callable[[], bool]

    def current(self) -> ProgramThing:
        """Return the program that runs here."""
        return self.program if self.link is None else self.link.program


class Hooks:
    """Which programs run where.

    Hooks are named as attach points are: `tracepoint:sched:sched_switch`, `raw_tp:sched_switch`,
    `tp_btf:sched_switch`, `fentry:vfs_read`, `perf_event:1:0` (type and config).
    """

    def __init__(self) -> None:
        self._at: dict[str, list[Attached]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def tracepoint_id(self, category: str, name: str) -> int:
        """Return the id of a tracepoint; each that is asked for has one."""
        return self._numbers.setdefault((category, name), _FIRST_TRACEPOINT + len(self._numbers))

    def tracepoint(self, number: int) -> tuple[str, str] | None:
        """Return category and name of an id."""
        return next((names for names, known in self._numbers.items() if known == number), None)

    def attach(self, hook: str, attached: Attached) -> Callable[[], None]:
        """Let a program run at a hook; what is returned takes it off."""
        here = self._at.setdefault(hook, [])
        here.append(attached)
        return lambda: _take_off(here, attached)

    def at(self, hook: str) -> list[Attached]:
        """Return what is attached at a hook and enabled, in the order it was attached."""
        return [attached for attached in self._at.get(hook, ()) if attached.enabled()]

    def names(self) -> list[str]:
        """Return the hooks at which anything is attached."""
        return [hook for hook, here in self._at.items() if here]


def _take_off(here: list[Attached], attached: Attached) -> None:
    here[:] = [other for other in here if other is not attached]

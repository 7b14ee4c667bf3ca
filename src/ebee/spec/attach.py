"""Where a program is to be attached, in words: `xdp:eth0`, `tracepoint:sched:sched_switch`."""

from __future__ import annotations

from ebee.record import NamedTuple


class AttachPoint(NamedTuple):
    """A family of hooks and a target within it, as one writes them with a colon between.

    Attributes:
        family: `xdp`, `xdpgeneric`, `xdpdrv`, `xdpoffload`, `tracepoint`, `raw_tp`, `tp_btf`,
            `socket`, …
        target: an interface, `category:name` of a tracepoint, a name; empty where the program
            itself says it.
    """

    family: str
    target: str = ""

    @classmethod
    def parse(cls, text: str) -> AttachPoint:
        """Read `family:target`; a target may hold colons itself."""
        family, _, target = text.partition(":")
        return cls(family.strip(), target.strip())

    def __str__(self) -> str:
        return f"{self.family}:{self.target}" if self.target else self.family

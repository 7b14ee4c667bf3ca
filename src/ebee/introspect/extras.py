"""What listings show when it is asked for: where objects are pinned, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator

from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Extras(NamedTuple):
    """Pins and holders by the objects' ids; None where they were not asked for."""

    pinned: dict[int, list[str]] | None = None
    holders: dict[int, list[Any]] | None = None

    def of(self, object_id: int) -> dict[str, Any]:
        """Return an object's `pinned` and `pids`; left out where there are none."""
        facts: dict[str, Any] = {}
        if self.pinned and object_id in self.pinned:
            facts["pinned"] = self.pinned[object_id]
        if self.holders and object_id in self.holders:
            facts["pids"] = [{"pid": item.pid, "comm": item.command} for item in self.holders[object_id]]
        return facts


def collect(kernel: Kernel, kind: ObjectKind, *, pinned: bool = False, pids: bool = False) -> Extras:
    """Look for pins and holders of one kind of objects; each takes a walk, through bpffs or /proc."""
    found, held = None, None
    if pinned:
        from ebee.introspect.objects import pins

        found = pins(kernel, kind)
    if pids:
        from ebee.introspect.holders import holders

        held = holders(kind)
    return Extras(found, held)


def extra_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield an object's pins and holders as lines for people."""
    for path in facts.get("pinned", ()):
        yield f"\tpinned {path}"
    if "pids" in facts:
        yield "\tpids " + ", ".join(f"{item['comm']}({item['pid']})" for item in facts["pids"])

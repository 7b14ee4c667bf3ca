"""Where a register's value came from: the path is followed back from where the verifier stopped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ebee.loader.verifier.log import Step
from ebee.record import NamedTuple

_MOVE = re.compile(r"[rw](\d+) = (?:\([su]\d+\))?[rw](\d+)$")
_LOAD = re.compile(r"[rw](\d+) = \*\([su]\d+ \*\)\(r(\d+) ([+-]\d+)\)$")
_STORE = re.compile(r"\*\(u\d+ \*\)\(r10 ([+-]\d+)\) = [rw](\d+)$")
_SET = re.compile(r"[rw](\d+) = ")
_CALL = re.compile(r"call (\w+)#(\d+)")
_SUBPROGRAM = re.compile(r"call pc[+-]\d+")

# Helpers behind which every packet pointer is void.
# Source: net/core/filter.c, bpf_helper_changes_pkt_data().
_MOVES_PACKET = re.compile(
    r"bpf_(xdp_adjust_(head|tail|meta)|skb_(pull_data|store_bytes|change_(head|tail|proto)|adjust_room"
    r"|vlan_(push|pop))|clone_redirect|l[34]_csum_replace|msg_(pull|push|pop)_data|lwt_\w+"
    r"|sk_skb_\w+|xdp_store_bytes|store_hdr_opt|reserve_hdr_opt)$"
)


class Origin(NamedTuple):
    """Where a value came from.

    Attributes:
        kind: `call` (a helper's or kernel function's result), `load` (read
            from memory), `constant`, `lost` (a call wiped the register), `argument` (there from the
            begin), or `unknown`.
        at: the place of its step in the path; -1 for an argument.
        name: of the function called.
        register: of the memory's address for a load; of the argument itself.
        moved_packet: index of a step behind it that made packet pointers void; -1 where none did.
    """

    kind: str
    at: int = -1
    name: str = ""
    register: int = -1
    moved_packet: int = -1


def follow(steps: Sequence[Step], register: int, before: int) -> Origin:
    """Return where the value came from that `register` holds just before the step at index `before`.

    Moves, arithmetic, and what was laid on the stack and fetched again are followed; so are calls of the
    program's own functions.
    """
    return _Walk(steps, register).back_from(before)


class _Walk:
    """One walk back along the path, after one value."""

    def __init__(self, steps: Sequence[Step], register: int) -> None:
        self._steps = steps
        self._register = register
        self._stack: int | None = None
        self._inside = 0
        self._moved = -1

    def back_from(self, before: int) -> Origin:
        for index in range(min(before, len(self._steps)) - 1, -1, -1):
            found = self._step(index, self._steps[index].text)
            if found is not None:
                return found._replace(moved_packet=self._moved)
        return Origin("argument", register=self._register, moved_packet=self._moved)

    def _step(self, index: int, text: str) -> Origin | None:
        if text == "exit":
            self._leave_backwards()
            return None
        if _SUBPROGRAM.match(text):
            return self._enter_backwards(index)
        if self._inside:
            # Another function's registers; only its return value could matter, and that is followed.
            return None
        if self._stack is not None:
            self._look_for_store(text)
            return None
        called = _CALL.match(text)
        if called:
            return self._past_call(index, called[1])
        return self._past_assignment(index, text)

    def _leave_backwards(self) -> None:
        """A subprogram returned here: its r0 is what is followed, all else is kept over the call."""
        if self._inside or self._register != 0 or self._stack is not None:
            self._inside += 1

    def _enter_backwards(self, index: int) -> Origin | None:
        if self._inside:
            self._inside -= 1
            lost = self._stack is None and 1 <= self._register <= 5 and not self._inside
            return Origin("lost", index, "a function") if lost else None
        # Out of the function that was entered here: arguments go on in the caller, nothing else does.
        kept = self._stack is None and 1 <= self._register <= 5
        return None if kept else Origin("unknown", index)

    def _look_for_store(self, text: str) -> None:
        stored = _STORE.match(text)
        if stored and int(stored[1]) == self._stack:
            self._register, self._stack = int(stored[2]), None

    def _past_call(self, index: int, name: str) -> Origin | None:
        if self._moved < 0 and _MOVES_PACKET.match(name):
            self._moved = index
        if self._register == 0:
            return Origin("call", index, name)
        return Origin("lost", index, name) if self._register <= 5 else None

    def _past_assignment(self, index: int, text: str) -> Origin | None:
        target = _SET.match(text)
        if target is None or int(target[1]) != self._register:
            return None
        if moved := _MOVE.match(text):
            self._register = int(moved[2])
            return None
        if (loaded := _LOAD.match(text)) is None:
            return Origin("constant", index)
        if loaded[2] != "10":
            return Origin("load", index, register=int(loaded[2]))
        self._stack = int(loaded[3])
        return None

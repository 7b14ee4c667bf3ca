"""Values of maps whose keys Python keeps: they grow with use, and are used again late."""

from __future__ import annotations

import errno
from collections import deque

from ebee.vm.faults import Refusal
from ebee.vm.maps.base import MOST_VALUES, VmMap, make_values

_FIRST = 16
# A slot that was given back rests while this many others do, so that a pointer to it shows its old value.
_RESTING = 8


class Slots:
    """The values of a map, each with an address.

    Args:
        owner: the map; its `values` become the region of these.
        most: how many values there may be at a time.
    """

    def __init__(self, owner: VmMap, most: int) -> None:
        self._most = min(most + _RESTING, MOST_VALUES)
        self._memory = owner.memory
        self.region = owner.values = make_values(owner, min(self._most, _FIRST))
        self._fresh = 0
        self._free: deque[int] = deque()

    def take(self, value: bytes) -> int:
        """Return the number of a slot that now holds a value.

        Raises:
            Refusal: there is no room (ENOMEM).
        """
        data = bytes(value)
        slot = self._next()
        self.region.element(slot)[:] = data
        return slot

    def replace(self, old: int, value: bytes) -> int:
        """Return another slot with a value; who has a pointer to the old one sees the old value."""
        slot = self.take(value)
        self.give_back(old)
        return slot

    def give_back(self, slot: int) -> None:
        """Let a slot be used again, when others have been."""
        self._free.append(slot)

    def write(self, slot: int, value: bytes) -> None:
        """Set a value in its place."""
        self.region.element(slot)[:] = value

    def read(self, slot: int) -> bytes:
        """Return a value."""
        return self.region.element(slot).tobytes()

    def address(self, slot: int) -> int:
        """Return where programs find a value."""
        return self.region.address(slot)

    def _next(self) -> int:
        if len(self._free) > _RESTING:
            return self._free.popleft()
        if self._fresh == self.region.elements < self._most:
            self._grow()
        if self._fresh < self.region.elements:
            self._fresh += 1
            return self._fresh - 1
        if not self._free:
            raise Refusal(errno.ENOMEM, f"a map has at most {MOST_VALUES} values on the userspace machine")
        return self._free.popleft()

    def _grow(self) -> None:
        # Addresses stay: they say region and element, not where the bytes lie.
        region, arena = self.region, self._memory.arena
        assert region.data is not None
        old_start, old = region.start, region.data
        elements = min(self._most, 2 * region.elements)
        region.start, region.data = arena.allocate(region.stride_bytes * elements)
        region.data[: len(old)] = old
        region.elements = elements
        self._memory.changed(region)
        arena.free(old_start, len(old))

"""Values of maps whose keys Python keeps: they grow with use, and are used again late."""

from __future__ import annotations

import errno
from collections import deque

from ebee.vm.faults import Refusal
from ebee.vm.maps.base import MOST_VALUES, VmMap, make_values
from ebee.vm.memory import ELEMENT_MASK, ELEMENT_SHIFT, REGION_SHIFT, Region

_FIRST = 16
# A value that was given back rests while this many others do, so that a pointer to it shows what it was.
_RESTING = 8


class Slots:
    """The values of a map, known by their addresses.

    They lie in regions, each as large as all before it: none is ever moved, for who runs a program may know
    where a region lies.

    Args:
        owner: the map, which gives the regions back when it is closed.
        most: how many values there may be at a time.
    """

    def __init__(self, owner: VmMap, most: int) -> None:
        self._owner = owner
        self._most = min(most + _RESTING, MOST_VALUES)
        self._regions = owner.memory.regions
        self._region = owner.values = make_values(owner, min(self._most, _FIRST))
        self._count = self._region.elements
        self._used = 0
        self._free: deque[int] = deque()

    def take(self, value: bytes) -> int:
        """Return the address of a slot that now holds a value.

        Raises:
            Refusal: there is no room (ENOMEM).
        """
        data = bytes(value)
        slot = self._next()
        self._bytes(slot)[:] = data
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
        self._bytes(slot)[:] = value

    def read(self, slot: int) -> bytes:
        """Return a value."""
        return self._bytes(slot).tobytes()

    def _bytes(self, slot: int) -> memoryview:
        return self._regions[slot >> REGION_SHIFT].element(slot >> ELEMENT_SHIFT & ELEMENT_MASK)

    def _next(self) -> int:
        if len(self._free) > _RESTING:
            return self._free.popleft()
        if self._used == self._region.elements and self._count < self._most:
            self._region, self._used = self._grown(), 0
        if self._used < self._region.elements:
            self._used += 1
            return self._region.address(self._used - 1)
        if not self._free:
            raise Refusal(errno.ENOMEM, f"a map has at most {self._most} values here")
        return self._free.popleft()

    def _grown(self) -> Region:
        region = make_values(self._owner, min(self._most - self._count, self._count))
        self._owner.further.append(region)
        self._count += region.elements
        return region

"""LPM_TRIE: values under prefixes; a look-up finds the longest that covers its key.

A key is a u32, the number of leading bits that count, in the machine's byte order, and then the bits,
most significant first.
"""

from __future__ import annotations

import errno
from bisect import bisect_left, bisect_right, insort

from ebee.abi.bpf import F_NO_PREALLOC, F_NUMA_NODE
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import ACCESS_FLAGS, BPF_EXIST, BPF_NOEXIST, MapSetup, VmMap, check_flags
from ebee.vm.maps.slots import Slots
from ebee.vm.memory import Memory

_SMALLEST_KEY_BYTES, _LARGEST_KEY_BYTES = 5, 4 + 256
_LARGEST_VALUE_BYTES = (4 << 20) - 256 - 24
"""What the kernel allocates in one piece, less the largest key and a node."""


class LpmTrie(VmMap):
    """Longest prefix match."""

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        _check(setup)
        super().__init__(setup, memory, cpus=cpus, index=index)
        self._bits = 8 * (setup.key_size_bytes - 4)
        self._slots = Slots(self, setup.max_entries)
        # By length and bits of the prefix: its slot, and the key as it was given.
        self._entries: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._lengths: list[int] = []
        self._of_length: dict[int, int] = {}
        # Keys in the order in which they are walked; kept from the first walk on.
        self._order: list[tuple[int, int]] | None = None

    # -- the trie --------------------------------------------------------------------------------
    def _prefix(self, key: bytes) -> tuple[int, int] | None:
        """Return a key's length and prefix; None where it is longer than keys are."""
        length = int.from_bytes(key[:4], "little")
        if length > self._bits:
            return None
        return length, int.from_bytes(key[4:], "big") >> (self._bits - length)

    def _longest(self, key: bytes) -> int | None:
        asked = self._prefix(key)
        if asked is None:
            return None
        length, bits = asked
        for shorter in reversed(self._lengths[: bisect_right(self._lengths, length)]):
            entry = self._entries.get((shorter, bits >> (length - shorter)))
            if entry is not None:
                return entry[0]
        return None

    def _place(self, prefix: tuple[int, int]) -> tuple[int, int]:
        """Return what prefixes are walked by: those within another come before it, lower ones first."""
        length, bits = prefix
        below = self._bits - length
        return ((bits + 1) << below), -(bits << below)

    def _add(self, prefix: tuple[int, int]) -> None:
        length = prefix[0]
        if self._of_length.setdefault(length, 0) == 0:
            insort(self._lengths, length)
        self._of_length[length] += 1
        if self._order is not None:
            insort(self._order, self._place(prefix))

    def _forget(self, prefix: tuple[int, int]) -> None:
        length = prefix[0]
        self._of_length[length] -= 1
        if self._of_length[length] == 0:
            self._lengths.remove(length)
        if self._order is not None:
            del self._order[bisect_left(self._order, self._place(prefix))]

    def _by_place(self, place: tuple[int, int]) -> bytes:
        end, start = place[0], -place[1]
        below = (end - start).bit_length() - 1
        return self._entries[self._bits - below, start >> below][1]

    # -- for programs ----------------------------------------------------------------------------
    def find(self, key: bytes, cpu: int = 0) -> int:
        return self._longest(key) or 0

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        prefix = self._prefix(key)
        if prefix is None or flags > BPF_EXIST:
            raise Refusal(errno.EINVAL, f"a prefix has at most {self._bits} bits")
        entry = self._entries.get(prefix)
        if entry is not None:
            if flags == BPF_NOEXIST:
                raise Refusal(errno.EEXIST)
            self._entries[prefix] = self._slots.replace(entry[0], value), bytes(key)
            return
        if flags == BPF_EXIST:
            raise Refusal(errno.ENOENT)
        if len(self._entries) == self.setup.max_entries:
            raise Refusal(errno.ENOSPC, f"the map is full: it has {self.setup.max_entries} entries")
        self._entries[prefix] = self._slots.take(value), bytes(key)
        self._add(prefix)

    def delete(self, key: bytes) -> None:
        prefix = self._prefix(key)
        if prefix is None:
            raise Refusal(errno.EINVAL, f"a prefix has at most {self._bits} bits")
        if prefix not in self._entries:
            raise Refusal(errno.ENOENT)
        self._slots.give_back(self._entries.pop(prefix)[0])
        self._forget(prefix)

    def __len__(self) -> int:
        return len(self._entries)

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        slot = self._longest(key)
        return None if slot is None else self._slots.read(slot)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        self.update(key, value, flags)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        if self._order is None:
            self._order = sorted(map(self._place, self._entries))
        prefix = None if key is None else self._prefix(key)
        following = 0
        if prefix in self._entries:
            assert prefix is not None
            following = bisect_right(self._order, self._place(prefix))
        return self._by_place(self._order[following]) if following < len(self._order) else None


def _check(setup: MapSetup) -> None:
    check_flags(setup, F_NO_PREALLOC | F_NUMA_NODE | ACCESS_FLAGS)
    if not setup.flags & F_NO_PREALLOC:
        raise Refusal(errno.EINVAL, "a trie is made with BPF_F_NO_PREALLOC")
    if not setup.max_entries or not 1 <= setup.value_size_bytes <= _LARGEST_VALUE_BYTES:
        raise Refusal(errno.EINVAL, "value size and max_entries must not be 0")
    if not _SMALLEST_KEY_BYTES <= setup.key_size_bytes <= _LARGEST_KEY_BYTES:
        raise Refusal(
            errno.EINVAL,
            f"a key has {_SMALLEST_KEY_BYTES} to {_LARGEST_KEY_BYTES} bytes, a length of 4 first",
        )

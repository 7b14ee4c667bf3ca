"""BLOOM_FILTER: a set that answers `maybe` or `no`.

The bits are computed as the kernel's are not: its hashes begin with a random seed. What was added is
always found; how seldom anything else is follows from max_entries and the number of hashes, as there.
"""

from __future__ import annotations

import errno
from zlib import crc32

from ebee.abi.bpf import F_NUMA_NODE, F_ZERO_SEED
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import (
    ACCESS_FLAGS,
    BPF_ANY,
    EOPNOTSUPP,
    MapSetup,
    VmMap,
    check_flags,
)
from ebee.vm.memory import Memory

_DEFAULT_HASHES = 5
_HASHES_MASK = 0xF
_FEWEST_BITS = 64
_LARGEST_VALUE_BYTES = 4 << 20
_GOLDEN, _U32 = 0x9E3779B1, (1 << 32) - 1


class BloomFilter(VmMap):
    """A bloom filter: programs and user space push values and ask by peek whether one was pushed.

    Attributes:
        hashes: how many bits a value sets: map_extra, 5 where that is 0.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        if setup.value_size_bytes > _LARGEST_VALUE_BYTES:
            raise Refusal(errno.E2BIG, "a value of more than 4 MiB")
        check_flags(setup, F_NUMA_NODE | F_ZERO_SEED | ACCESS_FLAGS)
        if setup.key_size_bytes or not setup.max_entries or not setup.value_size_bytes:
            raise Refusal(errno.EINVAL, "it has no key, and neither values nor entries of 0")
        if setup.extra & ~_HASHES_MASK:
            raise Refusal(errno.EINVAL, "map_extra is the number of hashes, at most 15")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.hashes = setup.extra or _DEFAULT_HASHES
        # The best size is entries * hashes / ln 2; the kernel takes 7/5 for 1 / ln 2.
        wanted = max(_FEWEST_BITS, setup.max_entries * self.hashes // 5 * 7)
        self._mask = (1 << min(32, (wanted - 1).bit_length())) - 1
        self._bits = bytearray((self._mask >> 3) + 1)

    # -- for programs ----------------------------------------------------------------------------
    def push(self, value: bytes, flags: int = 0) -> None:
        if flags != BPF_ANY:
            raise Refusal(errno.EINVAL, "a push into a bloom filter is BPF_ANY")
        for bit in self._of(value):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def peek(self, value: bytes = b"") -> bytes:
        if not all(self._bits[bit >> 3] >> (bit & 7) & 1 for bit in self._of(value)):
            raise Refusal(errno.ENOENT)
        return value

    def find(self, key: bytes, cpu: int = 0) -> int:
        raise Refusal(errno.EINVAL, "a bloom filter is asked by bpf_map_peek_elem()")

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "values are pushed into a bloom filter")

    def _of(self, value: bytes) -> list[int]:
        """Return which bits a value sets."""
        first = crc32(value)
        step = (first * _GOLDEN >> 16) & _U32 | 1
        return [first + number * step & self._mask for number in range(self.hashes)]

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        """Ask for the value of zeros: without a value, that is what BPF_MAP_LOOKUP_ELEM asks for."""
        self.check_read(key, flags)
        try:
            return self.peek(bytes(self.setup.value_size_bytes))
        except Refusal:
            return None

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        self.push(value, flags)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        raise Refusal(EOPNOTSUPP, "there are no keys")

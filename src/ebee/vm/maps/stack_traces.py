"""STACK_TRACE: call chains by id, which bpf_get_stackid gives."""

from __future__ import annotations

import errno
from zlib import crc32

from ebee.abi.bpf import (
    F_FAST_STACK_CMP,
    F_NUMA_NODE,
    F_RDONLY,
    F_REUSE_STACKID,
    F_STACK_BUILD_ID,
    F_WRONLY,
)
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import MapSetup, VmMap, check_flags
from ebee.vm.memory import Memory

_MOST_FRAMES = 127
"""kernel.perf_event_max_stack as it is set by default."""
_BUILD_ID_BYTES = 32


class StackTraces(VmMap):
    """Call chains; an id is the hash of its chain, cut to the number of buckets.

    Attributes:
        buckets: max_entries rounded up to a power of two.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        check_flags(setup, F_NUMA_NODE | F_STACK_BUILD_ID | F_RDONLY | F_WRONLY)
        frame = _BUILD_ID_BYTES if setup.flags & F_STACK_BUILD_ID else 8
        size = setup.value_size_bytes
        if not setup.max_entries or setup.key_size_bytes != 4 or size < 8 or size % frame:
            raise Refusal(errno.EINVAL, f"it has keys of 4 bytes and values of a multiple of {frame}")
        if size // frame > _MOST_FRAMES:
            raise Refusal(errno.EINVAL, f"a chain has at most {_MOST_FRAMES} frames")
        if setup.max_entries > 1 << 31:
            raise Refusal(errno.E2BIG, "more than 2^31 entries")
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.buckets = 1 << (setup.max_entries - 1).bit_length()
        self._chains: dict[int, bytes] = {}

    def store(self, chain: bytes, flags: int = 0) -> int:
        """Return the id of a call chain, innermost frame first, each of 8 bytes; it is kept under it.

        Raises:
            Refusal: another chain has that id, and BPF_F_REUSE_STACKID was not given (EEXIST).
        """
        chain = chain[: self.setup.value_size_bytes]
        number = crc32(chain) & (self.buckets - 1)
        old = self._chains.get(number)
        # With BPF_F_FAST_STACK_CMP equal hashes are taken for equal chains.
        if old is not None and (old == chain or (flags & F_FAST_STACK_CMP and crc32(old) == crc32(chain))):
            return number
        if old is not None and not flags & F_REUSE_STACKID:
            raise Refusal(errno.EEXIST, "another call chain has that id")
        self._chains[number] = chain
        return number

    # -- for programs ----------------------------------------------------------------------------
    def delete(self, key: bytes) -> None:
        number = int.from_bytes(key, "little")
        if number >= self.buckets:
            raise Refusal(errno.E2BIG, f"id {number} of {self.buckets}")
        if self._chains.pop(number, None) is None:
            raise Refusal(errno.ENOENT)

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        raise Refusal(errno.EINVAL, "bpf_get_stackid() alone adds call chains")

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        chain = self._chains.get(int.from_bytes(key, "little"))
        return None if chain is None else chain.ljust(self.setup.value_size_bytes, b"\0")

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_take(key, flags)
        chain = self.read(key, flags)
        self._chains.pop(int.from_bytes(key, "little"), None)
        return chain

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        self.update(key, value, flags)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        after = -1 if key is None else int.from_bytes(key, "little")
        if after >= self.buckets:
            after = -1
        following = min((number for number in self._chains if number > after), default=None)
        return None if following is None else following.to_bytes(4, "little")

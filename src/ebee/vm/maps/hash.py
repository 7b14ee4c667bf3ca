"""Hash maps: HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH.

The whole of a table lies in the arena, so that engines in another process find, insert and remove
in the same bytes. All numbers are little-endian u32; a link is a slot's number + 1, and 0 is none.

    table (at `table_start` in the arena)
      0   header, 64 bytes, words:
            0 count        keys in the map
            1 fresh        slots from here on were never used
            2 free_first   the slot that was given back the longest ago (link)
            3 free_last    the one given back last (link)
            4 newest       LRU: used last (link)
            5 oldest       LRU: evicted next (link)
            6 capacity     slots: max_entries and as many more as there are CPUs
            7 mask         buckets - 1; buckets are max_entries rounded up to a power of two
            8 key_bytes
            9 record_bytes 16 + key_bytes rounded up to 8
           10 max_entries
           11 heads_at     64: byte offset of the heads
           12 records_at   byte offset of the records, a multiple of 16
           13 lru          1 for the LRU types
           14 cpus         for per-CPU types how many values a slot has, else 0
     heads_at     u32[mask + 1]: the first slot of each bucket (link)
     records_at   capacity records:
            0 next         the bucket's next slot, or the next free one (link)
            4 hash         of the key
            8 newer       12 older      LRU: neighbours in the order of use (links)
           16 key

    values (the region `values`): element = slot + cpu * capacity, capacity (* cpus) elements

hash(key) = CRC-32 of its bytes as zlib's: reflected polynomial 0xEDB88320, begins with and is at last
xored with 0xFFFFFFFF. For keys of at most 4 bytes equal hashes are equal keys. bucket = hash & mask.

- find: walk the bucket; LRU: make the slot the newest.
- a new slot: `fresh` while it is below capacity, else the first free one. So a slot that was given
  back is used again as late as can be, and a pointer into it shows its old value for long.
- insert: with count == max_entries E2BIG, or for LRU the oldest is removed first. The new slot becomes
  the first of its bucket; LRU: the newest. Per-CPU: a program sets its own CPU's value, the others are 0.
- update of a key that is there: per-CPU values, and any with BPF_F_LOCK, are written in place (LRU: it
  becomes the newest). Else, as in the kernel, the value goes to a new slot, which takes the old one's
  place in its bucket, and the old one goes to the end of the free ones: who holds a pointer to it
  sees the old value.
- remove: the slot leaves its bucket and goes to the end of the free ones; its value stays.

Where the kernel differs: its LRU is approximate and this one is exact; BPF_F_NO_COMMON_LRU is taken
and has no effect but that max_entries is rounded to the number of CPUs; order of keys.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from zlib import crc32

from ebee.abi.bpf import F_LOCK, F_NO_COMMON_LRU, F_NO_PREALLOC, F_NUMA_NODE, F_ZERO_SEED, MapType
from ebee.vm.faults import Refusal
from ebee.vm.maps.base import (
    ACCESS_FLAGS,
    BPF_EXIST,
    BPF_NOEXIST,
    ENOTSUPP,
    LARGEST_PER_CPU_BYTES,
    MapSetup,
    VmMap,
    check_flags,
    enough_memory,
    make_values,
    rounded,
)
from ebee.vm.memory import ELEMENT_SHIFT, Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

COUNT: Final = 0
FRESH: Final = 1
FREE_FIRST: Final = 2
FREE_LAST: Final = 3
NEWEST: Final = 4
OLDEST: Final = 5
HEADER_BYTES: Final = 64
KEY_AT: Final = 16
"""Byte offset of a record's key."""

_PER_CPU = (MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH)
_LRU = (MapType.LRU_HASH, MapType.LRU_PERCPU_HASH)
_FLAGS = F_NO_PREALLOC | F_NO_COMMON_LRU | F_NUMA_NODE | F_ZERO_SEED | ACCESS_FLAGS
_LARGEST_BYTES = (4 << 20) - 48
"""Key and value together stay below this, for the kernel allocates an element in one piece."""
_CHUNK = 1024


class HashMap(VmMap):
    """A hash map of any of the four types.

    Attributes:
        table_start: where the table begins in the arena, in bytes.
        capacity: how many slots it has.
    """

    def __init__(self, setup: MapSetup, memory: Memory, *, cpus: int, index: int) -> None:
        setup = _checked(setup, cpus)
        super().__init__(setup, memory, cpus=cpus, index=index)
        self.per_cpu = setup.type in _PER_CPU
        self.lru = setup.type in _LRU
        self.capacity = setup.max_entries + max(1, cpus)
        copies = cpus if self.per_cpu else 1
        self.values = make_values(self, self.capacity * copies)
        self._make_table()
        assert self.values.data is not None
        self._data, self._stride = self.values.data, self.values.stride_bytes
        self._value_bytes = setup.value_size_bytes
        self._base = self.values.address()
        self._cpu_step = self.capacity << ELEMENT_SHIFT if self.per_cpu else 0

    def _make_table(self) -> None:
        setup = self.setup
        buckets = 1 << (setup.max_entries - 1).bit_length()
        self._key_bytes, self._most = setup.key_size_bytes, setup.max_entries
        record_bytes = KEY_AT + rounded(setup.key_size_bytes)
        records_at = (HEADER_BYTES + 4 * buckets + 15) & ~15
        self.table_bytes = records_at + record_bytes * self.capacity
        with enough_memory():
            self.table_start, table = self.memory.arena.allocate(self.table_bytes)
        self._table = table
        words = table[: self.table_bytes & ~3].cast("I")
        self._header = words[: HEADER_BYTES // 4]
        self._heads = words[HEADER_BYTES // 4 : HEADER_BYTES // 4 + buckets]
        self._records = words[records_at // 4 :]
        self._keys = table[records_at + KEY_AT :]
        self._mask = buckets - 1
        self._record_bytes, self._record_words = record_bytes, record_bytes // 4
        copies = self.cpus if self.per_cpu else 0
        fixed = (self.capacity, buckets - 1, setup.key_size_bytes, record_bytes, setup.max_entries)
        for word, value in enumerate((*fixed, HEADER_BYTES, records_at, int(self.lru), copies), 6):
            self._header[word] = value

    # -- the table -------------------------------------------------------------------------------
    def _slot(self, key: bytes) -> int:
        """Return a key's slot; -1 where it is not there."""
        hashed = crc32(key)
        link = self._heads[hashed & self._mask]
        records = self._records
        while link:
            at = (link - 1) * self._record_words
            if records[at + 1] == hashed and self._key(link - 1) == key:
                return link - 1
            link = records[at]
        return -1

    def _key(self, slot: int) -> bytes:
        at = slot * self._record_bytes
        return self._keys[at : at + self._key_bytes].tobytes()

    def _new_slot(self) -> int:
        header = self._header
        if header[FRESH] < self.capacity:
            header[FRESH] += 1
            return header[FRESH] - 1
        slot = header[FREE_FIRST] - 1
        header[FREE_FIRST] = self._records[slot * self._record_words]
        if header[FREE_FIRST] == 0:
            header[FREE_LAST] = 0
        return slot

    def _give_back(self, slot: int) -> None:
        header = self._header
        self._records[slot * self._record_words] = 0
        if header[FREE_LAST]:
            self._records[(header[FREE_LAST] - 1) * self._record_words] = slot + 1
        else:
            header[FREE_FIRST] = slot + 1
        header[FREE_LAST] = slot + 1

    def _write_record(self, slot: int, key: bytes, hashed: int, following: int) -> None:
        self._records[slot * self._record_words] = following
        self._records[slot * self._record_words + 1] = hashed
        at = slot * self._record_bytes
        self._keys[at : at + self._key_bytes] = key

    def _relink(self, slot: int, link: int) -> None:
        """Let what points at a slot, in its bucket, point elsewhere."""
        records, words = self._records, self._record_words
        bucket = records[slot * words + 1] & self._mask
        at = self._heads[bucket]
        if at == slot + 1:
            self._heads[bucket] = link
            return
        while records[(at - 1) * words] != slot + 1:
            at = records[(at - 1) * words]
        records[(at - 1) * words] = link

    def _insert(self, key: bytes) -> int:
        """Return a slot that a new key now has.

        Raises:
            Refusal: the map is full (E2BIG); never for LRU.
        """
        header = self._header
        if header[COUNT] >= self._most:
            if not self.lru:
                raise Refusal(errno.E2BIG, f"the map is full: it has {self.setup.max_entries} entries")
            self._drop(header[OLDEST] - 1)
        slot = self._new_slot()
        hashed = crc32(key)
        bucket = hashed & self._mask
        self._write_record(slot, key, hashed, self._heads[bucket])
        self._heads[bucket] = slot + 1
        header[COUNT] += 1
        if self.lru:
            self._make_newest(slot)
        return slot

    def _replace(self, old: int, key: bytes) -> int:
        """Return a slot that a key now has in place of its old one."""
        slot = self._new_slot()
        records, words = self._records, self._record_words
        at, to = old * words, slot * words
        records[to], records[to + 1] = records[at], records[at + 1]
        begin = slot * self._record_bytes
        self._keys[begin : begin + self._key_bytes] = key
        self._relink(old, slot + 1)
        if self.lru:
            self._unlink_use(old)
            self._make_newest(slot)
        self._give_back(old)
        return slot

    def _drop(self, slot: int) -> None:
        self._relink(slot, self._records[slot * self._record_words])
        if self.lru:
            self._unlink_use(slot)
        self._header[COUNT] -= 1
        self._give_back(slot)

    # -- the order of use ------------------------------------------------------------------------
    def _touch(self, slot: int) -> None:
        if self._header[NEWEST] != slot + 1:
            self._unlink_use(slot)
            self._make_newest(slot)

    def _unlink_use(self, slot: int) -> None:
        records, words = self._records, self._record_words
        newer, older = records[slot * words + 2], records[slot * words + 3]
        if newer:
            records[(newer - 1) * words + 3] = older
        else:
            self._header[NEWEST] = older
        if older:
            records[(older - 1) * words + 2] = newer
        else:
            self._header[OLDEST] = newer

    def _make_newest(self, slot: int) -> None:
        records, words, before = self._records, self._record_words, self._header[NEWEST]
        records[slot * words + 2] = 0
        records[slot * words + 3] = before
        if before:
            records[(before - 1) * words + 2] = slot + 1
        else:
            self._header[OLDEST] = slot + 1
        self._header[NEWEST] = slot + 1

    # -- for programs ----------------------------------------------------------------------------
    def find(self, key: bytes, cpu: int = 0) -> int:
        slot = self._slot(key)
        if slot < 0:
            return 0
        if self.lru:
            self._touch(slot)
        return self._base + (slot << ELEMENT_SHIFT) + cpu * self._cpu_step

    def update(self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0) -> None:
        slot, is_new = self._slot_for(key, flags)
        if self.per_cpu:
            if is_new:
                self._clear(slot)
            slot += cpu * self.capacity
        self._set(slot, value)

    def delete(self, key: bytes) -> None:
        slot = self._slot(key)
        if slot < 0:
            raise Refusal(errno.ENOENT)
        self._drop(slot)

    def each(self, cpu: int = 0) -> Iterator[tuple[bytes, int]]:
        bucket, first = self._next_bucket(0), self._base + cpu * self._cpu_step
        while bucket <= self._mask:
            slots = self._slots_of(bucket)
            yield self._key(slots[0]), first + (slots[0] << ELEMENT_SHIFT)
            for slot in slots[1:]:
                # Who is shown one key may remove another.
                if slot in self._slots_of(bucket):
                    yield self._key(slot), first + (slot << ELEMENT_SHIFT)
            bucket = self._next_bucket(bucket + 1)

    def _slots_of(self, bucket: int) -> list[int]:
        slots, link = [], self._heads[bucket]
        while link:
            slots.append(link - 1)
            link = self._records[slots[-1] * self._record_words]
        return slots

    def __len__(self) -> int:
        return int(self._header[COUNT])

    def _slot_for(self, key: bytes, flags: int) -> tuple[int, bool]:
        """Return the slot that an update writes to, and whether its key is new."""
        how = flags if flags <= BPF_EXIST else self.check_update_flags(flags)
        slot = self._slot(key)
        if slot < 0:
            if how == BPF_EXIST:
                raise Refusal(errno.ENOENT)
            return self._insert(key), True
        if how == BPF_NOEXIST:
            raise Refusal(errno.EEXIST)
        if not self.per_cpu and not flags & F_LOCK:
            return self._replace(slot, key), False
        if self.lru:
            self._touch(slot)
        return slot, False

    def _clear(self, slot: int) -> None:
        # Another CPU finds zeros until it sets a value of its own.
        for copy in range(self.cpus):
            self._set(slot + copy * self.capacity, bytes(self._value_bytes))

    def _set(self, element: int, value: bytes) -> None:
        begin = element * self._stride
        self._data[begin : begin + self._value_bytes] = value

    def _get(self, element: int) -> bytes:
        begin = element * self._stride
        return self._data[begin : begin + self._value_bytes].tobytes()

    # -- for user space --------------------------------------------------------------------------
    def read(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_read(key, flags)
        slot = self._slot(key)
        return None if slot < 0 else self._value(slot)

    def write(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self.check_write(key, value, flags)
        slot, _ = self._slot_for(key, flags)
        if not self.per_cpu:
            self._set(slot, value)
            return
        size, step = self._value_bytes, rounded(self._value_bytes)
        for cpu in range(self.cpus):
            self._set(slot + cpu * self.capacity, value[cpu * step : cpu * step + size])

    def take(self, key: bytes, flags: int = 0) -> bytes | None:
        self.check_take(key, flags)
        slot = self._slot(key)
        if slot < 0:
            return None
        value = self._value(slot)
        self._drop(slot)
        return value

    def remove(self, key: bytes) -> None:
        self.check_remove(key)
        self.delete(key)

    def next_key(self, key: bytes | None) -> bytes | None:
        self.check_next(key)
        slot = -1 if key is None else self._slot(key)
        if slot < 0:
            return self._first_key(0)
        at = slot * self._record_words
        following = self._records[at]
        if following:
            return self._key(following - 1)
        return self._first_key((self._records[at + 1] & self._mask) + 1)

    def close(self) -> None:
        super().close()
        for view in (self._header, self._heads, self._records, self._keys, self._table):
            view.release()
        self.memory.arena.free(self.table_start, self.table_bytes)

    def _first_key(self, bucket: int) -> bytes | None:
        """Return the first key in a bucket or one after it."""
        bucket = self._next_bucket(bucket)
        return self._key(self._heads[bucket] - 1) if bucket <= self._mask else None

    def _next_bucket(self, bucket: int) -> int:
        """Return the first bucket from this one on that is not empty; one past the last for none."""
        while bucket <= self._mask:
            if self._heads[bucket]:
                return bucket
            # Most buckets of a large table are empty: look at many at once.
            chunk = self._heads[bucket : bucket + _CHUNK].tobytes()
            bucket += (len(chunk) - len(chunk.lstrip(b"\0"))) // 4
        return bucket

    def _value(self, slot: int) -> bytes:
        if not self.per_cpu:
            return self._get(slot)
        padding = bytes(-self._value_bytes % 8)
        copies = range(slot, slot + self.cpus * self.capacity, self.capacity)
        return b"".join([self._get(copy) + padding for copy in copies])


def _checked(setup: MapSetup, cpus: int) -> MapSetup:
    """Return what a map is made from.

    Raises:
        Refusal: the kernel makes no such map.
    """
    lru, per_cpu = setup.type in _LRU, setup.type in _PER_CPU
    check_flags(setup, _FLAGS)
    own_lists = bool(setup.flags & F_NO_COMMON_LRU)
    if own_lists and not lru:
        raise Refusal(errno.EINVAL, "BPF_F_NO_COMMON_LRU is for LRU maps")
    if lru and setup.flags & F_NO_PREALLOC:
        raise Refusal(ENOTSUPP, "an LRU map is always allocated in advance")
    if setup.flags & F_NUMA_NODE and (per_cpu or own_lists):
        raise Refusal(errno.EINVAL, "what each CPU has of its own lies on no one NUMA node")
    if not (setup.max_entries and setup.key_size_bytes and setup.value_size_bytes):
        raise Refusal(errno.EINVAL, "key size, value size and max_entries must not be 0")
    if setup.key_size_bytes + setup.value_size_bytes >= _LARGEST_BYTES:
        raise Refusal(errno.E2BIG, "key and value together must stay below 4 MiB")
    if per_cpu and rounded(setup.value_size_bytes) > LARGEST_PER_CPU_BYTES:
        raise Refusal(errno.E2BIG, f"a per-CPU value has at most {LARGEST_PER_CPU_BYTES} bytes")
    if own_lists:
        # As the kernel: each CPU has as many.
        entries = -(-setup.max_entries // cpus) * cpus
        setup = setup._replace(max_entries=entries if entries < 1 << 32 else entries - cpus)
    if setup.max_entries > 1 << 31:
        raise Refusal(errno.E2BIG, "more than 2^31 entries")
    return setup

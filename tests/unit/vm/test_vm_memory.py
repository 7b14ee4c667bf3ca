"""Memory: addresses that carry their region, bounds of elements, and words for what an address is."""

from __future__ import annotations

import pytest

from ebee.vm.arena import Arena
from ebee.vm.faults import AccessFault
from ebee.vm.machine import Machine, function_address, function_slot, map_address, map_index
from ebee.vm.memory import (
    CODE,
    FIRST_FREE,
    KERNEL_REGIONS,
    MAPS,
    PACKET,
    REGION_SHIFT,
    STACK,
    Memory,
    Region,
    SparseMemory,
    address_of,
    is_kernel_address,
)


@pytest.fixture
def memory() -> Memory:
    return Memory(Arena())


class Mirror(Arena):
    """An arena that remembers which regions it was told of."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def changed(self, region: Region) -> None:
        self.told.append((region.number, region.elements))


def test_an_address_is_region_element_and_offset() -> None:
    assert address_of(3, 5, 7) == 0x0030_0000_5000_0007
    assert address_of(STACK) == 0x0030_0000_0000_0000


def test_a_region_gets_a_number_of_its_own_and_zeros(memory: Memory) -> None:
    one, other = memory.add("one", 12, elements=3), memory.add("other", 4)

    assert (one.number, other.number) == (FIRST_FREE, FIRST_FREE + 1)
    assert one.address(2, 4) == address_of(FIRST_FREE, 2, 4)
    assert (one.stride_bytes, bytes(one.element(2))) == (16, bytes(12))
    assert memory.find(one.address(1)) is one


def test_elements_are_apart(memory: Memory) -> None:
    region = memory.add("values", 4, elements=3)

    for index in range(3):
        memory.store(region.address(index), 4, index + 1)

    assert [memory.load(region.address(index), 4) for index in range(3)] == [1, 2, 3]
    assert bytes(region.element(1)) == b"\x02\0\0\0"


def test_numbers_are_little_endian_and_cut_to_their_size(memory: Memory) -> None:
    region = memory.add("bytes", 8)
    memory.store(region.address(), 4, -2)
    memory.store(region.address(0, 4), 2, 0x1_2345)

    assert bytes(region.element(0)) == b"\xfe\xff\xff\xff\x45\x23\0\0"
    assert memory.load(region.address(), 8) == 0x2345_FFFF_FFFE


@pytest.mark.parametrize(
    ("element", "offset", "size", "complaint"),
    [
        (0, 8, 1, "read of 1 byte at map 'counts', element 0 + 8: 8 bytes may be reached, from 0"),
        (1, 6, 4, "read of 4 bytes at map 'counts', element 1 + 6: 8 bytes may be reached, from 0"),
        (2, -1, 2, "read of 2 bytes at map 'counts', element 2 - 1: 8 bytes may be reached, from 0"),
        (0, -4, 4, "read of 4 bytes at map 'counts', element 0 - 4: 8 bytes may be reached, from 0"),
        (3, 0, 8, "read of 8 bytes at map 'counts', element 3 + 0: it has 3 elements"),
    ],
)
def test_what_leaves_its_element_is_refused(
    memory: Memory, element: int, offset: int, size: int, complaint: str
) -> None:
    region = memory.add("map 'counts'", 8, elements=3)
    address = region.address(element) + offset

    with pytest.raises(AccessFault) as fault:
        memory.load(address, size)
    assert (fault.value.message, fault.value.address, fault.value.size_bytes) == (complaint, address, size)
    with pytest.raises(AccessFault) as fault:
        memory.store(address, size, 0)
    assert fault.value.message == complaint.replace("read", "write", 1)


def test_a_packets_offsets_count_from_where_it_begins(memory: Memory) -> None:
    packet = memory.add("the packet", 100, number=PACKET)
    packet.low, packet.high = 40, 54

    memory.store(packet.address(0, 40), 2, 0x0102)
    with pytest.raises(AccessFault, match=r"read of 4 bytes at the packet \+ 14: 14 bytes may be reached"):
        memory.load(packet.address(0, 54), 4)
    with pytest.raises(AccessFault, match=r"read of 1 byte at the packet - 1: 14 bytes may be reached"):
        memory.load(packet.address(0, 39), 1)


def test_bytes_go_in_and_come_out_whole(memory: Memory) -> None:
    region = memory.add("text", 5)
    memory.write(region.address(), b"hello")

    assert memory.read(region.address(0, 1), 3) == b"ell"
    assert memory.view(region.address(0, 4), 0).tobytes() == b""
    with pytest.raises(AccessFault, match=r"write of 3 bytes at text \+ 3: 5 bytes may be reached, from 0"):
        memory.write(region.address(0, 3), b"lo!")


def test_read_only_memory_is_read_only(memory: Memory) -> None:
    region = memory.add("map '.rodata'", 8, writable=False)

    assert memory.load(region.address(), 8) == 0
    with pytest.raises(AccessFault) as fault:
        memory.store(region.address(), 8, 1)
    assert fault.value.message == "write of 8 bytes at map '.rodata' + 0: it may not be written"
    with pytest.raises(AccessFault) as fault:
        memory.write(region.address(), bytes(4))
    assert fault.value.message == "write of 4 bytes at map '.rodata' + 0: it may not be written"


def test_parts_that_may_be_written_are_those_that_are_named(memory: Memory) -> None:
    region = memory.add("the context", 16)
    region.writable_parts = ((4, 8), (12, 16))

    assert [region.may_write(offset, 4) for offset in (0, 4, 6, 12)] == [False, True, False, True]
    memory.store(region.address(0, 4), 4, 1)
    with pytest.raises(AccessFault, match="it may not be written"):
        memory.store(region.address(0, 8), 4, 1)


def test_a_string_ends_at_its_zero_or_where_it_is_cut(memory: Memory) -> None:
    region = memory.add("text", 8)
    region.element(0)[:] = b"abc\0defg"

    assert memory.read_string(region.address(), 100) == b"abc"
    assert memory.read_string(region.address(), 2) == b"ab"
    assert memory.read_string(region.address(0, 4), 4) == b"defg"
    with pytest.raises(AccessFault) as fault:
        memory.read_string(region.address(0, 4), 5)
    assert fault.value.message == "string at text + 4: no zero byte ends it"


def test_memory_that_is_gone_is_told_from_memory_that_never_was(memory: Memory) -> None:
    region = memory.add("a record", 8)
    memory.remove(region)

    assert memory.find(region.address()) is None
    assert memory.describe(region.address()) == "0x100000000000000, memory that is gone"


def test_numbers_of_regions_are_used_again_when_all_were_used() -> None:
    memory = Memory(Arena())
    first = memory.add("the first", 1)
    memory.remove(first)
    numbers = {memory.add("another", 1).number for _ in range(KERNEL_REGIONS - FIRST_FREE - 1)}

    assert first.number not in numbers
    assert memory.add("the last", 1).number == first.number


def test_the_arena_is_told_of_every_change() -> None:
    arena = Mirror()
    memory = Memory(arena)
    region = memory.add("a row", 4, elements=2)
    memory.place(region)
    memory.remove(region)

    assert arena.told == [(region.number, 2), (region.number, 2), (region.number, 0)]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0, "null"),
        (8, "null + 8"),
        (4096, "0x1000, no pointer of this program"),
        (0x7FFF_1234_5678, "0x7fff12345678, no pointer of this program"),
        (0xFFFF_8881_0000_0000, "kernel address 0xffff888100000000"),
        (0xFFFF_FFFF_FFFF_FFF0, "kernel address 0xfffffffffffffff0"),
        (0x0ABC_0000_0000_0000, "0xabc000000000000, memory that is gone"),
        (address_of(STACK, 1, 504), "the stack, element 1 + 504"),
        (address_of(STACK, 0, 512), "the stack, element 0 + 512"),
        (address_of(STACK, 1) - 8, "the stack, element 1 - 8"),
        (address_of(STACK) - 8, "the stack, element 0 - 8"),
        (address_of(MAPS, 3), "a map + 0"),
        (address_of(CODE, 9), "a function + 0"),
    ],
)
def test_an_address_is_described_in_words(address: int, words: str) -> None:
    assert Machine().memory.describe(address) == words


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        (8, "compare what may be null with NULL before it is used"),
        (
            0x7FFF_1234_5678,
            "bpf_probe_read_user() reads memory of user space, bpf_probe_write_user() writes it",
        ),
        (0xFFFF_8881_0000_0000, "bpf_probe_read_kernel() reads the kernel's memory; nothing writes there"),
        (
            0x0ABC_0000_0000_0000,
            "a pointer is good until what it points at was submitted, discarded or released",
        ),
        (address_of(STACK, 0, 512), "a function has 512 bytes of stack, below r10"),
        (address_of(PACKET, 0, 60), "compare the end of what is reached with data_end before"),
        (address_of(MAPS, 3), "helpers such as bpf_map_lookup_elem() reach into a map"),
        (address_of(CODE, 3), None),
    ],
)
def test_a_fault_says_what_to_do(address: int, hint: str | None) -> None:
    memory = Machine().memory
    memory.add("the packet", 60, number=PACKET)

    with pytest.raises(AccessFault) as fault:
        memory.load(address, 1)
    assert fault.value.hint == hint


def test_maps_and_functions_are_pointed_at_and_never_read() -> None:
    memory = Machine().memory

    with pytest.raises(AccessFault) as fault:
        memory.load(map_address(0), 8)
    assert fault.value.message == "read of 8 bytes at a map + 0: it cannot be read through a pointer"
    with pytest.raises(AccessFault) as fault:
        memory.store(function_address(4), 1, 0)
    assert fault.value.message == "write of 1 byte at a function + 0: it cannot be written through a pointer"


def test_maps_and_functions_are_known_by_their_addresses_alone() -> None:
    assert [map_index(map_address(index)) for index in (0, 7)] == [0, 7]
    assert [function_slot(function_address(slot)) for slot in (0, 1234)] == [0, 1234]
    for address in (0, map_address(3) + 1, address_of(STACK), function_address(1) + 4):
        assert map_index(address) is None
        assert function_slot(address) is None
    assert map_index(function_address(2)) is None
    assert function_slot(map_address(2)) is None


def test_addresses_of_the_kernel_are_told_by_their_upper_bits() -> None:
    assert is_kernel_address(0xFFFF_8881_0000_0000)
    assert is_kernel_address(KERNEL_REGIONS << REGION_SHIFT)
    assert not is_kernel_address((KERNEL_REGIONS << REGION_SHIFT) - 1)
    assert not is_kernel_address(0x7FFF_FFFF_F000)


# -- sparse memory -------------------------------------------------------------------------------
@pytest.fixture
def sparse() -> SparseMemory:
    return SparseMemory("user space")


def test_sparse_memory_gives_what_was_put_and_nothing_else(sparse: SparseMemory) -> None:
    sparse.put(1000, b"hello")

    assert sparse.read(1000, 5) == b"hello"
    assert sparse.read(1001, 3) == b"ell"
    assert sparse.read(1003, 3) is None
    assert sparse.read(999, 2) is None
    assert sparse.read(5000, 1) is None


def test_sparse_memory_writes_over_and_joins_neighbours(sparse: SparseMemory) -> None:
    sparse.put(1005, b" there")
    sparse.put(1000, b"hello")
    sparse.put(1004, b"O_")

    assert sparse.read(1000, 11) == b"hellO_there"


def test_a_string_in_sparse_memory_ends_at_its_zero(sparse: SparseMemory) -> None:
    sparse.put(1000, b"abc\0def")

    assert sparse.read_string(1000, 100) == b"abc"
    assert sparse.read_string(1000, 2) == b"ab"
    assert sparse.read_string(1004, 3) == b"def"
    assert sparse.read_string(1004, 4) is None
    assert sparse.read_string(999, 4) is None


def test_sparse_memory_can_be_emptied(sparse: SparseMemory) -> None:
    sparse.put(1000, b"abc")
    sparse.clear()

    assert sparse.read(1000, 1) is None

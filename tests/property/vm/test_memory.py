"""Memory is a row of bytes between its bounds, and nothing beyond them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebee.vm.arena import Arena
from ebee.vm.faults import AccessFault
from ebee.vm.memory import Memory, Region, SparseMemory

sizes = st.sampled_from([1, 2, 4, 8])
values = st.integers(0, (1 << 64) - 1)
element_bytes = st.integers(1, 40)
places = st.integers(-10, 60)


def _region(size_bytes: int, elements: int = 3) -> tuple[Memory, Region]:
    memory = Memory(Arena())
    return memory, memory.add("a row of elements", size_bytes, elements=elements)


@settings(deadline=None)
@given(element_bytes, st.lists(st.tuples(st.integers(0, 2), places, sizes, values), max_size=20))
def test_stores_and_loads_are_those_of_a_row_of_bytes(
    size_bytes: int, stores: list[tuple[int, int, int, int]]
) -> None:
    memory, region = _region(size_bytes)
    model = [bytearray(size_bytes) for _ in range(3)]
    for element, offset, size, value in stores:
        address = region.address(element) + offset
        if 0 <= offset <= size_bytes - size:
            memory.store(address, size, value)
            model[element][offset : offset + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
            assert memory.load(address, size) == value % (1 << 8 * size)
        else:
            with pytest.raises(AccessFault):
                memory.store(address, size, value)
            with pytest.raises(AccessFault):
                memory.load(address, size)

    assert [bytes(region.element(index)) for index in range(3)] == [bytes(row) for row in model]


@settings(deadline=None)
@given(element_bytes, places, st.integers(0, 50))
def test_bytes_are_read_and_written_where_they_all_lie_in_one_element(
    size_bytes: int, offset: int, length: int
) -> None:
    memory, region = _region(size_bytes)
    address, data = region.address(1) + offset, bytes(range(1, length + 1))
    if offset >= 0 and offset + length <= size_bytes:
        memory.write(address, data)
        assert memory.read(address, length) == data
    else:
        with pytest.raises(AccessFault):
            memory.write(address, data)


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1), sizes)
def test_any_address_is_memory_or_a_fault_that_describes_it(address: int, size: int) -> None:
    memory, _ = _region(16)
    try:
        complaint = f"{memory.load(address, size)} was read"
    except AccessFault as fault:
        complaint = fault.message

    assert complaint.startswith(f"read of {size} byte") or complaint == "0 was read"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=12))
def test_sparse_memory_is_what_was_last_put_at_each_address(puts: list[tuple[int, bytes]]) -> None:
    memory, model = SparseMemory("user space"), dict[int, int]()
    for start, data in puts:
        memory.put(1000 + start, data)
        model.update({1000 + start + index: byte for index, byte in enumerate(data)})

    for address in range(990, 1090):
        found = memory.read(address, 1)
        assert found == (bytes([model[address]]) if address in model else None)
    for address in range(995, 1085, 3):
        whole = [model.get(address + index) for index in range(5)]
        expected = None if None in whole else bytes(byte for byte in whole if byte is not None)
        assert memory.read(address, 5) == expected

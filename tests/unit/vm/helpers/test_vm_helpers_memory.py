"""Helpers that read memory, text and numbers."""

from __future__ import annotations

from importlib import import_module

import pytest

from ebee.abi.helpers import number_of
from ebee.vm.faults import AccessFault, Fault
from ebee.vm.helpers import registry
from ebee.vm.helpers.registry import find_helper
from tests.unit.vm.helpers.desk import CALLBACK, Desk

KERNEL, USER = 0xFFFF_8881_0000_1000, 0x7FFF_0000_1000


def test_memory_of_the_kernel_is_read_where_it_was_put() -> None:
    desk = Desk()
    desk.machine.memory.kernel.put(KERNEL, b"abcdefgh")
    place = desk.room(8)
    assert desk.call("probe_read_kernel", place, 8, KERNEL) == 0
    assert desk.get(place, 8) == b"abcdefgh"


@pytest.mark.parametrize("name", ["probe_read_kernel", "probe_read"])
def test_memory_of_the_machine_counts_as_the_kernels(name: str) -> None:
    desk = Desk()
    source, place = desk.put(b"12345678"), desk.room(8)
    assert desk.call(name, place, 8, source) == 0
    assert desk.get(place, 8) == b"12345678"


@pytest.mark.parametrize(
    ("name", "address"),
    [("probe_read_kernel", 8), ("probe_read_kernel", KERNEL), ("probe_read_user", KERNEL), ("probe_read", 8)],
)
def test_what_is_not_there_is_zeros_and_efault(name: str, address: int) -> None:
    desk = Desk()
    place = desk.room(8)
    assert desk.call(name, place, 8, address) == -14
    assert desk.get(place, 8) == bytes(8)


def test_a_read_of_nothing_reads_nothing() -> None:
    assert Desk().call("probe_read_kernel", 0, 0, 8) == 0


def test_a_read_into_a_place_too_small_stops_the_program() -> None:
    desk = Desk()
    desk.machine.memory.user.put(USER, bytes(16))
    with pytest.raises(AccessFault, match=r"write of 16 bytes at the context \+ 0: 8 bytes may be reached"):
        desk.call("probe_read_user", desk.ctx, 16, USER)


def test_strings_are_cut_to_the_room_and_end_with_a_zero() -> None:
    desk = Desk()
    desk.machine.memory.user.put(USER, b"hello\0")
    place = desk.room(8)
    assert desk.call("probe_read_user_str", place, 4, USER) == 4
    assert desk.get(place, 5) == b"hel\0\xff"
    assert desk.call("probe_read_user_str", place, 8, USER) == 6
    assert desk.get(place, 8) == b"hello\0\xff\xff"
    assert desk.call("probe_read_kernel_str", place, 8, USER) == -14
    assert desk.get(place, 8) == bytes(8)


def test_a_string_of_the_machines_may_end_with_its_element() -> None:
    desk = Desk()
    region = desk.machine.memory.add("four bytes", 4)
    region.element(0)[:] = b"ab\0c"
    place = desk.room(8)
    assert desk.call("probe_read_kernel_str", place, 8, region.address()) == 3
    region.element(0)[:] = b"abcd"
    assert desk.call("probe_read_kernel_str", place, 8, region.address()) == -14


def test_user_space_is_written_where_it_is() -> None:
    desk = Desk()
    desk.machine.memory.user.put(USER, b"abcd")
    assert desk.call("probe_write_user", USER + 1, desk.put(b"XY"), 2) == 0
    assert desk.machine.memory.user.read(USER, 4) == b"aXYd"
    assert desk.call("probe_write_user", USER + 3, desk.put(b"XY"), 2) == -14


@pytest.mark.parametrize(
    ("text", "base", "consumed", "value"),
    [
        (b"12", 0, 2, 12),
        (b"  -0x1fz", 0, 7, -31),
        (b"017", 0, 3, 15),
        (b"08", 0, 1, 0),
        (b"0x", 0, 1, 0),
        (b"ff", 16, 2, 255),
        (b"9223372036854775807", 10, 19, (1 << 63) - 1),
        (b"-9223372036854775808", 10, 20, -1 << 63),
        (b"9223372036854775808", 10, -34, 0),
        (b"18446744073709551616", 10, -34, 0),
        (b"-", 0, -22, 0),
        (b"x", 0, -22, 0),
        (b"1", 7, -22, 0),
    ],
)
def test_signed_numbers_in_text(text: bytes, base: int, consumed: int, value: int) -> None:
    desk = Desk()
    result = desk.room(8)
    assert desk.call("strtol", desk.put(text), len(text), base, result) == consumed
    assert desk.number(result) == value


def test_unsigned_numbers_have_no_sign() -> None:
    desk = Desk()
    result = desk.room(8)
    assert desk.call("strtoul", desk.put(b"-1"), 2, 0, result) == -22
    assert desk.call("strtoul", desk.put(b"18446744073709551615"), 20, 0, result) == 20
    assert desk.number(result) == -1


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"), [(b"abc", b"abd\0", -1), (b"abc", b"ab\0", 1), (b"ab\0x", b"ab\0", 0)]
)
def test_strings_are_compared(ours: bytes, theirs: bytes, expected: int) -> None:
    desk = Desk()
    assert desk.call("strncmp", desk.put(ours), len(ours), desk.put(theirs)) == expected


def test_strings_of_the_kernel_functions() -> None:
    desk = Desk()
    text, part, empty = desk.put(b"hello\0"), desk.put(b"ll\0"), desk.put(b"\0")
    assert desk.kernel_call("bpf_strlen", text) == 5
    assert desk.kernel_call("bpf_strcmp", text, part) == -1
    assert desk.kernel_call("bpf_strchr", text, ord("l")) == 2
    assert desk.kernel_call("bpf_strrchr", text, ord("l")) == 3
    assert desk.kernel_call("bpf_strstr", text, part) == 2
    assert desk.kernel_call("bpf_strstr", part, text) == -2
    assert desk.kernel_call("bpf_strspn", text, empty) == 0
    assert desk.kernel_call("bpf_strlen", 0) == -34
    assert desk.kernel_call("bpf_strlen", 8) == -14


def test_loops_end_with_the_function_or_the_count() -> None:
    desk = Desk()
    seen: list[int] = []

    def see(index: int, _: int) -> int:
        seen.append(index)
        return int(index == 2)

    desk.callback = see
    assert desk.call("loop", 5, CALLBACK, 0, 0) == 3
    assert seen == [0, 1, 2]
    assert desk.call("loop", 2, CALLBACK, 0, 0) == 2
    assert desk.call("loop", 2, CALLBACK, 0, 1) == -22
    assert desk.call("loop", (8 << 20) + 1, CALLBACK, 0, 0) == 0xFFFF_FFF9


def test_a_lock_that_is_held_is_not_taken_again() -> None:
    desk = Desk()
    lock = desk.put(bytes(4))
    assert desk.call("spin_lock", lock) == 0
    with pytest.raises(Fault, match="call of bpf_spin_lock: this program holds a lock already"):
        desk.call("spin_lock", lock)
    assert desk.call("spin_unlock", lock) == 0
    with pytest.raises(Fault, match=r"call of bpf_spin_unlock: the scratch \+ 0 is not locked"):
        desk.call("spin_unlock", lock)


def test_a_pointer_in_a_map_is_exchanged() -> None:
    desk = Desk()
    place = desk.put((7).to_bytes(8, "little"))
    assert desk.call("kptr_xchg", place, 9) == 7
    assert desk.number(place) == 9


def test_numbers_are_counted_to_their_end() -> None:
    desk = Desk()
    iterator = desk.room(8)
    assert desk.kernel_call("bpf_iter_num_new", iterator, -1, 2) == 0
    seen = []
    while place := desk.kernel_call("bpf_iter_num_next", iterator):
        seen.append(desk.number(place, 4))
    assert seen == [-1, 0, 1]
    assert desk.kernel_call("bpf_iter_num_new", iterator, 2, 1) == -22
    assert desk.kernel_call("bpf_iter_num_next", iterator) == 0


def test_a_helper_that_is_missing_names_the_nearest() -> None:
    with pytest.raises(Fault) as caught:
        find_helper(111 - 1)
    assert str(caught.value) == "call of bpf_tcp_gen_syncookie: the userspace machine has no such helper"
    with pytest.raises(Fault, match="call of helper 4000: no kernel has such a helper"):
        find_helper(4000)


def test_a_kernel_function_that_is_missing_names_the_nearest() -> None:
    with pytest.raises(Fault) as caught:
        Desk().kernel_call("bpf_strlenn", 0)
    assert str(caught.value) == "call of bpf_strlenn: the userspace machine has no such kernel function"
    assert caught.value.hint == "did you mean 'bpf_strlen'?"


def test_each_helper_is_where_the_table_says() -> None:
    for module, names in registry._HOMES.items():
        import_module(f"ebee.vm.helpers.{module}")
        for name in names.split():
            number = number_of(name)
            assert number is not None
            assert registry._TABLE[number].__module__ == f"ebee.vm.helpers.{module}"
    assert len(registry.all_helpers()) == sum(len(names.split()) for names in registry._HOMES.values())

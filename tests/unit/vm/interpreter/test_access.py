"""Loads, stores, atomic operations: little endian everywhere, and only where a pointer may reach."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction
from ebee.asm.opcodes import EXIT, Atomic, Class, Mode, Size
from ebee.errors import MachineError
from ebee.vm.interpreter import Interpreter
from ebee.vm.machine import Machine
from ebee.vm.memory import CONTEXT
from tests.support.vm import code, context, result, run

U64 = (1 << 64) - 1
DATA = bytes.fromhex("11 82 33 84 55 66 77 88 99 aa bb cc dd ee ff 80")


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("r0 = *(u8 *)(r1 +1)", 0x82),
        ("r0 = *(u16 *)(r1 +0)", 0x8211),
        ("r0 = *(u32 *)(r1 +0)", 0x8433_8211),
        ("r0 = *(u64 *)(r1 +0)", 0x8877_6655_8433_8211),
        ("r0 = *(u64 *)(r1 +3)", 0xBBAA_9988_7766_5584),
        ("r0 = *(s8 *)(r1 +1)", 0xFFFF_FFFF_FFFF_FF82),
        ("r0 = *(s8 *)(r1 +0)", 0x11),
        ("r0 = *(s16 *)(r1 +2)", 0xFFFF_FFFF_FFFF_8433),
        ("r0 = *(s16 *)(r1 +4)", 0x6655),
        ("r0 = *(s32 *)(r1 +0)", 0xFFFF_FFFF_8433_8211),
        ("r0 = load_acquire((u8 *)(r1 +1))", 0x82),
        ("r0 = load_acquire((u64 *)(r1 +0))", 0x8877_6655_8433_8211),
    ],
)
def test_a_load_gives_zeros_above_or_the_sign(load: str, expected: int) -> None:
    assert result(f"r0 = -1\n{load}\nexit", data=DATA) == expected


def test_a_load_reaches_backwards_and_up_to_the_last_byte() -> None:
    assert result("r1 += 16\nr0 = *(u64 *)(r1 -8)\nexit", data=DATA) == 0x80FF_EEDD_CCBB_AA99
    assert result("r0 = *(u8 *)(r1 +15)\nexit", data=DATA) == 0x80


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("*(u8 *)(r1 +1) = r2", "00f0000000000000"),
        ("*(u16 *)(r1 +1) = r2", "00f0de0000000000"),
        ("*(u32 *)(r1 +1) = r2", "00f0debc9a000000"),
        ("*(u64 *)(r1 +0) = r2", "f0debc9a78563412"),
        ("*(u8 *)(r1 +2) = -2", "0000fe0000000000"),
        ("*(u16 *)(r1 +2) = -2", "0000feff00000000"),
        ("*(u32 *)(r1 +2) = -2", "0000feffffff0000"),
        ("*(u64 *)(r1 +0) = -2", "feffffffffffffff"),
        ("store_release((u16 *)(r1 +4), r2)", "00000000f0de0000"),
        ("store_release((u64 *)(r1 +0), r2)", "f0debc9a78563412"),
    ],
)
def test_a_store_writes_its_bytes_and_no_others(store: str, expected: str) -> None:
    assert _memory_after(f"r2 = 0x123456789abcdef0 ll\n{store}\nexit", bytes(8)) == expected


def _memory_after(text: str, data: bytes) -> str:
    machine = Machine()
    run(text, data=data, machine=machine)
    return bytes(machine.memory.regions[CONTEXT].element(0)).hex()


# An operation on memory of 0x1111…1111 with r2 = 0x2_0000_0003: memory and r2 afterwards, 64 and 32 bits.
ATOMICS = [
    (Atomic.ADD, 0x1111_1113_1111_1114, 0x1111_1111_1111_1114),
    (Atomic.OR, 0x1111_1113_1111_1113, 0x1111_1111_1111_1113),
    (Atomic.AND, 0x0000_0000_0000_0001, 0x1111_1111_0000_0001),
    (Atomic.XOR, 0x1111_1113_1111_1112, 0x1111_1111_1111_1112),
]
_ONES = 0x1111_1111_1111_1111


@pytest.mark.parametrize("size", [Size.DW, Size.W])
@pytest.mark.parametrize(
    ("operation", "wide", "narrow", "fetches"),
    [
        *((operation, wide, narrow, False) for operation, wide, narrow in ATOMICS),
        *((operation | Atomic.FETCH, wide, narrow, True) for operation, wide, narrow in ATOMICS),
        (Atomic.XCHG, 0x0000_0002_0000_0003, 0x1111_1111_0000_0003, True),
    ],
)
def test_an_atomic_operation_changes_memory_and_may_fetch_what_was_there(
    operation: int, wide: int, narrow: int, fetches: bool, size: int
) -> None:
    atomic = Instruction(Class.STX | Mode.ATOMIC | size, 1, 2, 0, operation)
    before = code("r2 = 0x200000003 ll").instructions
    machine = Machine()

    r2 = result([*before, atomic, *code("r0 = r2\nexit").instructions], data=_u64(_ONES), machine=machine)

    expected = wide if size == Size.DW else narrow
    assert machine.memory.read(machine.memory.regions[CONTEXT].address(), 8) == _u64(expected)
    fetched = _ONES if size == Size.DW else _ONES & 0xFFFF_FFFF
    assert r2 == (fetched if fetches else 0x2_0000_0003)


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("exchange", "r0", "memory_after", "r0_after"),
    [
        ("r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)", _ONES, 0x2_0000_0003, _ONES),
        ("r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)", 0x1111_1111, _ONES, _ONES),
        ("r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)", 0x1111_1111, 0x1111_1111_0000_0003, 0x1111_1111),
        ("r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)", _ONES, 0x1111_1111_0000_0003, 0x1111_1111),
        ("r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)", 0x7_0000_0000, _ONES, 0x1111_1111),
    ],
)
def test_compare_and_exchange_stores_where_memory_is_equal_to_r0(
    exchange: str, r0: int, memory_after: int, r0_after: int
) -> None:
    machine = Machine()
    text = f"r2 = 0x200000003 ll\nr0 = {r0} ll\n{exchange}\nexit"

    assert result(text, data=_u64(_ONES), machine=machine) == r0_after
    assert machine.memory.read(machine.memory.regions[CONTEXT].address(), 8) == _u64(memory_after)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "r0 = *(u64 *)(r1 +9)",
            "read of 8 bytes at the context + 9: 16 bytes may be reached, from 0",
        ),
        (
            "r0 = *(u8 *)(r1 -1)",
            "read of 1 byte at the context - 1: 16 bytes may be reached, from 0",
        ),
        (
            "*(u32 *)(r1 +16) = 1",
            "write of 4 bytes at the context + 16: 16 bytes may be reached, from 0",
        ),
        (
            "r0 = *(u8 *)(r10 +0)",
            "read of 1 byte at the stack, element 0 + 512: 512 bytes may be reached, from 0",
        ),
        (
            "*(u64 *)(r10 -520) = r1",
            "write of 8 bytes at the stack, element 0 - 8: 512 bytes may be reached, from 0",
        ),
        (
            "r2 = 0\nr0 = *(u32 *)(r2 +8)",
            "read of 4 bytes at null + 8: no memory of this program is there",
        ),
        (
            "r2 = 0x7f001234 ll\nr0 = *(u8 *)(r2 +0)",
            "read of 1 byte at 0x7f001234, no pointer of this program: no memory of this program is there",
        ),
        (
            "r2 = 0x0ff0000000000000 ll\nr0 = *(u8 *)(r2 +0)",
            "read of 1 byte at 0xff0000000000000, memory that is gone: no memory of this program is there",
        ),
        (
            "r2 = 0xffff888112345678 ll\n*(u8 *)(r2 +0) = 1",
            "write of 1 byte at kernel address 0xffff888112345678: no memory of this program is there",
        ),
        (
            "r2 = map[idx:3]\nr0 = *(u64 *)(r2 +0)",
            "read of 8 bytes at a map + 0: it cannot be read through a pointer",
        ),
        (
            "lock *(u64 *)(r1 +12) += r1",
            "read of 8 bytes at the context + 12: 16 bytes may be reached, from 0",
        ),
    ],
)
def test_a_bad_access_names_the_pointers_origin_its_offset_and_its_bounds(text: str, complaint: str) -> None:
    with pytest.raises(MachineError) as failure:
        result(f"{text}\nexit", data=DATA)

    slot = failure.value.slot
    assert str(failure.value) == f"run test: instruction {slot}: {complaint}"


def test_a_pointer_that_leaves_its_element_reaches_nothing_else() -> None:
    """A frame is an element: 512 bytes below the first frame there is no other one."""
    text = "r2 = r10\nr2 += 1024\nr0 = *(u8 *)(r2 +0)\nexit"

    with pytest.raises(MachineError, match=r"at the stack, element 0 \+ 1536: 512 bytes may be reached"):
        result(text)


def test_a_part_that_may_not_be_written_can_be_read() -> None:
    machine = Machine()
    place = context(machine, DATA)
    place.region.writable_parts = ((4, 8),)
    engine = Interpreter(machine)

    assert engine.run(code("*(u32 *)(r1 +4) = 7\nr0 = *(u64 *)(r1 +0)\nexit"), place).return_value == (
        0x7_8433_8211
    )
    with pytest.raises(MachineError) as failure:
        engine.run(code("*(u32 *)(r1 +6) = 7\nexit"), place)
    assert str(failure.value) == (
        "run test: instruction 0: write of 4 bytes at the context + 6: it may not be written"
    )


def test_a_region_of_which_no_part_may_be_written_is_read_only() -> None:
    machine = Machine()
    place = context(machine, DATA)
    place.region.writable_parts = ()

    with pytest.raises(MachineError, match="it may not be written"):
        Interpreter(machine).run(code("*(u8 *)(r1 +0) = 7\nexit"), place)


def test_a_load_of_32_bits_from_a_pointer_field_gives_the_pointer() -> None:
    machine = Machine()
    place = context(machine, bytes(8))
    there = machine.memory.add("what it points at", 4)
    there.element(0)[:] = b"\x2a\0\0\0"
    place.region.pointers = {4: there.address()}

    text = "r2 = *(u32 *)(r1 +4)\nr0 = *(u32 *)(r2 +0)\nexit"
    assert Interpreter(machine).run(code(text), place).return_value == 42
    assert Interpreter(machine).run(code("r0 = *(u16 *)(r1 +4)\nexit"), place).return_value == 0


KERNEL = 0xFFFF_8881_0000_1000


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("r0 = *(u64 *)(r2 +0)", 0x0807_0605_0403_0201),
        ("r0 = *(s8 *)(r2 +8)", U64),
        ("r0 = *(u32 *)(r2 +7)", 0xFF08),
        ("r0 = *(u64 *)(r2 +100)", 0),
        ("r0 = *(u16 *)(r2 -1)", 0x0100),
    ],
)
def test_a_load_from_the_kernels_memory_gives_zeros_where_nothing_is_known(load: str, expected: int) -> None:
    machine = Machine()
    machine.memory.kernel.put(KERNEL, bytes([1, 2, 3, 4, 5, 6, 7, 8, 0xFF]))

    assert result(f"r2 = {KERNEL} ll\n{load}\nexit", machine=machine) == expected


def test_the_stack_is_zeros_at_the_start_of_every_run() -> None:
    machine = Machine()
    program = code("r0 = *(u64 *)(r10 -8)\n*(u64 *)(r10 -8) = 5\nexit")
    engine = Interpreter(machine)

    assert engine.run(program, context(machine), repeat=3).return_value == 0


def test_registers_are_zeros_at_the_start() -> None:
    adds = "\n".join(f"r0 |= r{number}" for number in range(2, 10))

    assert result(f"{adds}\nexit") == 0


def test_an_exit_with_nothing_before_it_returns_zero() -> None:
    assert run([Instruction(EXIT)])[:2] == (0, 1)


PACKET = bytes(range(64))


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("r0 = *(u8 *)skb[5]", 5),
        ("r0 = *(u16 *)skb[12]", 0x0C0D),
        ("r0 = *(u32 *)skb[60]", 0x3C3D_3E3F),
        ("r7 = 10\nr0 = *(u8 *)skb[r7 + 9]", 19),
        ("r7 = -1\nr0 = *(u16 *)skb[r7 + 9]", 0x0809),
        ("r7 = 0x500000004 ll\nr0 = *(u8 *)skb[r7 + 1]", 5),
    ],
)
def test_a_packet_load_is_in_network_byte_order(load: str, expected: int) -> None:
    assert result(f"r6 = r1\n{load}\nexit", packet=PACKET) == expected


@pytest.mark.parametrize(
    "load",
    [
        "r0 = *(u8 *)skb[64]",
        "r0 = *(u32 *)skb[61]",
        "r7 = 64\nr0 = *(u8 *)skb[r7 + 0]",
        "r7 = -1\nr0 = *(u8 *)skb[r7 + 0]",
    ],
)
def test_a_packet_load_past_the_packet_ends_the_program_with_zero(load: str) -> None:
    assert result(f"r0 = 7\n{load}\nr0 = 9\nexit", packet=PACKET) == 0


def test_negative_packet_loads_count_from_the_ethernet_and_the_network_header() -> None:
    from ebee.abi.bpf import ProgType
    from ebee.vm.contexts import skb_context

    machine = Machine()
    place = skb_context(machine.memory, PACKET, ProgType.SOCKET_FILTER)
    engine = Interpreter(machine)

    def load(offset: int) -> int:
        return engine.run(code(f"r0 = *(u8 *)skb[{offset}]\nexit"), place).return_value

    assert load(0) == 14
    assert load(-0x200000) == 0
    assert load(-0x200000 + 13) == 13
    assert load(-0x100000 + 1) == 15
    assert load(-0x200000 - 1) == 0


def test_a_packet_load_without_a_packet_stops_the_program() -> None:
    with pytest.raises(MachineError) as failure:
        result("r0 = *(u8 *)skb[0]\nexit")

    assert str(failure.value) == "run test: instruction 0: load from the packet: there is none in this run"

"""What helpers share: numbers of registers as C types, blocks of memory, the kernel's errnos."""

from __future__ import annotations

from collections.abc import Callable

from ebee.vm.contexts.skb import Skb
from ebee.vm.faults import AccessFault, Fault
from ebee.vm.machine import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.vm.maps.base import VmMap
    from ebee.vm.packet import Packet

# The kernel's numbers, whatever system this runs on.
EPERM, ENOENT, E2BIG, EAGAIN, ENOMEM, EACCES, EFAULT, EBUSY, EEXIST = 1, 2, 7, 11, 12, 13, 14, 16, 17
ENODEV, EINVAL, ENOSPC, ERANGE, EDEADLK, ENODATA, EPROTO = 19, 22, 28, 34, 35, 61, 71
EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT, EALREADY, ENOTSUPP = 93, 95, 97, 114, 524

INT_MAX = 0x7FFF_FFFF

SYMBOLS_SLOT = "kernel symbols"
"""The machine's slot for the kernel's symbols: a function of a name that gives its address, or None."""
TYPES_SLOT = "kernel types"
"""The machine's slot for what gives the kernel's types: a function without arguments, of Btf or None."""


def u16(value: int) -> int:
    """Return a register as an unsigned number of 16 bits."""
    return value & 0xFFFF


def u32(value: int) -> int:
    """Return a register as an unsigned number of 32 bits."""
    return value & 0xFFFF_FFFF


def u64(value: int) -> int:
    """Return a register as an unsigned number of 64 bits."""
    return value & (1 << 64) - 1


def s32(value: int) -> int:
    """Return a register as a signed number of 32 bits."""
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


def s64(value: int) -> int:
    """Return a register as a signed number of 64 bits."""
    return ((value & (1 << 64) - 1) ^ 1 << 63) - (1 << 63)


def block(run: Run, address: int, size_bytes: int) -> bytes:
    """Return memory of the program's; nothing is read where the size is 0, whatever the address."""
    return run.memory.read(address, size_bytes) if size_bytes else b""


def room(run: Run, address: int, size_bytes: int) -> memoryview:
    """Return memory of the program's to be written; nothing is asked for where the size is 0."""
    return run.memory.view(address, size_bytes, writing=True) if size_bytes else memoryview(bytearray())


def number_at(run: Run, address: int, size_bytes: int) -> int:
    """Return an unsigned number of the program's memory."""
    return int.from_bytes(run.memory.read(address, size_bytes), "little")


def put_number(run: Run, address: int, size_bytes: int, value: int) -> None:
    """Write a number to the program's memory; its upper bits are cut off."""
    bits = value & (1 << 8 * size_bytes) - 1
    run.memory.write(address, bits.to_bytes(size_bytes, "little"))


def map_of(run: Run, address: int, name: str) -> VmMap:
    """Return the map that a helper was given.

    Raises:
        Fault: it is none.
    """
    found = run.machine.map_at(address)
    if found is None:
        raise Fault(f"call of bpf_{name}: {run.memory.describe(address)} is given, expected a map")
    return found


def expect_context(run: Run, address: int, name: str) -> None:
    """Stop a program that gives a helper something else than its context."""
    expected = run.context.region
    if address != expected.address():
        given = run.memory.describe(address)
        raise Fault(f"call of bpf_{name}: {given} is given, expected {expected.name} as it came")


def skb_of(run: Run, address: int, name: str) -> Skb:
    """Return the socket buffer that a helper was given as its context.

    Raises:
        Fault: the program has another context.
    """
    expect_context(run, address, name)
    if not isinstance(run.context.event, Skb):
        raise Fault(
            f"call of bpf_{name}: the context is {run.context.region.name}, expected one with a __sk_buff"
        )
    return run.context.event


def packet_of(run: Run, address: int, name: str) -> Packet:
    """Return the packet of the context that a helper was given.

    Raises:
        Fault: the program has none.
    """
    expect_context(run, address, name)
    if run.context.packet is None:
        raise Fault(f"call of bpf_{name}: {run.context.region.name} has no packet")
    return run.context.packet


def readable(read: Callable[[], bytes]) -> bytes | None:
    """Return what is read, or None where it may not be."""
    try:
        return read()
    except AccessFault:
        return None

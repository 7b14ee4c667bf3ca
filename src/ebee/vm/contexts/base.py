"""What contexts of every kind have in common: their memory, fields, pointers, and their end."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from functools import cache

from ebee.abi.layout import Layout, Value
from ebee.vm.faults import Refusal
from ebee.vm.machine import Context
from ebee.vm.memory import CONTEXT, Memory, Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_ORDER: Final = "little"


def context_region(
    memory: Memory, data: bytes | bytearray, name: str, *, writable: bool = False, room_bytes: int = 0
) -> Region:
    """Make the memory of a context.

    Args:
        name: how messages call it: `the context (xdp_md)`.
        room_bytes: its size, where that is more than the data's.
    """
    region = memory.add(name, max(len(data), room_bytes), number=CONTEXT, writable=writable)
    if data:
        region.element(0)[: len(data)] = data
    return region


def struct_region(memory: Memory, layout: Layout, facts: Mapping[str, Value], *, context: bool) -> Region:
    """Make memory that holds a struct: a context, or one that a context points at; read only.

    Raises:
        Refusal: EINVAL, the struct has no such field, or a value does not fit it.
    """
    for name in facts:
        if name not in layout.fields:
            raise Refusal(errno.EINVAL, f"struct {layout.name} has no field {name}")
    data = layout.pack(**facts)
    if context:
        return context_region(memory, data, f"the context ({layout.name})")
    region = memory.add(f"struct {layout.name}", len(data), writable=False)
    region.element(0)[:] = data
    return region


def get_field(region: Region, layout: Layout, name: str) -> int:
    """Return a number that stands in a struct."""
    field = layout.fields[name]
    assert region.data is not None
    return int.from_bytes(region.data[field.offset_bytes : field.offset_bytes + field.size_bytes], _ORDER)


def set_field(region: Region, layout: Layout, name: str, value: int) -> None:
    """Write a number into a struct; its upper bits are cut off."""
    field = layout.fields[name]
    assert region.data is not None
    end = field.offset_bytes + field.size_bytes
    bits = value & ((1 << 8 * field.size_bytes) - 1)
    region.data[field.offset_bytes : end] = bits.to_bytes(field.size_bytes, _ORDER)


def set_pointer(region: Region, layout: Layout, name: str, address: int) -> None:
    """Let a field be a pointer: loads of it give 64 bits. The caller tells the engines of it."""
    field = layout.fields[name]
    region.pointers[field.offset_bytes] = address
    if field.size_bytes == 8:
        set_field(region, layout, name, address)


def allow_writes(region: Region, layout: Layout, names: tuple[str, ...]) -> None:
    """Let programs write some fields, and no others."""
    region.writable = bool(names)
    region.writable_parts = _parts(layout, names)


@cache
def _parts(layout: Layout, names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    fields = [layout.fields[name] for name in names]
    return tuple((field.offset_bytes, field.offset_bytes + field.size_bytes) for field in fields)


def enter(memory: Memory, context: Context) -> None:
    """Let a context be the one that programs see, after another one was made."""
    regions = [context.region, *(() if context.packet is None else (context.packet.region,))]
    for region in regions:
        if memory.regions.get(region.number) is not region:
            memory.place(region)


def release(memory: Memory, context: Context) -> None:
    """Give the memory of a context back, its packet's too."""
    for region in context.others:
        memory.remove(region)
    if context.packet is not None:
        context.packet.release(memory)
    memory.arena.free(context.region.start, context.region.stride_bytes)
    if memory.regions.get(CONTEXT) is context.region:
        del memory.regions[CONTEXT]


def zero_but(layout: Layout, data: bytes, names: tuple[str, ...]) -> bool:
    """Return whether all of a struct is zero but the fields that are named."""
    rest = bytearray(data)
    for field in (layout.fields[name] for name in names):
        rest[field.offset_bytes : field.offset_bytes + field.size_bytes] = bytes(field.size_bytes)
    return not any(rest)


def given_context(data: bytes, layout: Layout) -> bytes:
    """Return a context as BPF_PROG_TEST_RUN takes it, at its full size.

    Raises:
        Refusal: E2BIG, it is longer than this kernel's and what is beyond is not zero.
    """
    if any(data[layout.size_bytes :]):
        raise Refusal(
            errno.E2BIG, f"{len(data)} bytes of context, struct {layout.name} has {layout.size_bytes}"
        )
    return data[: layout.size_bytes].ljust(layout.size_bytes, b"\0")

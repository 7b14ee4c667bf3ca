"""Helpers that print: into the trace pipe, into a buffer, into an iterator's output."""

from __future__ import annotations

import struct

from ebee.vm.contexts.raw import Output
from ebee.vm.faults import Fault
from ebee.vm.helpers.common import EINVAL, block, room, u32
from ebee.vm.helpers.formats import MOST_ARGUMENTS, printed
from ebee.vm.helpers.registry import helper
from ebee.vm.machine import Run

_MOST_LINE_BYTES = 1023
"""Of a line in the trace pipe; the kernel cuts off what is beyond."""
_MOST_FORMAT_BYTES = 4096


@helper("trace_printk")
def trace_printk(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Print a line with up to three arguments."""
    text = _format(run, r1, u32(r2))
    return -EINVAL if text is None else _print(run, printed(run, text, (r3, r4, r5)))


@helper("trace_vprintk")
def trace_vprintk(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Print a line with its arguments in an array."""
    text, arguments = _format(run, r1, u32(r2)), _arguments(run, r3, u32(r4))
    return -EINVAL if text is None or arguments is None else _print(run, printed(run, text, arguments))


@helper("snprintf")
def snprintf(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write text into a buffer, cut off where that ends; its length with the zero, as if it had fit."""
    arguments = _arguments(run, r4, u32(r5))
    if arguments is None:
        return -EINVAL
    place = room(run, r1, u32(r2))
    text = printed(run, run.memory.read_string(r3, _MOST_FORMAT_BYTES), arguments)
    if place:
        cut = text[: len(place) - 1]
        place[: len(cut) + 1] = cut + b"\0"
    return len(text) + 1


@helper("seq_printf")
def seq_printf(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Print into an iterator's output."""
    text, arguments = _format(run, r2, u32(r3)), _arguments(run, r4, u32(r5))
    if text is None or arguments is None:
        return -EINVAL
    _output(run, "seq_printf").data += printed(run, text, arguments)
    return 0


@helper("seq_write")
def seq_write(run: Run, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Write bytes into an iterator's output."""
    _output(run, "seq_write").data += block(run, r2, u32(r3))
    return 0


def _output(run: Run, name: str) -> Output:
    if not isinstance(run.context.event, Output):
        raise Fault(f"call of bpf_{name}: {run.context.region.name} has no output, expected an iterator's")
    return run.context.event


def _format(run: Run, address: int, size_bytes: int) -> bytes | None:
    """Return a format without its zero; None where it has none."""
    text, zero, _ = block(run, address, size_bytes).partition(b"\0")
    return text if zero else None


def _arguments(run: Run, address: int, size_bytes: int) -> tuple[int, ...] | None:
    """Return an array's numbers; None where the kernel refuses its size."""
    if size_bytes % 8 or size_bytes > 8 * MOST_ARGUMENTS:
        return None
    return struct.unpack(f"<{size_bytes // 8}Q", block(run, address, size_bytes))


def _print(run: Run, text: bytes) -> int:
    line = text[:_MOST_LINE_BYTES].decode("utf-8", "surrogateescape")
    run.machine.print_line(line.removesuffix("\n"))
    return len(text)

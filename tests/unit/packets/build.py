"""Files of packets, made by hand so that what is read is held against what was meant."""

from __future__ import annotations

import io
import struct

from ebee.errors import EbeeError
from ebee.packets import Packet, read_packets


def pcap(
    *packets: tuple[int, int, bytes, int],
    mark: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snap_bytes: int = 65535,
    link_type: int = 1,
) -> bytes:
    """Return a pcap file; packets are (seconds, fraction, data, length on the wire)."""
    parts = [struct.pack(mark + "IHHiIII", magic, *version, 0, 0, snap_bytes, link_type)]
    for seconds, fraction, data, wire in packets:
        parts += [struct.pack(mark + "IIII", seconds, fraction, len(data), wire), data]
    return b"".join(parts)


def block(kind: int, body: bytes, mark: str = "<") -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(mark + "I", len(body) + 12)
    return struct.pack(mark + "I", kind) + length + body + length


def option(code: int, value: bytes, mark: str = "<") -> bytes:
    """Return a pcapng option, padded."""
    return struct.pack(mark + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(mark: str = "<", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return a section header block."""
    return block(0x0A0D0D0A, struct.pack(mark + "IHHq", 0x1A2B3C4D, *version, -1), mark)


def interface(mark: str = "<", *, link_type: int = 1, snap_bytes: int = 0, options: bytes = b"") -> bytes:
    """Return an interface description block."""
    return block(1, struct.pack(mark + "HHI", link_type, 0, snap_bytes) + options, mark)


def enhanced(
    data: bytes,
    time: int = 0,
    mark: str = "<",
    *,
    number: int = 0,
    wire: int = 0,
    announced: int | None = None,
) -> bytes:
    """Return an enhanced packet block."""
    length = len(data) if announced is None else announced
    head = struct.pack(mark + "IIIII", number, time >> 32, time & 0xFFFFFFFF, length, wire or len(data))
    return block(6, head + data, mark)


def read(data: bytes) -> list[Packet]:
    """Return the packets of a file with these bytes."""
    return list(read_packets(io.BytesIO(data)))


def refused(data: bytes) -> tuple[int, str, str | None]:
    """Return how many packets are read, and the error after them with its hint."""
    count = 0
    try:
        for _ in read_packets(io.BytesIO(data)):
            count += 1
    except EbeeError as error:
        return count, str(error), error.hint
    raise AssertionError("nothing was refused")

"""pcap: a file header, then packets with their times, in the byte order of who wrote it.

Source: the pcap capture file format (draft-ietf-opsawg-pcap).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ebee.errors import FormatError, SpecError
from ebee.packets.format import FileFormat
from ebee.packets.link_types import LinkType, link_name
from ebee.packets.packet import Packet
from ebee.packets.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_MICROSECONDS = 0xA1B2C3D4
_NANOSECONDS = 0xA1B23C4D
_MODIFIED = 0xA1B2CD34
"""Alexey Kuznetzov's libpcap, whose packets have longer headers."""
_HEADER_BYTES = 24
_PACKET_HEADER_BYTES = 16
MOST_BYTES = 262_144
"""Of a captured packet, where the file itself does not allow more; what libpcap takes."""
_MOST_BYTES_EVER = 1 << 27
_BILLION = 1_000_000_000

_MAGICS = {
    magic.to_bytes(4, order): (order, magic)
    for magic in (_MICROSECONDS, _NANOSECONDS, _MODIFIED)
    for order in ("little", "big")
}


def is_pcap(begin: bytes) -> bool:
    """Return whether a file that begins so is a pcap file."""
    return begin[:4] in _MAGICS


def read_format(stream: Stream) -> FileFormat:
    """Take the file header.

    Raises:
        FormatError: it is cut short, or of another version.
    """
    order, magic = _MAGICS[stream.peek(4)]
    if magic == _MODIFIED:
        raise FormatError(
            f"read {stream.name}: is of the modified pcap format (magic number 0xa1b2cd34), expected pcap",
            hint="editcap -F pcap in.pcap out.pcap converts it",
        )
    header = stream.take(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise FormatError(
            f"read {stream.name}: the file header has {len(header)} bytes, expected {_HEADER_BYTES}",
            hint="the file is cut short; capture it again",
        )
    _, major, minor, _, _, snap_bytes, link = struct.unpack(_mark(order) + "IHHiIII", header)
    if major != 2:
        raise FormatError(
            f"read {stream.name}: is of version {major}.{minor} of the pcap format, expected 2.4",
            hint="editcap -F pcap in.pcap out.pcap converts it",
        )
    return FileFormat(
        "pcap",
        byte_order=order,
        nanoseconds=magic == _NANOSECONDS,
        link_type=link & 0xFFFF,
        snap_bytes=snap_bytes,
    )


def _mark(byte_order: str) -> str:
    return "<" if byte_order == "little" else ">"


def read_records(stream: Stream, kind: FileFormat) -> Iterator[Packet]:
    """Go through the packets after the file header.

    Raises:
        FormatError: a packet is cut short, or longer than packets are.
    """
    header = struct.Struct(_mark(kind.byte_order) + "IIII")
    unit_ns = 1 if kind.nanoseconds else 1000
    most_bytes = MOST_BYTES if kind.snap_bytes > _MOST_BYTES_EVER else max(kind.snap_bytes, MOST_BYTES)
    link_type = kind.link_type or 0
    while True:
        at_byte = stream.position
        begin = stream.take(_PACKET_HEADER_BYTES)
        if not begin:
            return
        if len(begin) < _PACKET_HEADER_BYTES:
            raise stream.broken_packet(
                at_byte, f"its header has {len(begin)} bytes, expected {_PACKET_HEADER_BYTES}"
            )
        seconds, fraction, length, wire_bytes = header.unpack(begin)
        if length > most_bytes:
            raise stream.broken_packet(at_byte, f"{length} bytes announced, expected at most {most_bytes}")
        data = stream.take(length)
        if len(data) < length:
            raise stream.broken_packet(at_byte, f"{length} bytes announced, {len(data)} left")
        stream.packets += 1
        original_bytes = wire_bytes if wire_bytes > length else 0
        yield Packet(data, seconds * _BILLION + fraction * unit_ns, link_type, original_bytes)


class PcapWriter:
    """Writes packets of one link type.

    Args:
        kind: byte order and unit of time; its link type, or that of the first packet.
    """

    def __init__(self, file: BinaryIO, name: str, kind: FileFormat) -> None:
        self._file = file
        self._name = name
        self._kind = kind
        self._link_type = kind.link_type
        self._record = struct.Struct(_mark(kind.byte_order) + "IIII")
        self._count = 0
        if self._link_type is not None:
            self._begin(self._link_type)

    def _begin(self, link_type: int) -> None:
        self._link_type = link_type
        magic = _NANOSECONDS if self._kind.nanoseconds else _MICROSECONDS
        snap_bytes = self._kind.snap_bytes or MOST_BYTES
        header = struct.pack(
            _mark(self._kind.byte_order) + "IHHiIII", magic, 2, 4, 0, 0, snap_bytes, link_type
        )
        self._file.write(header)

    def write(self, packet: Packet) -> None:
        """Add a packet.

        Raises:
            SpecError: it is of another link type than those before.
        """
        self._count += 1
        if self._link_type is None:
            self._begin(packet.link_type)
        if packet.link_type != self._link_type:
            raise SpecError(
                f"write {self._name}: packet {self._count} is of link type {link_name(packet.link_type)}, "
                f"the file of {link_name(self._link_type or 0)}",
                hint="pcapng takes several: name the file with the ending .pcapng",
            )
        seconds, rest_ns = divmod(packet.timestamp_ns, _BILLION)
        if not 0 <= seconds < 1 << 32:
            raise SpecError(
                f"write {self._name}: packet {self._count} is of {seconds} s after 1970, expected 32 bits",
                hint="pcapng takes any time: name the file with the ending .pcapng",
            )
        fraction = rest_ns if self._kind.nanoseconds else rest_ns // 1000
        self._file.write(self._record.pack(seconds, fraction, len(packet.data), packet.wire_bytes))
        self._file.write(packet.data)

    def finish(self) -> None:
        """Write the header of a file that no packet came into."""
        if self._link_type is None:
            self._begin(LinkType.ETHERNET)

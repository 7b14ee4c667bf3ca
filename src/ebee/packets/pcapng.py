"""pcapng: sections of blocks; interfaces first, then packets that name theirs.

Blocks that are neither a section's begin, an interface nor a packet (names, statistics, secrets,
comments of one's own) are passed over.

Source: the pcapng capture file format (draft-ietf-opsawg-pcapng).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ebee.errors import FormatError, SpecError
from ebee.packets.format import FileFormat
from ebee.packets.packet import Packet
from ebee.packets.stream import Stream
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_OLD_PACKET = 2
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_MAGIC = 0x1A2B3C4D
_MAGIC_ORDERS = {_MAGIC.to_bytes(4, "little"): "little", _MAGIC.to_bytes(4, "big"): "big"}
_END_OF_OPTIONS = 0
_TSRESOL = 9
_TSOFFSET = 14
_MOST_BLOCK_BYTES = 1 << 24
"""Of a block that is looked into."""
_EDGES_BYTES = 12
"""Type and length before a block, its length again after it."""
_BILLION = 1_000_000_000
_NAMES = {_SECTION: "section header", _INTERFACE: "interface description"}
_PACKETS = (_OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET)


class _Interface(NamedTuple):
    """What packets of an interface have in common; times are in units of 1/units_per_s s."""

    link_type: int
    snap_bytes: int
    units_per_s: int = 1_000_000
    offset_s: int = 0

    def timestamp_ns(self, units: int) -> int:
        return units * _BILLION // self.units_per_s + self.offset_s * _BILLION


class _Block(NamedTuple):
    type: int
    at_byte: int
    body: bytes


def is_pcapng(begin: bytes) -> bool:
    """Return whether a file that begins so is a pcapng file."""
    return begin[:4] == _SECTION.to_bytes(4, "big")


def read_format(stream: Stream) -> FileFormat:
    """Return how the first section is written, without taking anything.

    Raises:
        FormatError: it does not begin as a section does.
    """
    return FileFormat("pcapng", byte_order=_byte_order(stream, stream.peek(12)))


def _byte_order(stream: Stream, begin: bytes) -> str:
    order = _MAGIC_ORDERS.get(begin[8:12])
    if order is None:
        raise stream.broken(
            _NAMES[_SECTION],
            stream.position,
            f"byte-order magic {begin[8:12].hex(' ') or 'missing'}, expected 4d 3c 2b 1a or 1a 2b 3c 4d",
            "the file is cut short or damaged",
        )
    return order


def read_records(stream: Stream) -> Iterator[Packet]:
    """Go through the packets of all sections.

    Raises:
        FormatError: a block is cut short, or contradicts itself.
    """
    mark = "<"
    interfaces: list[_Interface] = []
    while begin := stream.peek(12):
        if begin[:4] == b"\x0a\x0d\x0d\x0a":
            mark = "<" if _byte_order(stream, begin) == "little" else ">"
            interfaces = []
        block = _take_block(stream, mark)
        if block.type == _SECTION:
            _check_version(stream, block, mark)
        elif block.type == _INTERFACE:
            interfaces.append(_interface(stream, block, mark))
        elif block.type in _PACKETS:
            packet = _packet(stream, block, mark, interfaces)
            stream.packets += 1
            yield packet


def _take_block(stream: Stream, mark: str) -> _Block:
    """Take a block with its edges; the body of one that nobody looks into is passed over."""
    at_byte = stream.position
    begin = stream.take(8)
    if len(begin) < 8:
        raise stream.broken_packet(at_byte, f"its block's header has {len(begin)} bytes, expected 8")
    kind, length = struct.unpack(mark + "II", begin)
    wanted = kind in _NAMES or kind in _PACKETS
    if length < _EDGES_BYTES or length % 4 or (wanted and length > _MOST_BLOCK_BYTES):
        expected = f"expected a multiple of 4 from {_EDGES_BYTES} to {_MOST_BLOCK_BYTES}"
        raise _broken(stream, kind, at_byte, f"a block of {length} bytes announced, {expected}")
    body_bytes = length - _EDGES_BYTES
    body = stream.take(body_bytes) if wanted else b""
    passed = len(body) if wanted else stream.skip(body_bytes)
    end = stream.take(4)
    if len(end) < 4:
        raise _broken(
            stream, kind, at_byte, f"a block of {length} bytes announced, {8 + passed + len(end)} left"
        )
    (again,) = struct.unpack(mark + "I", end)
    if again != length:
        raise _broken(stream, kind, at_byte, f"a block of {length} bytes at its begin, of {again} at its end")
    return _Block(kind, at_byte, body)


def _broken(stream: Stream, kind: int, at_byte: int, found: str) -> FormatError:
    """Return the error for a block, called by what it is."""
    if kind in _PACKETS:
        return stream.broken_packet(at_byte, found)
    return stream.broken(_NAMES.get(kind, f"block of type {kind:#x}"), at_byte, found, stream.whole_before())


def _check_version(stream: Stream, block: _Block, mark: str) -> None:
    if len(block.body) < 16:
        raise _broken(stream, block.type, block.at_byte, f"has {len(block.body)} bytes, expected at least 16")
    major, minor = struct.unpack_from(mark + "HH", block.body, 4)
    if major != 1:
        raise _broken(
            stream, block.type, block.at_byte, f"is of version {major}.{minor} of pcapng, expected 1.0"
        )


def _interface(stream: Stream, block: _Block, mark: str) -> _Interface:
    if len(block.body) < 8:
        raise _broken(stream, block.type, block.at_byte, f"has {len(block.body)} bytes, expected at least 8")
    link_type, _, snap_bytes = struct.unpack_from(mark + "HHI", block.body)
    interface = _Interface(link_type, snap_bytes)
    for code, value in _options(stream, block, 8, mark):
        if code == _TSRESOL and len(value) == 1:
            power = value[0] & 0x7F
            interface = interface._replace(units_per_s=(2 if value[0] & 0x80 else 10) ** power)
        elif code == _TSOFFSET and len(value) == 8:
            interface = interface._replace(offset_s=struct.unpack(mark + "q", value)[0])
        elif code in (_TSRESOL, _TSOFFSET):
            expected = 1 if code == _TSRESOL else 8
            found = f"option {code} has {len(value)} bytes, expected {expected}"
            raise _broken(stream, block.type, block.at_byte, found)
    return interface


def _options(stream: Stream, block: _Block, place: int, mark: str) -> Iterator[tuple[int, bytes]]:
    """Go through a block's options; the list may end with the block."""
    body = block.body
    while place + 4 <= len(body):
        code, length = struct.unpack_from(mark + "HH", body, place)
        if code == _END_OF_OPTIONS:
            return
        value = body[place + 4 : place + 4 + length]
        if len(value) < length:
            found = f"option {code} of {length} bytes announced, {len(value)} left"
            raise _broken(stream, block.type, block.at_byte, found)
        yield code, value
        place += 4 + (length + 3) // 4 * 4


def _packet(stream: Stream, block: _Block, mark: str, interfaces: list[_Interface]) -> Packet:
    if block.type == _SIMPLE_PACKET:
        return _simple_packet(stream, block, mark, interfaces)
    # The obsolete block has a short number of the interface, and a count of drops beside it.
    layout = mark + ("IIIII" if block.type == _ENHANCED_PACKET else "HxxIIII")
    if len(block.body) < 20:
        raise stream.broken_packet(block.at_byte, f"has {len(block.body)} bytes, expected at least 20")
    number, high, low, length, wire_bytes = struct.unpack_from(layout, block.body)
    interface = _find(stream, block, interfaces, number)
    data = block.body[20 : 20 + length]
    if len(data) < length:
        raise stream.broken_packet(block.at_byte, f"{length} bytes announced, {len(data)} left in its block")
    original_bytes = wire_bytes if wire_bytes > length else 0
    return Packet(data, interface.timestamp_ns(high << 32 | low), interface.link_type, original_bytes)


def _simple_packet(stream: Stream, block: _Block, mark: str, interfaces: list[_Interface]) -> Packet:
    if len(block.body) < 4:
        raise stream.broken_packet(block.at_byte, f"has {len(block.body)} bytes, expected at least 4")
    interface = _find(stream, block, interfaces, 0)
    (wire_bytes,) = struct.unpack_from(mark + "I", block.body)
    length = min(wire_bytes, interface.snap_bytes or wire_bytes)
    data = block.body[4 : 4 + length]
    if len(data) < length:
        raise stream.broken_packet(block.at_byte, f"{length} bytes announced, {len(data)} left in its block")
    return Packet(data, 0, interface.link_type, wire_bytes if wire_bytes > length else 0)


def _find(stream: Stream, block: _Block, interfaces: list[_Interface], number: int) -> _Interface:
    if number < len(interfaces):
        return interfaces[number]
    described = f"{len(interfaces)} {'is' if len(interfaces) == 1 else 'are'} described"
    raise stream.broken_packet(block.at_byte, f"is of interface {number}, and {described} before it")


class PcapngWriter:
    """Writes packets of any link types, one interface for each, times in ns."""

    def __init__(self, file: BinaryIO, name: str, kind: FileFormat) -> None:
        self._file = file
        self._name = name
        self._mark = "<" if kind.byte_order == "little" else ">"
        self._interfaces: dict[int, int] = {}
        self._block(_SECTION, struct.pack(self._mark + "IHHq", _MAGIC, 1, 0, -1))

    def _block(self, kind: int, body: bytes) -> None:
        padded = body + bytes(-len(body) % 4)
        length = struct.pack(self._mark + "I", len(padded) + _EDGES_BYTES)
        self._file.write(struct.pack(self._mark + "I", kind) + length + padded + length)

    def write(self, packet: Packet) -> None:
        """Add a packet, and its interface before the first of its link type.

        Raises:
            SpecError: its time does not fit.
        """
        number = self._interfaces.get(packet.link_type)
        if number is None:
            number = self._interfaces[packet.link_type] = len(self._interfaces)
            head = struct.pack(self._mark + "HHI", packet.link_type, 0, 0)
            options = struct.pack(self._mark + "HHBxxxHH", _TSRESOL, 1, 9, _END_OF_OPTIONS, 0)
            self._block(_INTERFACE, head + options)
        time = packet.timestamp_ns
        if not 0 <= time < 1 << 64:
            raise SpecError(
                f"write {self._name}: a packet of {time} ns after 1970, expected 64 bits without a sign"
            )
        numbers = (number, time >> 32, time & 0xFFFF_FFFF, len(packet.data), packet.wire_bytes)
        self._block(_ENHANCED_PACKET, struct.pack(self._mark + "IIIII", *numbers) + packet.data)

    def finish(self) -> None:
        """Nothing is left to say."""

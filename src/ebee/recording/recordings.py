"""The file of a recording: `.ebee`.

    file     8 bytes "\\x89EBEE\\r\\n\\x1a", version u16, 0 u16, header_bytes u32; the header, JSON; blocks
    block    stored_bytes u32, plain_bytes u32, crc32 of the plain bytes u32; stored bytes
    plain    event_bytes u32, the event; and so on

A block is deflated (zlib) where stored_bytes is less than plain_bytes. Lengths are little-endian;
events are in the byte order that the header tells. Blocks are written as they fill, so that a
recording that was broken off is whole up to its last block. docs/recording.md has all of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ebee.errors import FormatError, SpecError
from ebee.host.tracefs import EventField
from ebee.record import NamedTuple
from ebee.recording.events import MOST_EVENT_BYTES, Event, decode_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Final

MAGIC: Final = b"\x89EBEE\r\n\x1a"
VERSION: Final = 1
_START = struct.Struct("<8sHHI")
_BLOCK = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_MOST_HEADER_BYTES = 1 << 24
_MOST_BLOCK_BYTES = 1 << 20
_FULL_BYTES = 1 << 16
"""How much a block holds before it is written."""


class RecordedProgram(NamedTuple):
    """A program that was recorded, and the hook that its events are of.

    Attributes:
        hook: as an attach point, `tracepoint:sched:sched_process_exec`.
        fields: of a tracepoint's record, by its `format` file.
    """

    name: str
    hook: str
    fields: tuple[EventField, ...] = ()


class Header(NamedTuple):
    """What a recording says about itself.

    Attributes:
        object: the name of the object whose programs were recorded.
        release, machine: of the kernel, as uname(2) has them.
        cpus: how many CPUs could have been.
        monotonic_ns, wall_ns: the same moment, on the clock of the events and since 1970 (UTC).
        byte_order: of events and of the memory in them: `little` or `big`.
        types: a BTF section with those of the kernel's types that the programs depend on.
        kconfig: what the kernel said of its configuration (`extern … __kconfig`), by name, as bytes.
    """

    object: str
    programs: tuple[RecordedProgram, ...]
    release: str = ""
    machine: str = ""
    cpus: int = 1
    monotonic_ns: int = 0
    wall_ns: int = 0
    byte_order: str = "little"
    types: bytes = b""
    kconfig: dict[str, bytes] = {}


class RecordingWriter:
    """Writes a recording as its events come.

    Args:
        file: where to; it stays its owner's.
        header: what the recording says about itself.

    Attributes:
        events, event_bytes: how many were written, and how long they are before they are deflated.
    """

    def __init__(self, file: BinaryIO, header: Header) -> None:
        import json

        text = json.dumps(_as_json(header), separators=(",", ":")).encode()
        self._file = file
        self._waiting = bytearray()
        self.events = 0
        self.event_bytes = 0
        file.write(_START.pack(MAGIC, VERSION, 0, len(text)) + text)

    def write(self, event: bytes) -> None:
        """Write one event, as `encode_event` gives it."""
        self._waiting += _LENGTH.pack(len(event)) + event
        self.events += 1
        self.event_bytes += len(event)
        if len(self._waiting) >= _FULL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits for a block to be full."""
        if not self._waiting:
            return
        import zlib

        plain = bytes(self._waiting)
        self._waiting.clear()
        packed = zlib.compress(plain, 6)
        stored = packed if len(packed) < len(plain) else plain
        self._file.write(_BLOCK.pack(len(stored), len(plain), zlib.crc32(plain)) + stored)
        self._file.flush()


class Recording:
    """A recording that is read.

        with open_recording("events.ebee") as recording:
            for event in recording.events():
                print(event.comm, event.context)

    Args:
        file: its bytes; closed with the recording.
        name: what messages call it.

    Raises:
        FormatError: it is no recording, or its header is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file
        self.header = self._header()
        self._begin = file.tell()

    def events(self) -> Iterator[Event]:
        """Go through the events from the first one.

        Raises:
            FormatError: the file is damaged; names the event, and the byte at which that shows.
        """
        number = 0
        for place, plain in self._blocks():
            for begin, data in self._parts(plain, place, number):
                number += 1
                yield self._event(data, number, place, begin)

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _header(self) -> Header:
        start = self._file.read(_START.size)
        if len(start) < _START.size or start[:8] != MAGIC:
            raise FormatError(
                f"recording {self.name}: does not begin as a recording does",
                hint="make one where root is allowed: ebee record FILE -o events.ebee",
            )
        _, version, _, size_bytes = _START.unpack(start)
        if version != VERSION:
            raise FormatError(
                f"recording {self.name}: version {version} of the format, expected {VERSION}",
                hint="a newer ebee wrote it: pip install --upgrade ebee",
            )
        if size_bytes > _MOST_HEADER_BYTES:
            raise self._damaged(12, f"a header of {size_bytes} bytes, expected at most {_MOST_HEADER_BYTES}")
        text = self._file.read(size_bytes)
        if len(text) < size_bytes:
            raise self._damaged(16, f"a header of {len(text)} bytes, expected {size_bytes}")
        return self._parsed(text)

    def _parsed(self, text: bytes) -> Header:
        import json

        try:
            return _from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise self._damaged(16, f"the header is not JSON ({type(error).__name__})") from None
        except _Unexpected as unexpected:
            raise self._damaged(16, f"the header: {unexpected}") from None

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Go through blocks: where each begins, and its plain bytes."""
        self._file.seek(self._begin)
        place = self._begin
        while start := self._file.read(_BLOCK.size):
            if len(start) < _BLOCK.size:
                raise self._broken_off(place)
            stored_bytes, plain_bytes, checksum = _BLOCK.unpack(start)
            if not 0 < stored_bytes <= plain_bytes <= _MOST_BLOCK_BYTES:
                raise self._damaged(
                    place, f"a block of {stored_bytes} bytes for {plain_bytes}, which cannot be"
                )
            stored = self._file.read(stored_bytes)
            if len(stored) < stored_bytes:
                raise self._broken_off(place)
            yield place, self._plain(stored, plain_bytes, checksum, place)
            place += _BLOCK.size + stored_bytes

    def _plain(self, stored: bytes, plain_bytes: int, checksum: int, place: int) -> bytes:
        import zlib

        plain = stored
        if len(stored) < plain_bytes:
            unpacker = zlib.decompressobj()
            try:
                plain = unpacker.decompress(stored, plain_bytes)
            except zlib.error as error:
                raise self._damaged(place, f"the block cannot be inflated ({error})") from None
        if len(plain) != plain_bytes or zlib.crc32(plain) != checksum:
            raise self._damaged(place, "the block's bytes do not have its checksum")
        return plain

    def _parts(self, plain: bytes, place: int, number: int) -> Iterator[tuple[int, bytes]]:
        """Go through a block's events: where each begins, and its bytes."""
        begin = 0
        while begin < len(plain):
            number += 1
            if len(plain) - begin < _LENGTH.size:
                raise self._wrong(number, place, begin, "its length is cut off")
            (size_bytes,) = _LENGTH.unpack_from(plain, begin)
            begin += _LENGTH.size
            if size_bytes > min(MOST_EVENT_BYTES, len(plain) - begin):
                raise self._wrong(
                    number, place, begin - _LENGTH.size,
                    f"{size_bytes} bytes, expected at most {min(MOST_EVENT_BYTES, len(plain) - begin)}",
                )  # fmt: skip
            yield begin, plain[begin : begin + size_bytes]
            begin += size_bytes

    def _event(self, data: bytes, number: int, place: int, begin: int) -> Event:
        try:
            event = decode_event(data, self.header.byte_order)
        except FormatError as error:
            where, _, found = str(error).partition(": ")
            raise self._wrong(number, place, begin + int(where.removeprefix("byte ")), found) from None
        if event.program >= len(self.header.programs):
            programs = len(self.header.programs)
            raise self._wrong(number, place, begin, f"of program {event.program}, expected one of {programs}")
        return event

    def _wrong(self, number: int, place: int, begin: int, found: str) -> FormatError:
        return FormatError(
            f"recording {self.name}: event {number}, byte {begin} of the block at byte {place}: {found}",
            hint="the file was changed; record it again",
        )

    def _damaged(self, place: int, found: str) -> FormatError:
        return FormatError(
            f"recording {self.name}: byte {place}: {found}",
            hint="the file is damaged; copy or record it again",
        )

    def _broken_off(self, place: int) -> FormatError:
        return FormatError(
            f"recording {self.name}: ends within the block at byte {place}",
            hint="it was broken off while it was written or copied; the events before are whole",
        )


def open_recording(path: str) -> Recording:
    """Open a recording.

    Args:
        path: the file; `-` is standard input.

    Raises:
        SpecError: there is no such file, or it may not be read.
        FormatError: it is no recording.
    """
    if path == "-":
        import io
        import sys

        return Recording(io.BytesIO(sys.stdin.buffer.read()), "standard input")
    try:
        file = open(path, "rb")  # noqa: SIM115 - the recording closes it
    except OSError as error:
        raise SpecError(
            f"open recording {path}: {(error.strerror or str(error)).lower()}",
            hint="make one where root is allowed: ebee record FILE -o events.ebee",
        ) from None
    try:
        return Recording(file, path)
    except BaseException:
        file.close()
        raise


class _Unexpected(Exception):  # noqa: N818 - becomes a FormatError with its place
    """The header's JSON has another shape; says which."""


def _as_json(header: Header) -> dict[str, Any]:
    import base64
    import zlib

    programs = [
        {"name": item.name, "hook": item.hook, "fields": [list(field) for field in item.fields]}
        for item in header.programs
    ]
    types = base64.b64encode(zlib.compress(header.types)).decode() if header.types else ""
    kconfig = {name: value.hex() for name, value in header.kconfig.items()}
    return header._asdict() | {"programs": programs, "types": types, "kconfig": kconfig}


def _from_json(found: Any) -> Header:
    if not isinstance(found, dict):
        raise _Unexpected("no object of names and values")
    programs = _get(found, "programs", list)
    header = Header(
        object=_get(found, "object", str),
        programs=tuple(_program(item) for item in programs),
        release=_get(found, "release", str),
        machine=_get(found, "machine", str),
        cpus=_get(found, "cpus", int),
        monotonic_ns=_get(found, "monotonic_ns", int),
        wall_ns=_get(found, "wall_ns", int),
        byte_order=_get(found, "byte_order", str),
        types=_types(_get(found, "types", str)),
        kconfig={name: _bytes(value) for name, value in _get(found, "kconfig", dict).items()},
    )
    if header.byte_order not in ("little", "big"):
        raise _Unexpected(f"byte_order '{header.byte_order}', expected little or big")
    if not 1 <= header.cpus <= 1 << 16:
        raise _Unexpected(f"{header.cpus} cpus, expected 1 to 65536")
    return header


def _program(found: Any) -> RecordedProgram:
    if not isinstance(found, dict):
        raise _Unexpected("a program that is no object of names and values")
    fields = tuple(_field(row) for row in _get(found, "fields", list))
    return RecordedProgram(_get(found, "name", str), _get(found, "hook", str), fields)


def _bytes(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise _Unexpected("a value of 'kconfig' is not hex") from None


def _types(text: str) -> bytes:
    import base64
    import zlib

    try:
        return zlib.decompressobj().decompress(base64.b64decode(text, validate=True), _MOST_HEADER_BYTES)
    except (ValueError, zlib.error):
        raise _Unexpected("'types' is no deflated BTF in base64") from None


_FIELD = (str, str, int, int, bool, int, bool)


def _field(row: Any) -> EventField:
    if not isinstance(row, list) or tuple(map(type, row)) != _FIELD:
        raise _Unexpected("a field of another shape than name, type, offset, size, signed, length, common")
    return EventField(*row)


def _get(found: dict[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    if type(value) is not kind:
        raise _Unexpected(f"'{name}' is {_kind(value)}, expected {_kind(kind())}")
    return value


def _kind(value: object) -> str:
    names: dict[type, str] = {
        str: "text",
        int: "a number",
        list: "a list",
        dict: "an object",
        type(None): "missing",
    }
    return names.get(type(value), "something else")

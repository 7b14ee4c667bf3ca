"""Recordings of any shape come back; bytes of any shape give an error or events."""

from __future__ import annotations

import io
import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from ebee.errors import FormatError
from ebee.recording.events import Event, EventFlag, Piece, PieceKind, decode_event, encode_event
from ebee.recording.recordings import Header, RecordedProgram, Recording, RecordingWriter

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
PIECES = st.builds(
    Piece,
    kind=st.sampled_from(PieceKind),
    address=U64,
    data=st.binary(max_size=40),
    number=st.integers(-(2**31), 2**31 - 1),
)
EVENTS = st.builds(
    Event,
    program=st.integers(0, 1),
    time_ns=U64,
    cpu=U32,
    pid=U32,
    tgid=U32,
    uid=U32,
    gid=U32,
    cgroup_id=U64,
    comm=st.binary(max_size=15).filter(lambda name: b"\0" not in name),
    context=st.binary(max_size=80),
    pieces=st.lists(PIECES, max_size=4).map(tuple),
    flags=st.sampled_from([EventFlag.NONE, EventFlag.CUT]),
)
HEADER = Header("any", (RecordedProgram("a", "raw_tp:a"), RecordedProgram("b", "raw_tp:b")))


def written(events: list[bytes], header: Header = HEADER) -> bytes:
    """Return a recording of events as bytes."""
    file = io.BytesIO()
    writer = RecordingWriter(file, header)
    for event in events:
        writer.write(event)
    writer.flush()
    return file.getvalue()


def outcome(data: bytes) -> int | str:
    """Return how many events a recording has, or the message of its error."""
    try:
        return len(list(Recording(io.BytesIO(data), "x").events()))
    except FormatError as error:
        return str(error)


@given(st.lists(EVENTS, max_size=5), st.sampled_from(["little", "big"]))
def test_events_come_back(events: list[Event], byte_order: str) -> None:
    """decode∘encode = id, through a whole file."""
    data = written(
        [encode_event(event, byte_order) for event in events], HEADER._replace(byte_order=byte_order)
    )
    assert list(Recording(io.BytesIO(data), "x").events()) == events


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_an_error(data: bytes) -> None:
    """One that names the byte."""
    try:
        decode_event(data)
    except FormatError as error:
        assert str(error).startswith("byte ")  # noqa: PT017 - either is right


@given(EVENTS, st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_an_event_that_was_changed_is_an_event_or_an_error(event: Event, place: int, data: bytes) -> None:
    """In a block whose checksum is right all the same."""
    raw = bytearray(encode_event(event))
    raw[place % len(raw) : place % len(raw) + len(data)] = data
    plain = struct.pack("<I", len(raw)) + raw
    block = struct.pack("<III", len(plain), len(plain), zlib.crc32(plain)) + plain
    found = outcome(written([]) + block)
    assert found == 1 or (isinstance(found, str) and found.startswith("recording x: event 1, byte "))


@given(st.lists(EVENTS, max_size=3), st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_a_file_that_was_changed_is_read_or_refused(events: list[Event], place: int, data: bytes) -> None:
    """Nothing else comes out than events or a FormatError."""
    raw = bytearray(written([encode_event(event) for event in events]))
    raw[place % len(raw) : place % len(raw) + len(data)] = data
    found = outcome(bytes(raw))
    assert isinstance(found, int) or found.startswith("recording x: ")


@given(st.lists(EVENTS, min_size=1, max_size=3), st.integers(0, 2000))
def test_a_file_that_was_cut_off_is_read_or_refused(events: list[Event], place: int) -> None:
    """Likewise."""
    raw = written([encode_event(event) for event in events])
    found = outcome(raw[: place % len(raw)])
    assert found == 0 or (isinstance(found, str) and found.startswith("recording x: "))


@given(st.binary(max_size=200))
def test_any_header_is_a_header_or_an_error(text: bytes) -> None:
    """JSON of any shape, and what is none."""
    found = outcome(b"\x89EBEE\r\n\x1a" + struct.pack("<HHI", 1, 0, len(text)) + text)
    assert isinstance(found, str)

"""Recordings: what is written is read, and a damaged file names the place."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import pytest

from ebee.errors import EbeeError, FormatError, SpecError
from ebee.host.tracefs import EventField
from ebee.recording.events import encode_event
from ebee.recording.recordings import (
    MAGIC,
    Header,
    RecordedProgram,
    Recording,
    RecordingWriter,
    open_recording,
)
from tests.unit.recording.test_events import EVENT

FIELD = EventField("filename", "const char *", 16, 8, False)
HEADER = Header(
    "exec",
    (
        RecordedProgram("on_exec", "tracepoint:syscalls:sys_enter_execve", (FIELD,)),
        RecordedProgram("b", "raw_tp:x"),
    ),
    release="6.18.0",
    machine="x86_64",
    cpus=4,
    monotonic_ns=1,
    wall_ns=2,
    types=b"types",
    kconfig={"CONFIG_HZ": b"\xfa\0\0\0"},
)


def written(count: int, header: Header = HEADER) -> bytes:
    """Return a recording of so many events, at times 0, 1, …"""
    file = io.BytesIO()
    writer = RecordingWriter(file, header)
    for number in range(count):
        writer.write(encode_event(EVENT._replace(time_ns=number)))
    writer.flush()
    return file.getvalue()


def read(data: bytes) -> Recording:
    """Return the recording that bytes are."""
    return Recording(io.BytesIO(data), "x.ebee")


def refusal(data: bytes) -> tuple[str, str | None]:
    """Return the message and the hint of the error that reading raises."""
    with pytest.raises(EbeeError) as caught:
        list(read(data).events())
    return str(caught.value), caught.value.hint


def with_header(**changes: object) -> bytes:
    """Return a recording whose header's JSON has other values; None takes a name away."""
    found = json.loads(written(0)[16:]) | changes
    text = json.dumps({name: value for name, value in found.items() if value is not None}).encode()
    return MAGIC + struct.pack("<HHI", 1, 0, len(text)) + text


def with_block(plain: bytes) -> bytes:
    """Return a recording with one block of these bytes."""
    return written(0) + struct.pack("<III", len(plain), len(plain), zlib.crc32(plain)) + plain


def test_a_recording_says_what_it_is_of() -> None:
    """Programs, hooks, fields, the kernel, the clocks."""
    assert read(written(0)).header == HEADER


def test_events_come_in_the_order_they_were_written() -> None:
    """Over several blocks, and again as often as they are asked for."""
    recording = read(written(3000))
    assert [event.time_ns for event in recording.events()] == list(range(3000))
    assert next(recording.events()) == EVENT._replace(time_ns=0)


def test_blocks_are_deflated() -> None:
    """Events are alike."""
    assert len(written(3000)) < 3000 * len(encode_event(EVENT)) / 10


def test_a_block_that_does_not_shrink_is_stored_as_it_is() -> None:
    """One event with nothing in it."""
    plain = struct.pack("<I", 72) + encode_event(EVENT._replace(pieces=()))
    assert len(list(read(with_block(plain)).events())) == 1


def test_a_recording_that_was_broken_off_is_whole_up_to_its_last_block() -> None:
    """What was written before can be read."""
    data = written(3000)[:-1]
    found: list[int] = []
    with pytest.raises(FormatError) as caught:
        found.extend(event.time_ns for event in read(data).events())
    assert "ends within the block at byte" in str(caught.value)
    assert caught.value.hint == (
        "it was broken off while it was written or copied; the events before are whole"
    )


BEGIN = len(written(0))
RECORD_HINT = "make one where root is allowed: ebee record FILE -o events.ebee"
DAMAGED_HINT = "the file is damaged; copy or record it again"
CHANGED_HINT = "the file was changed; record it again"


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"", "recording x.ebee: does not begin as a recording does", RECORD_HINT),
        (b"\x7fELF" + bytes(99), "recording x.ebee: does not begin as a recording does", RECORD_HINT),
        (
            MAGIC + struct.pack("<HHI", 9, 0, 2) + b"{}",
            "recording x.ebee: version 9 of the format, expected 1",
            "a newer ebee wrote it: pip install --upgrade ebee",
        ),
        (
            MAGIC + struct.pack("<HHI", 1, 0, 1 << 30),
            "recording x.ebee: byte 12: a header of 1073741824 bytes, expected at most 16777216",
            DAMAGED_HINT,
        ),
        (
            written(0)[:100],
            f"recording x.ebee: byte 16: a header of 84 bytes, expected {BEGIN - 16}",
            DAMAGED_HINT,
        ),
        (
            MAGIC + struct.pack("<HHI", 1, 0, 2) + b"{]",
            "recording x.ebee: byte 16: the header is not JSON (JSONDecodeError)",
            DAMAGED_HINT,
        ),
        (
            MAGIC + struct.pack("<HHI", 1, 0, 2) + b"[]",
            "recording x.ebee: byte 16: the header: no object of names and values",
            DAMAGED_HINT,
        ),
        (
            with_header(object=None),
            "recording x.ebee: byte 16: the header: 'object' is missing, expected text",
            DAMAGED_HINT,
        ),
        (
            with_header(cpus="many"),
            "recording x.ebee: byte 16: the header: 'cpus' is text, expected a number",
            DAMAGED_HINT,
        ),
        (
            with_header(cpus=0),
            "recording x.ebee: byte 16: the header: 0 cpus, expected 1 to 65536",
            DAMAGED_HINT,
        ),
        (
            with_header(byte_order="middle"),
            "recording x.ebee: byte 16: the header: byte_order 'middle', expected little or big",
            DAMAGED_HINT,
        ),
        (
            with_header(programs=[3]),
            "recording x.ebee: byte 16: the header: a program that is no object of names and values",
            DAMAGED_HINT,
        ),
        (
            with_header(programs=[{"name": "a", "hook": "b", "fields": [[1]]}]),
            "recording x.ebee: byte 16: the header: a field of another shape than name, type, offset, size, "
            "signed, length, common",
            DAMAGED_HINT,
        ),
        (
            with_header(types="?"),
            "recording x.ebee: byte 16: the header: 'types' is no deflated BTF in base64",
            DAMAGED_HINT,
        ),
        (
            with_header(types="AAAA"),
            "recording x.ebee: byte 16: the header: 'types' is no deflated BTF in base64",
            DAMAGED_HINT,
        ),
        (
            with_header(kconfig=[]),
            "recording x.ebee: byte 16: the header: 'kconfig' is a list, expected an object",
            DAMAGED_HINT,
        ),
        (
            with_header(kconfig={"CONFIG_HZ": 250}),
            "recording x.ebee: byte 16: the header: a value of 'kconfig' is not hex",
            DAMAGED_HINT,
        ),
        (
            written(0) + struct.pack("<III", 5, 4, 0),
            f"recording x.ebee: byte {BEGIN}: a block of 5 bytes for 4, which cannot be",
            DAMAGED_HINT,
        ),
        (
            written(0) + struct.pack("<III", 4, 5, 0) + b"zlib",
            f"recording x.ebee: byte {BEGIN}: the block cannot be inflated "
            "(Error -3 while decompressing data: incorrect header check)",
            DAMAGED_HINT,
        ),
        (
            written(0) + struct.pack("<III", 4, 4, 0) + b"zlib",
            f"recording x.ebee: byte {BEGIN}: the block's bytes do not have its checksum",
            DAMAGED_HINT,
        ),
        (
            with_block(b"abc"),
            f"recording x.ebee: event 1, byte 0 of the block at byte {BEGIN}: its length is cut off",
            CHANGED_HINT,
        ),
        (
            with_block(struct.pack("<I", 99)),
            f"recording x.ebee: event 1, byte 0 of the block at byte {BEGIN}: 99 bytes, expected at most 0",
            CHANGED_HINT,
        ),
        (
            with_block(struct.pack("<I", 3) + b"abc"),
            f"recording x.ebee: event 1, byte 4 of the block at byte {BEGIN}: "
            "3 bytes, expected at least 64 of an event",
            CHANGED_HINT,
        ),
        (
            with_block(struct.pack("<I", 72) + encode_event(EVENT._replace(pieces=(), program=2))),
            f"recording x.ebee: event 1, byte 4 of the block at byte {BEGIN}: "
            "of program 2, expected one of 2",
            CHANGED_HINT,
        ),
    ],
)
def test_a_damaged_recording_names_the_place(data: bytes, message: str, hint: str) -> None:
    """The event where there is one, the byte in any case, and what to do."""
    assert refusal(data) == (message, hint)


def test_a_block_that_would_fill_the_memory_is_not_inflated() -> None:
    """A few bytes may claim to be gigabytes."""
    bomb = zlib.compress(bytes(1 << 24))
    data = written(0) + struct.pack("<III", len(bomb), 1 << 24, 0) + bomb
    assert refusal(data)[0] == (
        f"recording x.ebee: byte {BEGIN}: a block of {len(bomb)} bytes for 16777216, which cannot be"
    )


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what makes one."""
    path = str(tmp_path / "gone.ebee")
    with pytest.raises(SpecError) as caught:
        open_recording(path)
    assert str(caught.value) == f"open recording {path}: no such file or directory"
    assert caught.value.hint == RECORD_HINT


def test_a_file_that_is_no_recording_is_closed_again(tmp_path: Path) -> None:
    """Python warns of files that stay open."""
    path = tmp_path / "text.ebee"
    path.write_text("hello")
    with pytest.raises(FormatError):
        open_recording(str(path))


def test_a_recording_is_read_from_its_path(tmp_path: Path) -> None:
    """And closed by the with."""
    path = tmp_path / "x.ebee"
    path.write_bytes(written(2))
    with open_recording(str(path)) as recording:
        assert len(list(recording.events())) == 2

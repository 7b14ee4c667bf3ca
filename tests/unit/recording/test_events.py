"""Events of a recording: bytes and back, and what is said of bytes that are none."""

from __future__ import annotations

import pytest

from ebee.errors import FormatError
from ebee.recording.events import Event, EventFlag, Piece, PieceKind, decode_event, encode_event

EVENT = Event(
    program=1,
    time_ns=5_000_000_000,
    cpu=3,
    pid=42,
    tgid=41,
    uid=1000,
    gid=100,
    cgroup_id=7,
    comm=b"cat",
    context=b"\1\2\3",
    pieces=(
        Piece(PieceKind.USER, 0x7FFF_0000_1234, b"/etc/hostname\0"),
        Piece(PieceKind.KERNEL, 0xFFFF_8881_0000_0000, bytes(8)),
        Piece(PieceKind.RESULT, 2**64 - 1, b"", 7),
        Piece(PieceKind.FAILED, 0x10, b"", -14),
    ),
    flags=EventFlag.CUT,
)


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_an_event_comes_back_as_it_was(byte_order: str) -> None:
    """In either byte order."""
    assert decode_event(encode_event(EVENT, byte_order), byte_order) == EVENT


def test_an_event_that_was_cut_says_so() -> None:
    """More was read than had room."""
    assert EVENT.is_cut
    assert not EVENT._replace(flags=EventFlag.NONE).is_cut


def test_everything_in_an_event_begins_at_a_multiple_of_eight() -> None:
    """The recorder's functions write it so."""
    assert len(encode_event(EVENT)) == 64 + 8 + (16 + 16) + (16 + 8) + 16 + 16


GOOD = encode_event(EVENT)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD[:63], "byte 0: 63 bytes, expected at least 64 of an event"),
        (GOOD[:4] + b"\6" + GOOD[5:], "byte 4: flags 0x6, expected 0 or 0x1"),
        (GOOD[:64], "byte 64: 3 bytes of context, expected at most the 0 that are left"),
        (GOOD[:80], "byte 72: 8 bytes, expected 16 of a piece"),
        (GOOD[:72] + b"\x09" + GOOD[73:], "byte 72: a piece of kind 9, expected one of 1 to 4"),
        (GOOD[:96], "byte 88: 14 bytes of memory, expected at most the 8 that are left"),
    ],
)
def test_bytes_that_are_no_event_are_told_where(data: bytes, message: str) -> None:
    """With the byte at which that shows."""
    with pytest.raises(FormatError) as caught:
        decode_event(data)
    assert str(caught.value) == message

"""Events as they lie in a recording: what a hook saw once, as the recorder's functions write it.

    event    program u32, flags u32, time_ns u64, cgroup_id u64, pid u32, tgid u32, uid u32, gid u32,
             cpu u32, context_bytes u32, comm 16 bytes; the context; then pieces
    piece    kind u16, size_bytes u16, number s32, address u64; so many bytes

Context and pieces are filled up with zeros to 8 bytes. Numbers are in the byte order of the machine
that recorded, which the recording's header tells.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

from ebee.errors import FormatError
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_HEAD = "IIQQIIIIII16s"
_PIECE = "HHiQ"
HEAD_BYTES: Final = 64
PIECE_BYTES: Final = 16
MOST_EVENT_BYTES: Final = 1 << 15
_PREFIXES = {"little": "<", "big": ">"}


class PieceKind(IntEnum):
    """What a piece of an event is."""

    USER = 1
    KERNEL = 2
    RESULT = 3
    FAILED = 4


class EventFlag(IntFlag):
    """What is to be said of an event."""

    NONE = 0
    CUT = 1


class Piece(NamedTuple):
    """Something that a program asked for while it ran.

    Attributes:
        kind: memory of user space or of the kernel; a helper's result; memory that could not be read.
        number: of RESULT the helper's, of FAILED the negative errno; else 0.
        address: where the memory lies; of RESULT the value, 64 bits without a sign.
        data: the memory; of RESULT, what the helper wrote.
    """

    kind: PieceKind
    address: int
    data: bytes = b""
    number: int = 0


class Event(NamedTuple):
    """One run of a program, as its hook called it.

    Attributes:
        program: which of the recording's programs.
        flags: EventFlag.CUT where more was read than had room.
        time_ns: the monotonic clock of the machine that recorded.
        pid, tgid: the thread's and the process's id.
        comm: the task's name, up to its first zero.
        context: what the program's first argument pointed at.
        pieces: in the order in which the program asked.
    """

    program: int
    time_ns: int
    cpu: int
    pid: int
    tgid: int
    uid: int
    gid: int
    cgroup_id: int
    comm: bytes
    context: bytes
    pieces: tuple[Piece, ...] = ()
    flags: EventFlag = EventFlag.NONE

    @property
    def is_cut(self) -> bool:
        """Whether more was read than had room in the event."""
        return bool(self.flags & EventFlag.CUT)


def encode_event(event: Event, byte_order: str = "little") -> bytes:
    """Return the bytes of an event."""
    prefix = _PREFIXES[byte_order]
    head = struct.pack(
        prefix + _HEAD,
        *(event.program, event.flags, event.time_ns, event.cgroup_id, event.pid, event.tgid),
        *(event.uid, event.gid, event.cpu, len(event.context), event.comm),
    )
    pieces = b"".join(
        struct.pack(prefix + _PIECE, piece.kind, len(piece.data), piece.number, piece.address)
        + _filled(piece.data)
        for piece in event.pieces
    )
    return head + _filled(event.context) + pieces


def decode_event(data: bytes, byte_order: str = "little") -> Event:
    """Return the event that bytes are.

    Raises:
        FormatError: they are none; the message begins with the byte at which that shows.
    """
    prefix = _PREFIXES[byte_order]
    if len(data) < HEAD_BYTES:
        raise FormatError(f"byte 0: {len(data)} bytes, expected at least {HEAD_BYTES} of an event")
    program, flags, time_ns, cgroup_id, pid, tgid, uid, gid, cpu, context_bytes, comm = struct.unpack_from(
        prefix + _HEAD, data
    )
    if flags not in (0, 1):
        raise FormatError(f"byte 4: flags {flags:#x}, expected 0 or 0x1")
    context = _taken(data, HEAD_BYTES, context_bytes, "context")
    return Event(
        program=program,
        time_ns=time_ns,
        cpu=cpu,
        pid=pid,
        tgid=tgid,
        uid=uid,
        gid=gid,
        cgroup_id=cgroup_id,
        comm=comm.partition(b"\0")[0],
        context=context,
        pieces=_pieces(data, HEAD_BYTES + _rounded(context_bytes), prefix + _PIECE),
        flags=EventFlag(flags),
    )


def _pieces(data: bytes, place: int, form: str) -> tuple[Piece, ...]:
    found = []
    while place < len(data):
        if len(data) - place < PIECE_BYTES:
            raise FormatError(f"byte {place}: {len(data) - place} bytes, expected {PIECE_BYTES} of a piece")
        kind, size_bytes, number, address = struct.unpack_from(form, data, place)
        if kind not in _KINDS:
            raise FormatError(f"byte {place}: a piece of kind {kind}, expected one of 1 to {len(_KINDS)}")
        content = _taken(data, place + PIECE_BYTES, size_bytes, "memory")
        found.append(Piece(PieceKind(kind), address, content, number))
        place += PIECE_BYTES + _rounded(size_bytes)
    return tuple(found)


_KINDS = frozenset(kind.value for kind in PieceKind)


def _taken(data: bytes, place: int, size_bytes: int, what: str) -> bytes:
    if place + _rounded(size_bytes) > len(data):
        raise FormatError(
            f"byte {place}: {size_bytes} bytes of {what}, "
            f"expected at most the {len(data) - place} that are left"
        )
    return data[place : place + size_bytes]


def _rounded(size_bytes: int) -> int:
    return (size_bytes + 7) & ~7


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)

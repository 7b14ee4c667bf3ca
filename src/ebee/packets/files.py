"""Read and write files of packets, whichever their format."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from ebee.errors import FormatError, SpecError
from ebee.packets import pcap, pcapng
from ebee.packets.format import ENDINGS, FileFormat
from ebee.packets.packet import Packet
from ebee.packets.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    class _Writer(Protocol):
        def write(self, packet: Packet) -> None: ...
        def finish(self) -> None: ...


STDIO = "-"
"""Standard input or output, where a path is expected."""
_PACKED = {
    b"\x1f\x8b": ("gzip", "gunzip unpacks it"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd unpacks it"),
    b"\xfd7zX": ("xz", "unxz unpacks it"),
    b"BZh": ("bzip2", "bunzip2 unpacks it"),
    b"\x7fELF": ("ELF, an object or a program", "the object comes first: ebee run FILE --pcap PACKETS"),
}


class PacketReader:
    """The packets of a file, one after the other; it is read as they are asked for.

        for packet in read_packets("in.pcap"): ...

    It is closed at its end; who stops before that closes it, or uses it in a `with`.

    Attributes:
        name: what messages call the file.
        format: how it is written.
    """

    def __init__(self, file: BinaryIO, name: str, *, close: bool = True) -> None:
        self.name = name
        self._file = file
        self._close = close
        stream = Stream(file, name)
        self.format = _recognise(stream)
        self._packets = _records(stream, self.format)

    def __iter__(self) -> Iterator[Packet]:
        return self

    def __next__(self) -> Packet:
        try:
            return next(self._packets)
        except OSError as error:
            self.close()
            raise _refused("read", self.name, error) from None
        except BaseException:  # the end, too
            self.close()
            raise

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        if self._close:
            self._file.close()

    def __enter__(self) -> PacketReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_packets(source: str | os.PathLike[str] | BinaryIO) -> PacketReader:
    """Open a file of packets: pcap, pcapng or hex, told apart by their first bytes.

    Args:
        source: a path, `-` for standard input, or an open binary file, which stays open.

    Raises:
        SpecError: there is no such file.
        FormatError: it is none of these; while it is read, a packet is damaged, and which.
    """
    if not isinstance(source, str | os.PathLike):
        return PacketReader(source, getattr(source, "name", None) or "packets", close=False)
    path = os.fspath(source)
    if path == STDIO:
        return PacketReader(sys.stdin.buffer, "standard input", close=False)
    try:
        file = open(path, "rb")  # noqa: SIM115  # the reader closes it
    except OSError as error:
        raise _refused("read", path, error) from None
    try:
        return PacketReader(file, path)
    except OSError as error:
        file.close()
        raise _refused("read", path, error) from None
    except BaseException:
        file.close()
        raise


def _refused(verb: str, path: str, error: OSError) -> SpecError:
    hint = None
    if isinstance(error, FileNotFoundError) and verb == "read":
        from ebee.text import did_you_mean

        folder, name = os.path.split(path)
        try:
            hint = did_you_mean(name, os.listdir(folder or "."))
        except OSError:
            hint = f"there is no folder {folder}"
    elif isinstance(error, FileNotFoundError):
        hint = f"there is no folder {os.path.dirname(path)}"
    what = (error.strerror or str(error)).lower()
    expected = ", expected a file of packets" if verb == "read" else ""
    return SpecError(f"{verb} {path}: {what}{expected}", hint=hint)


def _recognise(stream: Stream) -> FileFormat:
    begin = stream.peek(4)
    if pcap.is_pcap(begin):
        return pcap.read_format(stream)
    if pcapng.is_pcapng(begin):
        return pcapng.read_format(stream)
    for magic, (name, hint) in _PACKED.items():
        if begin.startswith(magic):
            raise FormatError(f"read {stream.name}: is {name}, expected pcap, pcapng or hex", hint=hint)
    if b"\0" in begin:
        raise FormatError(
            f"read {stream.name}: begins with {begin.hex(' ')}, expected pcap, pcapng or hex",
            hint="tcpdump -w, Wireshark and editcap write pcap and pcapng",
        )
    return FileFormat("hex")


def _records(stream: Stream, kind: FileFormat) -> Iterator[Packet]:
    if kind.name == "pcap":
        return pcap.read_records(stream, kind)
    if kind.name == "pcapng":
        return pcapng.read_records(stream)
    from ebee.packets import hexlines  # with its patterns, which take as long as reading a small capture

    return hexlines.read_records(stream)


class PacketWriter:
    """Writes packets into a file, for use in a `with`.

    Attributes:
        name: what messages call the file.
        format: how it is written.
        count: how many packets were written.
    """

    def __init__(self, file: BinaryIO, name: str, kind: FileFormat, *, close: bool = True) -> None:
        self.name = name
        self.format = kind
        self.count = 0
        self._file = file
        self._close = close
        self._inner: _Writer
        if kind.name == "pcap":
            self._inner = pcap.PcapWriter(file, name, kind)
        elif kind.name == "pcapng":
            self._inner = pcapng.PcapngWriter(file, name, kind)
        else:
            from ebee.packets.hexlines import HexWriter

            self._inner = HexWriter(file)

    def write(self, packet: Packet) -> None:
        """Add a packet.

        Raises:
            SpecError: the format has no place for its link type or its time.
        """
        place = f"write {self.name}: packet {self.count + 1}"
        if not 0 <= packet.link_type < 1 << 16:
            raise SpecError(f"{place} is of link type {packet.link_type}, expected a number of 16 bits")
        try:
            self._inner.write(packet)
            if not self._close:
                self._file.flush()  # whoever reads the pipe sees each packet as it comes
        except OSError as error:
            raise _refused("write", self.name, error) from None
        self.count += 1

    def close(self) -> None:
        """Write what is left and close the file. Closing twice does nothing."""
        if self._file.closed:
            return
        try:
            self._inner.finish()
            self._file.flush()
        except OSError as error:
            raise _refused("write", self.name, error) from None
        finally:
            if self._close:
                self._file.close()

    def __enter__(self) -> PacketWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_writer(
    target: str | os.PathLike[str] | BinaryIO, kind: FileFormat | str | None = None
) -> PacketWriter:
    """Begin a file of packets.

    Args:
        target: a path, `-` for standard output, or an open binary file, which stays open.
        kind: how it is written: a format's name, or the `format` of a reader, so that it is written
            as that file was; by default as the path's ending says, else pcap.

    Raises:
        SpecError: it cannot be written, or there is no such format.
    """
    if not isinstance(target, str | os.PathLike):
        name = getattr(target, "name", None) or "packets"
        return PacketWriter(target, name, _format(kind, ""), close=False)
    path = os.fspath(target)
    if path == STDIO:
        return PacketWriter(sys.stdout.buffer, "standard output", _format(kind, ""), close=False)
    wanted = _format(kind, path)
    try:
        return PacketWriter(open(path, "wb"), path, wanted)  # the writer closes it
    except OSError as error:
        raise _refused("write", path, error) from None


def _format(kind: FileFormat | str | None, path: str) -> FileFormat:
    if isinstance(kind, FileFormat):
        return kind
    name = kind or format_of(path) or "pcap"
    if name not in ("pcap", "pcapng", "hex"):
        from ebee.text import did_you_mean

        raise SpecError(
            f"write packets: format '{name}', expected pcap, pcapng or hex",
            hint=did_you_mean(name, ("pcap", "pcapng", "hex")),
        )
    return FileFormat(name, byte_order=sys.byteorder)


def format_of(path: str) -> str | None:
    """Return the name of the format that a path's ending means; None for other endings."""
    return ENDINGS.get(os.path.splitext(path)[1].lower())


def write_packets(
    target: str | os.PathLike[str] | BinaryIO,
    packets: Iterable[Packet],
    kind: FileFormat | str | None = None,
) -> int:
    """Write packets into a file; return how many they were. As `open_writer`."""
    with open_writer(target, kind) as writer:
        for packet in packets:
            writer.write(packet)
        return writer.count

"""How a file of packets is written."""

from __future__ import annotations

from ebee.record import NamedTuple


class FileFormat(NamedTuple):
    """How a file of packets is written, so that another can be written likewise.

    Attributes:
        name: `pcap`, `pcapng` or `hex`.
        byte_order: `little` or `big`; of the first section, where a pcapng file has several.
        nanoseconds: times of a pcap file are in ns rather than µs.
        link_type: of all packets of a pcap file; None where each says its own.
        snap_bytes: how much of each packet the capture kept at most; 0 where that is not told.
    """

    name: str
    byte_order: str = "little"
    nanoseconds: bool = True
    link_type: int | None = None
    snap_bytes: int = 0


ENDINGS = {
    ".pcap": "pcap",
    ".cap": "pcap",
    ".pcapng": "pcapng",
    ".ntar": "pcapng",
    ".hex": "hex",
    ".txt": "hex",
}
"""Formats by the ending of a file's name."""

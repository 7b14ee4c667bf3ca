"""Packets from files and into files: pcap, pcapng, hex; packets that are made.

Readers take a packet at a time, so a file's size does not matter, and a damaged file is an error that
names the packet. They are written here because the libraries that read both formats either build on
libpcap, or are no more kept, or do not say which packet is broken; pcap and pcapng are small.
"""

from ebee.packets.describe import describe
from ebee.packets.ethernet import as_frame, from_frame
from ebee.packets.files import (
    PacketReader,
    PacketWriter,
    format_of,
    open_writer,
    read_packets,
    write_packets,
)
from ebee.packets.format import FileFormat
from ebee.packets.generate import generate
from ebee.packets.link_types import LinkType, link_name
from ebee.packets.packet import Packet, as_packet

__all__ = [
    "FileFormat",
    "LinkType",
    "Packet",
    "PacketReader",
    "PacketWriter",
    "as_frame",
    "as_packet",
    "describe",
    "format_of",
    "from_frame",
    "generate",
    "link_name",
    "open_writer",
    "read_packets",
    "write_packets",
]

"""What a packet begins with, by the numbers that captures use.

Source: the LINKTYPE_ values of tcpdump.org.
"""

from __future__ import annotations

from enum import IntEnum


class LinkType(IntEnum):
    """What a packet's first bytes are: LINKTYPE_* of the pcap formats, those that Linux captures have."""

    NULL = 0
    ETHERNET = 1
    PPP = 9
    RAW_BSD = 12
    RAW = 101
    IEEE802_11 = 105
    LOOP = 108
    LINUX_SLL = 113
    IEEE802_11_RADIOTAP = 127
    IPV4 = 228
    IPV6 = 229
    NFLOG = 239
    NETLINK = 253
    LINUX_SLL2 = 276


def link_name(link_type: int) -> str:
    """Return a link type for people: `ETHERNET (1)`."""
    try:
        return f"{LinkType(link_type).name} ({link_type})"
    except ValueError:
        return f"number {link_type}"

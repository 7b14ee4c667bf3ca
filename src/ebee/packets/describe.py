"""A packet in a few words: `IPv4 TCP 192.0.2.17:40112 > 198.51.100.3:443 [SYN]`."""

from __future__ import annotations

from ebee.packets.link_types import LinkType, link_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.packets.packet import Packet

_VLANS = (0x8100, 0x88A8, 0x9100)
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_EXTENSIONS = frozenset((0, 43, 60))
"""IPv6 headers before the upper protocol's that tell their length: hop-by-hop, routing, options."""
_FRAGMENT = 44
_ICMP = {0: "echo reply", 3: "unreachable", 8: "echo request", 11: "time exceeded"}
_ICMPV6 = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo request",
    129: "echo reply",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
}


def describe(packet: Packet) -> str:
    """Return what a packet is, as far as its headers are whole; never an error."""
    data = packet.data
    if packet.link_type == LinkType.ETHERNET:
        return _ethernet(data)
    if packet.link_type in (LinkType.RAW, LinkType.RAW_BSD, LinkType.IPV4, LinkType.IPV6):
        return _ip(data)
    return f"link type {link_name(packet.link_type)}"


def _ethernet(data: bytes) -> str:
    place, tags = 12, ""
    while (protocol := _number(data, place)) in _VLANS and len(data) >= place + 4:
        tags += f"VLAN {_number(data, place + 2) & 0xFFF} "
        place += 4
    if len(data) < place + 2:
        return f"{tags}cut short"
    if protocol in (0x0800, 0x86DD):
        return tags + _ip(data[place + 2 :])
    if protocol == 0x0806:
        return tags + _arp(data[place + 2 :])
    if protocol < 0x0600:
        return f"{tags}802.3 of length {protocol}"
    return f"{tags}protocol {protocol:#06x}"


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")


def _arp(data: bytes) -> str:
    if len(data) < 28 or data[:6] != b"\0\1\x08\0\6\4":
        return "ARP"
    asked, asks = _ipv4_address(data[24:28]), _ipv4_address(data[14:18])
    if _number(data, 6) == 2:
        return f"ARP {asks} is at {data[8:14].hex(':')}"
    return f"ARP who has {asked}, tell {asks}"


def _ip(data: bytes) -> str:
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20 and data[0] & 15 >= 5:
        source, destination = _ipv4_address(data[12:16]), _ipv4_address(data[16:20])
        if _number(data, 6) & 0x1FFF:
            return f"IPv4 fragment {source} > {destination}"
        upper = data[(data[0] & 15) * 4 : max(20, _number(data, 2))]
        return f"IPv4 {_upper(data[9], upper, source, destination)}"
    if version == 6 and len(data) >= 40:
        return _ipv6(data)
    return "IP, cut short" if version in (4, 6) else "no IP header"


def _ipv6(data: bytes) -> str:
    source, destination = _ipv6_address(data[8:24]), _ipv6_address(data[24:40])
    protocol, upper = data[6], data[40:]
    while protocol in _EXTENSIONS and len(upper) >= 8:
        protocol, upper = upper[0], upper[8 * (upper[1] + 1) :]
    if protocol == _FRAGMENT:
        return f"IPv6 fragment {source} > {destination}"
    return f"IPv6 {_upper(protocol, upper, f'[{source}]', f'[{destination}]', bare=(source, destination))}"


def _upper(
    protocol: int, data: bytes, source: str, destination: str, *, bare: tuple[str, str] | None = None
) -> str:
    plain = " > ".join(bare or (source, destination))
    if protocol in (6, 17, 132) and len(data) >= 4:
        ends = f"{source}:{_number(data, 0)} > {destination}:{_number(data, 2)}"
        name = {6: "TCP", 17: "UDP", 132: "SCTP"}[protocol]
        flags = _tcp_flags(data[13]) if protocol == 6 and len(data) >= 14 else ""
        return f"{name} {ends}{flags}"
    if protocol in (1, 58):
        names = _ICMP if protocol == 1 else _ICMPV6
        kind = f" {names.get(data[0], f'type {data[0]}')}" if data else ""
        return f"{'ICMP' if protocol == 1 else 'ICMPv6'} {plain}{kind}"
    return f"protocol {protocol} {plain}"


def _tcp_flags(flags: int) -> str:
    names = [name for bit, name in enumerate(_FLAGS) if flags & 1 << bit]
    return f" [{' '.join(names)}]" if names else ""


def _ipv4_address(data: bytes) -> str:
    return ".".join(map(str, data))


def _ipv6_address(data: bytes) -> str:
    """Return an address as RFC 5952 has it: the longest run of zero groups is `::`."""
    groups = [f"{_number(data, place):x}" for place in range(0, 16, 2)]
    runs = [(_zeros(groups, place), -place) for place in range(8)]
    length, minus_place = max(runs)
    if length < 2:
        return ":".join(groups)
    place = -minus_place
    return f"{':'.join(groups[:place])}::{':'.join(groups[place + length :])}"


def _zeros(groups: list[str], place: int) -> int:
    length = 0
    while place + length < 8 and groups[place + length] == "0":
        length += 1
    return length

"""A packet in a few words: never an error, and addresses as everywhere."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from ebee.packets import LinkType, Packet, describe
from ebee.packets import headers as h


@given(st.binary(min_size=16, max_size=16))
def test_ipv6_addresses_are_written_as_everywhere(address: bytes) -> None:
    """Held against the standard library."""
    packet = Packet(h.ipv6(address, bytes(16), 59, b""), link_type=LinkType.RAW)
    shown = str(ipaddress.IPv6Address(address))
    if "." not in shown:  # addresses with IPv4 within are written with dots by newer Pythons
        assert describe(packet) == f"IPv6 protocol 59 {shown} > ::"


@given(st.binary(max_size=80), st.sampled_from(LinkType))
def test_any_bytes_are_told(data: bytes, link_type: LinkType) -> None:
    """In one line, without an error."""
    assert "\n" not in describe(Packet(data, link_type=link_type))

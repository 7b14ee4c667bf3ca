"""The context of programs that see a socket buffer, struct __sk_buff, and what a test run makes of it.

Source: net/bpf/test_run.c, bpf_prog_test_run_skb() and convert___skb_to_skb(), as to what is taken and
what comes out; net/core/filter.c, the is_valid_access functions, as to what programs may write.
"""

from __future__ import annotations

import errno
import struct

from ebee.abi.bpf import ProgType
from ebee.abi.contexts import FLOW_KEYS, SK_BUFF, SOCK
from ebee.abi.layout import Value
from ebee.vm.contexts.base import (
    allow_writes,
    context_region,
    get_field,
    given_context,
    set_field,
    set_pointer,
    struct_region,
    zero_but,
)
from ebee.vm.faults import Refusal
from ebee.vm.machine import Context
from ebee.vm.memory import Memory, Region
from ebee.vm.packet import Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

ETHERNET_BYTES: Final = 14
IPV4, IPV6 = 0x0800, 0x86DD
HEADER_BYTES: Final = {IPV4: 20, IPV6: 40}
AF_INET, AF_INET6 = 2, 10
TCP_CLOSE: Final = 7
LOOPBACK: Final = 1
MOST_GSO_SEGS: Final = 65535
MOST_GSO_BYTES: Final = 65536
_FIRST_ETHERTYPE = 1536

_ALLOWED = (
    *("mark", "priority", "ingress_ifindex", "ifindex", "cb", "tstamp", "wire_len", "gso_segs", "gso_size"),
    "hwtstamp",
)
_GIVEN_BACK = (
    *("mark", "priority", "ingress_ifindex", "ifindex", "tstamp", "wire_len", "gso_segs", "hwtstamp"),
)
_TC = ("mark", "tc_index", "priority", "tc_classid", "cb", "tstamp", "queue_mapping")
_WRITABLE: dict[ProgType, tuple[str, ...]] = {
    ProgType.SOCKET_FILTER: ("cb",),
    ProgType.CGROUP_SKB: ("mark", "priority", "cb", "tstamp"),
    ProgType.LWT_IN: ("mark", "priority", "cb"),
    ProgType.LWT_OUT: ("mark", "priority", "cb"),
    ProgType.LWT_XMIT: ("mark", "priority", "cb"),
    ProgType.LWT_SEG6LOCAL: ("mark", "priority", "cb"),
    ProgType.SCHED_CLS: _TC,
    ProgType.SCHED_ACT: _TC,
    ProgType.SK_SKB: ("tc_index", "priority"),
}
_SHOWN = {
    "family": "family",
    "src_ip4": "local_ip4",
    "dst_ip4": "remote_ip4",
    "src_ip6": "local_ip6",
    "dst_ip6": "remote_ip6",
}
"""Fields of the socket, and those of the buffer that show them."""
_WRITES_PACKETS = (ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.LWT_XMIT, ProgType.SK_SKB)
_STARTS_AT_MAC = (ProgType.SCHED_CLS, ProgType.SCHED_ACT)


class Skb:
    """What helpers know of a socket buffer beyond its context's fields.

    Attributes:
        region: the context, a struct __sk_buff; its fields are the truth.
        packet: the bytes, from where this type of program sees them.
        kind: the program's type.
        mac, network: where these headers begin, counted from the packet's begin; the first is negative for
            programs that see packets from their network header on.
        mac_bytes: how long the link's header is taken to be; 0 until a helper has measured it.
        transport: where the transport header begins, for packets that a helper has put into another one
            with such a header; None before that.
        encapsulated: a helper has put headers around the packet.
        tunnel_key, tunnel_options: what helpers of tunnels get and set; settable.
        checksum: what the device said of the checksum (`none`, `unnecessary`, `complete`), with its level.
        cloned_to: where bpf_clone_redirect() sent copies: interface, flags and bytes of each.
    """

    def __init__(self, memory: Memory, region: Region, packet: Packet, kind: ProgType, *, mac: int) -> None:
        self.memory = memory
        self.region = region
        self.packet = packet
        self.kind = kind
        self.mac = mac
        self.network = mac + ETHERNET_BYTES
        self.mac_bytes = 0
        self.transport: int | None = None
        self.encapsulated = False
        self.tunnel_key: bytes | None = None
        self.tunnel_options = b""
        self.checksum = "none"
        self.checksum_level = 0
        self.cloned_to: list[tuple[int, int, bytes]] = []

    def get(self, name: str) -> int:
        """Return a number of the context."""
        return get_field(self.region, SK_BUFF, name)

    def set(self, name: str, value: int) -> None:
        """Write a number of the context."""
        set_field(self.region, SK_BUFF, name, value)

    def insert(self, offset: int, size_bytes: int) -> None:
        """Make room of zeros within the packet; the transport header stays where it is in memory."""
        self.packet.insert(offset, size_bytes, self.memory)
        if self.transport is not None:
            self.transport += size_bytes

    def remove(self, offset: int, size_bytes: int) -> None:
        """Take bytes out of the packet."""
        self.packet.remove(offset, size_bytes, self.memory)
        if self.transport is not None:
            self.transport -= size_bytes

    def measure_mac(self) -> None:
        """Take the link's header to be all before the network's."""
        self.mac_bytes = self.network - self.mac

    @property
    def protocol(self) -> int:
        """The EtherType of what the packet carries, as a number of the host's."""
        return _swapped(self.get("protocol"))

    @protocol.setter
    def protocol(self, value: int) -> None:
        self.set("protocol", _swapped(value))

    def follow(self) -> None:
        """Let the context tell where the packet lies now, and its length."""
        packet, region = self.packet, self.region
        self.set("len", len(packet))
        set_pointer(region, SK_BUFF, "data", packet.region.address(0, packet.begin))
        set_pointer(region, SK_BUFF, "data_end", packet.region.address(0, packet.end))
        meta = packet.region.address(0, packet.begin - packet.meta_bytes)
        set_pointer(region, SK_BUFF, "data_meta", meta)
        self.memory.changed(region)


def skb_context(
    memory: Memory,
    data: bytes,
    kind: ProgType,
    *,
    ctx_in: bytes | None = None,
    from_mac: bool | None = None,
    **facts: int,
) -> Context:
    """Make the context of one packet.

    Args:
        data: the packet from its Ethernet header on.
        kind: the program's type: it says where the program sees the packet begin and what it may write.
        ctx_in: what BPF_PROG_TEST_RUN was given as context, a struct __sk_buff or nothing at all; None for
            a packet that arrived at an interface.
        from_mac: whether the program sees the Ethernet header; by default as in a test run, where only tc
            programs do. Filters of packet sockets do, too.
        facts: other fields of struct __sk_buff, by name.

    Raises:
        Refusal: EINVAL or E2BIG as the kernel says it, with what is wrong.
    """
    if len(data) < ETHERNET_BYTES:
        raise Refusal(errno.EINVAL, f"a packet of {len(data)} bytes, expected {ETHERNET_BYTES} or more")
    given = {} if ctx_in is None else _given(ctx_in, data)
    region = context_region(memory, SK_BUFF.pack(), "the context (__sk_buff)")
    packet = Packet(memory, data)
    packet.region.writable = kind in _WRITES_PACKETS
    begins_at_mac = kind in _STARTS_AT_MAC if from_mac is None else from_mac
    if not begins_at_mac:
        packet.move(packet.begin + ETHERNET_BYTES, packet.end, memory)
    skb = Skb(memory, region, packet, kind, mac=0 if begins_at_mac else -ETHERNET_BYTES)
    if ctx_in != b"":  # a test run without a context leaves it at 0
        skb.set("wire_len", len(packet))
    skb.set("pkt_type", _packet_type(data[:6], tried=ctx_in is not None))
    _set_facts(skb, data, {**given, **facts})
    sock = _socket(memory, skb, data)
    allow_writes(region, SK_BUFF, _WRITABLE.get(kind, ()))
    packet.ingress_ifindex = skb.get("ingress_ifindex") or skb.get("ifindex")
    packet.moved = skb.follow
    skb.follow()
    return Context(region, packet, skb, (sock,))


def skb_data_out(context: Context) -> bytes:
    """Return what BPF_PROG_TEST_RUN gives back as data: 14 zeros stand for a header that was not seen."""
    skb = context.event
    assert isinstance(skb, Skb)
    front = b"" if skb.kind in _STARTS_AT_MAC else bytes(ETHERNET_BYTES)
    return front + bytes(skb.packet.bytes())


def skb_context_out(context: Context, ctx_in: bytes) -> bytes:
    """Return what BPF_PROG_TEST_RUN gives back as context: what was given, with the fields it tells."""
    out = bytearray(given_context(ctx_in, SK_BUFF))
    now = context.region.element(0)
    for field in (SK_BUFF.fields[name] for name in (*_GIVEN_BACK, "cb")):
        end = field.offset_bytes + field.size_bytes
        out[field.offset_bytes : end] = now[field.offset_bytes : end]
    return bytes(out)


def flow_context(memory: Memory, data: bytes, *, flags: int = 0) -> Context:
    """Make the context of a flow dissector: a packet, and the keys that the program fills in.

    The keys are the first of `others`, a struct bpf_flow_keys.
    """
    if len(data) < ETHERNET_BYTES:
        raise Refusal(errno.EINVAL, f"a packet of {len(data)} bytes, expected {ETHERNET_BYTES} or more")
    region = context_region(memory, SK_BUFF.pack(), "the context (__sk_buff)")
    packet = Packet(memory, data)
    packet.region.writable = False
    skb = Skb(memory, region, packet, ProgType.FLOW_DISSECTOR, mac=0)
    protocol = int.from_bytes(data[12:14], "little")
    facts: dict[str, Value] = {"nhoff": ETHERNET_BYTES, "thoff": ETHERNET_BYTES, "n_proto": protocol}
    keys = struct_region(memory, FLOW_KEYS, {**facts, "flags": flags}, context=False)
    keys.writable = True
    set_pointer(region, SK_BUFF, "flow_keys", keys.address())
    packet.moved = skb.follow
    skb.follow()
    return Context(region, packet, skb, (keys,))


def ethertype(data: bytes) -> int:
    """Return what an Ethernet header says of what follows, as the kernel takes it (eth_type_trans())."""
    found = int.from_bytes(data[12:14], "big")
    if found >= _FIRST_ETHERTYPE:
        return found
    return 0x0001 if data[14:16] == b"\xff\xff" else 0x0004  # ETH_P_802_3, ETH_P_802_2


def _given(ctx_in: bytes, packet: bytes) -> dict[str, int | bytes]:
    """Return the fields of a test run's context that count.

    Raises:
        Refusal: it holds what a test run does not take, or the packet is too short for its protocol.
    """
    length, kind = len(packet), ethertype(packet)
    if length < ETHERNET_BYTES + HEADER_BYTES.get(kind, 0):
        raise Refusal(errno.EINVAL, f"a packet of {length} bytes, too short for its IP header")
    if not ctx_in:
        return {}
    data = given_context(ctx_in, SK_BUFF)
    given = SK_BUFF.unpack(data)
    wire, segments = int(given["wire_len"]), int(given["gso_segs"])
    wrong = None
    if not zero_but(SK_BUFF, data, _ALLOWED):
        wrong = f"a field is set that a test run does not take; it takes {', '.join(_ALLOWED)}"
    elif wire and not length <= wire <= MOST_GSO_BYTES:
        wrong = f"wire_len {wire}, expected {length} to {MOST_GSO_BYTES}"
    elif segments > MOST_GSO_SEGS:
        wrong = f"gso_segs {segments}, expected {MOST_GSO_SEGS} or less"
    if wrong:
        raise Refusal(errno.EINVAL, f"ctx_in: {wrong}")
    return {name: value for name in _ALLOWED if (value := given[name]) and not isinstance(value, str)}


def _set_facts(skb: Skb, data: bytes, facts: dict[str, int | bytes]) -> None:
    skb.protocol = ethertype(data)
    skb.set("ifindex", LOOPBACK)
    for name, value in facts.items():
        field = SK_BUFF.fields.get(name)
        if field is None or name in ("len", "data", "data_meta", "sk", "flow_keys"):
            raise Refusal(errno.EINVAL, f"struct __sk_buff has no field {name} to be set")
        if isinstance(value, bytes):
            view = skb.region.element(0)[field.offset_bytes : field.offset_bytes + field.size_bytes]
            view[:] = value
        else:
            skb.set(name, value)


def _packet_type(target: bytes, *, tried: bool) -> int:
    """Return PACKET_HOST, _BROADCAST, _MULTICAST or _OTHERHOST.

    A test run's packets come from the loopback, all of whose addresses are zeros; what arrives at an
    interface is taken to be for it.
    """
    if not target[0] & 1:
        return 3 if tried and any(target) else 0
    return 1 if not tried and target == b"\xff" * 6 else 2


def _socket(memory: Memory, skb: Skb, data: bytes) -> Region:
    """Make the socket that a test run gives the buffer, and let the context show its addresses."""
    facts: dict[str, Value] = {"state": TCP_CLOSE, "rx_queue_mapping": -1}
    kind, header = ethertype(data), data[ETHERNET_BYTES:]
    if kind == IPV4:
        facts["family"] = AF_INET
        if len(header) >= 20:
            facts["src_ip4"], facts["dst_ip4"] = struct.unpack_from("<II", header, 12)
    elif kind == IPV6:
        facts["family"] = AF_INET6
        if len(header) >= 40:
            facts["src_ip6"], facts["dst_ip6"] = header[8:24], header[24:40]
    region = struct_region(memory, SOCK, facts, context=False)
    set_pointer(skb.region, SK_BUFF, "sk", region.address())
    _show_addresses(skb, facts)
    return region


def _show_addresses(skb: Skb, sock: dict[str, Value]) -> None:
    for theirs, ours in _SHOWN.items():
        value = sock.get(theirs)
        if isinstance(value, bytes):
            value = int.from_bytes(value, "little")
        if isinstance(value, int):
            skb.set(ours, value)


def _swapped(value: int) -> int:
    """Return a number of 16 bits with its bytes in the other order."""
    return (value & 0xFF) << 8 | value >> 8 & 0xFF

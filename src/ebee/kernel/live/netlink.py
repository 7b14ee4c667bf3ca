"""rtnetlink by hand: messages <-> bytes, requests and dumps, and making and removing interfaces.

Source: Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import struct

# The module `socket` wraps this one's numbers in enums, which takes 10 ms; a netlink socket needs
# none of it.
from _socket import socket
from collections.abc import Iterator
from sys import byteorder

from ebee.abi import netlink as abi
from ebee.errors import KernelError
from ebee.kernel.operations import Operation
from ebee.record import NamedTuple

AF_NETLINK = 16
SOCK_RAW = 3
SOCK_CLOEXEC = 0o2000000
SOL_NETLINK = 270
MSG_TRUNC = 0x20

_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_INTERFACE = struct.Struct("=BxHiII")
_ROOM_BYTES = 1 << 16
_DUMP_TRIES = 8
# Bits of an attribute's type that say how its payload is coded, not what it is.
_TYPE_MASK = 0x3FFF


class NetlinkError(OSError):
    """The kernel's answer was an error.

    Attributes:
        words: its extended acknowledgement, such as "XDP program already attached"; may be empty.
    """

    def __init__(self, number: int, words: str = "") -> None:
        super().__init__(number, words)
        self.words = words


class Message(NamedTuple):
    """A netlink message without its header."""

    type: int
    flags: int
    body: bytes


class Netlink:
    """A NETLINK_ROUTE socket, for use in a `with`; it speaks to the network namespace it was opened in."""

    def __init__(self) -> None:
        self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, abi.NETLINK_ROUTE)
        self._sequence = 0
        # Words besides the errno, and errors without a copy of the request.
        for option in (abi.NETLINK_EXT_ACK, abi.NETLINK_CAP_ACK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Ask for a change and wait until it is done.

        Raises:
            NetlinkError: the kernel refused.
        """
        self._send(kind, abi.NLM_F_REQUEST | abi.NLM_F_ACK | flags, body)
        for _ in self._replies():
            pass

    def dump(self, kind: int, body: bytes) -> list[Message]:
        """Ask for a list. One that changed while it was told is asked for again.

        Raises:
            NetlinkError: the kernel refused, or the list never stood still.
        """
        for _ in range(_DUMP_TRIES):
            self._send(kind, abi.NLM_F_REQUEST | abi.NLM_F_DUMP, body)
            messages = list(self._replies())
            if not any(message.flags & abi.NLM_F_DUMP_INTR for message in messages):
                return [message for message in messages if message.type != abi.NLMSG_DONE]
        from errno import EINTR

        raise NetlinkError(EINTR, "the list changed each time while it was read")

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        head = _MESSAGE.pack(_MESSAGE.size + len(body), kind, flags, self._sequence, 0)
        self._socket.send(head + body)

    def _replies(self) -> Iterator[Message]:
        """Go through the replies to the last request, up to its acknowledgement or the end of its dump."""
        while True:
            data, _, flags, _ = self._socket.recvmsg(_ROOM_BYTES)
            if flags & MSG_TRUNC:
                from errno import EMSGSIZE

                raise NetlinkError(EMSGSIZE, f"the kernel's answer is longer than {_ROOM_BYTES} bytes")
            for message, sequence in _messages(data):
                if sequence != self._sequence:
                    continue  # left over from a request that was given up
                if message.type == abi.NLMSG_ERROR:
                    _check(message)
                    return
                if message.type == abi.NLMSG_DONE:
                    _check_done(message)
                    yield message
                    return
                yield message


def _messages(data: bytes) -> Iterator[tuple[Message, int]]:
    """Go through the messages of a datagram, each with its sequence number."""
    place = 0
    while place + _MESSAGE.size <= len(data):
        length, kind, flags, sequence, _ = _MESSAGE.unpack_from(data, place)
        if not _MESSAGE.size <= length <= len(data) - place:
            return
        yield Message(kind, flags, data[place + _MESSAGE.size : place + length]), sequence
        place += _aligned(length)


def _check(message: Message) -> None:
    """Raise the error that an NLMSG_ERROR tells; one with errno 0 is an acknowledgement."""
    number = -int.from_bytes(message.body[:4], byteorder, signed=True)
    if not number:
        return
    # errno, then the head of the request (without its body, by NETLINK_CAP_ACK), then attributes
    told = message.flags & abi.NLM_F_ACK_TLVS
    length = int.from_bytes(message.body[4:8], byteorder)
    start = 4 + (_MESSAGE.size if message.flags & abi.NLM_F_CAPPED else _aligned(length))
    raise NetlinkError(number, _words(message.body[start:]) if told else "")


def _check_done(message: Message) -> None:
    number = -int.from_bytes(message.body[:4], byteorder, signed=True)
    if number > 0:
        raise NetlinkError(number, _words(message.body[4:]) if message.flags & abi.NLM_F_ACK_TLVS else "")


def _words(data: bytes) -> str:
    return text(attributes(data).get(abi.NLMSGERR_ATTR_MSG, b""))


def _aligned(length: int) -> int:
    return (length + 3) & ~3


# -- attributes --------------------------------------------------------------------------------
def attribute(kind: int, payload: bytes) -> bytes:
    """Return an attribute: its length and type, the payload, padding to a multiple of 4."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(_aligned(length) - length)


def nested(kind: int, *inner: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | abi.NLA_F_NESTED, b"".join(inner))


def u32(kind: int, value: int) -> bytes:
    """Return an attribute that is a number of 32 bits; negative ones as two's complement."""
    return attribute(kind, struct.pack("=I", value & 0xFFFFFFFF))


def string(kind: int, value: str) -> bytes:
    """Return an attribute that is a text."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """Return payloads by type, of equal types the last; what is cut short is left out."""
    found, place = {}, 0
    while place + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if not _ATTRIBUTE.size <= length <= len(data) - place:
            break
        found[kind & _TYPE_MASK] = data[place + _ATTRIBUTE.size : place + length]
        place += _aligned(length)
    return found


def text(payload: bytes) -> str:
    """Return the text of a payload, up to its zero byte."""
    return payload.split(b"\0", 1)[0].decode("utf-8", "replace")


def number(payload: bytes) -> int:
    """Return the unsigned number of a payload of 1, 2, 4 or 8 bytes; 0 for an empty one."""
    return int.from_bytes(payload, byteorder)


# -- interfaces --------------------------------------------------------------------------------
def interface(ifindex: int = 0, *, flags: int = 0, change: int = 0) -> bytes:
    """Return struct ifinfomsg, the head of every message about an interface.

    Args:
        flags: IFF_* to set.
        change: which of the flags count.
    """
    return _INTERFACE.pack(0, 0, ifindex, flags, change)


def create_veth(name: str, peer: str) -> tuple[int, int]:
    """Make a pair of virtual Ethernet interfaces in this network namespace; return their indexes.

    Raises:
        KernelError: a name is taken or is no name for an interface.
        NotPermittedError: it takes CAP_NET_ADMIN.
        NotSupportedError: this kernel has no veth.
    """
    from _socket import if_nametoindex

    far_end = nested(abi.VETH_INFO_PEER, interface(), string(abi.IFLA_IFNAME, peer))
    kind = string(abi.IFLA_INFO_KIND, "veth")
    info = nested(abi.IFLA_LINKINFO, kind, nested(abi.IFLA_INFO_DATA, far_end))
    body = interface() + string(abi.IFLA_IFNAME, name) + info
    change(
        abi.RTM_NEWLINK,
        body,
        f"create veth {name}",
        abi.NLM_F_CREATE | abi.NLM_F_EXCL,
        subject="veth devices",
        operation=Operation.DEVICE,
    )
    return if_nametoindex(name), if_nametoindex(peer)


def set_link_up(ifindex: int, up: bool = True) -> None:
    """Set an interface up, or down.

    Raises:
        KernelError: there is no such interface.
        NotPermittedError: it takes CAP_NET_ADMIN.
    """
    body = interface(ifindex, flags=abi.IFF_UP if up else 0, change=abi.IFF_UP)
    change(
        abi.RTM_NEWLINK, body, f"set device {ifindex} {'up' if up else 'down'}", operation=Operation.DEVICE
    )


def delete_link(ifindex: int) -> None:
    """Remove an interface, and with a veth its peer.

    Raises:
        KernelError: there is no such interface.
        NotPermittedError: it takes CAP_NET_ADMIN.
    """
    change(abi.RTM_DELLINK, interface(ifindex), f"delete device {ifindex}", operation=Operation.DEVICE)


def change(
    kind: int,
    body: bytes,
    tried: str,
    flags: int = 0,
    *,
    subject: str = "",
    operation: Operation = Operation.NETLINK,
) -> None:
    """Ask for a change over a socket of its own.

    Raises:
        KernelError: the kernel refused, with its own words where it has some.
    """
    try:
        with Netlink() as netlink:
            netlink.request(kind, body, flags)
    except OSError as error:
        raise explained(error, tried, subject=subject, operation=operation) from None


def explained(
    error: OSError, tried: str, *, subject: str = "", operation: Operation = Operation.NETLINK
) -> KernelError:
    """Return the KernelError for an error of netlink's."""
    from ebee.kernel.errors import explain

    words = error.words if isinstance(error, NetlinkError) else ""
    needs = ("CAP_NET_ADMIN",)
    return explain(error.errno or 0, tried, operation, subject=subject, needs=needs, detail=_sentence(words))


def _sentence(words: str) -> str:
    """Return the kernel's words as the rest of a sentence: `XDP ...` stays, `Underlying ...` does not."""
    words = words.strip().rstrip(".")
    return words if words[:2].isupper() else words[:1].lower() + words[1:]

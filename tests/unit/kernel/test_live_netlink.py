"""Netlink messages and attributes, without a socket."""

from __future__ import annotations

import errno
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebee.abi import netlink as abi
from ebee.kernel.live import netlink, network
from ebee.kernel.live.netlink import Message, Netlink, NetlinkError, attribute, attributes, nested, u32

PAYLOADS = st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=8)


@given(PAYLOADS)
def test_attributes_are_read_as_they_were_written(payloads: dict[int, bytes]) -> None:
    """Whatever their lengths: each is padded to a multiple of four."""
    data = b"".join(attribute(kind, payload) for kind, payload in payloads.items())
    assert len(data) % 4 == 0
    assert attributes(data) == payloads


@given(st.binary(max_size=200))
def test_any_bytes_are_attributes_or_none(data: bytes) -> None:
    """What is cut short or says nonsense is left out; nothing hangs or fails."""
    assert sum(len(payload) for payload in attributes(data).values()) <= len(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_none(data: bytes) -> None:
    """A datagram of nonsense ends the reading."""
    assert sum(len(message.body) for message, _ in netlink._messages(data)) <= len(data)


def test_a_nested_attribute_is_marked_and_read_without_the_mark() -> None:
    """NLA_F_NESTED is no part of the type."""
    data = nested(abi.IFLA_XDP, u32(abi.IFLA_XDP_FD, -1))
    assert struct.unpack_from("=HH", data)[1] == abi.IFLA_XDP | abi.NLA_F_NESTED
    assert attributes(attributes(data)[abi.IFLA_XDP]) == {abi.IFLA_XDP_FD: b"\xff\xff\xff\xff"}


class FakeSocket:
    """A socket that gives prepared datagrams and notes what was sent."""

    def __init__(self, *datagrams: bytes) -> None:
        self.datagrams = list(datagrams)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def recvmsg(self, _: int) -> tuple[bytes, list[object], int, None]:
        return self.datagrams.pop(0), [], 0, None


def message(kind: int, body: bytes = b"", *, flags: int = 0, sequence: int = 1) -> bytes:
    """Return a message as the kernel sends it."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def speaking(*datagrams: bytes) -> Netlink:
    """Return a Netlink that is answered with these."""
    made = Netlink.__new__(Netlink)
    made._socket, made._sequence = FakeSocket(*datagrams), 0  # type: ignore[assignment]
    return made


def test_a_dump_in_several_datagrams_is_one_list() -> None:
    """Up to NLMSG_DONE."""
    done = message(abi.NLMSG_DONE, bytes(4))
    found = speaking(message(16, b"aaaa") + message(16, b"bbbb"), message(16, b"cccc"), done).dump(18, b"")
    assert [each.body for each in found] == [b"aaaa", b"bbbb", b"cccc"]


def test_messages_of_another_request_are_passed_over() -> None:
    """By their sequence number."""
    stale = message(16, b"old!", sequence=99)
    found = speaking(stale, message(16, b"new!"), message(abi.NLMSG_DONE, bytes(4))).dump(18, b"")
    assert [each.body for each in found] == [b"new!"]


def test_a_dump_that_was_interrupted_is_asked_for_again() -> None:
    """NLM_F_DUMP_INTR: the list changed while it was told."""
    first = message(16, b"half", flags=abi.NLM_F_DUMP_INTR) + message(abi.NLMSG_DONE, bytes(4))
    second = message(16, b"full", sequence=2) + message(abi.NLMSG_DONE, bytes(4), sequence=2)
    assert [each.body for each in speaking(first, second).dump(18, b"")] == [b"full"]


def test_a_dump_that_never_stands_still_is_an_error() -> None:
    """After some tries, in words."""
    restless = [
        message(abi.NLMSG_DONE, bytes(4), flags=abi.NLM_F_DUMP_INTR, sequence=number)
        for number in range(1, 20)
    ]
    with pytest.raises(NetlinkError) as caught:
        speaking(*restless).dump(18, b"")
    assert caught.value.words == "the list changed each time while it was read"


def error_message(number: int, words: str) -> bytes:
    """Return NLMSG_ERROR with an extended acknowledgement."""
    body = struct.pack("=i", -number) + struct.pack("=IHHII", 40, 19, 5, 1, 0)
    body += attribute(abi.NLMSGERR_ATTR_MSG, words.encode() + b"\0")
    return message(abi.NLMSG_ERROR, body, flags=abi.NLM_F_CAPPED | abi.NLM_F_ACK_TLVS)


def test_an_error_carries_the_kernels_words() -> None:
    """The extended acknowledgement behind the copy of the request's head."""
    with pytest.raises(NetlinkError) as caught:
        speaking(error_message(errno.EBUSY, "XDP program already attached")).request(19, b"")
    assert (caught.value.errno, caught.value.words) == (errno.EBUSY, "XDP program already attached")


def test_an_acknowledgement_is_no_error() -> None:
    """Errno 0."""
    speaking(message(abi.NLMSG_ERROR, bytes(20))).request(19, b"")


def test_the_kernels_words_become_the_rest_of_a_sentence() -> None:
    """A capital at the begin goes, that of a short form stays."""
    assert (
        netlink._sentence("Underlying driver does not support XDP.")
        == "underlying driver does not support XDP"
    )
    assert netlink._sentence("XDP program already attached") == "XDP program already attached"
    assert netlink._sentence("") == ""


def device_message(*xdp: bytes) -> Message:
    """Return RTM_NEWLINK of device 3, eth0, which is up."""
    name = netlink.string(abi.IFLA_IFNAME, "eth0")
    return Message(
        abi.RTM_NEWLINK, 0, netlink.interface(3, flags=abi.IFF_UP) + name + nested(abi.IFLA_XDP, *xdp)
    )


def test_a_device_tells_its_one_xdp_program() -> None:
    """By the mode it is attached in."""
    attached = attribute(abi.IFLA_XDP_ATTACHED, bytes([abi.XDP_ATTACHED_SKB]))
    device = network._device(device_message(attached, u32(abi.IFLA_XDP_PROG_ID, 77)))
    assert (device.ifindex, device.name, device.up) == (3, "eth0", True)
    assert device.xdp == (("generic", 77),)


def test_a_device_tells_several_xdp_programs() -> None:
    """An offloaded one and a generic one, each in its own attribute."""
    attached = attribute(abi.IFLA_XDP_ATTACHED, bytes([abi.XDP_ATTACHED_MULTI]))
    ids = (u32(abi.IFLA_XDP_SKB_PROG_ID, 5), u32(abi.IFLA_XDP_HW_PROG_ID, 6))
    assert network._device(device_message(attached, *ids)).xdp == (("generic", 5), ("offload", 6))


def test_a_device_without_a_program_has_no_xdp_state() -> None:
    """XDP_ATTACHED_NONE."""
    attached = attribute(abi.IFLA_XDP_ATTACHED, b"\0")
    assert network._device(device_message(attached)).xdp == ()


def test_a_filter_tells_its_program_and_its_actions() -> None:
    """Protocol in network order; an action that runs no BPF program is left out."""
    action = nested(
        1,
        netlink.string(abi.TCA_ACT_KIND, "bpf"),
        nested(abi.TCA_ACT_OPTIONS, netlink.string(abi.TCA_ACT_BPF_NAME, "act"), u32(abi.TCA_ACT_BPF_ID, 8)),
    )
    other = nested(2, netlink.string(abi.TCA_ACT_KIND, "gact"))
    options = nested(
        abi.TCA_OPTIONS,
        netlink.string(abi.TCA_BPF_NAME, "cls"),
        u32(abi.TCA_BPF_ID, 7),
        nested(abi.TCA_BPF_ACT, action, other),
    )
    protocol = int.from_bytes((0x0800).to_bytes(2, "big"), sys.byteorder)
    head = struct.pack("=BxxxiIII", 0, 3, 1, 0xFFFFFFF2, 49152 << 16 | protocol)
    found = list(
        network._filters(
            Message(abi.RTM_NEWTFILTER, 0, head + netlink.string(abi.TCA_KIND, "bpf") + options),
            3,
            "clsact/ingress",
        )
    )
    assert found == [(3, 0xFFFFFFF2, "clsact/ingress", 1, 49152, 0x0800, "cls", 7, (("act", 8),))]

"""Attaching on the running kernel, as programs do it: where it works, and what is said where it does not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ebee.abi.bpf import LinkType
from ebee.errors import AttachError, EbeeError, Notice, NotSupportedError
from ebee.kernel.live import LiveKernel
from ebee.kernel.live.netlink import create_veth, delete_link
from ebee.kernel.protocol import LinkCreate, XdpState
from ebee.loader import LoadedObject
from ebee.sessions.c import load
from ebee.testing import VethPair, private_network
from tests.kernel.door import needs_root
from tests.kernel.place import FRAME
from tests.support.objects import spec_of

pytestmark = needs_root
KERNEL = LiveKernel()

_TEXT = """
    int seen, switched;
    SEC("xdp") int packets(struct xdp_md *ctx) { seen++; return 2; }
    SEC("socket") int filter(struct __sk_buff *skb) { seen++; return skb->len; }
    SEC("socket") int none(struct __sk_buff *skb) { return 0; }
    SEC("tp/sched/sched_switch") int formatted(void *ctx) { switched++; return 0; }
    SEC("raw_tp/sched_switch") int raw(void *ctx) { switched++; return 0; }
    SEC("tp_btf/sched_switch") int typed(__u64 *ctx) { switched++; return 0; }
"""


@pytest.fixture
def obj() -> Iterator[LoadedObject]:
    with load(spec_of(_TEXT)) as made:
        yield made


@pytest.fixture
def net() -> Iterator[VethPair]:
    with private_network() as made:
        yield made


def _xdp(name: str) -> tuple[XdpState, ...]:
    return next(device.xdp for device in KERNEL.net_devices() if device.name == name)


def _refusal(obj: LoadedObject, program: str, point: str) -> tuple[str, str | None]:
    with pytest.raises(EbeeError) as caught:
        obj.programs[program].attach(point)
    return str(caught.value), caught.value.hint


def test_an_xdp_link_is_told_by_the_kernel(obj: LoadedObject, net: VethPair) -> None:
    """With its interface and its program; it goes when it is closed."""
    program = obj.programs["packets"]
    with program.attach(f"xdp:{net.a}") as link:
        info = link.info()
        assert (info.type, info.program_id, info.details["ifindex"]) == (
            *(LinkType.XDP, program.id, net.a_index),
        )
        assert _xdp(net.a) == (XdpState("driver", program.id),)
    assert _xdp(net.a) == ()


def test_detaching_by_force_leaves_nothing_attached(obj: LoadedObject, net: VethPair) -> None:
    """Then closing has nothing left to do."""
    link = obj.programs["packets"].attach(f"xdp:{net.a}")
    link.detach()
    assert _xdp(net.a) == ()
    link.close()


class _WithoutLinks(LiveKernel):
    """A kernel before 5.9: XDP goes by netlink."""

    def link_create(self, request: LinkCreate) -> int:
        raise NotSupportedError("attach: this kernel has no links for XDP")


@pytest.mark.parametrize(
    ("family", "mode"), [("xdp", "driver"), ("xdpdrv", "driver"), ("xdpgeneric", "generic")]
)
def test_without_links_netlink_attaches_and_detaches(net: VethPair, family: str, mode: str) -> None:
    """In each mode."""
    with load(spec_of(_TEXT), kernel=_WithoutLinks()) as obj:
        program = obj.programs["packets"]
        with program.attach(f"{family}:{net.a}") as link:
            assert not link.kernel_link
            assert _xdp(net.a) == (XdpState(mode, program.id),)
            net.send(FRAME, count=2)
        assert _xdp(net.a) == ()
        assert obj.variables["seen"].value >= 2


def test_an_interface_that_is_removed_takes_its_links_along(obj: LoadedObject) -> None:
    """Closing them is no error, of either kind."""
    with private_network("other0", "other1"), load(spec_of(_TEXT), kernel=_WithoutLinks()) as old:
        index, _ = create_veth("gone0", "gone1")
        with pytest.warns(Notice, match="gone0 is down"):
            link = obj.programs["packets"].attach("xdp:gone0")
        delete_link(index)
        link.close()
        index, _ = create_veth("gone0", "gone1")
        with pytest.warns(Notice, match="gone0 is down"):
            link = old.programs["packets"].attach("xdp:gone0")
        delete_link(index)
        link.close()


def test_a_held_interface_says_by_which_program_and_link(obj: LoadedObject, net: VethPair) -> None:
    """By the link's id, which `ebee link detach` takes."""
    program = obj.programs["packets"]
    with program.attach(f"xdp:{net.a}") as link:
        assert _refusal(obj, "packets", f"xdp:{net.a}") == (
            f"attach packets to xdp:{net.a}: {net.a} already runs program id {program.id} (driver mode)",
            f"end the process that made link id {link.info().id}, or: ebee link detach id {link.info().id}",
        )
        assert _refusal(obj, "packets", f"xdpgeneric:{net.a}")[0] == (
            f"attach packets to xdpgeneric:{net.a}: {net.a} already runs program id {program.id} "
            "(driver mode)"
        )


def test_an_interface_that_is_not_there_is_named_with_the_nearest(obj: LoadedObject, net: VethPair) -> None:
    """In this network namespace."""
    assert _refusal(obj, "packets", "xdp:veth0x") == (
        "attach packets to xdp:veth0x: there is no device 'veth0x'",
        f"did you mean '{net.a}'?",
    )


@pytest.mark.parametrize(
    ("program", "point", "message", "hint"),
    [
        (
            "formatted",
            "tracepoint:sched:sched_swich",
            "look up tracepoint sched:sched_swich: category sched has no tracepoint 'sched_swich'",
            "did you mean 'sched_switch'?",
        ),
        (
            "formatted",
            "tracepoint:schedd:sched_switch",
            "look up tracepoint schedd:sched_switch: there is no category 'schedd'",
            "did you mean 'sched'?",
        ),
        (
            "raw",
            "raw_tp:sched_swich",
            "attach raw to raw_tp:sched_swich: this kernel has no raw tracepoint 'sched_swich'",
            "did you mean 'sched_switch'?",
        ),
        (
            "typed",
            "tp_btf:sched_wakeup",
            "attach typed to tp_btf:sched_wakeup: the program was loaded for tp_btf:sched_switch",
            'write SEC("tp_btf/sched_wakeup"): the verifier checks it against its tracepoint',
        ),
    ],
)
def test_a_tracepoint_that_is_not_there_is_named_with_the_nearest(
    obj: LoadedObject, program: str, point: str, message: str, hint: str
) -> None:
    """Of each family."""
    assert _refusal(obj, program, point) == (message, hint)


@pytest.mark.parametrize("program", ["formatted", "raw", "typed"])
def test_a_program_fires_until_its_link_is_closed(obj: LoadedObject, program: str) -> None:
    """Though the program was closed meanwhile: the link holds it."""
    switched = obj.variables["switched"]
    link = obj.programs[program].attach()
    obj.programs[program].close()
    _switch()
    assert switched.value > 0
    link.close()
    after = switched.value
    _switch()
    assert switched.value == after


def _switch() -> None:
    """Let this thread wait for another, so that the scheduler switches."""
    reading, writing = os.pipe()
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_a_socket_filter_decides_what_a_socket_hears(obj: LoadedObject) -> None:
    """While it is attached."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        with obj.programs["none"].attach(f"socket:{ours.fileno()}"):
            theirs.send(b"unheard")
            with pytest.raises(BlockingIOError):
                ours.recv(64)
        theirs.send(b"heard")
        assert ours.recv(64) == b"heard"


def test_a_descriptor_that_is_no_sockets_says_so(obj: LoadedObject) -> None:
    """The kernel tells them apart."""
    reading, writing = os.pipe()
    assert _refusal(obj, "filter", f"socket:{reading}")[0] == (
        f"attach to socket (fd {reading}): the file descriptor is not of a socket (ENOTSOCK)"
    )
    os.close(reading)
    os.close(writing)


def test_what_was_attached_before_one_fails_is_taken_off(net: VethPair) -> None:
    """LoadedObject.attach is all or nothing."""
    text = """
        SEC("raw_tp/sched_switch") int good(void *ctx) { return 0; }
        SEC("raw_tp/no_such_thing") int bad(void *ctx) { return 0; }
    """
    with load(spec_of(text)) as obj:
        with pytest.raises(AttachError, match="this kernel has no raw tracepoint 'no_such_thing'"):
            obj.attach()
        assert obj.links == ()

"""Programs are attached by their family, links undo it once, and refusals say what is in the way."""

from __future__ import annotations

import errno
import os

import pytest

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import AttachError, EbeeError, GoneError, KernelError, Notice, NotSupportedError
from ebee.kernel.protocol import NetDevice, XdpState
from ebee.links import Link, ProgramHandle, attach
from ebee.spec import AttachPoint
from tests.support.kernel import FIRST_FD, FakeKernel, xdp_link

_BUSY = AttachError("attach: busy", errno=errno.EBUSY)


@pytest.fixture
def kernel() -> FakeKernel:
    made = FakeKernel()
    made.open[FIRST_FD + 7] = "program"
    return made


def _attach(kernel: FakeKernel, point: str, kind: ProgType = ProgType.XDP, **more: object) -> Link:
    handle = ProgramHandle("hello", FIRST_FD + 7, kind, **more)  # type: ignore[arg-type]
    return attach(kernel, handle, AttachPoint.parse(point))


def _refusal(kernel: FakeKernel, point: str, kind: ProgType = ProgType.XDP, **more: object) -> EbeeError:
    before = dict(kernel.open)
    with pytest.raises(EbeeError) as caught:
        _attach(kernel, point, kind, **more)
    assert kernel.open == before
    return caught.value


@pytest.mark.parametrize(
    ("family", "flags"), [("xdp", 0), ("xdpgeneric", 2), ("xdpdrv", 4), ("xdpoffload", 8)]
)
def test_xdp_asks_for_the_mode_of_its_family(kernel: FakeKernel, family: str, flags: int) -> None:
    """By a kernel link on the interface."""
    _attach(kernel, f"{family}:eth0").close()
    (request,) = kernel.asked("link_create")
    assert (request.target, request.attach_type, request.flags) == (2, AttachType.XDP, flags)


def test_without_links_xdp_goes_by_netlink_and_comes_off_again(kernel: FakeKernel) -> None:
    """Kernels before 5.9; it never takes the place of a program that is there."""
    kernel.failing["link_create"] = NotSupportedError("no links", errno=errno.EOPNOTSUPP)
    link = _attach(kernel, "xdpdrv:eth0")
    assert not link.kernel_link
    link.close()
    link.close()
    assert kernel.asked("xdp_attach") == [(2, FIRST_FD + 7, 4 | 1), (2, -1, 4)]


def test_by_netlink_a_program_that_took_the_place_meanwhile_stays(kernel: FakeKernel) -> None:
    """It is somebody else's."""
    kernel.failing["link_create"] = NotSupportedError("no links", errno=errno.EOPNOTSUPP)
    link = _attach(kernel, "xdp:eth0")
    kernel.devices[1] = kernel.devices[1]._replace(xdp=(XdpState("driver", 4711),))
    link.close()
    assert len(kernel.asked("xdp_attach")) == 1


def test_by_netlink_an_interface_that_is_gone_needs_no_detaching(kernel: FakeKernel) -> None:
    """Its programs went with it."""
    kernel.failing["link_create"] = NotSupportedError("no links", errno=errno.EOPNOTSUPP)
    link = _attach(kernel, "xdp:eth0")
    kernel.devices = kernel.devices[:1]
    link.close()
    assert len(kernel.asked("xdp_attach")) == 1


def test_an_interface_that_is_down_is_said_and_attached_to(kernel: FakeKernel) -> None:
    """A Notice, because nothing will arrive."""
    kernel.devices.append(NetDevice(3, "wlan0", False))
    with pytest.warns(Notice) as said:
        _attach(kernel, "xdp:wlan0").close()
    assert [str(item.message) for item in said] == [
        "wlan0 is down: no packet will arrive until `ip link set wlan0 up`"
    ]


@pytest.mark.parametrize(
    ("point", "message", "hint"),
    [
        ("xdp:eth1", "attach hello to xdp:eth1: there is no device 'eth1'", "did you mean 'eth0'?"),
        (
            "xdp:nowhere",
            "attach hello to xdp:nowhere: there is no device 'nowhere'",
            "devices here: lo, eth0",
        ),
        ("xdp", "attach hello to xdp: no device is named, expected xdp:DEVICE", "devices here: lo, eth0"),
        ("xpd:eth0", "attach hello to xpd:eth0: family 'xpd' is not known", "did you mean 'xdp'?"),
        (
            "kprobe:do_unlinkat",
            "attach hello to kprobe:do_unlinkat: ebee cannot attach to kprobe yet",
            "families are xdp, xdpdrv, xdpgeneric, xdpoffload, tracepoint, tp, raw_tp, raw_tracepoint, "
            "tp_btf, socket",
        ),
        (
            "tracepoint:sched:sched_switch",
            "attach hello to tracepoint:sched:sched_switch: the program is of type XDP, expected TRACEPOINT",
            "it goes to such a place as 'xdp:eth0'",
        ),
    ],
)
def test_a_place_that_cannot_be_is_named(kernel: FakeKernel, point: str, message: str, hint: str) -> None:
    """With the nearest that can, before anything is attached."""
    error = _refusal(kernel, point)
    assert (str(error), error.hint) == (message, hint)


def test_a_place_that_is_held_says_by_which_program_and_link(kernel: FakeKernel) -> None:
    """The link is what must be detached."""
    kernel.failing["link_create"] = _BUSY
    kernel.devices[1] = kernel.devices[1]._replace(xdp=(XdpState("generic", 77),))
    kernel.links = {3: xdp_link(3, 70, 9), 5: xdp_link(5, 77, 2)}
    error = _refusal(kernel, "xdp:eth0")
    assert str(error) == "attach hello to xdp:eth0: eth0 already runs program id 77 (generic mode)"
    assert error.hint == "end the process that made link id 5, or: ebee link detach id 5"


def test_a_place_that_is_held_by_netlink_says_how_to_free_it(kernel: FakeKernel) -> None:
    """No link holds it."""
    kernel.failing["link_create"] = _BUSY
    kernel.devices[1] = kernel.devices[1]._replace(xdp=(XdpState("driver", 77),))
    assert _refusal(kernel, "xdp:eth0").hint == "detach it first: ebee net detach xdp dev eth0"


def test_other_refusals_on_a_held_interface_stay_what_they_are(kernel: FakeKernel) -> None:
    """EINVAL is not about the program that is there."""
    kernel.failing["link_create"] = AttachError("attach: the kernel's words", errno=errno.EINVAL)
    kernel.devices[1] = kernel.devices[1]._replace(xdp=(XdpState("driver", 77),))
    assert str(_refusal(kernel, "xdp:eth0")) == "attach: the kernel's words"


def test_a_link_is_closed_before_the_event_that_it_hangs_on(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once."""
    monkeypatch.setattr(FakeKernel, "tracepoint_id", lambda *_: 42)
    link = _attach(kernel, "tracepoint:sched:sched_switch", ProgType.TRACEPOINT)
    assert kernel.asked("perf_event_open")[0].config == 42
    link.close()
    link.close()
    assert kernel.asked("close") == ["link", "event"]


@pytest.mark.parametrize("failing", ["link_create", "perf_event_enable"])
def test_a_tracepoint_that_fails_half_way_leaves_nothing_open(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Neither the event nor the link."""
    monkeypatch.setattr(FakeKernel, "tracepoint_id", lambda *_: 42)
    kernel.failing[failing] = AttachError("no", errno=errno.EINVAL)
    _refusal(kernel, "tracepoint:sched:sched_switch", ProgType.TRACEPOINT)


def test_before_perf_event_links_the_program_goes_with_the_event(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 5.15."""
    monkeypatch.setattr(FakeKernel, "tracepoint_id", lambda *_: 42)
    kernel.failing["link_create"] = NotSupportedError("no", errno=errno.EINVAL)
    link = _attach(kernel, "tp:sched/sched_switch", ProgType.TRACEPOINT)
    assert not link.kernel_link
    assert kernel.asked("perf_event_attach") == ["event"]
    link.close()
    assert kernel.asked("close") == ["event"]


@pytest.mark.parametrize(
    ("point", "kind", "message", "hint"),
    [
        (
            "tracepoint:sched_switch",
            ProgType.TRACEPOINT,
            "attach hello to tracepoint:sched_switch: expected tracepoint:CATEGORY:NAME",
            "such as tracepoint:sched:sched_process_exec",
        ),
        (
            "raw_tp",
            ProgType.RAW_TRACEPOINT,
            "attach hello to raw_tp: no tracepoint is named, expected raw_tp:NAME",
            "such as raw_tp:sched_process_exec",
        ),
        (
            "tp_btf:sched_switch",
            ProgType.TRACING,
            "attach hello to tp_btf:sched_switch: the program was loaded for another attach type, "
            'expected SEC("tp_btf/…")',
            None,
        ),
    ],
)
def test_tracepoints_that_are_not_said_whole_say_what_is_missing(
    kernel: FakeKernel, point: str, kind: ProgType, message: str, hint: str | None
) -> None:
    """Before the kernel is asked."""
    error = _refusal(kernel, point, kind)
    assert (str(error), error.hint) == (message, hint)


def test_a_tp_btf_program_goes_only_where_it_was_loaded_for(kernel: FakeKernel) -> None:
    """The kernel would attach it there whatever one says."""
    loaded = {"expected_attach_type": AttachType.TRACE_RAW_TP, "target": "sched_switch"}
    error = _refusal(kernel, "tp_btf:sched_wakeup", ProgType.TRACING, **loaded)
    assert str(error) == (
        "attach hello to tp_btf:sched_wakeup: the program was loaded for tp_btf:sched_switch"
    )
    _attach(kernel, "tp_btf", ProgType.TRACING, **loaded).close()
    assert kernel.asked("raw_tracepoint_open") == [None]


def test_a_raw_tracepoint_that_is_not_there_names_the_nearest(kernel: FakeKernel) -> None:
    """The kernel says ENOENT and no more."""
    kernel.failing["raw_tracepoint_open"] = AttachError("no", errno=errno.ENOENT)
    error = _refusal(kernel, "raw_tp:sched_swich", ProgType.RAW_TRACEPOINT)
    assert str(error) == "attach hello to raw_tp:sched_swich: this kernel has no raw tracepoint 'sched_swich'"
    assert error.hint in ("did you mean 'sched_switch'?", None)


def test_a_socket_filter_comes_off_the_socket_it_was_attached_to(kernel: FakeKernel) -> None:
    """And off no other that got its number since."""
    first, second = os.pipe()
    link = _attach(kernel, f"socket:{first}", ProgType.SOCKET_FILTER)
    link.close()
    assert kernel.asked("socket_attach") == [(first, FIRST_FD + 7), (first, None)]
    link = _attach(kernel, f"socket:{first}", ProgType.SOCKET_FILTER)
    os.close(first)
    link.close()
    assert len(kernel.asked("socket_attach")) == 3
    os.close(second)


def test_a_closed_link_has_no_descriptor(kernel: FakeKernel) -> None:
    """Nor has one that is no kernel link."""
    link = _attach(kernel, "xdp:eth0")
    link.close()
    with pytest.raises(GoneError) as caught:
        _ = link.fd
    assert str(caught.value) == "link of hello at xdp:eth0: used after it was closed"
    kernel.failing["link_create"] = NotSupportedError("no links", errno=errno.EOPNOTSUPP)
    with _attach(kernel, "xdp:eth0") as other, pytest.raises(GoneError) as caught:
        _ = other.fd
    assert str(caught.value) == "link of hello at xdp:eth0: has no descriptor"


def test_a_link_gives_its_descriptors_back_even_if_undoing_fails(kernel: FakeKernel) -> None:
    """The error still comes out."""

    def fail() -> None:
        raise KernelError("no")

    fd = kernel.raw_tracepoint_open(0, None)
    link = Link(kernel, AttachPoint("xdp", "eth0"), "hello", others=(fd,), undo=fail)
    with pytest.raises(KernelError):
        link.close()
    assert fd not in kernel.open


def test_detach_takes_off_what_is_pinned(kernel: FakeKernel) -> None:
    """And closes; a second time does nothing."""
    link = _attach(kernel, "xdp:eth0")
    link.detach()
    link.detach()
    assert kernel.asked("link_detach") == ["link"]
    assert kernel.asked("close") == ["link"]

"""Attaching to the running kernel: links, perf events, sockets; and what links tell about themselves."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ebee.abi.bpf import AttachType, LinkType, ProgType
from ebee.errors import AttachError, NotPermittedError, NotSupportedError
from ebee.host.kernel_types import kernel_types
from ebee.host.tracefs import event_format, tracefs_path, tracepoint_id
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import LinkCreate, ObjectKind, PerfEvent, ProgramLoad
from tests.kernel.door import complaint, load, needs_root, nothing_left_open, program

pytestmark = needs_root
KERNEL = LiveKernel()
SOFTWARE, TRACEPOINT = 1, 2
DUMMY = 9  # PERF_COUNT_SW_DUMMY: an event that never happens


@pytest.fixture(autouse=True)
def _no_leak() -> Iterator[None]:
    with nothing_left_open():
        yield


def test_a_raw_tracepoint_link_tells_its_name() -> None:
    """A string that the kernel writes to a buffer of ours."""
    fd = load(KERNEL, ProgType.RAW_TRACEPOINT)
    link = KERNEL.raw_tracepoint_open(fd, "sched_process_exit")
    info = KERNEL.link_info(link)
    assert (info.type, info.program_id) == (LinkType.RAW_TRACEPOINT, KERNEL.program_info(fd).id)
    assert info.details["tp_name"] == "sched_process_exit"
    assert "tp_name_len" not in info.details
    assert KERNEL.kind_of(link) is ObjectKind.LINK
    KERNEL.close(link)
    KERNEL.close(fd)


def test_a_raw_tracepoint_that_is_not_there_says_so() -> None:
    """With its name."""
    fd = load(KERNEL, ProgType.RAW_TRACEPOINT)
    assert complaint(lambda: KERNEL.raw_tracepoint_open(fd, "no_such_thing"))[0] == (
        "attach to raw tracepoint no_such_thing: there is no such raw tracepoint (ENOENT)"
    )
    KERNEL.close(fd)


def test_links_that_cannot_be_detached_say_how_they_go() -> None:
    """Raw tracepoints: the kernel says EOPNOTSUPP."""
    fd = load(KERNEL, ProgType.RAW_TRACEPOINT)
    link = KERNEL.raw_tracepoint_open(fd, "sched_process_exit")
    assert complaint(lambda: KERNEL.link_detach(link)) == (
        f"detach link (fd {link}): links of this kind cannot be detached by force (EOPNOTSUPP)",
        "close its descriptor, or remove its pin",
    )
    KERNEL.close(link)
    KERNEL.close(fd)


def test_an_iterator_is_attached_and_read() -> None:
    """A program that writes nothing gives nothing."""
    types = kernel_types()
    if types is None:
        pytest.skip("this kernel tells no types")
    target = types.find_all("bpf_iter_bpf_map")
    function = next(number for number in target if types.type(number).kind.name == "FUNC")
    request = ProgramLoad(
        ProgType.TRACING,
        program(),
        "GPL",
        expected_attach_type=AttachType.TRACE_ITER,
        attach_btf_id=function,
    )
    answer = KERNEL.program_load(request)
    assert answer.errno == 0
    link = KERNEL.link_create(LinkCreate(answer.fd, 0, AttachType.TRACE_ITER))
    info = KERNEL.link_info(link)
    assert (info.type, info.details["target_name"]) == (LinkType.ITER, "bpf_map")
    iterator = KERNEL.iterator_create(link)
    assert os.read(iterator, 100) == b""
    for fd in (iterator, link, answer.fd):
        KERNEL.close(fd)


def test_a_program_runs_at_a_perf_event_by_a_link() -> None:
    """The link's tail tells the event and the cookie, where the kernel is new enough (6.6)."""
    fd = load(KERNEL, ProgType.PERF_EVENT)
    event = KERNEL.perf_event_open(PerfEvent(SOFTWARE, DUMMY))
    link = KERNEL.link_create(LinkCreate(fd, event, AttachType.PERF_EVENT, cookie=77))
    info = KERNEL.link_info(link)
    assert info.type == LinkType.PERF_EVENT
    if info.details:
        assert (info.details["type"], info.details["config"]) == (SOFTWARE, DUMMY)
        assert info.details.get("cookie", 77) == 77
    KERNEL.perf_event_enable(event)
    assert not os.get_inheritable(event)
    for each in (link, event, fd):
        KERNEL.close(each)


def test_a_program_runs_at_a_perf_event_without_a_link() -> None:
    """PERF_EVENT_IOC_SET_BPF, for older kernels; a second program is told that one is there."""
    fd = load(KERNEL, ProgType.PERF_EVENT)
    event = KERNEL.perf_event_open(PerfEvent(SOFTWARE, DUMMY))
    KERNEL.perf_event_attach(event, fd)
    tried = f"run program (fd {fd}) at perf event (fd {event})"
    assert complaint(lambda: KERNEL.perf_event_attach(event, fd))[0] == (
        f"{tried}: a program is attached to this event already (EEXIST)"
    )
    KERNEL.close(event)
    KERNEL.close(fd)


def test_a_program_of_another_kind_does_not_go_to_a_perf_event() -> None:
    """A kernel that knows such links says EINVAL, which is then no want of support."""
    fd = load(KERNEL, ProgType.XDP, 2)
    event = KERNEL.perf_event_open(PerfEvent(SOFTWARE, DUMMY))
    with pytest.raises(AttachError):
        KERNEL.perf_event_attach(event, fd)
    with pytest.raises((AttachError, NotSupportedError)):
        KERNEL.link_create(LinkCreate(fd, event, AttachType.PERF_EVENT))
    KERNEL.close(event)
    KERNEL.close(fd)


def test_an_event_that_this_kernel_has_not_is_not_supported() -> None:
    """A type of event that nobody registered."""
    with pytest.raises(NotSupportedError) as caught:
        KERNEL.perf_event_open(PerfEvent(0x7FFF, 0))
    assert (
        str(caught.value) == "open perf event (type 32767, config 0): this kernel has no such event (ENOENT)"
    )


def test_a_tracepoint_is_known_by_an_id_and_has_fields() -> None:
    """From tracefs, where it is mounted."""
    if tracefs_path() is None:
        pytest.skip("tracefs is not mounted")
    number = tracepoint_id(KERNEL, "sched", "sched_process_exit")
    assert event_format(KERNEL, "sched", "sched_process_exit").id == number
    event = KERNEL.perf_event_open(PerfEvent(TRACEPOINT, number))
    fd = load(KERNEL, ProgType.TRACEPOINT)
    KERNEL.perf_event_attach(event, fd)
    KERNEL.close(event)
    KERNEL.close(fd)


def test_a_tracepoint_that_is_not_there_has_a_neighbour() -> None:
    """By its category first, then by its name."""
    if tracefs_path() is None:
        pytest.skip("tracefs is not mounted")
    assert complaint(lambda: tracepoint_id(KERNEL, "sched", "sched_proces_exit")) == (
        "look up tracepoint sched:sched_proces_exit: category sched has no tracepoint 'sched_proces_exit'",
        "did you mean 'sched_process_exit'?",
    )
    assert complaint(lambda: tracepoint_id(KERNEL, "shed", "sched_process_exit")) == (
        "look up tracepoint shed:sched_process_exit: there is no category 'shed'",
        "did you mean 'sched'?",
    )


def test_a_socket_filter_is_attached_and_taken_off() -> None:
    """A filter that returns 0 drops everything; without it things arrive."""
    fd = load(KERNEL, ProgType.SOCKET_FILTER)
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        right.setblocking(False)
        KERNEL.socket_attach(right.fileno(), fd)
        left.send(b"dropped")
        with pytest.raises(BlockingIOError):
            right.recv(100)
        KERNEL.socket_attach(right.fileno(), None)
        left.send(b"arrives")
        assert right.recv(100) == b"arrives"
        assert complaint(lambda: KERNEL.socket_attach(right.fileno(), None))[0] == (
            f"detach from socket (fd {right.fileno()}): no program is attached to the socket (ENOENT)"
        )
    KERNEL.close(fd)


def test_a_file_is_no_socket() -> None:
    """ENOTSOCK."""
    fd = load(KERNEL, ProgType.SOCKET_FILTER)
    with open("/dev/null") as file, pytest.raises((AttachError, NotPermittedError)) as caught:
        KERNEL.socket_attach(file.fileno(), fd)
    assert str(caught.value).endswith("the file descriptor is not of a socket (ENOTSOCK)")
    KERNEL.close(fd)

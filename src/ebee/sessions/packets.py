"""Packets through the programs of an object: verdicts and changed packets come out.

Nothing is attached: each packet is a test run of each program (BPF_PROG_TEST_RUN), on the running
kernel or on the userspace machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EINVAL

from ebee.abi.bpf import ProgType
from ebee.errors import EbeeError, KernelError, SpecError, notify
from ebee.packets import LinkType, Packet, as_frame, from_frame, link_name
from ebee.packets.ethernet import HEADER_BYTES
from ebee.packets.pcap import MOST_BYTES
from ebee.programs import Program
from ebee.programs.verdicts import PACKET_PROGRAMS, Verdict, verdict
from ebee.record import NamedTuple
from ebee.spec import ObjectSpec
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.events import TracePipe
    from ebee.kernel.protocol import Kernel

_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO."""
_LONG_BYTES = 3400
_ROOM_BYTES = 4096
"""How much longer a packet may get."""
_WITHOUT_HEADER = PACKET_PROGRAMS - {ProgType.XDP, ProgType.SCHED_CLS, ProgType.SCHED_ACT}
"""Types whose programs see packets from the IP header on; a test run loses the header before it."""
_TRACING = frozenset(
    (
        ProgType.TRACEPOINT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.TRACING,
        ProgType.KPROBE,
        ProgType.PERF_EVENT,
        ProgType.LSM,
    )
)


class PacketResult(NamedTuple):
    """What a program made of a packet.

    Attributes:
        program: its name.
        verdict: by the kernel's name, `XDP_PASS`; a text that knows its number.
        packet: as the program left it; of a socket filter, as much as it keeps.
        before: as it came.
        duration_ns: how long the run took, as the kernel measured it.
        printed: what the program printed, where somebody listened.
    """

    program: str
    verdict: Verdict
    packet: Packet
    before: Packet
    duration_ns: int = 0
    printed: tuple[str, ...] = ()

    @property
    def return_value(self) -> int:
        """What the program returned, with its sign."""
        return self.verdict.number

    @property
    def passed(self) -> bool:
        """Whether the packet goes on: up, out again, or to another interface."""
        return self.verdict.passes

    @property
    def changed(self) -> bool:
        """Whether the program changed the packet's bytes."""
        return self.packet.data != self.before.data


def packet_programs(spec: ObjectSpec, name: str | None = None) -> list[str]:
    """Return the names of the programs that packets go through.

    Args:
        name: the one that is wanted; by default all that the object's tail calls do not lead to.

    Raises:
        SpecError: there is none, or it does not see packets.
    """
    seeing = [each for each, item in spec.programs.items() if item.type in PACKET_PROGRAMS]
    if name is None:
        called = {target for item in spec.maps.values() for target in item.initial.values()}
        found = [each for each in seeing if spec.programs[each].autoload and each not in called]
        if not found:
            raise SpecError(f"run {spec.name}: no program of it sees packets", hint=_without_packets(spec))
        return found
    if name not in spec.programs:
        raise SpecError(
            f"run {spec.name}: there is no program '{name}'",
            hint=did_you_mean(name, spec.programs) or f"it has {', '.join(spec.programs) or 'none'}",
        )
    if name not in seeing:
        raise SpecError(
            f"run {name}: programs of type {spec.programs[name].type.name} see no packets",
            hint=f"{', '.join(seeing)} would" if seeing else None,
        )
    return [name]


def _without_packets(spec: ObjectSpec) -> str:
    if any(item.type in _TRACING for item in spec.programs.values()):
        return "tracing programs run over a recording: --events RECORDING, which `ebee record` makes"
    return "those of the types XDP, tc, cgroup_skb, socket filter and lwt do"


def run_packet(program: Program, packet: Packet) -> PacketResult:
    """Run a program on a packet.

    Packets without an Ethernet header that begin with IP, or are of `tcpdump -i any`, get one for the
    time of the run.

    Raises:
        SpecError: the packet is of a link that programs cannot see, or too short.
        MachineError: the userspace machine stopped the program.
        KernelError: the kernel refused the packet.
    """
    frame = as_frame(packet)
    if frame is None:
        raise SpecError(
            f"run {program.name}: a packet of link type {link_name(packet.link_type)}, "
            "expected Ethernet or IP",
            hint="network programs see Ethernet frames",
        )
    if len(frame) < HEADER_BYTES:
        raise SpecError(
            f"run {program.name}: a packet of {len(frame)} bytes, "
            f"expected at least the {HEADER_BYTES} of an Ethernet header"
        )
    try:
        ran = program.test_run(frame, data_out_bytes=len(frame) + _ROOM_BYTES)
    except KernelError as error:
        if error.errno == EINVAL and len(frame) > _LONG_BYTES:
            error.hint = "the kernel tries no packet longer than a page; the userspace machine does: --vm"
        raise
    found = verdict(program.type, ran.return_value, program.expected_attach_type)
    after = ran.data
    if program.type in _WITHOUT_HEADER:
        after = frame[:HEADER_BYTES] + after[HEADER_BYTES:]
    if program.type is ProgType.SOCKET_FILTER:
        after = after[: HEADER_BYTES + found.number]
    return PacketResult(program.name, found, from_frame(packet, after), packet, ran.duration_ns)


def take_long_packets(kernel: Kernel) -> None:
    """Let the userspace machine run longer packets than the running kernel tries; nothing for others.

    Captures hold what segmentation offload made, up to 64 KiB and more.
    """
    if kernel.label == "vm":
        from ebee.kernel.simulated import SimulatedKernel

        assert isinstance(kernel, SimulatedKernel)
        kernel.state.most_packet_bytes = MOST_BYTES


class Listener:
    """Hears what test runs print.

    Args:
        pipe: the trace pipe; None where nothing is heard.
        thread: whose lines in it count; all where that is None (`own_thread`).
    """

    def __init__(self, pipe: TracePipe | None, thread: int | None = None) -> None:
        self._pipe = pipe
        self._thread = thread
        self.lines()  # what was printed before is not of these runs

    def lines(self) -> tuple[str, ...]:
        """Return what was printed since it was last asked."""
        if self._pipe is None:
            return ()
        lines = self._pipe.read_available()
        return tuple(line.message for line in lines if self._thread in (None, line.pid))


def own_thread(kernel: Kernel) -> int | None:
    """Return the thread whose lines in the trace pipe are of test runs; None where it is not known.

    The pipe of the running kernel is one for the machine, and tells ids of the first pid namespace,
    which a container does not know its threads by.
    """
    if kernel.label != "live" or os.stat("/proc/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE:
        return None
    from threading import get_native_id

    return get_native_id()


@contextmanager
def listen(spec: ObjectSpec, kernel: Kernel) -> Iterator[Listener]:
    """Hear what test runs of an object's programs print.

    Where that cannot be heard, a Notice says why.
    """
    from ebee.sessions.c import prints, trace_pipe

    with ExitStack() as resources:
        pipe = None
        if prints(spec):
            try:
                pipe = resources.enter_context(trace_pipe(kernel=kernel))
            except EbeeError as error:
                notify(f"what the programs print is not shown: {error}")
        yield Listener(pipe, own_thread(kernel))


def run_packets(
    programs: Iterable[Program], packets: Iterable[Packet], listener: Listener
) -> Iterator[tuple[PacketResult, ...]]:
    """Run each packet through each program; every program sees the packet as it came.

    Raises:
        As `run_packet`, and as whatever the packets come from.
    """
    programs = list(programs)
    said: set[int] = set()
    for packet in packets:
        if packet.link_type != LinkType.ETHERNET and packet.link_type not in said:
            said.add(packet.link_type)
            _say_link(packet)
        yield tuple(run_packet(program, packet)._replace(printed=listener.lines()) for program in programs)


def _say_link(packet: Packet) -> None:
    if as_frame(packet) is not None:
        notify(
            f"packets of link type {link_name(packet.link_type)}: programs see an Ethernet header "
            "of zeros before them"
        )

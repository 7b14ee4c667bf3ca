"""An object under test: loaded into a kernel of its own or into the running one, with packets at hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from ebee.errors import EbeeError, MachineError, SpecError
from ebee.kernel.protocol import Kernel
from ebee.loader import LoadedObject
from ebee.maps import Map, Variable
from ebee.packets import as_packet
from ebee.programs import Program
from ebee.sessions.c import load, open_spec, running_kernel, set_variables
from ebee.sessions.packets import (
    Listener,
    PacketResult,
    listen,
    packet_programs,
    run_packet,
    take_long_packets,
)
from ebee.spec import ObjectSpec
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, SupportsBytes

    from ebee.packets import Packet
    from ebee.recording.replaying import Replay, Replayed

KERNELS = ("vm", "live")
_ENGINE = "interpreter"
"""Tests run few packets: native code would take longer to make than to run."""


class BpfObject:
    """A loaded object, and what a test asks of it.

        result = bpf_object.run_packet(packet)
        assert result.verdict == "XDP_DROP"
        assert bpf_object.maps["drops"] == {17: 1}

    Attributes:
        loaded: what `ebee.load` gives: programs, maps, variables, attach.
        kernel: where it was loaded; its `label` is `vm` or `live`.
    """

    def __init__(
        self, loaded: LoadedObject, kernel: Kernel, listener: Listener, replay: Replay | None = None
    ) -> None:
        self.loaded = loaded
        self.kernel = kernel
        self._listener = listener
        self._replay = replay

    def __repr__(self) -> str:
        return f"<BpfObject {self.loaded.spec.name} on {self.kernel.label}>"

    @property
    def programs(self) -> Mapping[str, Program]:
        """Its programs, by the names in the C file."""
        return self.loaded.programs

    @property
    def maps(self) -> Mapping[str, Map]:
        """Its maps, by the names in the C file."""
        return self.loaded.maps

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Its global variables."""
        return self.loaded.variables

    def run_packet(
        self, packet: Packet | bytes | bytearray | memoryview | SupportsBytes, program: str | None = None
    ) -> PacketResult:
        """Run a program on a packet; nothing needs to be attached.

        Args:
            packet: a Packet, bytes from the Ethernet header on, or a packet of scapy's.
            program: its name; not needed where the object has one that sees packets.

        Returns:
            The verdict, by the kernel's name; the packet as the program left it; what it printed.

        Raises:
            SpecError: there is no such program, or it is not told which of several.
            MachineError: the userspace machine stopped it; says at which line and why.
        """
        __tracebackhide__ = True  # pytest shows the line of the test instead
        found = self._packet_program(program)
        try:
            result = run_packet(found, as_packet(packet))
        except EbeeError as error:
            if isinstance(error, MachineError):
                error.add_note(error.details())
            # Where in ebee it was found is of no use to whoever wrote the program.
            raise error.with_traceback(None) from None
        return result._replace(printed=self._listener.lines())

    def run_packets(
        self, packets: Iterable[Packet | bytes | SupportsBytes], program: str | None = None
    ) -> list[PacketResult]:
        """Run a program on several packets, one after the other."""
        __tracebackhide__ = True
        results = []
        for packet in packets:  # a comprehension would be a frame of its own
            results.append(self.run_packet(packet, program))  # noqa: PERF401
        return results

    def run_events(self) -> list[Replayed]:
        """Run the programs over the events of the recording that the object was opened with.

        Returns:
            For each event that is of their hooks: the event, what they printed, what they gave to ring
            and perf buffers.

        Raises:
            SpecError: it was opened without a recording.
            FormatError: the recording is damaged.
            MachineError: a program was stopped; with its line, and the event.
        """
        __tracebackhide__ = True
        if self._replay is None:
            raise SpecError(
                f"run {self.loaded.spec.name}: it was opened without a recording",
                hint='name one that `ebee record` wrote: events="exec.ebee"',
            )
        try:
            return list(self._replay.steps())
        except EbeeError as error:
            if isinstance(error, MachineError):
                error.add_note(error.details())
            raise error.with_traceback(None) from None

    def printed(self) -> tuple[str, ...]:
        """Return what programs printed otherwise than by `run_packet`, since this was last asked."""
        return self._listener.lines()

    def _packet_program(self, name: str | None) -> Program:
        names = packet_programs(self.loaded.spec, name)
        if len(names) > 1:
            raise SpecError(
                f"run {self.loaded.spec.name}: {len(names)} programs of it see packets "
                f"({', '.join(names)}), expected the name of one",
                hint=f"name it: run_packet(packet, {names[0]!r})",
            )
        if names[0] not in self.programs:
            raise SpecError(
                f"run {names[0]}: it was not loaded, expected one of {', '.join(self.programs)}",
                hint=did_you_mean(names[0], self.programs),
            )
        return self.programs[names[0]]


@contextmanager
def open_object(
    source: str | os.PathLike[str] | bytes | ObjectSpec,
    *,
    kernel: str | Kernel = "vm",
    programs: Iterable[str] | None = None,
    variables: Mapping[str, Any] | None = None,
    engine: str | None = None,
    events: str | None = None,
) -> Iterator[BpfObject]:
    """Load an object for a test, and give back everything afterwards.

        with open_object("fw.bpf.c") as bpf:
            assert bpf.run_packet(packet).verdict == "XDP_DROP"

    Args:
        source: a `.c` file's or an object's path, an object's bytes, or an ObjectSpec.
        kernel: `vm`, a userspace machine of its own, without any rights; `live`, the running kernel;
            or a kernel that is there already.
        programs: names of those to load; by default all.
        variables: values that global variables begin with.
        engine: of the userspace machine: `interpreter` or `native`.
        events: a recording for tracing programs to run over (`run_events`), on the userspace machine.

    Raises:
        What `ebee.load` raises, and what opening a recording does.
    """
    spec = open_spec(source)
    with ExitStack() as resources:
        if events is not None:
            set_variables(spec, variables or {})
            yield _over_recording(spec, events, engine, resources)
            return
        door = _kernel(kernel, engine) if isinstance(kernel, str) else kernel
        take_long_packets(door)
        loaded = resources.enter_context(load(spec, programs=programs, variables=variables, kernel=door))
        listener = resources.enter_context(listen(spec, door))
        yield BpfObject(loaded, door, listener)


def _over_recording(spec: ObjectSpec, events: str, engine: str | None, resources: ExitStack) -> BpfObject:
    from ebee.recording.examples import recording_path
    from ebee.recording.recordings import open_recording
    from ebee.recording.replaying import replay

    recording = resources.enter_context(open_recording(recording_path(events)))
    running = resources.enter_context(replay(spec, recording, engine=engine or _ENGINE))
    return BpfObject(running.loaded, running.loaded.kernel, Listener(None), running)


def _kernel(name: str, engine: str | None) -> Kernel:
    if name not in KERNELS:
        raise SpecError(f"open an object: kernel '{name}', expected {' or '.join(KERNELS)}")
    if name == "live":
        return running_kernel()
    from ebee.kernel.simulated import SimulatedKernel

    return SimulatedKernel(engine=engine or _ENGINE)

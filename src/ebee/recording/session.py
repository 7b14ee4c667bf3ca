"""Record: load the programs with the recorder's calls in them, attach, write what comes."""

from __future__ import annotations

import os
import select
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack
from time import clock_gettime_ns, monotonic

from ebee.errors import SpecError, VerifierError, notify
from ebee.kernel.protocol import Kernel
from ebee.loader import LoadedObject, load
from ebee.record import NamedTuple
from ebee.recording.events import HEAD_BYTES
from ebee.recording.hooks import HookFacts, hook_facts, hook_name
from ebee.recording.instrument import EVENTS, LOST, Filter, instrument
from ebee.recording.recordings import Header, RecordedProgram, RecordingWriter
from ebee.recording.ring import RingReader
from ebee.recording.subset import needed_types
from ebee.spec import ObjectSpec, ProgramSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_KEY = bytes(4)
_ROUND_S = 0.2
"""How long to wait for events before progress is told again."""
_CLOCK_MONOTONIC, _CLOCK_REALTIME = 1, 0


class Progress(NamedTuple):
    """How far a recording is.

    Attributes:
        events: that were written.
        event_bytes: of all events, before they are deflated.
        lost: events that found no room, because they came faster than they could be written.
    """

    events: int
    event_bytes: int
    lost: int


class Recorder:
    """Programs that are attached and recorded, until it is closed.

    Attributes:
        header: what the recording says about itself.
        loaded: the programs and their maps, which are filled as without a recorder.
    """

    def __init__(
        self,
        loaded: LoadedObject,
        header: Header,
        gaps: list[list[tuple[int, int]]],
        ring: RingReader,
        writer: RecordingWriter,
        resources: ExitStack,
    ) -> None:
        self.header = header
        self.loaded = loaded
        self._gaps = gaps
        self._ring = ring
        self._writer = writer
        self._count: int | None = None
        self._resources = resources

    def progress(self) -> Progress:
        """Return how far it is."""
        return Progress(self._writer.events, self._writer.event_bytes, self._lost())

    def run(
        self,
        *,
        duration_s: float | None = None,
        count: int | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Write events as they come: for so long, until there are so many, or until it is interrupted.

        Args:
            tell: is told the progress a few times a second.
        """
        self._count = count
        end_s = None if duration_s is None else monotonic() + duration_s
        with select.epoll() as waiting:
            waiting.register(self.loaded.maps[EVENTS].fd, select.EPOLLIN)
            while not self._is_done(end_s):
                left_s = _ROUND_S if end_s is None else min(_ROUND_S, max(0.0, end_s - monotonic()))
                waiting.poll(left_s)
                self._take()
                tell(self.progress())

    def stop(self) -> Progress:
        """Detach, write what was left, and return how far it came; nothing stays in the kernel."""
        for link in self.loaded.links:
            link.close()
        self._take()
        self._writer.flush()
        progress = self.progress()
        self.close()
        return progress

    def close(self) -> None:
        """Detach and give everything back. Closing twice does nothing."""
        self._resources.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_done(self, end_s: float | None) -> bool:
        if self._has_all():
            return True
        return end_s is not None and monotonic() >= end_s

    def _has_all(self) -> bool:
        return self._count is not None and self._writer.events >= self._count

    def _take(self) -> None:
        for record in self._ring.records():
            if self._has_all():
                return
            self._writer.write(self._without_gaps(record))

    def _without_gaps(self, record: bytes) -> bytes:
        """Return an event whose context holds nothing but the fields of the hook."""
        gaps = self._gaps[int.from_bytes(record[:4], sys.byteorder)]
        if not gaps:
            return record
        event = bytearray(record)
        for begin, end in gaps:
            event[HEAD_BYTES + begin : HEAD_BYTES + end] = bytes(end - begin)
        return bytes(event)

    def _lost(self) -> int:
        """Return how many events were lost, over all CPUs."""
        values = self.loaded.maps[LOST].lookup_elem(_KEY) or b""
        return sum(struct.unpack(f"={len(values) // 8}Q", values))


def start_recording(
    spec: ObjectSpec, file: BinaryIO, kernel: Kernel, *, pid: int | None = None, comm: str | None = None
) -> Recorder:
    """Load an object's programs with the recorder's calls in them, attach them, and begin a recording.

    Args:
        file: where the recording goes; it stays its owner's.
        kernel: the running one.
        pid: take the events of this thread or process only; its id as this process sees it.
        comm: take the events of tasks of this name only.

    Raises:
        SpecError: the object has no program, or one whose hook cannot be recorded.
        VerifierError: the verifier refused a program.
        AttachError, NotPermittedError, NotSupportedError: the kernel refused. Nothing stays then.
    """
    hooks = _hooks(spec, kernel)
    with ExitStack() as undo:
        loaded = undo.enter_context(_load(spec, hooks, _filter(pid, comm), kernel))
        events = loaded.maps[EVENTS]
        ring = undo.enter_context(RingReader(kernel, events.fd, events.spec.max_entries))
        header = _header(spec, hooks, kernel, loaded)
        writer = RecordingWriter(file, header)
        loaded.attach()
        gaps = [facts.gaps() for _, facts in hooks]
        return Recorder(loaded, header, gaps, ring, writer, undo.pop_all())


def _hooks(spec: ObjectSpec, kernel: Kernel) -> list[tuple[ProgramSpec, HookFacts]]:
    """Return the programs that attach by themselves, with their hooks."""
    called = {name for item in spec.maps.values() for name in item.initial.values()}
    programs = [p for name, p in spec.programs.items() if p.autoload and name not in called]
    if not programs:
        raise SpecError(
            f"record {spec.name}: it has no program",
            hint='put a section before a function: SEC("tracepoint/sched/sched_process_exec")',
        )
    for program in programs:
        hook_name(program)  # all are of a kind that can be recorded, before any is asked for
    return [(program, hook_facts(program, kernel)) for program in programs]


def _filter(pid: int | None, comm: str | None) -> Filter:
    namespace = os.stat("/proc/self/ns/pid")
    return Filter(
        namespace=(namespace.st_dev, namespace.st_ino),
        skipped_tgid=os.getpid(),
        pid=pid or 0,
        comm=(comm or "").encode(),
    )


def _header(
    spec: ObjectSpec, hooks: list[tuple[ProgramSpec, HookFacts]], kernel: Kernel, loaded: LoadedObject
) -> Header:
    facts = kernel.facts()
    return Header(
        object=spec.name,
        programs=tuple(RecordedProgram(p.name, hook_name(p), found.fields) for p, found in hooks),
        release=facts.release,
        machine=facts.machine,
        cpus=kernel.cpu_count(),
        monotonic_ns=clock_gettime_ns(_CLOCK_MONOTONIC),
        wall_ns=clock_gettime_ns(_CLOCK_REALTIME),
        byte_order=spec.byte_order,
        types=needed_types(spec, kernel.types()),
        kconfig=_kconfig(spec, loaded),
    )


def _kconfig(spec: ObjectSpec, loaded: LoadedObject) -> dict[str, bytes]:
    asked = [variable for variable in spec.variables.values() if variable.from_kernel]
    values = loaded.maps[asked[0].map.name].lookup_elem(_KEY) or b"" if asked else b""
    return {each.name: values[each.offset_bytes : each.offset_bytes + each.size_bytes] for each in asked}


def _load(
    spec: ObjectSpec, hooks: list[tuple[ProgramSpec, HookFacts]], wanted: Filter, kernel: Kernel
) -> LoadedObject:
    """Load; a refusal is about the user's own program, where the verifier refuses that one, too."""
    recorded = instrument(spec, hooks, wanted)
    try:
        return load(recorded, kernel)
    except VerifierError as error:
        load(spec, kernel, programs=list(recorded.programs)).close()
        refusal = error
    try:
        loaded = load(instrument(spec, hooks, wanted, loads=False), kernel)
    except VerifierError:
        raise _refused(refusal) from None
    notify(
        f"record {refusal.program}: its direct loads are not recorded, "
        "because the verifier does not take the recorder's calls before them"
    )
    return loaded


def _refused(error: VerifierError) -> VerifierError:
    hint = "they take two frames, up to 64 bytes of stack, and paths of their own: make the program smaller"
    if "GPL" in error.log:
        hint = "they read by helpers that are for GPL programs only: record a copy with such a license"
    return VerifierError(
        f"record {error.program}: the verifier takes it by itself, but not with the recorder's calls",
        program=error.program,
        log=error.log,
        errno=error.errno,
        hint=hint,
    )

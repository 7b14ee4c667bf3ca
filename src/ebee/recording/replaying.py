"""A recording -> the programs of an object, run over its events on the userspace machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from ebee.abi.bpf import ProgType
from ebee.errors import FormatError, MachineError, SpecError, notify
from ebee.events import TraceLine, TracePipe
from ebee.kernel.simulated import SimulatedKernel
from ebee.loader import LoadedObject, load
from ebee.record import NamedTuple
from ebee.recording.clock import RecordedClock
from ebee.recording.events import Event, Piece, PieceKind
from ebee.recording.memory import RecordedMemory
from ebee.recording.outputs import Outputs
from ebee.recording.recordings import Header, Recording
from ebee.sessions.c import prints, trace_pipe
from ebee.spec import ObjectSpec, ProgramSpec
from ebee.vm.helpers.common import TYPES_SLOT
from ebee.vm.machine import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf import Btf

_TRACING = frozenset((ProgType.TRACEPOINT, ProgType.RAW_TRACEPOINT, ProgType.TRACING, ProgType.KPROBE))
_ARGUMENT_FAMILIES = ("raw_tp", "tp_btf")
"""Hooks of the same tracepoint, whose programs see the same arguments."""
# Helpers whose recorded results are the task's, by their numbers.
_STACK, _ANCESTOR, _TASKS = 67, 123, (35, 158)
_USER_STACK = 256
_MOST_LEVELS = 64


class Replayed(NamedTuple):
    """An event, and what the programs made of it.

    Attributes:
        number: of the event in the recording, from 1.
        programs: which ran.
        lines: what they printed, with the recorded task and time.
        records: what they gave to ring and perf buffers, by the map's name.
    """

    number: int
    event: Event
    programs: tuple[str, ...]
    lines: tuple[TraceLine, ...] = ()
    records: dict[str, tuple[bytes, ...]] = {}


class Replay:
    """An object on the userspace machine, and the events that its programs run over.

        with replay(ebee.open_spec("exec.bpf.c"), recording) as run:
            for step in run.steps():
                print(step.event.comm, [line.message for line in step.lines])
            print(dict(run.loaded.maps["starts"]))

    Attributes:
        loaded: programs, maps and variables.
        missing: how often a program read what the recording does not hold.
        cut: how many events ran that are not whole.
    """

    def __init__(
        self,
        kernel: SimulatedKernel,
        loaded: LoadedObject,
        recording: Recording,
        sources: dict[int, list[str]],
        pipe: TracePipe | None,
        outputs: Outputs,
        resources: ExitStack,
    ) -> None:
        self.loaded = loaded
        self.cut = 0
        self._kernel = kernel
        self._recording = recording
        self._sources = sources
        self._pipe = pipe
        self._outputs = outputs
        self._resources = resources
        # The machine would make up a struct for the task; here the kernel's own was recorded.
        kernel.machine.slots.pop(TYPES_SLOT, None)
        self._memory = RecordedMemory.of(kernel.machine)
        self._clock = RecordedClock(kernel.machine, recording.header)

    @property
    def missing(self) -> int:
        """How often a program read what the recording does not hold."""
        return self._memory.missing

    def steps(self) -> Iterator[Replayed]:
        """Run the programs over each event that is of their hooks, in the order they were recorded.

        Raises:
            FormatError: the recording is damaged.
            MachineError: a program did what it must not; with its line, and the event.
        """
        for number, event in enumerate(self._recording.events(), 1):
            programs = self._sources.get(event.program)
            if programs is None:
                continue
            self.cut += event.is_cut
            try:
                ran = self._run(event, programs)
            except MachineError as error:
                error.message = f"{error.message} (event {number} of {self._recording.name})"
                raise
            yield Replayed(number, event, tuple(ran), tuple(self._lines()), self._outputs.take())

    def close(self) -> None:
        """Give everything back. Closing twice does nothing."""
        self._resources.close()

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, event: Event, programs: list[str]) -> list[str]:
        self._clock.set(event)
        self._memory.set(event.pieces)
        hook = self._recording.header.programs[event.program].hook
        task, cpu = _task(event), event.cpu % self._recording.header.cpus
        ran = []
        for name in programs:
            self._clock.rewind()
            found = self._kernel.emit(hook, event.context, task=task, cpu=cpu, program=name)
            ran += [one.program for one in found]
        return ran

    def _lines(self) -> Iterable[TraceLine]:
        return () if self._pipe is None else self._pipe.read_available()


def replay(spec: ObjectSpec, recording: Recording, *, engine: str = "auto") -> Replay:
    """Load an object on the userspace machine, its programs attached to the hooks of a recording.

    A program runs over the events of its own name and hook, or over those of its hook where the
    recording has none of its name.

    Args:
        engine: what runs the programs: `interpreter`, `native` or `auto`.

    Raises:
        SpecError: the recording is of other hooks, or of a machine with the other byte order.
        VerifierError: a program is refused.
        RelocationError: it needs types of the kernel that the recording has not.
    """
    _check_byte_order(recording)
    sources = _sources(spec, recording)
    spec = _with_kconfig(spec, recording)
    kernel = SimulatedKernel(engine=engine, cpus=recording.header.cpus, types=_types(spec, recording))
    with ExitStack() as undo:
        loaded = undo.enter_context(load(spec, kernel))
        pipe = undo.enter_context(trace_pipe(kernel=kernel)) if prints(spec) else None
        for name in {name for names in sources.values() for name in names}:
            undo.enter_context(loaded.programs[name].attach())
        outputs = undo.enter_context(Outputs(kernel, loaded.maps))
        return Replay(kernel, loaded, recording, sources, pipe, outputs, undo.pop_all())


def _check_byte_order(recording: Recording) -> None:
    found = recording.header.byte_order
    if found != sys.byteorder:
        raise SpecError(
            f"replay {recording.name}: recorded on a {found}-endian machine, "
            f"and this one is {sys.byteorder}-endian"
        )


def _sources(spec: ObjectSpec, recording: Recording) -> dict[int, list[str]]:
    """Return which programs run over the events of which recorded program.

    Raises:
        SpecError: the recording has none of their hooks.
    """
    programs = [p for p in spec.programs.values() if p.type in _TRACING and p.autoload and p.auto_attach]
    found: dict[int, list[str]] = {}
    without = []
    for program in programs:
        source = _source(program, recording.header)
        if source is None:
            without.append(program)
        else:
            found.setdefault(source, []).append(program.name)
    if not found:
        raise _of_another(spec, programs, recording)
    for program in without:
        notify(
            f"program {program.name} sees nothing: {recording.name} has no events of {program.auto_attach}, "
            f"but of {_hooks(recording.header)}"
        )
    return found


def _source(program: ProgramSpec, header: Header) -> int | None:
    same = [
        index for index, item in enumerate(header.programs) if _same_hook(str(program.auto_attach), item.hook)
    ]
    named = [index for index in same if header.programs[index].name == program.name]
    return next(iter(named or same), None)


def _same_hook(wanted: str, found: str) -> bool:
    if wanted == found:
        return True
    family, _, name = wanted.partition(":")
    other_family, _, other_name = found.partition(":")
    return name == other_name and family in _ARGUMENT_FAMILIES and other_family in _ARGUMENT_FAMILIES


def _of_another(spec: ObjectSpec, programs: list[ProgramSpec], recording: Recording) -> SpecError:
    if not programs:
        return SpecError(
            f"replay {spec.name}: no program of it is attached to a tracepoint",
            hint="packets go through network programs: ebee run FILE --pcap PACKETS",
        )
    wanted = ", ".join(dict.fromkeys(str(program.auto_attach) for program in programs))
    return SpecError(
        f"replay {spec.name}: {recording.name} has events of {_hooks(recording.header)}, expected {wanted}",
        hint="it was made with another program; record this one where root is allowed: ebee record FILE",
    )


def _hooks(header: Header) -> str:
    return ", ".join(dict.fromkeys(program.hook for program in header.programs)) or "no hook"


def _with_kconfig(spec: ObjectSpec, recording: Recording) -> ObjectSpec:
    """Return an object whose values of the kernel's configuration are those of the kernel that recorded."""
    known = recording.header.kconfig
    asked = [
        v for v in spec.variables.values() if v.from_kernel and len(known.get(v.name, b"")) == v.size_bytes
    ]
    if not asked:
        return spec
    home = asked[0].map
    contents = bytearray((home.contents or b"").ljust(home.value_size_bytes, b"\0"))
    for variable in asked:
        contents[variable.offset_bytes : variable.offset_bytes + variable.size_bytes] = known[variable.name]
    changed = home.replaced(contents=bytes(contents))
    told = {v.name: v.replaced(map=changed, from_kernel=False) for v in asked}
    return spec.replaced(maps=spec.maps | {home.name: changed}, variables=spec.variables | told)


def _types(spec: ObjectSpec, recording: Recording) -> Callable[[], Btf | None] | None:
    """Return what gives the types of the kernel that recorded; None to take those of the running one.

    Raises:
        FormatError: they are damaged.
    """
    if recording.header.types:
        from ebee.btf import decode

        try:
            found = decode(recording.header.types)
        except FormatError as error:
            raise FormatError(f"recording {recording.name}: the kernel's types: {error}") from None
        return lambda: found
    if any(function.core_relocations for function in spec.functions.values()):
        notify(
            f"{recording.name} does not hold the types of the kernel that recorded it "
            f"({recording.header.release}), so structs are laid out as on this machine"
        )
        return None
    # Without types every hook is taken, whatever this machine's kernel has.
    return lambda: None


def _task(event: Event) -> Task:
    stacks = {p.address & _USER_STACK: _addresses(p.data) for p in _results(event, _STACK)}
    levels = {int.from_bytes(p.data, sys.byteorder): p.address for p in _results(event, _ANCESTOR)}
    addresses = [piece.address for number in _TASKS for piece in _results(event, number)]
    task = Task(
        pid=event.pid,
        tgid=event.tgid,
        comm=event.comm.decode("utf-8", "surrogateescape"),
        uid=event.uid,
        gid=event.gid,
        cgroup_id=event.cgroup_id,
        kernel_stack=stacks.get(0, ()),
        user_stack=stacks.get(_USER_STACK, ()),
    )
    if levels:
        task.ancestors = tuple(levels.get(level, 0) for level in range(min(max(levels), _MOST_LEVELS) + 1))
    if addresses:
        task.address = addresses[0]
    return task


def _results(event: Event, number: int) -> list[Piece]:
    return [p for p in event.pieces if p.kind is PieceKind.RESULT and p.number == number]


def _addresses(data: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(data[place : place + 8], sys.byteorder) for place in range(0, len(data) - 7, 8)
    )

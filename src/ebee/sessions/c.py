"""C files and objects: compile, load, attach, and hear what the programs print."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from time import monotonic, sleep

from ebee.abi.bpf import ProgType
from ebee.errors import FormatError, SpecError, notify
from ebee.events import TraceLine, TracePipe
from ebee.kernel.protocol import Kernel
from ebee.links import Link
from ebee.loader import LoadedObject
from ebee.loader import load as load_spec
from ebee.sessions.kernels import live_kernel, on_kernel, tracing_kernel
from ebee.spec import AttachPoint, ObjectSpec
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.sessions.kernels import Wanted

Source = str | os.PathLike[str] | bytes | ObjectSpec

_DRAINED_FOR_S = 0.5
_CALL = 0x85
_PRINTING_HELPERS = frozenset((6, 177))
"""bpf_trace_printk and bpf_trace_vprintk."""


def open_spec(source: Source) -> ObjectSpec:
    """Return what a C file or an object holds, without any kernel.

    Args:
        source: the path of a `.c` file, which is compiled, or of an object; or an object's bytes.

    Raises:
        SourceError: the C is wrong; carries the places.
        FormatError: the object is broken, or not for BPF.
        SpecError: there is no such file.
    """
    if isinstance(source, ObjectSpec):
        return source
    from ebee.objfile import read_object

    if isinstance(source, bytes):
        return read_object(source)
    path = os.fspath(source)
    if path.endswith((".c", ".h")):
        from ebee.languages.c import compile_object

        spec, complaints = compile_object(path)
        for complaint in complaints:
            notify(complaint.render())
        return spec
    return read_object(_read(path), path)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise SpecError(
            f"open {path}: {(error.strerror or str(error)).lower()}, expected a C file or a BPF object",
            hint=_near(path) if isinstance(error, FileNotFoundError) else None,
        ) from None
    if data and not data.startswith(b"\x7fELF") and b"\0" not in data:
        raise FormatError(
            f"open {path}: is text, expected a BPF object", hint="name C files with the ending .c"
        )
    return data


def _near(path: str) -> str | None:
    folder, name = os.path.split(path)
    try:
        return did_you_mean(name, os.listdir(folder or "."))
    except OSError:
        return f"there is no folder {folder}"


def load(
    source: Source,
    *,
    programs: Iterable[str] | None = None,
    variables: Mapping[str, Any] | None = None,
    kernel: Wanted = None,
) -> LoadedObject:
    """Compile where needed, load, and return the programs, maps and variables in the kernel.

        with ebee.load("hello.bpf.c") as obj:
            with obj.programs["hello"].attach("xdp:eth0"):
                ...

    Args:
        source: a `.c` file's or an object's path, an object's bytes, or an ObjectSpec.
        programs: names of those to load; by default all.
        variables: values that global variables begin with, also `const volatile` ones; they are set in
            the spec, where `source` is one.
        kernel: where to: `live`, the running one; `vm`, the userspace machine, which needs no rights; or
            a kernel, such as `SimulatedKernel()`. By default the running one, and the userspace machine
            where that refuses for want of rights or support, which a Notice says.

    Raises:
        SourceError, FormatError, SpecError: the source is wrong.
        VerifierError: the verifier refused a program; says which line and why.
        NotPermittedError, NotSupportedError, MapError, RelocationError: this kernel does not take it.
    """
    spec = open_spec(source)
    set_variables(spec, variables or {})
    names = None if programs is None else list(programs)
    return on_kernel(kernel, lambda chosen: load_spec(spec, chosen, programs=names))


def set_variables(spec: ObjectSpec, variables: Mapping[str, Any]) -> None:
    """Set what global variables begin with.

    Raises:
        SpecError: there is no such variable, or the value does not fit it.
    """
    for name, value in variables.items():
        if name not in spec.variables:
            raise SpecError(
                f"object {spec.name}: there is no global variable '{name}'",
                hint=did_you_mean(name, spec.variables),
            )
        spec.variables[name].value = value


def running_kernel() -> Kernel:
    """Return the door to the kernel that this process runs on."""
    return live_kernel()


def trace_pipe(*, kernel: Wanted = None) -> TracePipe:
    """Return what programs print by bpf_printk(), line by line, as iterator and async iterator.

    Tracefs is mounted where it is not, which a Notice says.

    Args:
        kernel: as `load` takes it; by default the one that programs went to.

    Raises:
        NotPermittedError: reading it needs root.
    """
    from ebee.events.trace_pipe import open_trace_pipe

    return open_trace_pipe(tracing_kernel(kernel))


def prints(spec: ObjectSpec) -> bool:
    """Whether any function of an object writes to the trace pipe."""
    return any(
        instruction.opcode == _CALL and instruction.src == 0 and instruction.imm in _PRINTING_HELPERS
        for function in spec.functions.values()
        for instruction in function.instructions
    )


# Families of programs whose place is an interface that the user must name.
_ON_DEVICES = {ProgType.XDP: "xdp", ProgType.SOCKET_FILTER: "socket"}


def attach_points(spec: ObjectSpec, *, device: str | None, xdp_family: str = "xdp") -> dict[str, AttachPoint]:
    """Return where each program of an object goes.

    Args:
        device: the interface for programs that go on one.
        xdp_family: `xdp`, `xdpdrv`, `xdpgeneric` or `xdpoffload`.

    Raises:
        SpecError: a program's place is not known; says what is missing.
    """
    points: dict[str, AttachPoint] = {}
    called = {name for item in spec.maps.values() for name in item.initial.values()}
    for name, program in spec.programs.items():
        if not program.autoload or program.type is ProgType.UNSPEC:
            continue  # not loaded, or refused by the loader with a better word
        if program.auto_attach is not None:
            points[name] = program.auto_attach
        elif name in called:
            continue  # reached by tail calls
        elif program.type in _ON_DEVICES:
            if device is None:
                raise SpecError(
                    f"attach {name}: programs of type {program.type.name} go on an interface, none is named",
                    hint="name one: --dev eth0; or run it on made packets: --vm",
                )
            family = xdp_family if program.type is ProgType.XDP else _ON_DEVICES[program.type]
            points[name] = AttachPoint(family, device)
        else:
            raise SpecError(
                f"attach {name}: section '{program.section}' does not say where "
                f"a program of type {program.type.name} goes",
                hint=_instead_of_attaching(program.type),
            )
    return points


def _instead_of_attaching(kind: ProgType) -> str:
    from ebee.programs.verdicts import PACKET_PROGRAMS

    if kind in PACKET_PROGRAMS:
        return "ebee cannot attach such programs yet; --pcap PACKETS or --vm runs them on packets"
    return "ebee cannot attach such programs yet; `ebee prog load` loads and pins it"


class Running:
    """A loaded object whose programs are attached, and the lines that they print.

    Attributes:
        loaded: programs, maps and variables.
        links: in the order they were attached.
    """

    def __init__(
        self, loaded: LoadedObject, links: list[Link], pipe: TracePipe | None, resources: ExitStack
    ) -> None:
        self.loaded = loaded
        self.links = links
        self._pipe = pipe
        self._resources = resources

    @property
    def prints(self) -> bool:
        """Whether any program writes to the trace pipe."""
        return self._pipe is not None

    def lines(self, duration_s: float | None = None) -> Iterator[TraceLine]:
        """Go through what the programs print as it comes, for ever or for so long.

        The pipe is one for the machine: lines of other programs come, too.
        """
        end_s = None if duration_s is None else monotonic() + duration_s
        while True:
            left_s = None if end_s is None else end_s - monotonic()
            if self._pipe is None:
                sleep(3600 if left_s is None else max(0.0, left_s))
            elif self._pipe.wait(left_s):
                yield from self._pipe.read_available()
            if end_s is not None and monotonic() >= end_s:
                return

    def close(self) -> None:
        """Detach everything and give it back. Closing twice does nothing."""
        self._resources.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start(
    spec: ObjectSpec, *, device: str | None = None, xdp_family: str = "xdp", kernel: Wanted = None
) -> Running:
    """Load an object, attach all its programs, and listen to what they print.

    Args:
        device: the interface for programs that go on one.
        xdp_family: `xdp`, `xdpdrv`, `xdpgeneric` or `xdpoffload`.
        kernel: as `load` takes it; the userspace machine has every interface that is named.

    Raises:
        SpecError: it has no program; besides, what `load`, `attach_points` and attaching raise.
            Nothing stays attached then.
    """
    if not spec.programs:
        found = f"run {spec.name}: it has no program"
        raise SpecError(found, hint='put a section before a function: SEC("xdp")')
    points = attach_points(spec, device=device, xdp_family=xdp_family)
    devices = [] if device is None else [device]
    return on_kernel(kernel, lambda chosen: _started(spec, points, chosen), devices=devices)


def _started(spec: ObjectSpec, points: Mapping[str, AttachPoint], kernel: Kernel) -> Running:
    with ExitStack() as undo:
        loaded = undo.enter_context(load_spec(spec, kernel))
        pipe = None
        if prints(spec):
            pipe = undo.enter_context(trace_pipe(kernel=kernel))
            _drain(pipe)
        links = [undo.enter_context(loaded.programs[name].attach(point)) for name, point in points.items()]
        return Running(loaded, links, pipe, undo.pop_all())


def _drain(pipe: TracePipe) -> None:
    """Take away what others printed before this began; not for ever, for they may still print."""
    end_s = monotonic() + _DRAINED_FOR_S
    while pipe.read_available() and monotonic() < end_s:
        pass

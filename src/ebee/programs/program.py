"""Program: a program in the kernel."""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import GoneError, KernelError, NotSupportedError, SpecError
from ebee.kernel.protocol import Kernel, ProgramInfo, RunRequest
from ebee.links import Link, ProgramHandle, attach
from ebee.record import NamedTuple
from ebee.spec import AttachPoint


class RunResult(NamedTuple):
    """What one try of a program gave.

    Attributes:
        return_value: of XDP, an XdpAction's number.
        duration_ns: the mean time of one run.
        data: the packet as the program left it.
        context: the context as it left it, where the program type has one that comes back.
    """

    return_value: int
    duration_ns: int
    data: bytes
    context: bytes


class Program:
    """A program in the kernel.

    It owns its descriptor; the kernel keeps the program while a descriptor, a link or a pin holds it.

    Attributes:
        name: the C function's name.
        type: the kernel's program type.
        auto_attach: where its section's name says it belongs; None where it must be told.
        attach_target: the kernel type it was loaded for (tp_btf); empty where there is none.
    """

    def __init__(
        self,
        kernel: Kernel,
        fd: int,
        *,
        name: str,
        type: ProgType,
        expected_attach_type: AttachType | int = 0,
        auto_attach: AttachPoint | None = None,
        attach_target: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.auto_attach = auto_attach
        self.attach_target = attach_target
        self.expected_attach_type = expected_attach_type
        self._kernel = kernel
        self._fd: int | None = fd

    def __repr__(self) -> str:
        state = "closed" if self._fd is None else f"fd {self._fd}"
        return f"<Program {self.name}: {self.type.name}, {state}>"

    @property
    def fd(self) -> int:
        """Its file descriptor.

        Raises:
            GoneError: it was closed.
        """
        if self._fd is None:
            raise GoneError(f"program {self.name}: used after it was closed")
        return self._fd

    @property
    def id(self) -> int:
        """Its id in the kernel, by which other tools know it."""
        return self.info().id

    def info(self) -> ProgramInfo:
        """Return what the kernel says about it."""
        return self._kernel.program_info(self.fd)

    def attach(self, point: str | AttachPoint | None = None) -> Link:
        """Attach it and return the link; the program stays attached until the link is closed.

        Args:
            point: `family:target`, such as `xdp:eth0`; None for the place its section names.

        Raises:
            SpecError: the place is not told, or such a program does not go there.
            AttachError, NotPermittedError, NotSupportedError: the kernel refused.
        """
        if point is None:
            point = self.auto_attach
        if point is None:
            raise SpecError(
                f"attach {self.name}: its section does not say where",
                hint="name a place: attach('xdp:eth0')" if self.type is ProgType.XDP else "name a place",
            )
        if isinstance(point, str):
            point = AttachPoint.parse(point)
        handle = ProgramHandle(self.name, self.fd, self.type, self.expected_attach_type, self.attach_target)
        return attach(self._kernel, handle, point)

    def test_run(
        self,
        data: bytes = b"",
        *,
        context: bytes = b"",
        repeat: int = 1,
        data_out_bytes: int | None = None,
    ) -> RunResult:
        """Run it once, or `repeat` times, on bytes that are given here; nothing needs to be attached.

        Args:
            data: a packet from its Ethernet header on, for network programs; at least 14 bytes.
            context: the context's bytes, for programs that take one.
            repeat: how often; the time is the mean.
            data_out_bytes: room for the packet that comes out; by default 256 more than went in.

        Raises:
            NotSupportedError: programs of this type cannot be tried (tracepoints, for instance).
            KernelError: the kernel refused the packet or the context.

        Kernel: BPF_PROG_TEST_RUN, since 4.12.
        """
        room_bytes = len(data) + 256 if data_out_bytes is None and data else data_out_bytes or 0
        request = RunRequest(
            program_fd=self.fd,
            data=data,
            context=context,
            data_out_bytes=room_bytes,
            context_out_bytes=len(context),
            repeat=repeat,
        )
        try:
            return RunResult(*self._kernel.program_test_run(request))
        except KernelError as error:
            raise self._not_run(error) from None

    def _not_run(self, error: KernelError) -> KernelError:
        """Return the error of a test run with this program's name, and what its type takes."""
        from errno import EFAULT

        error = error.about(f"program (fd {self.fd})", self.name)
        if self.type is ProgType.TRACING and error.errno == EFAULT:
            tried = error.message.partition(": ")[0]
            where = self.auto_attach or self.type.name
            return NotSupportedError(f"{tried}: programs at {where} cannot be tried (EFAULT)", errno=EFAULT)
        if self.type in (ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE):
            error.hint = "raw tracepoints are run on a context of up to 12 numbers of 64 bits, and no packet"
        return error

    def pin(self, path: str) -> None:
        """Give it a name in bpffs, by which it outlives this process.

        Raises:
            KernelError: the path is not on bpffs, or is taken.
        """
        from ebee.pins import pin

        pin(self._kernel, self.fd, path)

    def close(self) -> None:
        """Give the descriptor back. Closing twice does nothing."""
        if self._fd is not None:
            self._kernel.close(self._fd)
            self._fd = None

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

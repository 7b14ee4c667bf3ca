"""Link: a program that is attached somewhere, until it is closed."""

from __future__ import annotations

from collections.abc import Callable

from ebee.abi.bpf import AttachType, ProgType
from ebee.errors import GoneError, KernelError
from ebee.kernel.protocol import Kernel, LinkInfo
from ebee.record import NamedTuple
from ebee.spec import AttachPoint


class ProgramHandle(NamedTuple):
    """What attaching needs to know of a loaded program.

    Attributes:
        name: what messages call it.
        fd: its descriptor; borrowed.
        target: the kernel type it was loaded for (tp_btf); empty where there is none.
    """

    name: str
    fd: int
    type: ProgType
    expected_attach_type: AttachType | int = 0
    target: str = ""


class Link:
    """An attachment that lasts until it is closed or its process ends.

    Two kinds look alike here: a kernel link (BPF_LINK_CREATE), which has a descriptor and can be
    pinned so that it outlives the process, and an attachment of the older way (netlink, a socket
    option), which is undone by asking again.

    Attributes:
        kernel_link: whether the kernel knows it as a link, with an id.
        point: where it is attached.
        program: the name of the program.
    """

    def __init__(
        self,
        kernel: Kernel,
        point: AttachPoint,
        program: str,
        *,
        fd: int | None = None,
        others: tuple[int, ...] = (),
        undo: Callable[[], None] | None = None,
    ) -> None:
        self.point = point
        self.program = program
        self.kernel_link = fd is not None
        self._kernel = kernel
        self._fd = fd
        self._others = others
        self._undo = undo
        self._open = True

    def __repr__(self) -> str:
        return f"<Link {self.program} at {self.point}: {'attached' if self._open else 'closed'}>"

    @property
    def fd(self) -> int:
        """The descriptor of a kernel link.

        Raises:
            GoneError: it was closed, or it is no kernel link.
        """
        if not self._open or self._fd is None:
            why = "has no descriptor" if self._open else "used after it was closed"
            raise GoneError(f"link of {self.program} at {self.point}: {why}")
        return self._fd

    def info(self) -> LinkInfo:
        """Return what the kernel says about it. Kernel: since 5.8."""
        return self._kernel.link_info(self.fd)

    def pin(self, path: str) -> None:
        """Give it a name in bpffs; it then stays attached when this process ends."""
        self._kernel.pin(self.fd, path)

    def close(self) -> None:
        """Detach, unless it is pinned. Closing twice does nothing."""
        if not self._open:
            return
        self._open = False
        try:
            if self._undo is not None:
                self._undo()
        finally:
            for fd in (self._fd, *self._others):
                if fd is not None:
                    self._kernel.close(fd)

    def detach(self) -> None:
        """Detach even if it is pinned, and close.

        Raises:
            AttachError: links of this kind cannot be detached by force (EOPNOTSUPP).

        Kernel: BPF_LINK_DETACH, since 5.9, for links on interfaces, cgroups and namespaces.
        """
        if self._fd is not None and self._open:
            try:
                self._kernel.link_detach(self._fd)
            except KernelError as error:
                raise error.about(f"link (fd {self._fd})", f"{self.program} from {self.point}") from None
        self.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

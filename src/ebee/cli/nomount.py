"""The running kernel with mounting switched off, for --nomount."""

from __future__ import annotations

from ebee.errors import KernelError
from ebee.kernel.live import LiveKernel


class NoMountKernel(LiveKernel):
    """The running kernel; it mounts nothing."""

    def mount(self, file_system: str, path: str) -> None:
        """Refuse.

        Raises:
            KernelError: always.
        """
        raise KernelError(
            f"mount {file_system} on {path}: not done because of --nomount",
            hint=f"leave out --nomount, or mount it: mount -t {file_system} {file_system} {path}",
        )

"""The live kernel: the one this process runs on.

The only home of ctypes, fcntl and mmap. Each module has one part of the door as a class without
state; LiveKernel is all of them.
"""

from __future__ import annotations

from ebee.kernel.host_facts import HostFacts
from ebee.kernel.live.attach import Attaching
from ebee.kernel.live.command import close
from ebee.kernel.live.maps import Maps
from ebee.kernel.live.mounts import Mounting
from ebee.kernel.live.network import Network
from ebee.kernel.live.objects import Objects
from ebee.kernel.live.programs import Programs
from ebee.kernel.live.tracing import Tracing

__all__ = ["LiveKernel"]


class LiveKernel(Programs, Maps, Objects, Attaching, Network, Mounting, Tracing, HostFacts):
    """The running kernel."""

    label = "live"

    def close(self, fd: int) -> None:
        """close(2)."""
        close(fd)

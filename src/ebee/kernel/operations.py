"""Kinds of things that are asked of the kernel.

Apart from what their errnos mean (`ebee.kernel.errors`), which is read only when something fails.
"""

from __future__ import annotations

from enum import Enum, auto


class Operation(Enum):
    """A kind of thing that is asked of the kernel; ANYTHING is whatever has no table of its own."""

    ANYTHING = auto()
    PROGRAM_LOAD = auto()
    BTF_LOAD = auto()
    TEST_RUN = auto()
    QUERY = auto()
    MAP_CREATE = auto()
    MAP_ACCESS = auto()
    OPEN_ID = auto()
    PIN = auto()
    OPEN_PIN = auto()
    INFO = auto()
    RAW_TRACEPOINT = auto()
    LINK_CREATE = auto()
    LINK_UPDATE = auto()
    LINK_DETACH = auto()
    PERF_EVENT_OPEN = auto()
    PERF_EVENT_ATTACH = auto()
    SOCKET_ATTACH = auto()
    NETLINK = auto()
    DEVICE = auto()
    MOUNT = auto()
    UNMOUNT = auto()
    NAMESPACE = auto()
    MEMORY_MAP = auto()

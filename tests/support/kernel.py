"""A kernel of this process: it takes everything, counts descriptors, and fails where it is told to."""

from __future__ import annotations

import os
from typing import Any

from ebee.abi.bpf import AttachType, LinkType
from ebee.errors import KernelError, MapError
from ebee.kernel.host_facts import HostFacts
from ebee.kernel.live import LiveKernel
from ebee.kernel.protocol import (
    AttachedProgram,
    BtfInfo,
    LinkCreate,
    LinkInfo,
    LoadAnswer,
    MapCreate,
    MapInfo,
    NetDevice,
    ObjectKind,
    ProgramInfo,
    ProgramLoad,
    RunAnswer,
    RunRequest,
    TcFilter,
    TraceSource,
    XdpState,
)

FIRST_FD = 1000


class FakeKernel(HostFacts):
    """A kernel in which nothing runs.

    Attributes:
        open: what each open descriptor stands for; closing another one fails the test.
        calls: what was asked, in order: the operation's name and what it was asked with.
        refusals: answers to program loads, used up one after the other before programs are taken.
        btf_errno: what BPF_BTF_LOAD answers; 0 takes it.
        failing: operations that fail, by name, with the error.
        devices: what net_devices tells.
        links: what is told of links by id.
    """

    label = "fake"

    def __init__(self) -> None:
        self.open: dict[int, Any] = {}
        self.calls: list[tuple[str, Any]] = []
        self.refusals: list[LoadAnswer] = []
        self.btf_errno = 0
        self.failing: dict[str, KernelError] = {}
        self.devices = [NetDevice(1, "lo", True), NetDevice(2, "eth0", True)]
        self.links: dict[int, LinkInfo] = {}
        self.values: dict[int, dict[bytes, bytes]] = {}
        self.frozen: set[int] = set()
        self._next_fd = FIRST_FD

    def _note(self, name: str, *what: Any) -> None:
        self.calls.append((name, what[0] if len(what) == 1 else what))
        if name in self.failing:
            raise self.failing[name]

    def asked(self, name: str) -> list[Any]:
        """Return what an operation was asked with, each time."""
        return [what for called, what in self.calls if called == name]

    def _make(self, thing: Any) -> int:
        self._next_fd += 1
        self.open[self._next_fd] = thing
        return self._next_fd

    def close(self, fd: int) -> None:
        assert fd in self.open, f"descriptor {fd} was closed twice, or never opened"
        self.calls.append(("close", self.open.pop(fd)))

    # -- BTF, programs, maps ---------------------------------------------------------------------
    def btf_load(self, data: bytes, *, log_size_bytes: int = 0) -> LoadAnswer:
        self._note("btf_load", log_size_bytes)
        if self.btf_errno:
            return LoadAnswer(-1, self.btf_errno, "[1] INT int\nInvalid name\n" if log_size_bytes else "")
        return LoadAnswer(self._make("btf"), 0, "")

    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        self._note("program_load", request)
        if self.refusals:
            answer = self.refusals.pop(0)
            return answer if answer.errno else answer._replace(fd=self._make(f"program {request.name}"))
        return LoadAnswer(self._make(f"program {request.name}"), 0, "")

    def program_info(self, fd: int, *, code: bool = False) -> ProgramInfo:
        del code
        assert fd in self.open
        return ProgramInfo(fd - FIRST_FD, 6, "p", bytes(8), True, *(0,) * 7, (), *(0,) * 7)

    def program_test_run(self, request: RunRequest) -> RunAnswer:
        self._note("program_test_run", request)
        return RunAnswer(2, 10, request.data, b"")

    def map_create(self, request: MapCreate) -> int:
        self._note("map_create", request)
        fd = self._make(f"map {request.name}")
        self.values[fd] = {}
        return fd

    def map_update(self, fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
        self._note("map_update", self.open[fd], key, value)
        if fd in self.frozen:
            raise MapError("frozen", errno=1)
        self.values[fd][key] = value

    def map_lookup(self, fd: int, key: bytes, value_size_bytes: int, flags: int = 0) -> bytes | None:
        assert fd in self.open
        return self.values[fd].get(key)

    def map_delete(self, fd: int, key: bytes) -> bool:
        return self.values[fd].pop(key, None) is not None

    def map_next_key(self, fd: int, key: bytes | None, key_size_bytes: int) -> bytes | None:
        keys = list(self.values[fd])
        place = 0 if key not in keys else keys.index(key) + 1
        return keys[place] if place < len(keys) else None

    def map_freeze(self, fd: int) -> None:
        self._note("map_freeze", self.open[fd])
        self.frozen.add(fd)

    def map_info(self, fd: int) -> MapInfo:
        found: MapInfo = self.open[fd]
        return found

    # -- pins, ids -------------------------------------------------------------------------------
    def pin(self, fd: int, path: str) -> None:
        self._note("pin", self.open[fd], path)

    def open_pin(self, path: str, flags: int = 0) -> int:
        self._note("open_pin", path)
        return self._make(f"pin {path}")

    def unpin(self, path: str) -> None:
        os.unlink(path)

    def is_pinned(self, path: str) -> bool:
        return os.path.lexists(path)

    def pin_folder(self, folder: str) -> str | None:
        return LiveKernel().pin_folder(folder)

    def pin_names(self, folder: str) -> list[str]:
        return os.listdir(folder)

    def kind_of(self, fd: int) -> ObjectKind:
        self._note("kind_of", self.open[fd])
        return ObjectKind.PROGRAM

    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        return next((number for number in sorted(self.links) if number > after), None)

    def open_id(self, kind: ObjectKind, object_id: int) -> int:
        return self._make(self.links[object_id])

    def link_info(self, fd: int) -> LinkInfo:
        found: LinkInfo = self.open[fd]
        return found

    def btf_info(self, fd: int, *, data: bool = False) -> BtfInfo:
        return BtfInfo(1, "", False, 0)

    # -- attaching -------------------------------------------------------------------------------
    def link_create(self, request: LinkCreate) -> int:
        self._note("link_create", request)
        return self._make("link")

    def link_detach(self, link_fd: int) -> None:
        self._note("link_detach", self.open[link_fd])

    def raw_tracepoint_open(self, program_fd: int, name: str | None) -> int:
        self._note("raw_tracepoint_open", name)
        return self._make(f"raw tracepoint {name}")

    def perf_event_open(self, event: Any) -> int:
        self._note("perf_event_open", event)
        return self._make("event")

    def perf_event_attach(self, event_fd: int, program_fd: int) -> None:
        self._note("perf_event_attach", self.open[event_fd])

    def perf_event_enable(self, event_fd: int) -> None:
        self._note("perf_event_enable", self.open[event_fd])

    def socket_attach(self, socket_fd: int, program_fd: int | None) -> None:
        self._note("socket_attach", socket_fd, program_fd)

    def packet_socket(self, device: str, program_fd: int) -> int:
        self._note("packet_socket", device, program_fd)
        return self._make("socket")

    def net_devices(self) -> list[NetDevice]:
        return self.devices

    def xdp_attach(self, ifindex: int, program_fd: int, flags: int, expected_fd: int | None = None) -> None:
        self._note("xdp_attach", ifindex, program_fd, flags)
        states = () if program_fd < 0 else (XdpState("driver", program_fd - FIRST_FD),)
        self.devices = [d._replace(xdp=states) if d.ifindex == ifindex else d for d in self.devices]

    def mount(self, file_system: str, path: str) -> None:
        self._note("mount", file_system, path)

    # -- what no test of the loader asks for -----------------------------------------------------
    def program_query(self, target: int, attach_type: AttachType, flags: int = 0) -> list[AttachedProgram]:
        raise AssertionError("program_query was asked")

    def map_memory(self, fd: int, length_bytes: int, *, writable: bool, offset_bytes: int = 0) -> memoryview:
        raise AssertionError("map_memory was asked")

    def link_update(self, link_fd: int, program_fd: int) -> None:
        raise AssertionError("link_update was asked")

    def iterator_create(self, link_fd: int) -> int:
        raise AssertionError("iterator_create was asked")

    def open_trace_pipe(self) -> TraceSource:
        raise AssertionError("open_trace_pipe was asked")

    def pinned_paths(self) -> list[str]:
        raise AssertionError("pinned_paths was asked")

    def tc_filters(self, ifindex: int) -> list[TcFilter]:
        raise AssertionError("tc_filters was asked")


def xdp_link(link_id: int, program_id: int, ifindex: int) -> LinkInfo:
    """Return what a kernel tells of an XDP link."""
    return LinkInfo(link_id, LinkType.XDP, program_id, {"ifindex": ifindex})

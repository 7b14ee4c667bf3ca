"""The door: all that ebee asks of a kernel, whichever kernel answers.

`kernel.live` asks the running one; a simulated one answers the same questions in user space. What
goes in are records of plain numbers and bytes; file descriptors are plain integers that belong to
whoever asked for them and go back by `close`.

Every method raises KernelError, or one of its subclasses, with the kernel's errno; `program_load` and
`btf_load` alone answer with a record, because a refusal by the verifier is an answer to be
explained (and `ebee.kernel.errors.explain` explains those that are none of the verifier's).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ebee.abi.bpf import AttachType, LinkType, MapType, ProgType
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ebee.btf import Btf
    from ebee.host.kernel_facts import KernelFacts
else:
    Protocol = object


class ObjectKind(Enum):
    """What has ids in the kernel."""

    PROGRAM = "program"
    MAP = "map"
    LINK = "link"
    BTF = "btf"


class MapCreate(NamedTuple):
    """BPF_MAP_CREATE. File descriptors of 0 mean none, as in the kernel's interface."""

    type: MapType
    key_size_bytes: int
    value_size_bytes: int
    max_entries: int
    flags: int = 0
    name: str = ""
    inner_map_fd: int = 0
    numa_node: int = 0
    btf_fd: int = 0
    btf_key_type_id: int = 0
    btf_value_type_id: int = 0
    btf_vmlinux_value_type_id: int = 0
    map_extra: int = 0


class ProgramLoad(NamedTuple):
    """BPF_PROG_LOAD.

    Attributes:
        instructions: 8 bytes each, host byte order.
        func_info, line_info: arrays of the kernel's struct bpf_func_info and bpf_line_info, with
            the size of one record.
        log_level: 0 for no log, 1 for the verifier's log, 2 for every state; 4 adds statistics.
        log_size_bytes: room for the log.
    """

    type: ProgType
    instructions: bytes
    license: str
    name: str = ""
    expected_attach_type: AttachType | int = 0
    flags: int = 0
    kernel_version: int = 0
    ifindex: int = 0
    btf_fd: int = 0
    func_info: bytes = b""
    func_info_record_bytes: int = 8
    line_info: bytes = b""
    line_info_record_bytes: int = 16
    attach_btf_id: int = 0
    attach_fd: int = 0
    fd_array: Sequence[int] = ()
    log_level: int = 0
    log_size_bytes: int = 0


class LoadAnswer(NamedTuple):
    """What BPF_PROG_LOAD or BPF_BTF_LOAD answered: a file descriptor and errno 0, or -1 and the errno.

    Attributes:
        log: as much of the log as there was room for.
        log_whole_bytes: how long the whole log is, where the kernel says so (since 6.4), else 0.
    """

    fd: int
    errno: int
    log: str
    log_whole_bytes: int = 0


class RunRequest(NamedTuple):
    """BPF_PROG_TEST_RUN: bytes in, and room for bytes out."""

    program_fd: int
    data: bytes = b""
    context: bytes = b""
    data_out_bytes: int = 0
    context_out_bytes: int = 0
    repeat: int = 1
    flags: int = 0
    cpu: int = 0
    batch_size: int = 0


class RunAnswer(NamedTuple):
    """What a test run gave: the program's return value, the mean time of a run, bytes out."""

    return_value: int
    duration_ns: int
    data: bytes
    context: bytes


class LinkCreate(NamedTuple):
    """BPF_LINK_CREATE.

    Attributes:
        target: an interface's index, or the file descriptor of a cgroup, network namespace, perf event.
        cookie: what bpf_get_attach_cookie() gives the program; perf events and tracing only.
    """

    program_fd: int
    target: int
    attach_type: AttachType
    flags: int = 0
    cookie: int = 0


class PerfEvent(NamedTuple):
    """perf_event_open(2), those parts of its attributes that eBPF uses."""

    type: int
    config: int
    config1: int = 0
    config2: int = 0
    sample_period: int = 1
    sample_type: int = 0
    wakeup_events: int = 1
    pid: int = -1
    cpu: int = 0


class ProgramInfo(NamedTuple):
    """struct bpf_prog_info. Times are of the boot clock. Lists are whole, bytes as the kernel gave them."""

    id: int
    type: int
    name: str
    tag: bytes
    gpl_compatible: bool
    load_time_ns: int
    created_by_uid: int
    ifindex: int
    netns_dev: int
    netns_ino: int
    xlated_bytes: int
    jited_bytes: int
    map_ids: tuple[int, ...]
    btf_id: int
    run_time_ns: int
    run_count: int
    recursion_misses: int
    verified_instructions: int
    attach_btf_object_id: int
    attach_btf_id: int
    instructions: bytes = b""
    jited: bytes = b""
    func_info: bytes = b""
    func_info_record_bytes: int = 0
    line_info: bytes = b""
    line_info_record_bytes: int = 0
    jited_ksyms: tuple[int, ...] = ()
    jited_func_lens: tuple[int, ...] = ()
    memlock_bytes: int = 0
    orphaned: bool = False


class MapInfo(NamedTuple):
    """struct bpf_map_info, with `memlock_bytes` and `frozen` from the descriptor's fdinfo."""

    id: int
    type: int
    name: str
    key_size_bytes: int
    value_size_bytes: int
    max_entries: int
    flags: int
    map_extra: int
    ifindex: int
    btf_id: int
    btf_key_type_id: int
    btf_value_type_id: int
    btf_vmlinux_value_type_id: int
    memlock_bytes: int = 0
    frozen: bool = False
    owner_prog_type: int | None = None
    owner_jited: bool | None = None


class LinkInfo(NamedTuple):
    """struct bpf_link_info: the common part, and the tail of its type by the kernel's field names."""

    id: int
    type: LinkType | int
    program_id: int
    details: dict[str, int | str | bytes]


class BtfInfo(NamedTuple):
    """struct bpf_btf_info with the BTF itself, where it was asked for."""

    id: int
    name: str
    kernel: bool
    size_bytes: int
    data: bytes = b""


class AttachedProgram(NamedTuple):
    """One row of BPF_PROG_QUERY; ids of 0 where the kernel does not tell them."""

    program_id: int
    link_id: int = 0
    program_flags: int = 0
    link_flags: int = 0


class XdpState(NamedTuple):
    """An XDP program on an interface: `mode` is `driver`, `generic` or `offload`."""

    mode: str
    program_id: int


class NetDevice(NamedTuple):
    """An interface as RTM_GETLINK shows it; `up` is IFF_UP."""

    ifindex: int
    name: str
    up: bool
    xdp: tuple[XdpState, ...] = ()


class TcAction(NamedTuple):
    """An action of a filter that runs a BPF program."""

    name: str
    program_id: int


class TcFilter(NamedTuple):
    """A classifier that runs a BPF program.

    Attributes:
        parent, kind: where it hangs: a handle, and `clsact/ingress`, `clsact/egress` or the kind of
            the qdisc or class, such as `htb`.
        protocol: ETH_P_*.
        actions: those that run BPF programs of their own.
    """

    ifindex: int
    parent: int
    kind: str
    handle: int
    priority: int
    protocol: int
    name: str
    program_id: int
    actions: tuple[TcAction, ...] = ()


class TraceSource(Protocol):
    """The trace pipe's bytes.

    Attributes:
        fd: a descriptor of the operating system's, ready for reading when bytes are there.
    """

    fd: int

    def read(self) -> bytes:
        """Return what is there, without waiting; nothing where nothing is there."""

    def close(self) -> None:
        """Stop reading."""


class Kernel(Protocol):
    """A kernel that answers; `label` is `live` or `vm`."""

    label: str

    def close(self, fd: int) -> None:
        """Give a file descriptor back. Closing one twice is an error of the caller's (EBADF)."""

    # -- facts -----------------------------------------------------------------------------------
    def cpu_count(self) -> int:
        """How many values a per-CPU map has under each key: one for each possible CPU."""

    def types(self) -> Btf | None:
        """The kernel's own types, which CO-RE relocations look into; None where it has none."""

    def facts(self) -> KernelFacts:
        """Release, architecture, configuration."""

    def symbol_address(self, name: str) -> int | None:
        """The address of a symbol of the kernel; None where it has none of that name.

        Raises:
            NotPermittedError: the kernel hides addresses from this process.
        """

    def has_symbol(self, name: str) -> bool:
        """Whether the kernel has a symbol."""

    def tracepoint_id(self, category: str, name: str) -> int:
        """The id by which `perf_event_open` knows a tracepoint.

        Raises:
            AttachError: there is no such tracepoint; the hint names the nearest.
        """

    def open_trace_pipe(self) -> TraceSource:
        """What programs print, as lines of tracefs; one reader at a time (EBUSY)."""

    # -- BTF and programs ------------------------------------------------------------------------
    def btf_load(self, data: bytes, *, log_size_bytes: int = 0) -> LoadAnswer:
        """BPF_BTF_LOAD. Kernel: since 4.18."""

    def program_load(self, request: ProgramLoad) -> LoadAnswer:
        """BPF_PROG_LOAD, once, as asked; who wants a longer log asks again."""

    def program_test_run(self, request: RunRequest) -> RunAnswer:
        """BPF_PROG_TEST_RUN. Kernel: since 4.12, and not for every program type (ENOTSUPP)."""

    def program_query(self, target: int, attach_type: AttachType, flags: int = 0) -> list[AttachedProgram]:
        """BPF_PROG_QUERY on an interface's index or a cgroup's or namespace's descriptor."""

    # -- maps ------------------------------------------------------------------------------------
    def map_create(self, request: MapCreate) -> int:
        """BPF_MAP_CREATE; returns a file descriptor."""

    def map_lookup(self, fd: int, key: bytes, value_size_bytes: int, flags: int = 0) -> bytes | None:
        """BPF_MAP_LOOKUP_ELEM; None where the key is not there (ENOENT)."""

    def map_update(self, fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
        """BPF_MAP_UPDATE_ELEM."""

    def map_delete(self, fd: int, key: bytes) -> bool:
        """BPF_MAP_DELETE_ELEM; False where the key was not there (ENOENT)."""

    def map_next_key(self, fd: int, key: bytes | None, key_size_bytes: int) -> bytes | None:
        """BPF_MAP_GET_NEXT_KEY; the first key for None; None past the last."""

    def map_freeze(self, fd: int) -> None:
        """BPF_MAP_FREEZE: user space writes no more. Kernel: since 5.2."""

    def map_memory(self, fd: int, length_bytes: int, *, writable: bool, offset_bytes: int = 0) -> memoryview:
        """mmap(2) of an array map made with BPF_F_MMAPABLE, a ring buffer or a perf event.

        The memory stays until the view, and all that was sliced from it, are released.
        """

    # -- ids, pins, information ------------------------------------------------------------------
    def next_id(self, kind: ObjectKind, after: int) -> int | None:
        """BPF_PROG_GET_NEXT_ID and its siblings; None past the last."""

    def open_id(self, kind: ObjectKind, object_id: int) -> int:
        """BPF_PROG_GET_FD_BY_ID and its siblings; GoneError where nothing has that id, or no more."""

    def pin(self, fd: int, path: str) -> None:
        """BPF_OBJ_PIN on a path that must not exist yet."""

    def open_pin(self, path: str, flags: int = 0) -> int:
        """BPF_OBJ_GET."""

    def unpin(self, path: str) -> None:
        """Take a name away; what it named goes when nothing else holds it."""

    def is_pinned(self, path: str) -> bool:
        """Whether a path is taken."""

    def pin_folder(self, folder: str) -> str | None:
        """What file system a folder is on, `bpf` where it is bpffs; None where there is no such folder."""

    def pin_names(self, folder: str) -> list[str]:
        """The names in a folder; none where it is not there or may not be read."""

    def pinned_paths(self) -> list[str]:
        """The paths under which anything is pinned, in all bpffs that can be seen."""

    def kind_of(self, fd: int) -> ObjectKind:
        """What a descriptor stands for, by its entry under /proc/self/fd."""

    def program_info(self, fd: int, *, code: bool = False) -> ProgramInfo:
        """BPF_OBJ_GET_INFO_BY_FD; with `code` also instructions, machine code, function and line info."""

    def map_info(self, fd: int) -> MapInfo:
        """BPF_OBJ_GET_INFO_BY_FD of a map."""

    def link_info(self, fd: int) -> LinkInfo:
        """BPF_OBJ_GET_INFO_BY_FD of a link."""

    def btf_info(self, fd: int, *, data: bool = False) -> BtfInfo:
        """BPF_OBJ_GET_INFO_BY_FD of a BTF object, with its bytes where asked for."""

    # -- attaching -------------------------------------------------------------------------------
    def raw_tracepoint_open(self, program_fd: int, name: str | None) -> int:
        """BPF_RAW_TRACEPOINT_OPEN; no name for programs that know their target (tp_btf, iter)."""

    def link_create(self, request: LinkCreate) -> int:
        """BPF_LINK_CREATE; returns the link's descriptor. Kernel: since 5.7."""

    def link_update(self, link_fd: int, program_fd: int) -> None:
        """BPF_LINK_UPDATE: another program in the same place."""

    def link_detach(self, link_fd: int) -> None:
        """BPF_LINK_DETACH: the link stays, attached to nothing. Kernel: since 5.9."""

    def iterator_create(self, link_fd: int) -> int:
        """BPF_ITER_CREATE: a descriptor whose reading runs the iterator once. Kernel: since 5.8."""

    def perf_event_open(self, event: PerfEvent) -> int:
        """perf_event_open(2), close-on-exec, disabled."""

    def perf_event_attach(self, event_fd: int, program_fd: int) -> None:
        """PERF_EVENT_IOC_SET_BPF, for kernels whose links do not take perf events (before 5.15)."""

    def perf_event_enable(self, event_fd: int) -> None:
        """PERF_EVENT_IOC_ENABLE."""

    def socket_attach(self, socket_fd: int, program_fd: int | None) -> None:
        """SO_ATTACH_BPF; None takes the filter off (SO_DETACH_BPF)."""

    def packet_socket(self, device: str, program_fd: int) -> int:
        """A packet socket that hears all that an interface receives, through a socket filter."""

    # -- network ---------------------------------------------------------------------------------
    def net_devices(self) -> list[NetDevice]:
        """RTM_GETLINK: the interfaces of this network namespace with the XDP programs on them."""

    def xdp_attach(self, ifindex: int, program_fd: int, flags: int, expected_fd: int | None = None) -> None:
        """RTM_SETLINK with IFLA_XDP; a program_fd of -1 detaches. Flags are XDP_FLAGS_*.

        With an `expected_fd` only if that program is there now (since 5.7); -1 expects none.
        """

    def tc_filters(self, ifindex: int) -> list[TcFilter]:
        """RTM_GETTFILTER below every qdisc and class of an interface: those that run a BPF program."""

    # -- file systems ----------------------------------------------------------------------------
    def mount(self, file_system: str, path: str) -> None:
        """mount(2) of bpf, tracefs, debugfs or securityfs, with nosuid, nodev, noexec."""

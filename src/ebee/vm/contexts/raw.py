"""Contexts without a packet: bytes as they are, arguments, registers, and the small structs of cgroups."""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence

from ebee.abi.arch import Arch
from ebee.abi.contexts import (
    CGROUP_DEV_CTX,
    SK_LOOKUP,
    SK_MSG_MD,
    SK_REUSEPORT_MD,
    SOCK,
    SOCK_ADDR,
    SOCK_OPS,
    SOCKOPT,
    SYSCTL,
)
from ebee.abi.layout import Layout, Value
from ebee.vm.contexts.base import allow_writes, context_region, set_field, set_pointer, struct_region
from ebee.vm.faults import Refusal
from ebee.vm.machine import Context
from ebee.vm.memory import Memory
from ebee.vm.packet import Packet

_MOST_ARGUMENTS = 12
"""Of a tracing program; the kernel's MAX_BPF_FUNC_ARGS."""

SOCKET_STRUCTS: dict[str, tuple[Layout, tuple[str, ...]]] = {
    "sock_addr": (SOCK_ADDR, ("user_ip4", "user_ip6", "user_port", "msg_src_ip4", "msg_src_ip6")),
    "sock_ops": (SOCK_OPS, ("reply", "replylong", "sk_txhash")),
    "sock": (SOCK, ("bound_dev_if", "mark", "priority")),
    "sk_lookup": (SK_LOOKUP, ()),
    "device": (CGROUP_DEV_CTX, ()),
}
"""By the kind of program: the struct that the context is, and the fields that programs may write."""


class Call:
    """A call of a kernel function that a program is attached to.

    Attributes:
        arguments: of the function.
        result: what it returned, for programs at its end.
        address: where the function begins.
        cookie: what the user gave when attaching.
    """

    def __init__(
        self, arguments: Sequence[int] = (), result: int | None = None, *, address: int = 0, cookie: int = 0
    ) -> None:
        self.arguments = tuple(arguments)
        self.result = result
        self.address = address
        self.cookie = cookie


class Output:
    """What an iterator's program prints.

    Attributes:
        data: all that it has printed.
    """

    def __init__(self) -> None:
        self.data = bytearray()


class Sysctl:
    """A sysctl that is read or written.

    Attributes:
        name: below /proc/sys.
        value: as it is.
        new_value: what is being written; None where it is read. Programs may change it.
    """

    def __init__(self, name: str, value: bytes, new_value: bytes | None = None) -> None:
        self.name = name
        self.value = value
        self.new_value = new_value


def sysctl_context(
    memory: Memory, name: str, value: bytes, new_value: bytes | None = None, *, position: int = 0
) -> Context:
    """Make the context of a program at sysctls; its `event` is the Sysctl.

    Args:
        new_value: what is being written; None where the sysctl is read.
        position: in the file.
    """
    facts: dict[str, Value] = {"write": int(new_value is not None), "file_pos": position}
    region = struct_region(memory, SYSCTL, facts, context=True)
    allow_writes(region, SYSCTL, ("file_pos",))
    return Context(region, None, Sysctl(name, value, new_value))


def iterator_context(
    memory: Memory, pointers: Sequence[int], *, session: int = 0, number: int = 0
) -> Context:
    """Make the context of one step of an iterator; its `event` is the Output.

    Args:
        pointers: what follows the first field: the addresses of what is shown, 0 for none.
        session, number: of the iteration, and of the step, from 0.
    """
    meta = memory.add("struct bpf_iter_meta", 24, writable=False)
    meta.element(0)[:] = struct.pack("<QQQ", 0, session, number)
    data = struct.pack(f"<{1 + len(pointers)}Q", meta.address(), *pointers)
    region = context_region(memory, data, "the context (bpf_iter)")
    return Context(region, None, Output(), (meta,))


def raw_context(
    memory: Memory, data: bytes, name: str = "the context", *, writable: bool = False, cookie: int = 0
) -> Context:
    """Make a context of bytes as they are: tracepoints, system call programs, iterators.

    Args:
        data: the record as the program sees it, for tracepoints from its 8 bytes of common fields on.
    """
    return Context(context_region(memory, data, name, writable=writable), None, Call(cookie=cookie))


def arguments_context(
    memory: Memory,
    arguments: Sequence[int],
    result: int | None = None,
    *,
    address: int = 0,
    cookie: int = 0,
) -> Context:
    """Make the context of raw tracepoints and of programs at functions: 8 bytes for each argument.

    Args:
        result: of fexit programs, behind the arguments.
        address: of the function, for bpf_get_func_ip().
    """
    if len(arguments) > _MOST_ARGUMENTS:
        raise Refusal(errno.EINVAL, f"{len(arguments)} arguments, expected {_MOST_ARGUMENTS} or fewer")
    values = [value & (1 << 64) - 1 for value in (*arguments, *(() if result is None else (result,)))]
    data = struct.pack(f"<{len(values)}Q", *values)
    region = context_region(memory, data, "the context (arguments)", room_bytes=8 * _MOST_ARGUMENTS)
    return Context(region, None, Call(arguments, result, address=address, cookie=cookie))


def registers_context(
    memory: Memory, registers: Mapping[str, int], arch: Arch, *, cookie: int = 0, address: int = 0
) -> Context:
    """Make the context of kprobes and uprobes, struct pt_regs.

    Args:
        registers: by the kernel's names (`di`, `si`, `ax`, `ip` on x86-64); the others are zero.

    Raises:
        Refusal: EINVAL, the architecture has no such register.
    """
    region = context_region(memory, _pt_regs(registers, arch), "the context (pt_regs)")
    given = [registers.get(name, 0) for name in arch.arguments]
    return Context(region, None, Call(given, registers.get(arch.result), address=address, cookie=cookie))


def perf_event_context(
    memory: Memory,
    registers: Mapping[str, int],
    arch: Arch,
    *,
    period: int = 1,
    address: int = 0,
    cookie: int = 0,
) -> Context:
    """Make the context of perf events, struct bpf_perf_event_data: registers, sample period, address."""
    data = _pt_regs(registers, arch) + struct.pack("<QQ", period, address)
    region = context_region(memory, data, "the context (bpf_perf_event_data)")
    return Context(region, None, Call(cookie=cookie))


def socket_context(memory: Memory, kind: str, /, **facts: Value) -> Context:
    """Make the context of a program at sockets or cgroups that is one struct and, at most, a socket.

    Args:
        kind: a key of SOCKET_STRUCTS.
        facts: fields of the struct, by name; addresses and ports in network byte order, as it says.

    Raises:
        Refusal: EINVAL, the struct has no such field, or a value does not fit it.
    """
    layout, writable = SOCKET_STRUCTS[kind]
    region = struct_region(memory, layout, facts, context=True)
    allow_writes(region, layout, writable)
    if "sk" not in layout.fields or kind == "sk_lookup":
        return Context(region)
    shared = {name: value for name in ("family", "protocol", "type") if (value := facts.get(name))}
    sock = struct_region(memory, SOCK, shared, context=False)
    set_pointer(region, layout, "sk", sock.address())
    memory.changed(region)
    return Context(region, None, None, (sock,))


def sockopt_context(memory: Memory, value: bytes, **facts: Value) -> Context:
    """Make the context of getsockopt and setsockopt programs.

    Args:
        value: the option's value; the program may change it in place. It is the first of `others`.
        facts: level, optname, optlen, retval.
    """
    region = struct_region(memory, SOCKOPT, {"optlen": len(value), **facts}, context=True)
    allow_writes(region, SOCKOPT, ("level", "optname", "optlen", "retval"))
    option = memory.add("the option's value", max(1, len(value)))
    option.element(0)[: len(value)] = value
    sock = struct_region(memory, SOCK, {}, context=False)
    set_pointer(region, SOCKOPT, "sk", sock.address())
    set_pointer(region, SOCKOPT, "optval", option.address())
    set_pointer(region, SOCKOPT, "optval_end", option.address(0, len(value)))
    memory.changed(region)
    return Context(region, None, None, (option, sock))


def message_context(memory: Memory, data: bytes, **facts: Value) -> Context:
    """Make the context of sk_msg programs: a message on its way to a socket."""
    return _payload_context(memory, data, SK_MSG_MD, facts)


def reuseport_context(memory: Memory, data: bytes, **facts: Value) -> Context:
    """Make the context of sk_reuseport programs.

    Args:
        data: the packet from its TCP or UDP header on.
    """
    return _payload_context(memory, data, SK_REUSEPORT_MD, facts)


def _payload_context(memory: Memory, data: bytes, layout: Layout, facts: dict[str, Value]) -> Context:
    region = struct_region(memory, layout, facts, context=True)
    packet = Packet(memory, data)
    packet.region.writable = layout is SK_MSG_MD
    sock = struct_region(memory, SOCK, {}, context=False)
    set_pointer(region, layout, "sk", sock.address())

    def follow() -> None:
        set_field(region, layout, "size" if layout is SK_MSG_MD else "len", len(packet))
        set_pointer(region, layout, "data", packet.address())
        set_pointer(region, layout, "data_end", packet.address(len(packet)))
        memory.changed(region)

    packet.moved = follow
    follow()
    return Context(region, packet, None, (sock,))


def _pt_regs(registers: Mapping[str, int], arch: Arch) -> bytes:
    data = bytearray(8 * (1 + max(arch.pt_regs.values()) // 8))
    for name, value in registers.items():
        if name not in arch.pt_regs:
            raise Refusal(
                errno.EINVAL, f"{arch.name} has no register {name}; it has {', '.join(arch.pt_regs)}"
            )
        struct.pack_into("<Q", data, arch.pt_regs[name], value & (1 << 64) - 1)
    return bytes(data)

"""BPF_PROG_TEST_RUN of the simulated kernel, by the rules of the kernel's.

Source: net/bpf/test_run.c, as to what is refused with which errno; held against the running kernel by
tests that ask both.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

from ebee.abi.bpf import AttachType, ProgType
from ebee.kernel.meanings import ENOTSUPP
from ebee.kernel.protocol import RunAnswer, RunRequest
from ebee.kernel.simulated.runs import Ran, lent, run
from ebee.kernel.simulated.state import State
from ebee.kernel.simulated.things import ProgramThing
from ebee.vm.contexts import (
    arguments_context,
    flow_context,
    raw_context,
    skb_context,
    skb_context_out,
    skb_data_out,
    xdp_context,
    xdp_context_out,
    xdp_data_out,
)
from ebee.vm.faults import Refusal

_RUN_ON_CPU = 1
_SKB_COMPLETE = 4
_LIVE_FRAMES = 2
_MOST_SKB_BYTES = 3712
"""A page less the kernel's headroom and its own struct at the end; longer packets are refused."""
_LINEAR_XDP_BYTES = 3520
_MOST_XDP_BYTES = 17 * 4096 + _LINEAR_XDP_BYTES
_HEADER_BYTES = 14
_MOST_FLOW_BYTES = 4096
_MOST_ARGUMENT_BYTES = 12 * 8
_MOST_SYSCALL_BYTES = 0xFFFF
_IFINDEX_AT = 40
"""Of `ifindex` in struct __sk_buff; of `ingress_ifindex` in struct xdp_md it is 12."""


def try_program(state: State, request: RunRequest) -> RunAnswer:
    """Run a program as asked.

    Raises:
        Refusal: the errno of the kernel's refusal; what the machine cannot do that the kernel can, ENOTSUPP
            with a word about it.
        MachineError: it did what it must not.
    """
    program = state.get(request.program_fd, ProgramThing)
    trial = _TRIALS.get(program.code.type)
    if trial is None:
        raise Refusal(ENOTSUPP)
    return trial(state, program, request)


def _xdp(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    if request.flags & _LIVE_FRAMES:
        raise Refusal(ENOTSUPP, "the userspace machine sends no live frames")
    if request.flags or request.batch_size:
        raise Refusal(errno.EINVAL)
    if program.code.expected_attach_type in (AttachType.XDP_DEVMAP, AttachType.XDP_CPUMAP):
        raise Refusal(errno.EINVAL)
    _check_size(request.data, max(_MOST_XDP_BYTES, state.most_packet_bytes))
    _check_device(state, request.context, 12)
    seen = _linear_bytes(state, request)
    context = xdp_context(state.machine.memory, request.data[:seen], ctx_in=request.context)
    with lent(state, context):
        ran = run(state, program, context, cpu=_cpu(state, request), repeat=request.repeat or 1)
        context_out = xdp_context_out(context, request.context) if request.context else b""
        return _answer(request, ran, xdp_data_out(context) + request.data[seen:], context_out)


def _linear_bytes(state: State, request: RunRequest) -> int:
    """Return how much of a packet the program sees: what fits a page, or what the context says.

    The rest of a test run's packet lies in fragments, which come out as they went in.
    """
    size = len(request.data)
    if not request.context:
        return max(_LINEAR_XDP_BYTES, state.most_packet_bytes)
    given = request.context.ljust(8, b"\0")
    meta, end = (int.from_bytes(given[at : at + 4], "little") for at in (0, 4))
    most = max(_LINEAR_XDP_BYTES + meta, state.most_packet_bytes)
    return end if _HEADER_BYTES <= end <= min(size, most) else size


def _skb(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    if request.flags & ~_SKB_COMPLETE or request.cpu or request.batch_size:
        raise Refusal(errno.EINVAL)
    _check_size(request.data, max(_MOST_SKB_BYTES, state.most_packet_bytes))
    _check_device(state, request.context, _IFINDEX_AT)
    memory, kind = state.machine.memory, program.code.type
    with lent(state, skb_context(memory, request.data, kind, ctx_in=request.context)) as context:
        ran = run(state, program, context, repeat=request.repeat or 1)
        context_out = skb_context_out(context, request.context) if request.context else b""
        return _answer(request, ran, skb_data_out(context), context_out)


def _flow(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    if request.flags or request.cpu or request.batch_size:
        raise Refusal(errno.EINVAL)
    _check_size(request.data, _MOST_FLOW_BYTES)
    with lent(state, flow_context(state.machine.memory, request.data)) as context:
        ran = run(state, program, context, repeat=request.repeat or 1)
        return _answer(request, ran, bytes(context.others[0].element(0)), b"")


def _raw_tracepoint(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    """Run it on arguments; it has no packet, no time, and runs once."""
    if request.data or request.data_out_bytes or request.repeat or request.batch_size:
        raise Refusal(errno.EINVAL)
    if request.context_out_bytes and not request.context:
        raise Refusal(errno.EINVAL)
    if request.flags & ~_RUN_ON_CPU or (request.cpu and not request.flags):
        raise Refusal(errno.EINVAL)
    _check_context(program, request.context, _MOST_ARGUMENT_BYTES)
    padded = request.context.ljust(-(-len(request.context) // 8) * 8, b"\0")
    arguments = [value for (value,) in struct.iter_unpack("<Q", padded)]
    with lent(state, arguments_context(state.machine.memory, arguments)) as context:
        ran = run(state, program, context, cpu=_cpu(state, request))
        return RunAnswer(ran.return_value, 0, b"", b"")


def _syscall(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    """Run it on a context that it may change; the kernel hands none back but in place."""
    unfit = request.data or request.data_out_bytes or request.context_out_bytes
    if unfit or request.repeat or request.flags or request.batch_size:
        raise Refusal(errno.EINVAL)
    _check_context(program, request.context, _MOST_SYSCALL_BYTES)
    with lent(state, raw_context(state.machine.memory, request.context, writable=True)) as context:
        ran = run(state, program, context)
        return RunAnswer(ran.return_value, 0, b"", b"")


def _tracing(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    """Programs at BTF tracepoints cannot be tried, and the kernel says EFAULT."""
    del state
    if request.flags or request.cpu or request.batch_size:
        raise Refusal(errno.EINVAL)
    if program.code.expected_attach_type in (AttachType.TRACE_FENTRY, AttachType.TRACE_FEXIT):
        raise Refusal(ENOTSUPP, "the userspace machine has none of the kernel's functions to call")
    raise Refusal(errno.EFAULT)


def _not_here(state: State, program: ProgramThing, request: RunRequest) -> RunAnswer:
    del state, request
    kind = program.code.type.name
    raise Refusal(ENOTSUPP, f"the kernel can try programs of type {kind}, the userspace machine cannot yet")


_TRIALS: dict[ProgType, Callable[[State, ProgramThing, RunRequest], RunAnswer]] = {
    ProgType.XDP: _xdp,
    ProgType.SOCKET_FILTER: _skb,
    ProgType.SCHED_CLS: _skb,
    ProgType.SCHED_ACT: _skb,
    ProgType.CGROUP_SKB: _skb,
    ProgType.LWT_IN: _skb,
    ProgType.LWT_OUT: _skb,
    ProgType.LWT_XMIT: _skb,
    ProgType.LWT_SEG6LOCAL: _skb,
    ProgType.FLOW_DISSECTOR: _flow,
    ProgType.RAW_TRACEPOINT: _raw_tracepoint,
    ProgType.RAW_TRACEPOINT_WRITABLE: _raw_tracepoint,
    ProgType.SYSCALL: _syscall,
    ProgType.TRACING: _tracing,
    ProgType.NETFILTER: _not_here,
    ProgType.SK_LOOKUP: _not_here,
}


def _check_size(data: bytes, most_bytes: int) -> None:
    if len(data) > most_bytes:
        raise Refusal(errno.EINVAL, f"a packet of {len(data)} bytes, expected {most_bytes} at most")


def _check_context(program: ProgramThing, context: bytes, most_bytes: int) -> None:
    if not program.reach <= len(context) <= most_bytes:
        expected = f"{program.reach} to {most_bytes}"
        raise Refusal(errno.EINVAL, f"a context of {len(context)} bytes, expected {expected}")


def _check_device(state: State, context: bytes, at: int) -> None:
    """Refuse a context that names an interface that is not there."""
    ifindex = int.from_bytes(context[at : at + 4], "little")
    if ifindex and state.devices.find(ifindex) is None:
        raise Refusal(errno.ENODEV, f"there is no device of number {ifindex}")


def _cpu(state: State, request: RunRequest) -> int:
    if request.cpu >= state.machine.cpus:
        raise Refusal(errno.ENXIO if request.flags & _RUN_ON_CPU else errno.EINVAL)
    return request.cpu


def _answer(request: RunRequest, ran: Ran, data: bytes, context: bytes) -> RunAnswer:
    """Return what came out; ENOSPC where there is less room for it than it takes."""
    if request.data_out_bytes and len(data) > request.data_out_bytes:
        raise Refusal(errno.ENOSPC)
    if request.context_out_bytes and len(context) > request.context_out_bytes:
        raise Refusal(errno.ENOSPC)
    return RunAnswer(
        ran.return_value,
        ran.mean_ns,
        data if request.data_out_bytes else b"",
        context if request.context_out_bytes else b"",
    )

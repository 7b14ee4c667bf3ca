"""Places where programs run, by the names that sections of C files have for them."""

from __future__ import annotations

from ebee.abi.bpf import F_SLEEPABLE, AttachType, ProgType
from ebee.record import NamedTuple


class Hook(NamedTuple):
    """A place where programs run.

    Attributes:
        target: the kernel type that programs for it are loaded against: some that every kernel with
            the hook has, the first found is taken.
        result: what the probe's program returns; some places take no 0.
        pmu: the perf event source that attaching goes through; loading alone says nothing then.
        link_function: the kernel function that makes its links.
        needs_config: the kernel option that brings it.
        since: the first release that has it, where that is a recent one; for messages only.
    """

    name: str
    type: ProgType
    attach_type: AttachType | int = 0
    flags: int = 0
    target: tuple[str, ...] = ()
    result: int = 0
    pmu: str = ""
    link_function: str = ""
    needs_config: str = ""
    since: str = ""


_P, _A = ProgType, AttachType
_FENTRY = ("bpf_fentry_test1", "vfs_read", "do_exit")

HOOKS: dict[str, Hook] = {
    hook.name: hook
    for hook in (
        Hook("socket", _P.SOCKET_FILTER),
        Hook("xdp", _P.XDP, _A.XDP, result=2, needs_config="CONFIG_NET=y"),
        Hook("tc", _P.SCHED_CLS, needs_config="CONFIG_NET_CLS_BPF=y"),
        Hook("action", _P.SCHED_ACT, needs_config="CONFIG_NET_ACT_BPF=y"),
        Hook(
            "cgroup_skb", _P.CGROUP_SKB, _A.CGROUP_INET_EGRESS, result=1, needs_config="CONFIG_CGROUP_BPF=y"
        ),
        Hook(
            "cgroup/sock_create",
            _P.CGROUP_SOCK,
            _A.CGROUP_INET_SOCK_CREATE,
            result=1,
            needs_config="CONFIG_CGROUP_BPF=y",
        ),
        Hook(
            "cgroup/connect4",
            _P.CGROUP_SOCK_ADDR,
            _A.CGROUP_INET4_CONNECT,
            result=1,
            needs_config="CONFIG_CGROUP_BPF=y",
        ),
        Hook("cgroup/dev", _P.CGROUP_DEVICE, _A.CGROUP_DEVICE, result=1, needs_config="CONFIG_CGROUP_BPF=y"),
        Hook(
            "cgroup/sysctl", _P.CGROUP_SYSCTL, _A.CGROUP_SYSCTL, result=1, needs_config="CONFIG_CGROUP_BPF=y"
        ),
        Hook(
            "cgroup/getsockopt",
            _P.CGROUP_SOCKOPT,
            _A.CGROUP_GETSOCKOPT,
            result=1,
            needs_config="CONFIG_CGROUP_BPF=y",
        ),
        Hook("sockops", _P.SOCK_OPS, _A.CGROUP_SOCK_OPS, result=1, needs_config="CONFIG_CGROUP_BPF=y"),
        Hook("sk_skb", _P.SK_SKB, needs_config="CONFIG_BPF_STREAM_PARSER=y"),
        Hook("sk_msg", _P.SK_MSG, _A.SK_MSG_VERDICT, result=1, needs_config="CONFIG_BPF_STREAM_PARSER=y"),
        Hook("sk_lookup", _P.SK_LOOKUP, _A.SK_LOOKUP, result=1, needs_config="CONFIG_NET=y"),
        Hook("sk_reuseport", _P.SK_REUSEPORT, _A.SK_REUSEPORT_SELECT, result=1, needs_config="CONFIG_INET=y"),
        Hook("flow_dissector", _P.FLOW_DISSECTOR, _A.FLOW_DISSECTOR, needs_config="CONFIG_NET=y"),
        Hook(
            "netfilter",
            _P.NETFILTER,
            _A.NETFILTER,
            result=1,
            needs_config="CONFIG_NETFILTER_BPF_LINK=y",
            since="6.4",
        ),
        Hook("lwt_in", _P.LWT_IN, needs_config="CONFIG_LWTUNNEL_BPF=y"),
        Hook("lwt_out", _P.LWT_OUT, needs_config="CONFIG_LWTUNNEL_BPF=y"),
        Hook("lwt_xmit", _P.LWT_XMIT, needs_config="CONFIG_LWTUNNEL_BPF=y"),
        Hook("lwt_seg6local", _P.LWT_SEG6LOCAL, needs_config="CONFIG_IPV6_SEG6_BPF=y"),
        Hook("lirc_mode2", _P.LIRC_MODE2, _A.LIRC_MODE2, needs_config="CONFIG_BPF_LIRC_MODE2=y"),
        Hook("tracepoint", _P.TRACEPOINT, needs_config="CONFIG_BPF_EVENTS=y"),
        Hook("raw_tp", _P.RAW_TRACEPOINT, needs_config="CONFIG_BPF_EVENTS=y"),
        Hook("raw_tp.w", _P.RAW_TRACEPOINT_WRITABLE, needs_config="CONFIG_BPF_EVENTS=y"),
        Hook("perf_event", _P.PERF_EVENT, needs_config="CONFIG_BPF_EVENTS=y"),
        Hook("kprobe", _P.KPROBE, pmu="kprobe", needs_config="CONFIG_KPROBES=y"),
        Hook("uprobe", _P.KPROBE, pmu="uprobe", needs_config="CONFIG_UPROBES=y"),
        Hook(
            "kprobe.multi",
            _P.KPROBE,
            _A.TRACE_KPROBE_MULTI,
            link_function="bpf_kprobe_multi_link_attach",
            needs_config="CONFIG_FPROBE=y",
            since="5.18",
        ),
        Hook(
            "uprobe.multi",
            _P.KPROBE,
            _A.TRACE_UPROBE_MULTI,
            link_function="bpf_uprobe_multi_link_attach",
            needs_config="CONFIG_UPROBES=y",
            since="6.6",
        ),
        Hook("tp_btf", _P.TRACING, _A.TRACE_RAW_TP, target=("btf_trace_sched_switch", "btf_trace_sys_enter")),
        Hook("fentry", _P.TRACING, _A.TRACE_FENTRY, target=_FENTRY),
        Hook("fexit", _P.TRACING, _A.TRACE_FEXIT, target=_FENTRY),
        Hook(
            "fmod_ret", _P.TRACING, _A.MODIFY_RETURN, target=("security_file_open", "bpf_modify_return_test")
        ),
        Hook("iter", _P.TRACING, _A.TRACE_ITER, target=("bpf_iter_task", "bpf_iter_bpf_map")),
        Hook("lsm", _P.LSM, _A.LSM_MAC, target=("bpf_lsm_file_open",), needs_config="CONFIG_BPF_LSM=y"),
        Hook(
            "lsm_cgroup",
            _P.LSM,
            _A.LSM_CGROUP,
            target=("bpf_lsm_socket_bind",),
            result=1,
            needs_config="CONFIG_BPF_LSM=y",
        ),
        Hook("freplace", _P.EXT, result=2),
        Hook(
            "struct_ops",
            _P.STRUCT_OPS,
            target=("tcp_congestion_ops",),
            result=2,
            needs_config="CONFIG_BPF_JIT=y",
        ),
        Hook("syscall", _P.SYSCALL, flags=F_SLEEPABLE),
    )
}
"""The hooks that are probed, by name."""

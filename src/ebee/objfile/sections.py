"""What a program's section name means: SEC("xdp"), SEC("tracepoint/sched/sched_switch").

The names are libbpf's (documentation: "Program Types and ELF Sections"), because every eBPF
program that was ever published uses them.
"""

from __future__ import annotations

from ebee.abi.bpf import AttachType, ProgType
from ebee.record import NamedTuple
from ebee.spec import AttachPoint

F_SLEEPABLE = 1 << 4
F_XDP_HAS_FRAGS = 1 << 5

# One line a name: the name, the program type, the attach type, then words:
#   +          the name may be followed by `/target`
#   sleepable, frags   flags of BPF_PROG_LOAD
#   optional   older kernels load it without the attach type
#   btf        the target is a kernel type that must be found before loading
#   auto=F     attaches by itself as family F, to the target that follows the name
_TABLE = """
socket                    SOCKET_FILTER           -
sk_reuseport/migrate      SK_REUSEPORT            SK_REUSEPORT_SELECT_OR_MIGRATE
sk_reuseport              SK_REUSEPORT            SK_REUSEPORT_SELECT
kprobe                    KPROBE                  -                    + auto=kprobe
uprobe                    KPROBE                  -                    + auto=uprobe
uprobe.s                  KPROBE                  -                    + auto=uprobe sleepable
kretprobe                 KPROBE                  -                    + auto=kretprobe
uretprobe                 KPROBE                  -                    + auto=uretprobe
uretprobe.s               KPROBE                  -                    + auto=uretprobe sleepable
kprobe.multi              KPROBE                  TRACE_KPROBE_MULTI   + auto=kprobe.multi
kretprobe.multi           KPROBE                  TRACE_KPROBE_MULTI   + auto=kretprobe.multi
kprobe.session            KPROBE                  TRACE_KPROBE_SESSION + auto=kprobe.session
uprobe.multi              KPROBE                  TRACE_UPROBE_MULTI   + auto=uprobe.multi
uretprobe.multi           KPROBE                  TRACE_UPROBE_MULTI   + auto=uretprobe.multi
uprobe.session            KPROBE                  TRACE_UPROBE_SESSION + auto=uprobe.session
uprobe.multi.s            KPROBE                  TRACE_UPROBE_MULTI   + auto=uprobe.multi sleepable
uretprobe.multi.s         KPROBE                  TRACE_UPROBE_MULTI   + auto=uretprobe.multi sleepable
uprobe.session.s          KPROBE                  TRACE_UPROBE_SESSION + auto=uprobe.session sleepable
ksyscall                  KPROBE                  -                    + auto=ksyscall
kretsyscall               KPROBE                  -                    + auto=kretsyscall
usdt                      KPROBE                  -                    + auto=usdt
usdt.s                    KPROBE                  -                    + auto=usdt sleepable
tc/ingress                SCHED_CLS               TCX_INGRESS          optional
tc/egress                 SCHED_CLS               TCX_EGRESS           optional
tcx/ingress               SCHED_CLS               TCX_INGRESS
tcx/egress                SCHED_CLS               TCX_EGRESS
tc                        SCHED_CLS               -
classifier                SCHED_CLS               -
action                    SCHED_ACT               -
netkit/primary            SCHED_CLS               NETKIT_PRIMARY
netkit/peer               SCHED_CLS               NETKIT_PEER
tracepoint                TRACEPOINT              -                    + auto=tracepoint
tp                        TRACEPOINT              -                    + auto=tracepoint
tracepoint.s              TRACEPOINT              -                    + auto=tracepoint sleepable
tp.s                      TRACEPOINT              -                    + auto=tracepoint sleepable
raw_tracepoint            RAW_TRACEPOINT          -                    + auto=raw_tp
raw_tp                    RAW_TRACEPOINT          -                    + auto=raw_tp
raw_tracepoint.s          RAW_TRACEPOINT          -                    + auto=raw_tp sleepable
raw_tp.s                  RAW_TRACEPOINT          -                    + auto=raw_tp sleepable
raw_tracepoint.w          RAW_TRACEPOINT_WRITABLE -                    + auto=raw_tp
raw_tp.w                  RAW_TRACEPOINT_WRITABLE -                    + auto=raw_tp
tp_btf                    TRACING                 TRACE_RAW_TP         + btf auto=tp_btf
tp_btf.s                  TRACING                 TRACE_RAW_TP         + btf auto=tp_btf sleepable
fentry                    TRACING                 TRACE_FENTRY         + btf auto=fentry
fmod_ret                  TRACING                 MODIFY_RETURN        + btf auto=fmod_ret
fexit                     TRACING                 TRACE_FEXIT          + btf auto=fexit
fentry.s                  TRACING                 TRACE_FENTRY         + btf auto=fentry sleepable
fmod_ret.s                TRACING                 MODIFY_RETURN        + btf auto=fmod_ret sleepable
fexit.s                   TRACING                 TRACE_FEXIT          + btf auto=fexit sleepable
fsession                  TRACING                 TRACE_FSESSION       + btf auto=fsession
fsession.s                TRACING                 TRACE_FSESSION       + btf auto=fsession sleepable
fentry.multi              TRACING                 TRACE_FENTRY_MULTI   + auto=fentry.multi
fexit.multi               TRACING                 TRACE_FEXIT_MULTI    + auto=fexit.multi
fsession.multi            TRACING                 TRACE_FSESSION_MULTI + auto=fsession.multi
fentry.multi.s            TRACING                 TRACE_FENTRY_MULTI   + auto=fentry.multi sleepable
fexit.multi.s             TRACING                 TRACE_FEXIT_MULTI    + auto=fexit.multi sleepable
fsession.multi.s          TRACING                 TRACE_FSESSION_MULTI + auto=fsession.multi sleepable
freplace                  EXT                     -                    + btf auto=freplace
lsm                       LSM                     LSM_MAC              + btf auto=lsm
lsm.s                     LSM                     LSM_MAC              + btf auto=lsm sleepable
lsm_cgroup                LSM                     LSM_CGROUP           + btf
iter                      TRACING                 TRACE_ITER           + btf auto=iter
iter.s                    TRACING                 TRACE_ITER           + btf auto=iter sleepable
syscall                   SYSCALL                 -                    sleepable
xdp.frags/devmap          XDP                     XDP_DEVMAP           frags
xdp/devmap                XDP                     XDP_DEVMAP
xdp.frags/cpumap          XDP                     XDP_CPUMAP           frags
xdp/cpumap                XDP                     XDP_CPUMAP
xdp.frags                 XDP                     XDP                  frags
xdp                       XDP                     XDP                  optional
perf_event                PERF_EVENT              -
lwt_in                    LWT_IN                  -
lwt_out                   LWT_OUT                 -
lwt_xmit                  LWT_XMIT                -
lwt_seg6local             LWT_SEG6LOCAL           -
sockops                   SOCK_OPS                CGROUP_SOCK_OPS      optional
sk_skb/stream_parser      SK_SKB                  SK_SKB_STREAM_PARSER optional
sk_skb/stream_verdict     SK_SKB                  SK_SKB_STREAM_VERDICT optional
sk_skb/verdict            SK_SKB                  SK_SKB_VERDICT       optional
sk_skb                    SK_SKB                  -
sk_msg                    SK_MSG                  SK_MSG_VERDICT       optional
lirc_mode2                LIRC_MODE2              LIRC_MODE2           optional
flow_dissector            FLOW_DISSECTOR          FLOW_DISSECTOR       optional
cgroup_skb/ingress        CGROUP_SKB              CGROUP_INET_INGRESS  optional
cgroup_skb/egress         CGROUP_SKB              CGROUP_INET_EGRESS   optional
cgroup/skb                CGROUP_SKB              -
cgroup/sock_create        CGROUP_SOCK             CGROUP_INET_SOCK_CREATE
cgroup/sock_release       CGROUP_SOCK             CGROUP_INET_SOCK_RELEASE
cgroup/sock               CGROUP_SOCK             CGROUP_INET_SOCK_CREATE optional
cgroup/post_bind4         CGROUP_SOCK             CGROUP_INET4_POST_BIND
cgroup/post_bind6         CGROUP_SOCK             CGROUP_INET6_POST_BIND
cgroup/bind4              CGROUP_SOCK_ADDR        CGROUP_INET4_BIND
cgroup/bind6              CGROUP_SOCK_ADDR        CGROUP_INET6_BIND
cgroup/connect4           CGROUP_SOCK_ADDR        CGROUP_INET4_CONNECT
cgroup/connect6           CGROUP_SOCK_ADDR        CGROUP_INET6_CONNECT
cgroup/connect_unix       CGROUP_SOCK_ADDR        CGROUP_UNIX_CONNECT
cgroup/sendmsg4           CGROUP_SOCK_ADDR        CGROUP_UDP4_SENDMSG
cgroup/sendmsg6           CGROUP_SOCK_ADDR        CGROUP_UDP6_SENDMSG
cgroup/sendmsg_unix       CGROUP_SOCK_ADDR        CGROUP_UNIX_SENDMSG
cgroup/recvmsg4           CGROUP_SOCK_ADDR        CGROUP_UDP4_RECVMSG
cgroup/recvmsg6           CGROUP_SOCK_ADDR        CGROUP_UDP6_RECVMSG
cgroup/recvmsg_unix       CGROUP_SOCK_ADDR        CGROUP_UNIX_RECVMSG
cgroup/getpeername4       CGROUP_SOCK_ADDR        CGROUP_INET4_GETPEERNAME
cgroup/getpeername6       CGROUP_SOCK_ADDR        CGROUP_INET6_GETPEERNAME
cgroup/getpeername_unix   CGROUP_SOCK_ADDR        CGROUP_UNIX_GETPEERNAME
cgroup/getsockname4       CGROUP_SOCK_ADDR        CGROUP_INET4_GETSOCKNAME
cgroup/getsockname6       CGROUP_SOCK_ADDR        CGROUP_INET6_GETSOCKNAME
cgroup/getsockname_unix   CGROUP_SOCK_ADDR        CGROUP_UNIX_GETSOCKNAME
cgroup/sysctl             CGROUP_SYSCTL           CGROUP_SYSCTL
cgroup/getsockopt         CGROUP_SOCKOPT          CGROUP_GETSOCKOPT
cgroup/setsockopt         CGROUP_SOCKOPT          CGROUP_SETSOCKOPT
cgroup/dev                CGROUP_DEVICE           CGROUP_DEVICE        optional
struct_ops                STRUCT_OPS              -                    +
struct_ops.s              STRUCT_OPS              -                    + sleepable
sk_lookup                 SK_LOOKUP               SK_LOOKUP
netfilter                 NETFILTER               NETFILTER
"""

_ROWS: dict[str, list[str]] = {row.split()[0]: row.split() for row in _TABLE.strip().splitlines()}


class SectionMeaning(NamedTuple):
    """What a section's name says about the program in it.

    Attributes:
        attach_target: the kernel type to be found before loading; empty where there is none.
        auto_attach: None where the program must be told where to go.
    """

    type: ProgType
    expected_attach_type: AttachType | int = 0
    attach_type_optional: bool = False
    flags: int = 0
    attach_target: str = ""
    auto_attach: AttachPoint | None = None
    autoload: bool = True


def section_meaning(name: str) -> SectionMeaning | None:
    """Return what a section's name means, or None where it is not known.

    A `?` in front means: not loaded unless asked for.
    """
    autoload = not name.startswith("?")
    base, target = _row_name(name.removeprefix("?"))
    if base is None:
        return None
    _, type_name, attach_name, *words = _ROWS[base]
    family = next((word.removeprefix("auto=") for word in words if word.startswith("auto=")), None)
    return SectionMeaning(
        type=ProgType[type_name],
        expected_attach_type=0 if attach_name == "-" else AttachType[attach_name],
        attach_type_optional="optional" in words,
        flags=("sleepable" in words) * F_SLEEPABLE | ("frags" in words) * F_XDP_HAS_FRAGS,
        attach_target=target if "btf" in words else "",
        auto_attach=_attach_point(family, target) if family and target else None,
        autoload=autoload,
    )


def known_sections() -> list[str]:
    """Return every name that is known, without targets."""
    return list(_ROWS)


def _row_name(name: str) -> tuple[str | None, str]:
    """Return the row a name belongs to and the target behind it."""
    if name in _ROWS:
        return name, ""
    base, slash, target = name.partition("/")
    if slash and "+" in _ROWS.get(base, ()):
        return base, target
    return None, ""


def _attach_point(family: str, target: str) -> AttachPoint:
    # Tracepoints are written `category/name` in C and `category:name` everywhere else.
    return AttachPoint(family, target.replace("/", ":", 1) if family == "tracepoint" else target)

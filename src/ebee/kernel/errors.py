"""errno -> the error that says what was found and what to do.

The kernel answers with one number for many causes: EPERM is a missing capability, a sysctl, a user
namespace, a seccomp filter, lockdown, or a policy of that kernel; EINVAL is a wrong argument or a
thing the kernel has never heard of. Which it was follows from what was tried and from facts about
this process (`ebee.host.rights`), which are read only when they are needed, or passed in.

Source: kernel/bpf/syscall.c, kernel/events/core.c, net/core/dev.c.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Sequence

from ebee.abi.bpf import AttachType, MapType, ProgType
from ebee.errors import KernelError, NotPermittedError, NotSupportedError
from ebee.kernel.meanings import EBADFD, ENOTSUPP, MEANINGS, Finding
from ebee.kernel.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.host.rights import Rights
    from ebee.kernel.protocol import LoadAnswer

# -- which capabilities ------------------------------------------------------------------------
_NET_ADMIN_PROGRAMS = frozenset(
    (
        ProgType.SCHED_CLS,
        ProgType.SCHED_ACT,
        ProgType.XDP,
        ProgType.LWT_IN,
        ProgType.LWT_OUT,
        ProgType.LWT_XMIT,
        ProgType.LWT_SEG6LOCAL,
        ProgType.SK_SKB,
        ProgType.SK_MSG,
        ProgType.FLOW_DISSECTOR,
        ProgType.CGROUP_DEVICE,
        ProgType.CGROUP_SOCK,
        ProgType.CGROUP_SOCK_ADDR,
        ProgType.CGROUP_SOCKOPT,
        ProgType.CGROUP_SYSCTL,
        ProgType.SOCK_OPS,
        ProgType.EXT,
        ProgType.NETFILTER,
    )
)
_PERFMON_PROGRAMS = frozenset(
    (
        ProgType.KPROBE,
        ProgType.TRACEPOINT,
        ProgType.PERF_EVENT,
        ProgType.RAW_TRACEPOINT,
        ProgType.RAW_TRACEPOINT_WRITABLE,
        ProgType.TRACING,
        ProgType.LSM,
        ProgType.STRUCT_OPS,
        ProgType.EXT,
    )
)
_UNPRIVILEGED_PROGRAMS = frozenset((ProgType.SOCKET_FILTER, ProgType.CGROUP_SKB))
_NET_ADMIN_MAPS = frozenset(
    (MapType.SOCKMAP, MapType.SOCKHASH, MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.XSKMAP)
)


def program_needs(program_type: int) -> tuple[str, ...]:
    """Return the capabilities that loading a program of a type takes.

    Source: kernel/bpf/syscall.c, bpf_prog_load(), is_net_admin_prog_type(), is_perfmon_prog_type().
    """
    needs = ["CAP_BPF"]
    if program_type in _PERFMON_PROGRAMS:
        needs.append("CAP_PERFMON")
    if program_type in _NET_ADMIN_PROGRAMS:
        needs.append("CAP_NET_ADMIN")
    return tuple(needs)


def map_needs(map_type: int) -> tuple[str, ...]:
    """Return the capabilities that making a map of a type takes.

    Source: kernel/bpf/syscall.c, map_create().
    """
    return ("CAP_BPF", "CAP_NET_ADMIN") if map_type in _NET_ADMIN_MAPS else ("CAP_BPF",)


_TRACING_KINDS = {
    AttachType.TRACE_FENTRY: "fentry",
    AttachType.TRACE_FEXIT: "fexit",
    AttachType.MODIFY_RETURN: "fmod_ret",
    AttachType.TRACE_RAW_TP: "tp_btf",
    AttachType.TRACE_ITER: "iterator",
    AttachType.TRACE_FSESSION: "fsession",
}


_PROGRAM_WORDS = {ProgType.EXT: "freplace", ProgType.XDP: "XDP", ProgType.LSM: "LSM"}
"""Types whose name is not that of the enum in small letters."""


def program_subject(program_type: int, attach_type: int = 0) -> str:
    """Return how programs of a type are called in a sentence: `fentry programs`, `XDP programs`."""
    if program_type == ProgType.TRACING and attach_type in _TRACING_KINDS:
        return f"{_TRACING_KINDS[AttachType(attach_type)]} programs"
    try:
        known = ProgType(program_type)
    except ValueError:
        return f"type {program_type} programs"
    return f"{_PROGRAM_WORDS.get(known) or known.name.lower()} programs"


def map_subject(map_type: int) -> str:
    """Return how maps of a type are called in a sentence: `HASH maps`."""
    try:
        return f"{MapType(map_type).name} maps"
    except ValueError:
        return f"type {map_type} maps"


# -- explaining --------------------------------------------------------------------------------
def explain(
    number: int,
    tried: str,
    operation: Operation = Operation.ANYTHING,
    *,
    subject: str = "",
    needs: Sequence[str] = (),
    detail: str = "",
    hint: str | None = None,
    rights: Rights | None = None,
    filtered: bool | None = None,
) -> KernelError:
    """Return the error for an errno.

    Args:
        number: the errno.
        tried: what was tried, with the name of what it was tried on: `load program hello`.
        operation: what kind of thing was tried; its table says what errnos mean there.
        subject: what the kernel was asked for, in the plural: `fentry programs`; it stands in
            "this kernel has no ..." and "policy of this kernel refuses ...".
        needs: the capabilities that the operation takes; CAP_SYS_ADMIN stands for CAP_BPF,
            CAP_PERFMON and CAP_NET_ADMIN.
        detail: the kernel's own words, such as a netlink acknowledgement's; they go before ours.
        hint: what to do, where the caller knows better.
        rights: facts of this process; read when they are needed and not given.
        filtered: whether a seccomp filter is known to refuse the system call.
    """
    meaning = MEANINGS[operation]
    finding = meaning.findings.get(number)
    if number in (_errno.EPERM, _errno.EACCES):
        denied = _denied(number, tried, subject, needs, rights, filtered, certain=finding is None)
        if denied is not None:
            return denied
    if finding is None and number in meaning.unsupported:
        return _unsupported(number, tried, subject, detail, hint)
    finding = finding or Finding(_strerror(number))
    error = finding.error or meaning.error
    found = detail or finding.found
    return error(f"{tried}: {found} ({errno_symbol(number)})", errno=number, hint=hint or finding.hint)


def explain_load(
    answer: LoadAnswer,
    tried: str,
    program_type: int,
    attach_type: int = 0,
    *,
    rights: Rights | None = None,
) -> KernelError:
    """Return the error for a BPF_PROG_LOAD that the verifier has said nothing about.

    An empty log means that the kernel refused before it looked at the instructions: for want of
    rights, by policy, or because it knows no such program or attach type.

    Args:
        tried: what was tried: `load program hello`.
    """
    subject, needs = program_subject(program_type, attach_type), program_needs(program_type)
    if answer.errno == _errno.EINVAL and not answer.log.strip():
        hint = "or it does not take these flags or this attach type; see what it has: ebee doctor"
        return _unsupported(answer.errno, tried, subject, "", hint)
    return explain(answer.errno, tried, Operation.PROGRAM_LOAD, subject=subject, needs=needs, rights=rights)


def _unsupported(number: int, tried: str, subject: str, detail: str, hint: str | None) -> KernelError:
    found = detail or f"this kernel has no {subject or 'such operation'}"
    return NotSupportedError(
        f"{tried}: {found} ({errno_symbol(number)})",
        errno=number,
        hint=hint or "see what it has: ebee doctor",
    )


def _denied(
    number: int,
    tried: str,
    subject: str,
    needs: Sequence[str],
    rights: Rights | None,
    filtered: bool | None,
    *,
    certain: bool,
) -> KernelError | None:
    """Return the error for EPERM or EACCES by its real cause.

    None where the operation has a meaning of its own for the errno (not `certain`) and this process
    lacks nothing.
    """
    from ebee.host.rights import read_rights

    facts = rights if rights is not None else read_rights()
    cause = denial(needs, facts, filtered=filtered)
    if cause is None:
        if not certain:
            return None
        cause = _policy(subject, facts) if needs or subject else _by_user(number, facts)
    return NotPermittedError(
        f"{tried}: {cause.found} ({errno_symbol(number)})", errno=number, hint=cause.hint
    )


def denial(needs: Sequence[str], rights: Rights, *, filtered: bool | None = None) -> Finding | None:
    """Return what holds this process back from an operation; None where it lacks nothing."""
    missing = [name for name in needs if not rights.holds(name)]
    if missing:
        return _missing(missing, rights)
    if needs and not rights.initial_user_namespace:
        return Finding(
            "the capabilities of this process hold in its user namespace only, and the kernel asks for "
            f"{_both(needs)} outside of it",
            "run it outside of the user namespace (a rootless container is one)",
        )
    # Kernels before 5.19 refuse every command to who lacks CAP_BPF, nonsense too; no filter, no blame.
    if filtered and rights.seccomp != 0:
        return Finding(
            "a seccomp filter refuses the system call",
            "start the container with a profile that allows it: docker run --security-opt seccomp=unconfined",
        )
    return None


def _missing(missing: list[str], rights: Rights) -> Finding:
    found = f"this process lacks {_both(missing)}"
    if "CAP_BPF" in missing and rights.unprivileged_bpf_disabled:
        found += f", and kernel.unprivileged_bpf_disabled is {rights.unprivileged_bpf_disabled}"
    if rights.bounding is not None and not rights.bounding.issuperset(missing):
        options = " ".join(f"--cap-add {name.removeprefix('CAP_')}" for name in missing)
        return Finding(
            found,
            f"sudo cannot give it here; a container gets it by docker run {options}, "
            "a systemd unit by CapabilityBoundingSet=",
        )
    return Finding(found, "run it as root (sudo), or give it the capability: setcap or AmbientCapabilities=")


def _by_user(number: int, rights: Rights) -> Finding:
    """Return the finding for what depends on whose it is rather than on a capability known here."""
    if rights.user_id:
        return Finding(f"not permitted to user {rights.user_id}", "run it as root (sudo)")
    return Finding(_strerror(number), "the owner, the mount options or a security module say no")


def _policy(subject: str, rights: Rights) -> Finding:
    what = subject or "this"
    if rights.lockdown == "confidentiality":
        return Finding(
            f"the kernel is locked down (mode confidentiality) and refuses {what}",
            "boot without lockdown=confidentiality, or with Secure Boot off",
        )
    modules = (
        f"; active security modules: {', '.join(rights.security_modules)}" if rights.security_modules else ""
    )
    return Finding(
        f"policy of this kernel refuses {what}, though this process lacks no right",
        f"use another hook: `ebee doctor` lists those that work here{modules}",
    )


def _both(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def errno_symbol(number: int) -> str:
    """Return the name of an errno: `EPERM`, `EOPNOTSUPP`, the kernel's own `ENOTSUPP`."""
    # Linux has two names for 95, and its manual pages use this one.
    known = {ENOTSUPP: "ENOTSUPP", EBADFD: "EBADFD", _errno.EOPNOTSUPP: "EOPNOTSUPP"}
    return known.get(number) or _errno.errorcode.get(number, f"errno {number}")


def _strerror(number: int) -> str:
    from os import strerror

    return "operation not supported" if number == ENOTSUPP else strerror(number).lower()

"""What this process may do, and what holds it back: facts that explain an EPERM."""

from __future__ import annotations

import os

from ebee.host.mounts import mounted_at
from ebee.record import NamedTuple

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""Names by number, as linux/capability.h has them."""

# The inode of the initial user namespace (PROC_USER_INIT_INO in include/linux/proc_ns.h).
_INITIAL_USER_NAMESPACE = "user:[4026531837]"
# CAP_SYS_ADMIN was split, and stands for its parts still. CAP_NET_ADMIN is no part of it, but
# BPF_PROG_LOAD takes either (bpf_net_capable()); netlink does not.
_PARTS_OF_SYS_ADMIN = frozenset(("CAP_BPF", "CAP_PERFMON"))


class Rights(NamedTuple):
    """Facts about this process and kernel. None, or an empty tuple, where it could not be told.

    Attributes:
        effective: names of the capabilities this process holds now; None where /proc does not tell.
        bounding: names of those it could ever get; None likewise.
        initial_user_namespace: False in a user namespace of its own, where capabilities count for
            less; True where it could not be told.
        unprivileged_bpf_disabled: kernel.unprivileged_bpf_disabled: 0 allowed, 1 and 2 refused.
        perf_event_paranoid: kernel.perf_event_paranoid: above 1 unprivileged users profile
            themselves only.
        kptr_restrict: kernel.kptr_restrict: above 0 kernel addresses are hidden.
        seccomp: 0 none, 1 strict, 2 a filter.
        no_new_privileges: set-user-id programs give no rights.
        lockdown: `none`, `integrity` or `confidentiality`.
        security_modules: the active ones, in their order.
        user_id: the effective one.
    """

    effective: frozenset[str] | None
    bounding: frozenset[str] | None
    initial_user_namespace: bool = True
    unprivileged_bpf_disabled: int | None = None
    perf_event_paranoid: int | None = None
    kptr_restrict: int | None = None
    seccomp: int | None = None
    no_new_privileges: bool | None = None
    lockdown: str | None = None
    security_modules: tuple[str, ...] = ()
    user_id: int = 0

    def holds(self, capability: str) -> bool:
        """Return whether the process has a capability, itself or by one that includes it.

        True where it could not be told: a guess must not be given as the reason of a refusal.
        """
        if self.effective is None or capability in self.effective:
            return True
        return capability in _PARTS_OF_SYS_ADMIN and "CAP_SYS_ADMIN" in self.effective


def parse_capabilities(mask: str) -> frozenset[str]:
    """Return the names in a hexadecimal mask of /proc/PID/status; numbers past the known are left out."""
    bits = int(mask, 16)
    return frozenset(name for number, name in enumerate(CAPABILITIES) if bits >> number & 1)


def read_rights(proc: str = "/proc") -> Rights:
    """Return the facts for this process; what cannot be read is None."""
    status = _status(f"{proc}/self/status")
    securityfs = mounted_at("securityfs")
    return Rights(
        effective=parse_capabilities(status["CapEff"]) if "CapEff" in status else None,
        bounding=parse_capabilities(status["CapBnd"]) if "CapBnd" in status else None,
        initial_user_namespace=_in_initial_user_namespace(proc),
        unprivileged_bpf_disabled=_number(f"{proc}/sys/kernel/unprivileged_bpf_disabled"),
        perf_event_paranoid=_number(f"{proc}/sys/kernel/perf_event_paranoid"),
        kptr_restrict=_number(f"{proc}/sys/kernel/kptr_restrict"),
        seccomp=_as_number(status.get("Seccomp")),
        no_new_privileges=status["NoNewPrivs"] == "1" if "NoNewPrivs" in status else None,
        lockdown=parse_lockdown(_text(f"{securityfs}/lockdown")) if securityfs else None,
        security_modules=_modules(_text(f"{securityfs}/lsm")) if securityfs else (),
        user_id=os.geteuid(),
    )


def parse_lockdown(text: str | None) -> str | None:
    """Return the mode in force of `none [integrity] confidentiality`: the one in brackets."""
    if text is None or "[" not in text:
        return None
    return text.partition("[")[2].partition("]")[0]


def _status(path: str) -> dict[str, str]:
    lines = (_text(path) or "").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _in_initial_user_namespace(proc: str) -> bool:
    try:
        return os.readlink(f"{proc}/self/ns/user") == _INITIAL_USER_NAMESPACE
    except OSError:
        return True


def _modules(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").strip().split(",") if name)


def _text(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def _number(path: str) -> int | None:
    return _as_number(_text(path))


def _as_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().lstrip("-").isdigit() else None

"""What works on this machine, what does not, and how to mend it; as data, for whoever shows it.

It only looks: nothing is mounted, nothing stays loaded, and without rights it says so instead of
failing.
"""

from __future__ import annotations

from enum import Enum

from ebee.features.abilities import ABILITIES, ability
from ebee.features.answer import Answer, Status
from ebee.features.hooks import HOOKS
from ebee.features.probes import Probes
from ebee.host.kernel_facts import KernelFacts, kernel_facts
from ebee.host.mounts import USUAL_PLACES, mounted_at
from ebee.host.rights import Rights
from ebee.kernel.protocol import Kernel
from ebee.record import NamedTuple


class Health(Enum):
    """How a finding is to be taken.

    WARN: something is missing that other things do without. FAIL: next to nothing works without it.
    UNKNOWN: it could not be told.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: what: `fentry`, `bpffs`, `CAP_BPF`.
        health: how it is.
        found: what was found, in one line.
        mend: what to do, in one line; empty where there is nothing to mend.
    """

    name: str
    health: Health
    found: str
    mend: str = ""


class Section(NamedTuple):
    """Findings of one kind."""

    title: str
    findings: tuple[Finding, ...]


class Report(NamedTuple):
    """All that was found."""

    sections: tuple[Section, ...]

    @property
    def health(self) -> Health:
        """The worst of its findings, of FAIL, WARN and OK."""
        seen = {finding.health for section in self.sections for finding in section.findings}
        return next((health for health in (Health.FAIL, Health.WARN) if health in seen), Health.OK)

    def find(self, name: str) -> Finding | None:
        """Return the finding of a name."""
        named = (finding for section in self.sections for finding in section.findings if finding.name == name)
        return next(named, None)


# Where nothing runs at a hook: what runs at nearly the same place.
_INSTEAD = {
    "kprobe": "use a tracepoint or raw_tp near it; for a system call raw_tp:sys_enter",
    "kprobe.multi": "use a tracepoint or raw_tp near it",
    "fentry": "use tp_btf, raw_tp or a tracepoint near it",
    "fexit": "use tp_btf, raw_tp or a tracepoint near it",
    "fmod_ret": "nothing else changes what a function returns",
    "lsm": "observe with tp_btf or raw_tp; to deny, use cgroup hooks or seccomp",
    "lsm_cgroup": "use the cgroup hooks: cgroup/connect4 and its like",
    "freplace": "use tail calls: a program array",
    "uprobe.multi": "use uprobe",
    "hardware perf events": "use software perf events: the CPU clock",
}
_ESSENTIAL_HOOKS = frozenset(("socket",))
_MOUNT_SYSFS = "mount -t sysfs sysfs /sys"
_CAPABILITIES = {
    "CAP_BPF": "to load programs and maps",
    "CAP_PERFMON": "to trace",
    "CAP_NET_ADMIN": "to attach to the network",
    "CAP_SYS_ADMIN": "to list what others loaded, and to mount",
}
_PURPOSES = {
    "bpf": "pins",
    "tracefs": "tracepoints and bpf_printk",
    "securityfs": "telling the lockdown mode",
}


def examine(kernel: Kernel, *, probes: Probes | None = None, facts: KernelFacts | None = None) -> Report:
    """Look at this machine.

    Args:
        kernel: whom to ask.
        probes: by default, new ones.
        facts: about the kernel; by default the running one's.
    """
    probes = probes or Probes(kernel)
    facts = facts or kernel_facts()
    return Report(
        (
            Section("kernel", _kernel(facts, probes)),
            Section("BTF", _btf(probes)),
            Section("rights", _rights(probes.rights)),
            Section("lockdown", _lockdown(probes.rights)),
            Section("mounts", _mounts(probes.rights)),
            Section("hooks", tuple(_hook(name, probes.hook(name), facts) for name in HOOKS)),
            Section("abilities", _abilities(probes)),
        )
    )


def _kernel(facts: KernelFacts, probes: Probes) -> tuple[Finding, ...]:
    release = Finding("release", Health.OK, f"{facts.release}, {facts.machine}")
    jit = ability(probes, "JIT compiler")
    mend = "sysctl -w net.core.bpf_jit_enable=1" if jit.status is Status.NO else ""
    if facts.config is None:
        config = Finding(
            "configuration", Health.UNKNOWN, "neither /proc/config.gz nor /boot/config-* is there", ""
        )
    else:
        config = Finding("configuration", Health.OK, facts.config_path)
    return (release, config, Finding("JIT compiler", _health(jit), jit.reason, mend))


def _btf(probes: Probes) -> tuple[Finding, ...]:
    types, programs = ability(probes, "kernel types"), ability(probes, "types of programs")
    mend = (
        ""
        if types.is_yes
        else "CO-RE, tp_btf, fentry and iterators need a kernel with CONFIG_DEBUG_INFO_BTF=y"
    )
    return (
        Finding("types of the kernel", _health(types), types.reason, mend),
        Finding("types of programs", _health(programs), programs.reason, _mend_unknown(programs)),
    )


def _rights(rights: Rights) -> tuple[Finding, ...]:
    found = [_capability(name, purpose, rights) for name, purpose in _CAPABILITIES.items()]
    if not rights.initial_user_namespace:
        found.append(
            Finding(
                "user namespace",
                Health.FAIL,
                "not the initial one: capabilities hold inside of it only, and bpf(2) wants them outside",
                "run it outside of the user namespace (a rootless container is one)",
            )
        )
    for name, value in (
        ("kernel.unprivileged_bpf_disabled", rights.unprivileged_bpf_disabled),
        ("kernel.perf_event_paranoid", rights.perf_event_paranoid),
    ):
        health = Health.UNKNOWN if value is None else Health.OK
        found.append(Finding(name, health, "cannot be read" if value is None else str(value)))
    found.append(_seccomp(rights))
    return tuple(found)


def _capability(name: str, purpose: str, rights: Rights) -> Finding:
    if rights.effective is None:
        return Finding(name, Health.UNKNOWN, "/proc does not tell", "mount -t proc proc /proc")
    if rights.holds(name):
        return Finding(name, Health.OK, f"held ({purpose})")
    health = Health.FAIL if name == "CAP_BPF" else Health.WARN
    attainable = rights.bounding or frozenset()
    if name in attainable or (name != "CAP_NET_ADMIN" and "CAP_SYS_ADMIN" in attainable):
        return Finding(name, health, f"not held; needed {purpose}", "run it as root (sudo)")
    option = f"--cap-add {name.removeprefix('CAP_')}"
    mend = f"allow it where this runs: docker run {option}, or CapabilityBoundingSet= of a systemd unit"
    return Finding(name, health, f"not held, nor can be; needed {purpose}", mend)


def _seccomp(rights: Rights) -> Finding:
    if rights.seccomp is None:
        return Finding("seccomp", Health.UNKNOWN, "the kernel does not tell")
    if not rights.seccomp:
        return Finding("seccomp", Health.OK, "no filter")
    return Finding("seccomp", Health.OK, "a filter is in force; it may refuse bpf(2)")


def _lockdown(rights: Rights) -> tuple[Finding, ...]:
    modules = ", ".join(rights.security_modules)
    if rights.lockdown is None:
        found = "cannot be told: securityfs is not mounted, or the kernel has no lockdown"
        mend = f"mount -t securityfs securityfs {USUAL_PLACES['securityfs']}"
        mode = Finding("mode", Health.UNKNOWN, found, mend if mounted_at("securityfs") is None else "")
    elif rights.lockdown == "confidentiality":
        found = "confidentiality: no program may read kernel memory, no kprobe, no tracefs"
        mode = Finding(
            "mode", Health.WARN, found, "boot without lockdown=confidentiality, or with Secure Boot off"
        )
    else:
        mode = Finding("mode", Health.OK, rights.lockdown)
    if not modules:
        return (mode,)
    return (mode, Finding("security modules", Health.OK, modules))


def _mounts(rights: Rights) -> tuple[Finding, ...]:
    return tuple(_mount(kind, purpose, rights) for kind, purpose in _PURPOSES.items())


def _mount(kind: str, purpose: str, rights: Rights) -> Finding:
    name = "bpffs" if kind == "bpf" else kind
    place = mounted_at(kind)
    if place is not None:
        return Finding(name, Health.OK, f"at {place}")
    command = f"mount -t {kind} {kind} {USUAL_PLACES[kind]}"
    found = f"not mounted; it is for {purpose}"
    if kind == "securityfs":
        return Finding(name, Health.UNKNOWN, found, command)
    if rights.holds("CAP_SYS_ADMIN"):
        return Finding(name, Health.OK, f"{found}; ebee mounts it when it is needed", command)
    return Finding(name, Health.WARN, found, f"sudo {command}")


def _hook(name: str, answer: Answer, facts: KernelFacts) -> Finding:
    health = _health(answer)
    if health is Health.WARN and name in _ESSENTIAL_HOOKS:
        health = Health.FAIL
    if answer.status is Status.UNKNOWN:
        return Finding(name, health, answer.reason, _mend_unknown(answer))
    if answer.is_yes:
        return Finding(name, health, answer.reason)
    if answer.refused:
        return Finding(name, health, answer.reason, _INSTEAD.get(name, ""))
    mends = [text for text in (_kernel_with(name, facts), _INSTEAD.get(name)) if text]
    return Finding(name, health, answer.reason, "; ".join(mends))


def _kernel_with(name: str, facts: KernelFacts) -> str:
    """Return which kernel has a hook, with the option left out that this kernel has."""
    hook = HOOKS[name]
    has_option = facts.config is not None and facts.config.get(hook.needs_config.removesuffix("=y")) == "y"
    release = f"Linux {hook.since} or later" if hook.since else "a kernel"
    if hook.needs_config and not has_option:
        return f"it takes {release} with {hook.needs_config}"
    return f"it takes {release}" if hook.since else ""


def _abilities(probes: Probes) -> tuple[Finding, ...]:
    shown_above = ("kernel types", "types of programs", "JIT compiler")
    found = []
    for name in ABILITIES:
        if name in shown_above:
            continue
        answer = ability(probes, name)
        health = _health(answer)
        mend = _INSTEAD.get(name, "") if health is Health.WARN else _mend_unknown(answer)
        found.append(Finding(name, health, answer.reason, mend))
    return tuple(found)


def _health(answer: Answer) -> Health:
    if answer.status is Status.UNKNOWN:
        return Health.UNKNOWN
    return Health.OK if answer.is_yes else Health.WARN


def _mend_unknown(answer: Answer) -> str:
    """Return how to get an answer where there was none."""
    if answer.status is not Status.UNKNOWN:
        return ""
    if "lacks CAP_" in answer.reason:
        return "run it as root (sudo)"
    return _MOUNT_SYSFS if "sysfs" in answer.reason else ""

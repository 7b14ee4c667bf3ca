"""What the kernel's refusals say: each text in full, from facts that are passed in."""

from __future__ import annotations

import errno

import pytest

from ebee.abi.bpf import AttachType, MapType, ProgType
from ebee.errors import (
    AttachError,
    KernelError,
    MapError,
    NotPermittedError,
    NotSupportedError,
)
from ebee.host.rights import CAPABILITIES, Rights
from ebee.kernel.errors import (
    errno_symbol,
    explain,
    explain_load,
    map_needs,
    map_subject,
    program_needs,
    program_subject,
)
from ebee.kernel.operations import Operation
from ebee.kernel.protocol import LoadAnswer

ALL = frozenset(CAPABILITIES)
ROOT = Rights(ALL, ALL, unprivileged_bpf_disabled=2, lockdown="none", security_modules=("lockdown", "bpf"))
NOBODY = Rights(frozenset(), ALL, unprivileged_bpf_disabled=2, user_id=65534)
CONTAINER = Rights(frozenset(("CAP_CHOWN",)), frozenset(("CAP_CHOWN",)), unprivileged_bpf_disabled=2)


def refusal(number: int = errno.EPERM, log: str = "") -> LoadAnswer:
    """Return the answer to a load that failed."""
    return LoadAnswer(-1, number, log)


def texts(error: KernelError) -> tuple[str, str | None]:
    """Return a message with its hint."""
    return str(error), error.hint


def load_error(program_type: ProgType, rights: Rights, attach_type: int = 0) -> KernelError:
    """Return the error of a load that was answered with EPERM and an empty log."""
    return explain_load(refusal(), "load program hello", program_type, attach_type, rights=rights)


# -- EPERM by its real cause -------------------------------------------------------------------
def test_a_missing_capability_is_named_for_the_program_type() -> None:
    """An XDP program takes two capabilities, and both are missing."""
    error = load_error(ProgType.XDP, NOBODY)
    assert type(error) is NotPermittedError
    assert error.errno == errno.EPERM
    assert texts(error) == (
        "load program hello: this process lacks CAP_BPF and CAP_NET_ADMIN, "
        "and kernel.unprivileged_bpf_disabled is 2 (EPERM)",
        "run it as root (sudo), or give it the capability: setcap or AmbientCapabilities=",
    )


def test_only_what_is_missing_is_named() -> None:
    """A process with CAP_BPF that wants to trace lacks CAP_PERFMON only."""
    rights = NOBODY._replace(effective=frozenset(("CAP_BPF",)))
    assert str(load_error(ProgType.KPROBE, rights)) == (
        "load program hello: this process lacks CAP_PERFMON (EPERM)"
    )


def test_the_administrator_stands_for_capabilities_split_from_it() -> None:
    """CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON, not CAP_NET_ADMIN."""
    rights = NOBODY._replace(effective=frozenset(("CAP_SYS_ADMIN",)))
    assert rights.holds("CAP_BPF")
    assert rights.holds("CAP_PERFMON")
    assert not rights.holds("CAP_NET_ADMIN")


def test_a_container_that_cannot_ever_get_the_capability_is_told_how_to_start() -> None:
    """The bounding set lacks it, so sudo would not help."""
    assert texts(load_error(ProgType.SCHED_CLS, CONTAINER)) == (
        "load program hello: this process lacks CAP_BPF and CAP_NET_ADMIN, "
        "and kernel.unprivileged_bpf_disabled is 2 (EPERM)",
        "sudo cannot give it here; a container gets it by docker run --cap-add BPF --cap-add NET_ADMIN, "
        "a systemd unit by CapabilityBoundingSet=",
    )


def test_capabilities_of_a_user_namespace_do_not_count() -> None:
    """Root of a rootless container holds everything, inside."""
    rights = ROOT._replace(initial_user_namespace=False)
    assert texts(load_error(ProgType.XDP, rights)) == (
        "load program hello: the capabilities of this process hold in its user namespace only, and the "
        "kernel asks for CAP_BPF and CAP_NET_ADMIN outside of it (EPERM)",
        "run it outside of the user namespace (a rootless container is one)",
    )


def test_a_seccomp_filter_is_named_where_it_is_known_to_refuse() -> None:
    """Whoever asks found out that even nonsense is answered with EPERM."""
    error = explain(
        errno.EPERM, "create map counts", Operation.MAP_CREATE, needs=("CAP_BPF",), rights=ROOT, filtered=True
    )
    assert texts(error) == (
        "create map counts: a seccomp filter refuses the system call (EPERM)",
        "start the container with a profile that allows it: docker run --security-opt seccomp=unconfined",
    )


def test_where_there_is_no_filter_none_is_blamed() -> None:
    """Kernels before 5.19 answer nonsense with EPERM too."""
    facts = ROOT._replace(seccomp=0)
    error = explain(errno.EPERM, "create map counts", needs=("CAP_BPF",), rights=facts, filtered=True)
    assert "seccomp" not in error.details()


def test_lockdown_is_named_when_it_forbids() -> None:
    """Mode confidentiality lets nobody read the kernel."""
    rights = ROOT._replace(lockdown="confidentiality")
    assert texts(load_error(ProgType.KPROBE, rights)) == (
        "load program hello: the kernel is locked down (mode confidentiality) and refuses kprobe programs "
        "(EPERM)",
        "boot without lockdown=confidentiality, or with Secure Boot off",
    )


def test_when_nothing_is_missing_it_is_policy_and_never_ulimit() -> None:
    """All rights are held, the log is empty: this kernel does not want such programs."""
    error = load_error(ProgType.TRACING, ROOT, AttachType.TRACE_FENTRY)
    assert texts(error) == (
        "load program hello: policy of this kernel refuses fentry programs, though this process lacks no "
        "right (EPERM)",
        "use another hook: `ebee doctor` lists those that work here; active security modules: lockdown, bpf",
    )
    assert "ulimit" not in error.details()
    assert "memlock" not in error.details().lower()


@pytest.mark.parametrize("program_type", list(ProgType))
def test_no_program_type_is_answered_with_ulimit(program_type: ProgType) -> None:
    """Raising RLIMIT_MEMLOCK mends nothing, whatever the type."""
    for rights in (ROOT, NOBODY, CONTAINER):
        assert "ulimit" not in load_error(program_type, rights).details()


def test_what_belongs_to_another_user_is_said_without_capabilities() -> None:
    """Opening a file of root's takes no capability that ebee knows of."""
    assert texts(explain(errno.EACCES, "open /sys/kernel/tracing/trace_pipe", rights=NOBODY)) == (
        "open /sys/kernel/tracing/trace_pipe: not permitted to user 65534 (EACCES)",
        "run it as root (sudo)",
    )


def test_a_frozen_map_is_no_question_of_rights() -> None:
    """EPERM of an update by root means that the map takes none."""
    error = explain(errno.EPERM, "store a value of map (fd 3)", Operation.MAP_ACCESS, rights=ROOT)
    assert type(error) is MapError
    assert texts(error) == (
        "store a value of map (fd 3): the map cannot be written or read that way from user space: it is "
        "frozen or has BPF_F_RDONLY or BPF_F_WRONLY (EPERM)",
        "frozen maps, such as .rodata, are set before they are loaded",
    )


# -- what this kernel has not --------------------------------------------------------------------
def test_an_unknown_program_type_is_not_supported() -> None:
    """EINVAL before the verifier said a word."""
    error = explain_load(refusal(errno.EINVAL), "load program hello", ProgType.NETFILTER, rights=ROOT)
    assert type(error) is NotSupportedError
    assert texts(error) == (
        "load program hello: this kernel has no netfilter programs (EINVAL)",
        "or it does not take these flags or this attach type; see what it has: ebee doctor",
    )


def test_a_kernel_without_bpf_is_not_supported() -> None:
    """ENOSYS of bpf(2) itself."""
    error = explain(
        errno.ENOSYS,
        "create map counts",
        Operation.MAP_CREATE,
        subject=map_subject(MapType.HASH),
        rights=ROOT,
    )
    assert type(error) is NotSupportedError
    assert texts(error) == (
        "create map counts: this kernel has no HASH maps (ENOSYS)",
        "see what it has: ebee doctor",
    )


def test_the_kernels_own_words_go_before_ours() -> None:
    """A netlink acknowledgement says more than its errno."""
    words = "underlying driver does not support XDP in native mode"
    error = explain(
        errno.EOPNOTSUPP, "attach to XDP of device eth0", Operation.NETLINK, detail=words, rights=ROOT
    )
    assert type(error) is NotSupportedError
    assert str(error) == f"attach to XDP of device eth0: {words} (EOPNOTSUPP)"


# -- the rest ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "operation", "error", "found", "hint"),
    [
        (
            errno.E2BIG,
            Operation.PROGRAM_LOAD,
            KernelError,
            "the program is too long, or uses a field that this kernel does not know (E2BIG)",
            "the kernel takes 1 million instructions with CAP_BPF, 4096 without",
        ),
        (
            errno.ENOSPC,
            Operation.PROGRAM_LOAD,
            KernelError,
            "the verifier's log is longer than the room for it (ENOSPC)",
            None,
        ),
        (
            errno.EEXIST,
            Operation.PIN,
            KernelError,
            "the name is taken (EEXIST)",
            "choose another name, or remove the file",
        ),
        (
            errno.EBUSY,
            Operation.LINK_CREATE,
            AttachError,
            "another program is attached there already (EBUSY)",
            "detach it first",
        ),
        (errno.ENODEV, Operation.NETLINK, AttachError, "there is no such device (ENODEV)", None),
        (
            errno.ENOENT,
            Operation.RAW_TRACEPOINT,
            AttachError,
            "there is no such raw tracepoint (ENOENT)",
            None,
        ),
        (
            errno.ENOENT,
            Operation.PERF_EVENT_OPEN,
            NotSupportedError,
            "this kernel has no such event (ENOENT)",
            "`ebee doctor` lists the hooks of this kernel",
        ),
        (
            errno.EOPNOTSUPP,
            Operation.LINK_DETACH,
            NotSupportedError,
            "links of this kind cannot be detached by force (EOPNOTSUPP)",
            "close its descriptor, or remove its pin",
        ),
        (
            errno.EBADF,
            Operation.INFO,
            KernelError,
            "the file descriptor is not of that kind, or was closed (EBADF)",
            None,
        ),
        (errno.EIO, Operation.MOUNT, KernelError, "input/output error (EIO)", None),
    ],
)
def test_an_errno_means_what_it_means_there(
    number: int, operation: Operation, error: type[KernelError], found: str, hint: str | None
) -> None:
    """The same number says different things of different operations."""
    explained = explain(number, "try it", operation, rights=ROOT)
    assert type(explained) is error
    assert texts(explained) == (f"try it: {found}", hint)
    assert explained.errno == number


def test_every_operation_has_a_table() -> None:
    """None of them fails with a KeyError of ours."""
    for operation in Operation:
        for number in (*errno.errorcode, 524, 9999):
            error = explain(number, "try it", operation, subject="things", rights=ROOT)
            assert "\n" not in str(error)
            assert str(error).startswith("try it: ")


def test_capabilities_follow_the_kernels_lists() -> None:
    """One of each kind."""
    assert program_needs(ProgType.SOCKET_FILTER) == ("CAP_BPF",)
    assert program_needs(ProgType.TRACEPOINT) == ("CAP_BPF", "CAP_PERFMON")
    assert program_needs(ProgType.XDP) == ("CAP_BPF", "CAP_NET_ADMIN")
    assert program_needs(ProgType.EXT) == ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN")
    assert map_needs(MapType.HASH) == ("CAP_BPF",)
    assert map_needs(MapType.DEVMAP) == ("CAP_BPF", "CAP_NET_ADMIN")


def test_programs_are_called_by_their_hook_where_the_type_says_little() -> None:
    """`TRACING` is five hooks; `freplace` is what people call EXT."""
    assert program_subject(ProgType.TRACING, AttachType.TRACE_ITER) == "iterator programs"
    assert program_subject(ProgType.EXT) == "freplace programs"
    assert program_subject(ProgType.XDP) == "XDP programs"
    assert program_subject(777) == "type 777 programs"


def test_numbers_that_python_does_not_know_have_names() -> None:
    """The kernel's own ENOTSUPP, and the better known name of 95."""
    assert [errno_symbol(number) for number in (1, 95, 524, 9999)] == [
        "EPERM",
        "EOPNOTSUPP",
        "ENOTSUPP",
        "errno 9999",
    ]

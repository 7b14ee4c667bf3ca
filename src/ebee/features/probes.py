"""Probes: one question to the kernel each.

    >>> probes = Probes(kernel)
    >>> probes.hook("fentry").status, probes.map_type(MapType.RINGBUF).status
    (<Status.NO: 'no'>, <Status.YES: 'yes'>)
    >>> probes.helper("get_current_task_btf", ProgType.KPROBE).reason
    'the verifier knows it for this type of program'

Abilities that are no type of program or map are in `ebee.features.abilities`.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from sys import byteorder

from ebee.abi.bpf import AttachType, MapType, ProgType
from ebee.btf import Btf, Kind
from ebee.errors import EbeeError, KernelError, SpecError
from ebee.features.answer import Answer, no, refused, unknown, yes
from ebee.features.code import FUNCTION_TYPE_ID, btf, calling, returning
from ebee.features.hooks import HOOKS, Hook
from ebee.host.rights import Rights, read_rights
from ebee.kernel.errors import denial, errno_symbol, map_needs, map_subject, program_needs, program_subject
from ebee.kernel.protocol import Kernel, LinkCreate, LoadAnswer, ProgramLoad

_LOG_BYTES = 1 << 14
_LICENSE = "GPL"
_SECCOMP_FILTER = 2
PMUS = "/sys/bus/event_source/devices"
# What the verifier says of a helper that it does not know, or not for this type of program.
_NO_HELPER = ("invalid func ", "unknown func ", "cannot use helper")


class Probes:
    """Questions to a kernel. It holds facts that several of them need, and nothing in the kernel.

    Args:
        kernel: whom to ask.
        types: gives the kernel's types; None where it has none.
        rights: facts of this process; read when they are not given.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        types: Callable[[], Btf | None] | None = None,
        rights: Rights | None = None,
    ) -> None:
        from ebee.host.kernel_types import kernel_types

        self.kernel = kernel
        self.types = types or kernel_types
        self.rights = rights or read_rights()

    # -- programs --------------------------------------------------------------------------------
    def hook(self, name: str) -> Answer:
        """Return whether programs can run at a hook.

        Args:
            name: one of `ebee.features.hooks.HOOKS`: `xdp`, `fentry`, `kprobe.multi`, ...

        Raises:
            SpecError: there is no hook of that name.
        """
        hook = HOOKS.get(name)
        if hook is None:
            from ebee.text import did_you_mean

            raise SpecError(f"probe hook {name}: it is not known", hint=did_you_mean(name, HOOKS))
        if hook.pmu:
            return self._by_event_source(hook)
        if hook.link_function:
            return self._by_link(hook)
        if hook.name == "freplace":
            return self._replacement(hook)
        return self.program(
            hook.type, hook.attach_type, flags=hook.flags, target=hook.target, result=hook.result
        )

    def program(
        self,
        program_type: ProgType,
        attach_type: AttachType | int = 0,
        *,
        flags: int = 0,
        target: tuple[str, ...] = (),
        result: int = 0,
    ) -> Answer:
        """Return whether the kernel loads programs of a type for an attach type.

        Args:
            flags: BPF_F_SLEEPABLE and its like.
            target: names of kernel types, of which the first found is the one to load against;
                for struct_ops the struct.
            result: what the program returns.
        """
        request = ProgramLoad(
            type=program_type,
            instructions=returning(result),
            license=_LICENSE,
            name="probe",
            expected_attach_type=attach_type,
            flags=flags,
        )
        if target:
            found = self._target(target, _target_kind(program_type, attach_type))
            if isinstance(found, Answer):
                return found
            request = request._replace(attach_btf_id=found)
            if program_type is ProgType.STRUCT_OPS:
                request = request._replace(expected_attach_type=self._member(found))
        return self._load(request, program_subject(program_type, attach_type))

    def _load(self, request: ProgramLoad, subject: str) -> Answer:
        answer = self.try_load(request)
        if answer.fd >= 0:
            return yes("a program was loaded")
        denied = self._denied(answer, program_needs(request.type), subject)
        if denied is not None:
            return denied
        said = _complaint(answer.log)
        if said:
            # The verifier came to the program, so the kernel knows its kind; ours it does not like.
            return no(said) if request.flags else unknown(f"the verifier refused the probe: {said}")
        return no(f"unknown to this kernel ({errno_symbol(answer.errno)})")

    def try_load(self, request: ProgramLoad) -> LoadAnswer:
        """Load a program and close it at once; return the kernel's answer, its descriptor closed."""
        answer = self.kernel.program_load(request._replace(log_level=1, log_size_bytes=_LOG_BYTES))
        if answer.fd >= 0:
            self.kernel.close(answer.fd)
        return answer

    def _denied(self, answer: LoadAnswer, needs: tuple[str, ...], subject: str) -> Answer | None:
        """Return the answer to an EPERM or EACCES that is none of the verifier's."""
        if answer.errno not in (_errno.EPERM, _errno.EACCES) or answer.log.strip():
            return None
        return self.denied(answer.errno, needs, subject)

    def denied(self, number: int, needs: tuple[str, ...], subject: str) -> Answer:
        """Return the answer to an EPERM: for want of rights it tells nothing about the kernel."""
        cause = denial(needs, self.rights, filtered=self._is_filtered)
        if cause is not None:
            return unknown(cause.found)
        return refused(
            f"policy of this kernel refuses {subject} ({errno_symbol(number)}, with nothing in the log)"
        )

    @cached_property
    def _is_filtered(self) -> bool:
        """Whether a seccomp filter is in force and not even a socket filter can be loaded."""
        if self.rights.seccomp != _SECCOMP_FILTER:
            return False
        answer = self.try_load(ProgramLoad(ProgType.SOCKET_FILTER, returning(0), _LICENSE))
        return answer.errno in (_errno.EPERM, _errno.EACCES)

    def _target(self, names: tuple[str, ...], kind: Kind) -> int | Answer:
        types = self.types()
        if types is None:
            from os.path import isdir

            why = "the kernel has no BTF" if isdir("/sys/kernel") else "/sys/kernel is not there (sysfs)"
            return unknown(f"{why}, and this hook is named by a kernel type")
        for name in names:
            found = types.find(name, kind)
            if found is not None:
                return found
        return no(f"this kernel has no {' or '.join(names)}")

    def _member(self, struct_id: int) -> int:
        """Return the index of a member of tcp_congestion_ops that takes the probe's program."""
        types = self.types()
        members = () if types is None else types.type(struct_id).members
        return next((index for index, member in enumerate(members) if member.name == "ssthresh"), 0)

    def _by_event_source(self, hook: Hook) -> Answer:
        """Loading a kprobe's program tells nothing: kernels without kprobes load it too."""
        import os

        if not os.path.isdir(PMUS):
            return unknown(f"{PMUS} is not there; is sysfs mounted?")
        if not os.path.isdir(f"{PMUS}/{hook.pmu}"):
            return no(f"this kernel has no perf event source '{hook.pmu}'")
        loaded = self.program(hook.type)
        if not loaded.is_yes:
            return loaded
        return yes(f"a program was loaded, and the perf event source '{hook.pmu}' is there")

    def _by_link(self, hook: Hook) -> Answer:
        """A link to nothing: EINVAL from a kernel with such links, EOPNOTSUPP from one without."""
        request = ProgramLoad(hook.type, returning(0), _LICENSE, "probe", hook.attach_type)
        answer = self.kernel.program_load(request)
        if answer.fd < 0:
            return self._load(request, f"{hook.name} programs")
        try:
            self.kernel.close(self.kernel.link_create(LinkCreate(answer.fd, 0, AttachType(hook.attach_type))))
        except KernelError as error:
            if error.errno in (_errno.EPERM, _errno.EACCES):
                return self.denied(error.errno, ("CAP_PERFMON",), f"{hook.name} links")
            if error.errno != _errno.EINVAL:
                return no(f"this kernel makes no such links ({errno_symbol(error.errno)})")
        finally:
            self.kernel.close(answer.fd)
        # A kernel that has never heard of them says EINVAL too.
        return self.function(hook.link_function)

    def function(self, name: str) -> Answer:
        """Return whether the kernel has a function, by its types, else by its list of symbols."""
        types = self.types()
        try:
            if types is not None and types.find(name, Kind.FUNC) is not None:
                return yes(f"the kernel has {name}()")
            from ebee.host.kallsyms import has_symbol

            known = has_symbol(name)
        except EbeeError as error:
            return unknown(error.message)
        return yes(f"the kernel has {name}()") if known else no(f"the kernel has no {name}()")

    def _replacement(self, hook: Hook) -> Answer:
        """Load a program with types, and one that replaces its function."""
        subject = "freplace programs"
        with ExitStack() as resources:
            types = self.kernel.btf_load(btf(context="xdp_md"))
            if types.fd < 0:
                denied = self._denied(types, ("CAP_BPF",), subject)
                return no("this kernel takes no types of functions") if denied is None else denied
            resources.callback(self.kernel.close, types.fd)
            info = b"".join(number.to_bytes(4, byteorder) for number in (0, FUNCTION_TYPE_ID))
            base = ProgramLoad(
                ProgType.XDP, returning(hook.result), _LICENSE, "probe", btf_fd=types.fd, func_info=info
            )
            victim = self.kernel.program_load(base)
            if victim.fd < 0:
                return self._load(base, program_subject(ProgType.XDP))
            resources.callback(self.kernel.close, victim.fd)
            extension = base._replace(
                type=ProgType.EXT, attach_fd=victim.fd, attach_btf_id=FUNCTION_TYPE_ID, expected_attach_type=0
            )
            return self._load(extension, subject)

    # -- the rest --------------------------------------------------------------------------------
    def helper(self, helper: int | str, program_type: ProgType) -> Answer:
        """Return whether programs of a type may call a helper.

        Args:
            helper: its number, or its name with or without `bpf_`.

        Raises:
            SpecError: there is no helper of that name.
        """
        number = helper if isinstance(helper, int) else helper_number(helper)
        hook = next((hook for hook in HOOKS.values() if hook.type is program_type), None)
        request = ProgramLoad(program_type, calling(number), _LICENSE, "probe")
        if hook is not None:
            request = request._replace(expected_attach_type=hook.attach_type, flags=hook.flags)
            kind = _target_kind(program_type, hook.attach_type)
            target = self._target(hook.target, kind) if hook.target else 0
            if isinstance(target, Answer):
                return target
            request = request._replace(attach_btf_id=target)
        answer = self.try_load(request)
        denied = self._denied(answer, program_needs(program_type), program_subject(program_type))
        if denied is not None:
            return denied
        if any(words in answer.log for words in _NO_HELPER):
            return no(_complaint(answer.log, *_NO_HELPER))
        if answer.fd < 0 and not answer.log.strip():
            return no(
                f"{program_subject(program_type)} are unknown to this kernel ({errno_symbol(answer.errno)})"
            )
        return yes("the verifier knows it for this type of program")

    def map_type(self, map_type: MapType) -> Answer:
        """Return whether the kernel makes maps of a type."""
        from ebee.features.maps import create_smallest

        try:
            fds = create_smallest(self.kernel, map_type)
        except KernelError as error:
            if error.errno in (_errno.EPERM, _errno.EACCES):
                return self.denied(error.errno, map_needs(map_type), map_subject(map_type))
            return no(f"unknown to this kernel ({errno_symbol(error.errno)})")
        for fd in fds:
            self.kernel.close(fd)
        return yes("a map was made")

    def code(self, instructions: bytes, subject: str) -> Answer:
        """Return whether the verifier takes instructions, as a socket filter."""
        answer = self.try_load(ProgramLoad(ProgType.SOCKET_FILTER, instructions, _LICENSE, "probe"))
        if answer.fd >= 0:
            return yes("a program with them was loaded")
        denied = self._denied(answer, ("CAP_BPF",), subject)
        if denied is not None:
            return denied
        return no(_complaint(answer.log) or f"refused ({errno_symbol(answer.errno)})")


def _target_kind(program_type: ProgType, attach_type: AttachType | int) -> Kind:
    """Return what kind of type a program of this kind is loaded against."""
    if program_type is ProgType.STRUCT_OPS:
        return Kind.STRUCT
    return Kind.TYPEDEF if attach_type == AttachType.TRACE_RAW_TP else Kind.FUNC


def helper_number(name: str) -> int:
    """Return the number of a helper.

    Raises:
        SpecError: there is none of that name.
    """
    from ebee.abi.helpers import HELPERS
    from ebee.text import did_you_mean

    numbers = {known: number for number, (known, _) in HELPERS.items()}
    bare = name.removeprefix("bpf_")
    if bare not in numbers:
        raise SpecError(f"probe helper {name}: it is not known", hint=did_you_mean(bare, numbers))
    return numbers[bare]


def _complaint(log: str, *words: str) -> str:
    """Return the line of a log that says what is wrong: one with these words, else the last."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith("processed ")]
    chosen = [line for line in lines if any(word in line for word in words)] or lines
    return chosen[-1] if chosen else ""

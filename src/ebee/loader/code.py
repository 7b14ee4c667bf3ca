"""One program -> the kernel, and its refusal -> an error with the user's line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ebee.abi.bpf import AttachType, ProgType
from ebee.asm import encode
from ebee.btf import Btf, Kind
from ebee.errors import NotSupportedError, RelocationError, SpecError
from ebee.kernel.protocol import Kernel, LoadAnswer, ProgramLoad
from ebee.maps import Map
from ebee.maps.map import kernel_name
from ebee.programs import Program
from ebee.record import NamedTuple
from ebee.relocate import LinkedProgram, Target, link, resolve
from ebee.spec import Function, ObjectSpec, ProgramSpec
from ebee.spec.programs import ExternReference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ebee.btf.core import Matcher

_FIRST_LOG_BYTES = 1 << 16
_LAST_LOG_BYTES = 1 << 24
_ENOSPC = 28

# Where the target of a tracing program stands in the kernel's types: a prefix and a kind.
_TARGETS: dict[str, tuple[str, Kind]] = {
    "TRACE_RAW_TP": ("btf_trace_", Kind.TYPEDEF),
    "TRACE_ITER": ("bpf_iter_", Kind.FUNC),
    "LSM_MAC": ("bpf_lsm_", Kind.FUNC),
    "LSM_CGROUP": ("bpf_lsm_", Kind.FUNC),
}


class PreparedFunctions(dict[str, Function]):
    """The functions of an object with CO-RE relocations applied, each when it is first used.

    Programs share them, and most programs reach few. The spec's own functions stay as they are.

    Attributes:
        poisoned: by function, why an instruction was made invalid, by slot.
    """

    def __init__(self, spec: ObjectSpec, kernel_types: Callable[[], Btf | None]) -> None:
        super().__init__()
        self.poisoned: dict[str, dict[int, str]] = {}
        self._spec = spec
        self._kernel_types = kernel_types
        self._matcher: Matcher | None = None

    def __missing__(self, name: str) -> Function:
        function = self._spec.functions[name]
        if function.core_relocations:
            from ebee.relocate.core import apply_core_relocations

            local, targets, matcher = self._types(name)
            function, self.poisoned[name] = apply_core_relocations(function, local, targets, matcher=matcher)
        self[name] = function
        return function

    def _types(self, name: str) -> tuple[Btf, list[Btf], Matcher]:
        """Return the object's types, the kernel's, and the matcher that all functions share."""
        from ebee.btf.core import Matcher

        local, kernel_types = self._spec.btf, self._kernel_types()
        if kernel_types is None or local is None:
            raise RelocationError(
                f"function {name}: needs the kernel's types (CO-RE), and this kernel has none",
                hint="it needs a kernel with CONFIG_DEBUG_INFO_BTF=y",
            )
        targets = [kernel_types]
        self._matcher = self._matcher or Matcher(local, targets)
        return local, targets, self._matcher


class ObjectContext(NamedTuple):
    """What the programs of one object share while they are loaded.

    Attributes:
        btf_fd: the object's types in the kernel; 0 where it has none.
    """

    spec: ObjectSpec
    kernel: Kernel
    maps: Mapping[str, Map]
    btf_fd: int
    functions: PreparedFunctions


def load_program(program: ProgramSpec, context: ObjectContext) -> Program:
    """Load one program of an object.

    Raises:
        RelocationError: it needs what this kernel has not.
        VerifierError, NotPermittedError, NotSupportedError: the kernel refused.
    """
    functions = context.functions
    linked = link(functions[program.function.name], functions)
    needs_types = any(isinstance(reference, ExternReference) for reference in linked.references)
    target = Target(
        {name: item.fd for name, item in context.maps.items()},
        context.kernel.types() if needs_types else None,
        context.kernel.symbol_address,
    )
    instructions = resolve(linked, target)
    request = ProgramLoad(
        type=program.type,
        instructions=encode(instructions, context.spec.byte_order),
        license=context.spec.license,
        name=kernel_name(program.name),
        expected_attach_type=program.expected_attach_type,
        flags=program.flags,
        kernel_version=context.spec.kernel_version,
        attach_btf_id=_target_id(program, context),
    )
    request = _with_types(request, linked, context)
    answer = _ask(context.kernel, request, program)
    if answer.fd < 0:
        from ebee.loader.refusal import refused

        raise refused(program, context.spec, linked, instructions, answer, functions.poisoned)
    return Program(
        context.kernel,
        answer.fd,
        name=program.name,
        type=program.type,
        expected_attach_type=program.expected_attach_type,
        auto_attach=program.auto_attach,
        attach_target=program.attach_target,
    )


def _target_id(program: ProgramSpec, context: ObjectContext) -> int:
    """Return the kernel type that a tracing program is attached to; 0 where it is attached to none."""
    if program.type is ProgType.STRUCT_OPS:
        raise NotSupportedError(
            f"program {program.name}: is of a struct of operations (struct_ops), which ebee cannot load yet"
        )
    if program.type not in (ProgType.TRACING, ProgType.LSM, ProgType.EXT):
        return 0
    if not program.attach_target:
        raise SpecError(
            f"program {program.name}: section '{program.section}' names no target",
            hint=f'write SEC("{program.section}/NAME")',
        )
    if program.type is ProgType.EXT:
        raise NotSupportedError(
            f"program {program.name}: replaces a function of another program, which ebee cannot load yet"
        )
    types = context.kernel.types()
    if types is None:
        raise NotSupportedError(
            f"program {program.name}: '{program.section}' needs the kernel's types, and this kernel has none",
            hint="it needs a kernel with CONFIG_DEBUG_INFO_BTF=y",
        )
    prefix, kind = _TARGETS.get(AttachType(program.expected_attach_type).name, ("", Kind.FUNC))
    type_id = types.find(prefix + program.attach_target, kind)
    if type_id is None:
        raise _no_target(program, types, prefix, kind)
    return type_id


def _no_target(program: ProgramSpec, types: Btf, prefix: str, kind: Kind) -> RelocationError:
    from ebee.text import did_you_mean

    names = [
        found.name.removeprefix(prefix)
        for _, found in types
        if found.kind is kind and found.name.startswith(prefix)
    ]
    what = "tracepoint" if kind is Kind.TYPEDEF else "function"
    return RelocationError(
        f"program {program.name}: this kernel has no {what} '{program.attach_target}' "
        f"to attach section '{program.section}' to",
        hint=did_you_mean(program.attach_target, names),
    )


def _with_types(request: ProgramLoad, linked: LinkedProgram, context: ObjectContext) -> ProgramLoad:
    """Add function and line info, where the object has types for every function."""
    if not context.btf_fd or not all(type_id for _, type_id in linked.functions):
        return request
    import struct

    functions = b"".join(struct.pack("=II", slot, type_id) for slot, type_id in linked.functions)
    starts = {line.slot for line in linked.lines}
    with_lines = all(slot in starts for slot, _ in linked.functions)
    lines = b"".join(
        struct.pack("=IIII", line.slot, line.file_offset, line.text_offset, line.line << 10 | line.column)
        for line in (linked.lines if with_lines else ())
    )
    return request._replace(btf_fd=context.btf_fd, func_info=functions, line_info=lines)


def _ask(kernel: Kernel, request: ProgramLoad, program: ProgramSpec) -> LoadAnswer:
    """Load; on refusal ask once more with a log, in a buffer that grows until the log fits.

    Without a log the verifier is several times faster, and most programs are taken.
    """
    answer = kernel.program_load(request)
    if answer.fd >= 0:
        return answer
    if program.attach_type_optional and request.expected_attach_type:
        plain = request._replace(expected_attach_type=0)
        second = kernel.program_load(plain)
        if second.fd >= 0:
            return second
        if second.errno != answer.errno:
            request = plain  # the attach type is not known here; what is wrong besides shows without it
    log_bytes = _FIRST_LOG_BYTES
    while True:
        answer = kernel.program_load(request._replace(log_level=1, log_size_bytes=log_bytes))
        whole = answer.log_whole_bytes > log_bytes or answer.errno == _ENOSPC
        if not whole or log_bytes >= _LAST_LOG_BYTES:
            return answer
        log_bytes = min(max(4 * log_bytes, answer.log_whole_bytes), _LAST_LOG_BYTES)

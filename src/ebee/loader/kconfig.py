"""Values that an object asks the running kernel for: `extern int CONFIG_HZ __kconfig`.

Besides the options of the kernel's configuration there are three names of libbpf's:
LINUX_KERNEL_VERSION, LINUX_HAS_SYSCALL_WRAPPER and LINUX_HAS_BPF_COOKIE.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ebee.abi.bpf import ProgType
from ebee.btf import Kind
from ebee.btf.types import IntEncoding
from ebee.errors import EbeeError, RelocationError
from ebee.host.kernel_facts import CONFIG_PLACES, KernelFacts
from ebee.kernel.protocol import Kernel, ProgramLoad
from ebee.spec import MapSpec, VariableSpec
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GET_ATTACH_COOKIE = 174
_TRISTATE = {"y": 1, "m": 2}


def kconfig_contents(home: MapSpec, variables: list[VariableSpec], kernel: Kernel) -> bytes:
    """Return the bytes of `.kconfig` on the running kernel.

    Args:
        home: the map as the object has it; values that were set in it stay.
        variables: those that lie in it.

    Raises:
        RelocationError: this kernel does not tell a value, or tells one of another type.
    """
    filled = home.replaced()
    for variable in variables:
        if not variable.from_kernel:
            continue
        value = _value(variable, kernel)
        if value is None and not variable.optional:
            raise _missing(variable, kernel.facts())
        if value is not None:
            _store(variable.replaced(map=filled), value)
    return filled.contents or b""


def _value(variable: VariableSpec, kernel: Kernel) -> str | int | None:
    ask = _ASKED.get(variable.name)
    if ask is not None:
        return ask(kernel)
    return (kernel.facts().config or {}).get(variable.name)


def _store(variable: VariableSpec, value: str | int) -> None:
    try:
        variable.value = _as_type_of(variable, value)
    except (EbeeError, KeyError, ValueError):
        raise RelocationError(
            f"extern {variable.name}: this kernel has the value '{value}', "
            f"expected one for a variable of {variable.size_bytes} bytes",
            hint="declare it as what holds the value: bool, enum libbpf_tristate, char, int or char []",
        ) from None


def _as_type_of(variable: VariableSpec, value: str | int) -> Any:
    """Return a value of the configuration as the variable's type takes it."""
    assert variable.btf is not None
    _, kind = variable.btf.resolve(variable.type_id)
    if isinstance(value, int):
        return value
    if kind.kind is Kind.ARRAY:
        return value[: variable.size_bytes - 1]
    if kind.kind is Kind.INT and kind.encoding & IntEncoding.BOOL:
        return {"y": True}[value]
    if kind.kind in (Kind.ENUM, Kind.ENUM64):
        return _TRISTATE[value]
    if kind.size_bytes == 1 and value in _TRISTATE:
        return ord(value)
    return int(value, 0)


def _missing(variable: VariableSpec, facts: KernelFacts) -> RelocationError:
    if facts.config is None:
        places = ", ".join(place.format(release=facts.release) for place in CONFIG_PLACES)
        return RelocationError(
            f"extern {variable.name}: this kernel's configuration was not found",
            hint=f"it is looked for at {places}; or declare it __weak, or set it before loading",
        )
    near = did_you_mean(variable.name, [*facts.config, *_ASKED])
    return RelocationError(
        f"extern {variable.name}: this kernel's configuration does not have it ({facts.config_path})",
        hint=near or "declare it __weak to load without it",
    )


# -- names that are no options -----------------------------------------------------------------
def kernel_version(facts: KernelFacts) -> int:
    """Return the kernel's version as KERNEL_VERSION() writes it.

    Debian's releases (`6.1.0-13-amd64`) do not tell the patch level; its version string does.
    """
    found = re.search(r"Debian (\d+)\.(\d+)\.(\d+)", facts.version) or re.match(
        r"(\d+)\.(\d+)(?:\.(\d+))?", facts.release
    )
    major, minor, patch = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return major << 16 | minor << 8 | min(patch, 255)


def _version(kernel: Kernel) -> int:
    return kernel_version(kernel.facts())


def _has_syscall_wrapper(kernel: Kernel) -> int:
    """Whether system calls are functions such as __x64_sys_bpf, whose only argument is pt_regs."""
    from ebee.abi.arch import host

    return int(kernel.has_symbol(f"{host().syscall_prefix}bpf"))


def _has_cookie(kernel: Kernel) -> int:
    """Whether tracing programs may call bpf_get_attach_cookie(); since 5.15."""
    from ebee.asm import Instruction, encode

    code = encode([Instruction(0x85, imm=_GET_ATTACH_COOKIE), Instruction(0x95)])
    answer = kernel.program_load(ProgramLoad(ProgType.TRACEPOINT, code, "GPL"))
    if answer.fd >= 0:
        kernel.close(answer.fd)
    return int(answer.fd >= 0)


_ASKED: dict[str, Callable[[Kernel], int]] = {
    "LINUX_KERNEL_VERSION": _version,
    "LINUX_HAS_SYSCALL_WRAPPER": _has_syscall_wrapper,
    "LINUX_HAS_BPF_COOKIE": _has_cookie,
}

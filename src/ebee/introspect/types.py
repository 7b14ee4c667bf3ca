"""The types that a loaded program brought with it, and function prototypes as bpftool writes them."""

from __future__ import annotations

from ebee.btf import Btf, Kind, decode
from ebee.btf.types import Parameter, Type
from ebee.errors import GoneError
from ebee.kernel.protocol import Kernel, ObjectKind

_DEEPEST = 64
_PREFIXES = {
    Kind.STRUCT: "struct ",
    Kind.UNION: "union ",
    Kind.ENUM: "enum ",
    Kind.ENUM64: "enum ",
    Kind.INT: "",
    Kind.TYPEDEF: "",
    Kind.FLOAT: "",
}
_QUALIFIERS = {Kind.VOLATILE: "volatile ", Kind.CONST: "const ", Kind.RESTRICT: "restrict "}


def program_types(kernel: Kernel, btf_id: int) -> Btf | None:
    """Return the BTF of an id; None where it went away meanwhile, or is the kernel's own.

    Raises:
        FormatError: the kernel gave no BTF.
    """
    try:
        fd = kernel.open_id(ObjectKind.BTF, btf_id)
    except GoneError:
        return None
    try:
        info = kernel.btf_info(fd, data=True)
    finally:
        kernel.close(fd)
    return None if info.kernel else decode(info.data)


def prototype(types: Btf, type_id: int) -> str:
    """Return a FUNC as C, in bpftool's spacing: `int hello(struct xdp_md * ctx)`."""
    return _spelled(types, type_id, 0)


def _spelled(types: Btf, type_id: int, depth: int) -> str:
    """Return a type with a space after it, where one is to separate it from a name."""
    found = types.type(type_id)
    kind = found.kind
    if depth > _DEEPEST or kind is Kind.VOID:
        return "void "
    if kind in _PREFIXES:
        return f"{_PREFIXES[kind]}{found.name or '(anon)'} "
    if kind is Kind.FWD:
        return f"{'union' if found.flag else 'struct'} {found.name} "
    if kind in _QUALIFIERS:
        return _QUALIFIERS[kind] + _spelled(types, found.type_id, depth + 1)
    if kind is Kind.PTR:
        return _spelled(types, found.type_id, depth + 1) + "* "
    if kind is Kind.ARRAY:
        return f"{_spelled(types, found.type_id, depth + 1)}[{found.length}]"
    if kind is Kind.FUNC:
        return _function(types, types.type(found.type_id), found.name, depth)
    if kind is Kind.FUNC_PROTO:
        return _function(types, found, "", depth)
    return _spelled(types, found.type_id, depth + 1)


def _function(types: Btf, signature: Type, name: str, depth: int) -> str:
    parameters = ", ".join(_parameter(types, item, depth) for item in signature.parameters)
    return f"{_spelled(types, signature.type_id, depth + 1)}{name}({parameters})"


def _parameter(types: Btf, item: Parameter, depth: int) -> str:
    if not item.type_id:
        return "..."
    spelled = _spelled(types, item.type_id, depth + 1)
    return spelled + item.name if item.name else spelled.removesuffix(" ")

"""What to do about clang's complaints: the errors that everybody makes who begins with BPF."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from ebee.record import NamedTuple
from ebee.source import SourceText
from ebee.text import did_you_mean


class Context(NamedTuple):
    """Where a complaint stands.

    Attributes:
        source: the text that is compiled.
        line: the complaint's line.
        folders: where headers are searched, first one first.
        texts: reads a file by its path.
    """

    source: SourceText
    line: str
    folders: tuple[str, ...]
    texts: Callable[[str], SourceText | None]


class Advice(NamedTuple):
    """A complaint in plain words.

    Attributes:
        message: what is wrong.
        hint: what to do about it.
        kind: `parse`, `name`, `type` or `construct`.
        once: complaints with the same value are told once.
    """

    message: str
    hint: str | None = None
    kind: str = "parse"
    once: str | None = None


class _Rule(NamedTuple):
    """A pattern of clang's messages: what to say instead, and the hint, a text or a function."""

    pattern: re.Pattern[str]
    kind: str
    message: str | None = None
    hint: str | Callable[[re.Match[str], Context], str | None] | None = None
    once: str | None = None


# Which header a name comes from, by the beginning of the name; a longer beginning stands first.
_HEADERS_BY_PREFIX = (
    ("BPF_CORE_READ", "bpf/bpf_core_read.h"),
    ("bpf_core_", "bpf/bpf_core_read.h"),
    ("BPF_PROG", "bpf/bpf_tracing.h"),
    ("BPF_KPROBE", "bpf/bpf_tracing.h"),
    ("BPF_KRETPROBE", "bpf/bpf_tracing.h"),
    ("BPF_KSYSCALL", "bpf/bpf_tracing.h"),
    ("PT_REGS_", "bpf/bpf_tracing.h"),
    ("BPF_USDT", "bpf/usdt.bpf.h"),
    ("bpf_usdt_", "bpf/usdt.bpf.h"),
    ("bpf_hton", "bpf/bpf_endian.h"),
    ("bpf_ntoh", "bpf/bpf_endian.h"),
    ("bpf_cpu_to_", "bpf/bpf_endian.h"),
    ("bpf_be", "bpf/bpf_endian.h"),
    ("bpf_le", "bpf/bpf_endian.h"),
    ("XDP_", "linux/bpf.h"),
    ("BPF_", "linux/bpf.h"),
    ("TC_ACT_", "linux/pkt_cls.h"),
    ("ETH_", "linux/if_ether.h"),
    ("IPPROTO_", "linux/in.h"),
    ("AF_", "linux/socket.h"),
)
_HEADERS = {
    "bool": "stdbool.h",
    "true": "stdbool.h",
    "false": "stdbool.h",
    "NULL": "stddef.h",
    "size_t": "stddef.h",
    "offsetof": "stddef.h",
    "SEC": "bpf/bpf_helpers.h",
    "__always_inline": "bpf/bpf_helpers.h",
    "__noinline": "bpf/bpf_helpers.h",
    "__uint": "bpf/bpf_helpers.h",
    "__type": "bpf/bpf_helpers.h",
    "bpf_printk": "bpf/bpf_helpers.h",
    "struct ethhdr": "linux/if_ether.h",
    "struct vlan_hdr": "linux/if_vlan.h",
    "struct iphdr": "linux/ip.h",
    "struct ipv6hdr": "linux/ipv6.h",
    "struct tcphdr": "linux/tcp.h",
    "struct udphdr": "linux/udp.h",
    "struct icmphdr": "linux/icmp.h",
    "struct xdp_md": "linux/bpf.h",
    "struct __sk_buff": "linux/bpf.h",
    "struct bpf_sock": "linux/bpf.h",
    "struct pt_regs": "linux/ptrace.h",
}
_HELPER = re.compile(r"\(\*\s*(?:const\s+)?(bpf_\w+)\)|#define\s+(bpf_\w+)\(")
_MACRO_USE = re.compile(r"\b(SEC|__uint|__type|__array)\s*\(")
_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
_SUGGESTION = re.compile(r"(?P<message>.*); did you mean (?P<name>'.+')\?")
_FLAG = re.compile(r" \[-W[\w=+-]+(?:,-W[\w=+-]+)*\]$")


def advise(message: str, context: Context) -> Advice:
    """Return what a message of clang's means, and what to do."""
    message = _FLAG.sub("", message)
    suggested = None
    if match := _SUGGESTION.fullmatch(message):
        message, suggested = match["message"], f"did you mean {match['name']}?"
    for rule in _RULES:
        if match := rule.pattern.search(message):
            hint = rule.hint(match, context) if callable(rule.hint) else rule.hint
            told = message if rule.message is None else match.expand(rule.message)
            return Advice(told, suggested or hint, rule.kind, rule.once)
    return Advice(message, suggested or _macro_hint(context))


def _missing_header(match: re.Match[str], context: Context) -> str:
    name = match["name"]
    if os.path.basename(name) == "vmlinux.h":
        return (
            "include <linux/bpf.h> and the kernel's other user-space headers instead, "
            f"or put a vmlinux.h beside {os.path.basename(context.source.path)}"
        )
    if name in {"stdio.h", "stdlib.h", "string.h", "unistd.h"}:
        return f"BPF has no C library: remove the include of {name}; __builtin_memcpy and the like remain"
    near = did_you_mean(name, _header_names(os.path.dirname(name), context))
    if near is not None:
        return near
    if name.startswith("bpf/"):
        return "ebee has bpf_helpers.h, bpf_endian.h, bpf_tracing.h and bpf_core_read.h under <bpf/…>"
    return "name the folder that holds it with -I"


def _header_names(folder: str, context: Context) -> Iterator[str]:
    """Yield the headers that are found in one folder of the search path, as one would include them."""
    for root in context.folders:
        try:
            names = os.listdir(os.path.join(root, folder))
        except OSError:
            continue
        yield from (os.path.join(folder, name) for name in names if name.endswith(".h"))


def _undeclared(match: re.Match[str], context: Context) -> str | None:
    return _name_hint(match["name"], context)


def _name_hint(name: str, context: Context) -> str | None:
    """Return where an unknown name comes from, or which known one is like it."""
    if name in {"printf", "fprintf", "puts", "printk"}:
        return 'a BPF program prints with bpf_printk("…", …), read with `ebee prog tracelog`'
    if name in {"malloc", "free", "calloc"}:
        return "BPF has no heap: keep data in a map"
    if name in {"memcpy", "memset", "memmove", "memcmp", "strlen", "strcmp", "strncmp"}:
        return f"BPF has no C library: use __builtin_{name}, with a size the compiler knows"
    included = set(_INCLUDE.findall(context.source.text))
    header = _header_of(name) or ("bpf/bpf_helpers.h" if name in set(_helpers(context)) else None)
    if header is not None and header not in included:
        return f"#include <{header}>"
    return did_you_mean(name, _helpers(context)) if name.startswith("bpf_") else _macro_hint(context)


def _header_of(name: str) -> str | None:
    if name in _HEADERS:
        return _HEADERS[name]
    return next((header for prefix, header in _HEADERS_BY_PREFIX if name.startswith(prefix)), None)


def _helpers(context: Context) -> list[str]:
    """Return the names of BPF helpers that our headers declare."""
    names: list[str] = []
    for folder in context.folders:
        for header in ("bpf/bpf_helper_defs.h", "bpf/bpf_helpers.h"):
            text = context.texts(os.path.join(folder, header))
            if text is not None:
                names += [first or second for first, second in _HELPER.findall(text.text)]
    return names


def _unknown_type(match: re.Match[str], context: Context) -> str | None:
    name = match["name"]
    if short := re.fullmatch(r"([us])(8|16|32|64)", name):
        return f"use __{name}, from <linux/types.h>; {short[0]} is a name inside the kernel"
    if re.fullmatch(r"__[us](8|16|32|64)|__[bl]e(16|32|64)", name):
        return "#include <linux/types.h>"
    if fixed := re.fullmatch(r"(u?)int(8|16|32|64)_t", name):
        return f"use __{'u' if fixed[1] else 's'}{fixed[2]}, or #include <stdint.h>"
    return _name_hint(name, context)


def _incomplete(match: re.Match[str], context: Context) -> str | None:
    name = match["name"].removeprefix("const ").removeprefix("volatile ").rstrip(" *")
    header = _HEADERS.get(name)
    return None if header is None else f"#include <{header}>"


def _no_member(match: re.Match[str], context: Context) -> str | None:
    """Return the member most like the one asked for, from the struct's text."""
    return did_you_mean(match["member"], _members(match["type"], context))


def _members(type_name: str, context: Context) -> list[str]:
    opening = re.compile(rf"\b{re.escape(type_name)}\s*\{{([^}}]*)\}}")
    for text in _visible(context):
        if match := opening.search(text.text):
            return re.findall(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?::\s*\d+\s*)?[;,)]", match[1])
    return []


def _visible(context: Context) -> Iterable[SourceText]:
    """Yield the source and the headers that it names itself."""
    yield context.source
    for name in _INCLUDE.findall(context.source.text):
        paths = (os.path.join(folder, name) for folder in context.folders)
        if text := next((text for path in paths if (text := context.texts(path))), None):
            yield text


def _builtin_call(match: re.Match[str], context: Context) -> str:
    name = match["name"]
    if re.fullmatch(r"__\w*(?:sf|df|tf)\w*", name):
        return "BPF has no floating point: count in whole numbers, such as thousandths"
    if name.startswith("__") and name.endswith("ti3"):
        return "BPF has no 128-bit arithmetic: use 64-bit values"
    return "BPF has no C library: keep the size constant and small, or copy in a bounded loop"


def _macro_hint(context: Context) -> str | None:
    """Return where SEC() and the map macros come from, for the nonsense clang says without them."""
    used = _MACRO_USE.search(context.line)
    if used is None or "bpf_helpers.h" in context.source.text:
        return None
    if re.search(rf"#\s*define\s+{used[1]}\b", context.source.text):
        return None
    return f"{used[1]}() comes from a header: #include <bpf/bpf_helpers.h>"


def _rule(pattern: str, kind: str, *rest: object, **named: object) -> _Rule:
    return _Rule(re.compile(pattern), kind, *rest, **named)  # type: ignore[arg-type]


_STACK_HINT = "keep large data in a map, such as a BPF_MAP_TYPE_PERCPU_ARRAY with one entry"
_ATOMIC_HINT = "compile for a newer instruction set (cpu v3), or use a 64-bit value"
_ARGUMENTS_HINT = "pass a pointer to a struct that holds them"

# The first pattern that is found decides.
_RULES = (
    _rule(r"'(?P<name>[^']+)' file not found", "parse", r"header '\g<name>' is not found", _missing_header),
    _rule(r"use of undeclared identifier '(?P<name>[^']+)'", "name", None, _undeclared),
    _rule(
        r"(?:call to undeclared (?:library )?function|implicitly declaring library function"
        r"|implicit declaration of function) '(?P<name>[^']+)'",
        "name",
        r"call to undeclared function '\g<name>'",
        _undeclared,
    ),
    _rule(r"unknown type name '(?P<name>[^']+)'", "name", None, _unknown_type),
    _rule(r"no member named '(?P<member>[^']+)' in '(?P<type>[^']+)'", "name", None, _no_member),
    _rule(r"incomplete (?:definition of )?type '(?P<name>[^']+)'", "type", None, _incomplete),
    _rule(
        r"BPF stack limit",
        "construct",
        "the function needs more stack than the 512 bytes that BPF has",
        _STACK_HINT,
        "stack",
    ),
    _rule(
        r"A call to built-in function '(?P<name>__\w*(?:sf|df|tf)\w*)' is not supported",
        "construct",
        "floating point is not supported in BPF",
        _builtin_call,
        "float",
    ),
    _rule(
        r"A call to built-in function '(?P<name>[^']+)' is not supported",
        "construct",
        r"this needs a call to '\g<name>', which BPF does not have",
        _builtin_call,
    ),
    _rule(
        r"stack arguments are not supported|defined with too many args",
        "construct",
        "a BPF function takes 5 arguments at most",
        _ARGUMENTS_HINT,
    ),
    _rule(
        r"GlobalAddress<.*@(?P<name>[\w.]+)>.*too many arg|too many args to .*@(?P<other>[\w.]+)>",
        "construct",
        "a call in BPF passes 5 arguments at most",
        _ARGUMENTS_HINT,
    ),
    _rule(
        r"[Uu]nsupported signed division",
        "construct",
        "signed division needs instruction set v4",
        "divide unsigned values, or compile for cpu v4 (kernel 6.6 and newer)",
    ),
    _rule(
        r"Invalid usage of the XADD return value",
        "construct",
        "using the old value of an atomic addition needs instruction set v3",
        _ATOMIC_HINT,
    ),
    _rule(
        r"[Uu]nsupported atomic operation",
        "construct",
        "this atomic operation is not in the chosen instruction set",
        _ATOMIC_HINT,
        "atomic",
    ),
    _rule(
        r"Cannot select: .*Atomic",
        "construct",
        "an atomic operation is not in the chosen instruction set",
        _ATOMIC_HINT,
        "atomic",
    ),
    _rule(r"incompatible (?:pointer|integer)", "type"),
    _rule(r"^(?:incompatible|passing|assigning|initializing|returning) ", "type"),
    _rule(r"invalid operands to binary expression|cannot (?:convert|cast)", "type"),
    _rule(r"too (?:few|many) arguments to function call", "type"),
)

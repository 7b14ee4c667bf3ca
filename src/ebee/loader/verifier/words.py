"""The verifier's names for things, in a learner's words."""

from __future__ import annotations

import re

from ebee.loader.verifier import c_line
from ebee.loader.verifier.scene import Scene

# By the begin of the verifier's name; first fit. Source: kernel/bpf/log.c, reg_type_str().
_KINDS = (
    ("scalar", "a number"),
    ("inv", "a number"),
    ("map_value_or_null", "a pointer into a map that may be NULL"),
    ("map_value", "a pointer into a map's value"),
    ("map_ptr", "a map"),
    ("map_key", "a pointer to a map's key"),
    ("fp", "a pointer to the stack"),
    ("ctx", "the program's context"),
    ("pkt_end", "the packet's end"),
    ("pkt_meta", "a pointer to the packet's metadata"),
    ("pkt", "a pointer into the packet"),
    ("ringbuf_mem_or_null", "a ring buffer record that may be NULL"),
    ("ringbuf_mem", "a ring buffer record"),
    ("mem_or_null", "a pointer to memory that may be NULL"),
    ("mem", "a pointer to memory"),
    ("rdonly_mem", "a pointer to read-only memory"),
    ("buf", "a pointer to a buffer"),
    ("func", "a function of the program"),
    ("sock", "a socket"),
    ("tcp_sock", "a TCP socket"),
    ("const_ptr_to_dynptr", "a dynptr"),
)
_KERNEL_POINTER = re.compile(r"(?:\w+_)?ptr_(?:or_null_)?(\w*)")
_TERM = re.compile(r"\w+")


def kind(name: str) -> str:
    """Return a register type in words: `a number` for `scalar`."""
    for begin, words in _KINDS:
        if name.startswith(begin):
            return words
    found = _KERNEL_POINTER.match(name)
    if found:
        maybe = " that may be NULL" if "or_null" in name else ""
        return f"a pointer to the kernel's {f'struct {found[1]}' if found[1] else 'memory'}{maybe}"
    return f"'{name}'"


def kinds(names: str) -> str:
    """Return what is expected of an argument, such as `fp, pkt, map_value`, in words."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if len(listed) > 2:
        return "a pointer to memory (stack, map value or packet)"
    return " or ".join(kind(name) for name in listed)


def argument(scene: Scene, register: int) -> str:
    """Return an argument of the call that failed: `argument 2 ('&key') of bpf_map_lookup_elem()`."""
    name = scene.called()
    if not name:
        return f"argument {register} of the call"
    text = argument_text(scene, register)
    given = f" ('{text}')" if text else ""
    meant = _parameter(name, register) if not text else ""
    return f"argument {register}{f' ({meant})' if meant else given} of {name}()"


def argument_text(scene: Scene, register: int) -> str:
    """Return an argument of the call that failed as the C line has it; empty where it is not told."""
    passed = c_line.arguments(scene.last_text, scene.called())
    return passed[register - 1] if register <= len(passed) and len(passed[register - 1]) < 40 else ""


def _parameter(helper: str, number: int) -> str:
    from ebee.abi.helpers import HELPERS

    wanted = helper.removeprefix("bpf_")
    prototype = next((text for name, text in HELPERS.values() if name == wanted), "")
    parameters = prototype.partition("(")[2].rstrip(")").split(",")
    if number > len(parameters):
        return ""
    names = _TERM.findall(parameters[number - 1])
    return names[-1] if len(names) > 1 else ""


def span(offset: int, size: int) -> str:
    """Return `byte 12`, or `bytes 12 to 13`."""
    return f"byte {offset}" if size == 1 else f"bytes {offset} to {offset + size - 1}"


def number(text: str) -> int:
    """Return a number of the log, decimal or hexadecimal; 0 where it is none."""
    try:
        return int(text[:24], 16 if "0x" in text else 10)
    except ValueError:
        return 0


def bound(state: str, *names: str) -> int | None:
    """Return a bound of a register's state, such as `umax=60`; None where it is not told."""
    if re.fullmatch(r"-?(?:0x[0-9a-f]+|\d+)", state):
        return number(state)
    for name in names:
        # Equal bounds are chained: `smax=umax=60`.
        found = re.search(rf"\b{name}(?:_value)?=(?:[a-z]\w*=)*(-?(?:0x[0-9a-f]+|\d+))", state)
        if found:
            return number(found[1])
    return None

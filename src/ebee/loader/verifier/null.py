"""Pointers that may be NULL, and numbers that are taken for pointers."""

from __future__ import annotations

import re

from ebee.loader.verifier import c_line
from ebee.loader.verifier.scene import PACKET_TYPES, Finding, Scene
from ebee.loader.verifier.trace import Origin
from ebee.loader.verifier.words import kind

READ_AGAIN = "read ctx->data and ctx->data_end again behind that call, and check the length again"


def maybe_null(scene: Scene, found: re.Match[str]) -> Finding:
    """`R0 invalid mem access 'map_value_or_null'`."""
    register = int(found[1])
    origin = scene.origin(register)
    if origin.kind == "call":
        return unchecked(scene, register, origin)
    name = c_line.dereferenced(scene.last_text)
    what = kind(f"{found[2]}_or_null").removesuffix(" that may be NULL")
    subject = f"'{name}'" if name else what
    if origin.kind == "argument":
        reason = "a function that is not static must expect NULL for every pointer"
    else:
        reason = "it is used without a check"
    return Finding(f"{subject} may be NULL here: {reason}", hint=_check(scene, name))


def unchecked(scene: Scene, register: int, origin: Origin) -> Finding:
    """The result of a function that gives NULL when it has nothing is used unchecked."""
    slot = scene.step(origin.at).slot
    name = scene.assigned(slot, of=origin.name) or c_line.dereferenced(scene.last_text)
    subject = f"'{name}'" if name else f"the result of {origin.name}()"
    giver = f"{origin.name}()" if name else "it"
    return Finding(
        f"{subject} may be NULL here: {giver} {_why_null(scene, register, origin.name, slot)}",
        hint=_check(scene, name),
        notes=((f"{origin.name}() is called here", slot),),
    )


def _check(scene: Scene, name: str) -> str:
    return f"check it before this line: if (!{name or 'pointer'}) {scene.leave()}"


def _why_null(scene: Scene, register: int, helper: str, slot: int) -> str:
    if helper.startswith("bpf_map_lookup"):
        map_name = scene.map_name(scene.state(register), slot)
        where = f"map '{map_name}'" if map_name else "the map"
        return f"finds nothing when the key is not in {where}"
    if helper.startswith("bpf_ringbuf_reserve"):
        return "gives NULL when the ring buffer is full"
    return "gives NULL when there is nothing to give"


def null_arithmetic(scene: Scene, found: re.Match[str]) -> Finding:
    """`R0 pointer arithmetic on map_value_or_null prohibited, null-check it first`."""
    register = int(found[1])
    origin = scene.origin(register)
    if origin.kind == "call":
        return unchecked(scene, register, origin)
    return Finding("adds to a pointer that may be NULL", hint=_check(scene, ""))


def number_dereferenced(scene: Scene, found: re.Match[str]) -> Finding:
    """`R1 invalid mem access 'scalar'`, 'inv' before Linux 5.18."""
    register = int(found[1])
    origin = scene.origin(register)
    if origin.moved_packet >= 0 and origin.kind == "load" and "=pkt" in scene.step(origin.at).state:
        return stale_packet(scene, origin)
    if scene.state(register) in ("0", "inv0", "P0"):
        return Finding("reads or writes through NULL: the pointer is 0 on this path")
    name = ""
    notes: tuple[tuple[str, int], ...] = ()
    if origin.kind in ("call", "load"):
        slot = scene.step(origin.at).slot
        name = scene.assigned(slot, of=origin.name)
        what = f"{origin.name}() gives it here" if origin.name else "it is read here"
        notes = ((what, slot),)
    given = f"the result of {origin.name}()" if origin.name else "the address used here"
    return Finding(
        f"{f'{name!r}' if name else given} is only a number to the verifier, "
        "expected a pointer it knows to be safe",
        hint=_copy_hint(scene, origin),
        notes=notes,
    )


def _copy_hint(scene: Scene, origin: Origin) -> str | None:
    if origin.name == "bpf_get_current_task":
        return "read its fields with BPF_CORE_READ(task, field), or take bpf_get_current_task_btf()"
    if scene.program_type in PACKET_TYPES or origin.kind not in ("call", "load"):
        return None
    return (
        "copy the memory: BPF_CORE_READ() or bpf_probe_read_kernel() for a kernel address, "
        "bpf_probe_read_user() for one of a process"
    )


def stale_packet(scene: Scene, origin: Origin) -> Finding:
    """A packet pointer from before a call that may have moved the packet."""
    moved = scene.step(origin.moved_packet)
    helper = moved.text.removeprefix("call ").partition("#")[0]
    name = scene.assigned(scene.step(origin.at).slot) if origin.at >= 0 else ""
    return Finding(
        f"{f'{name!r}' if name else 'the pointer'} points into the packet as it was before {helper}(), "
        "which may have moved it",
        hint=READ_AGAIN,
        notes=((f"{helper}() is called here", moved.slot),),
    )


def no_value(scene: Scene, found: re.Match[str]) -> Finding:
    """`R2 !read_ok`: a register without a value."""
    register = int(found[1])
    if register == 0 and scene.last is not None and scene.last.text == "exit":
        return Finding(
            "the function ends without a return value on this path", hint=f"end it with {scene.leave()}"
        )
    origin = scene.origin(register)
    if origin.kind == "lost":
        name = f"{origin.name}()" if origin.name else "a function"
        return Finding(
            f"uses register r{register}, whose value is gone behind the call of {name}",
            notes=((f"{name} is called here", scene.step(origin.at).slot),),
        )
    if origin.moved_packet >= 0:
        return stale_packet(scene, origin)
    return Finding(
        "uses a variable that has no value on this path", hint="give it a value where it is declared"
    )

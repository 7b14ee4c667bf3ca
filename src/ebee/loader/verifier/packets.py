"""Packet accesses without a check of the packet's length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ebee.loader.verifier import c_line
from ebee.loader.verifier.scene import ACCESS_BYTES, Finding, Scene
from ebee.loader.verifier.words import number, span

_NO_END = "(void *)(long)ctx->data_end"


def packet(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid access to packet, off=12 size=1, R1(id=0,off=12,r=0)`."""
    offset, size, register = number(found[1]), number(found[2]), int(found[3])
    identity, proven = number(found[4]), number(found[6])
    if offset < 0:
        return Finding(f"{scene.verb} the packet {-offset} bytes before its begin")
    if identity:
        return _behind_variable_length(scene)
    needed = max(offset + size, _reach(scene, register, offset))
    where = span(offset, size)
    notes: tuple[tuple[str, int], ...] = ()
    if proven:
        message = f"{scene.verb} {where} of the packet, but only the first {proven} were checked to be there"
        checked = _where_checked(scene, proven)
        notes = ((f"the check here covers {proven} bytes", checked),) if checked is not None else ()
    else:
        message = f"{scene.verb} {where} of the packet without a check that it is that long"
    return Finding(message, hint=_check(scene, register, needed), notes=notes)


def _check(scene: Scene, register: int, needed: int) -> str:
    """Return the check to write: of the whole struct where the C line goes through one pointer."""
    end, leave = _end_name(scene), scene.leave()
    struct = c_line.arrow(scene.last_text)
    if struct and struct not in ("ctx", "skb"):
        return f"check before this line: if ((void *)({struct} + 1) > {end}) {leave}"
    return f"check before this line: if ({_begin_name(scene, register)} + {needed} > {end}) {leave}"


def _behind_variable_length(scene: Scene) -> Finding:
    """A length out of the packet was added to the pointer, so that earlier checks count no more."""
    return Finding(
        f"{scene.verb} the packet at an offset that is known only when it runs, "
        "and no check stands between the addition and here",
        hint="keep the sum in a pointer and check that one: "
        f"if (pointer + 1 > {_end_name(scene)}) {scene.leave()}",
    )


def _begin_name(scene: Scene, register: int) -> str:
    """Return how the C file calls the packet's begin, ready to add bytes to."""
    origin = scene.origin(register)
    if origin.kind == "load":
        slot = scene.step(origin.at).slot
        if name := scene.assigned(slot, of="data"):
            return name if c_line.is_void_pointer(scene.text(slot), name) else f"(void *){name}"
    return "(void *)(long)ctx->data"


def _end_name(scene: Scene) -> str:
    for step in reversed(scene.report.steps):
        if "=pkt_end" in step.state and "*(u32 *)" in step.text:
            return scene.assigned(step.slot, of="data_end") or _NO_END
    return _NO_END


def _where_checked(scene: Scene, proven: int) -> int | None:
    """Return the slot of the comparison that proved so many bytes."""
    mark = re.compile(rf"\br={proven}\b")
    for step in reversed(scene.report.steps[:-1]):
        if step.text.startswith("if ") and mark.search(step.state):
            return step.slot
    return None


def _reach(scene: Scene, register: int, offset: int) -> int:
    """Return how far the accesses from here on go through the same register.

    clang reads fields byte by byte where they may be misaligned; a check that covers the first byte
    only would bring the next refusal.
    """
    last = scene.last
    if last is None or last.slot >= len(scene.instructions):
        return 0
    # What the register's own offset adds to the instruction's.
    base = offset - scene.instructions[last.slot].offset
    return max((base + end for end in _accesses(scene, register, last.slot)), default=0)


def _accesses(scene: Scene, register: int, slot: int) -> Iterator[int]:
    for instruction in scene.instructions[slot : slot + 64]:
        memory_class = instruction.opcode & 0x07
        is_memory = instruction.opcode & 0xE0 == 0x60 and memory_class in (1, 2, 3)
        address = instruction.src if memory_class == 1 else instruction.dst
        if is_memory and address == register:
            yield instruction.offset + ACCESS_BYTES[instruction.opcode & 0x18]
        if memory_class in (0, 1, 4, 7) and instruction.dst == register:
            return

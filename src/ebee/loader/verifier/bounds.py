"""Indices and sizes without limits: map values, memory of known size, arguments of helpers."""

from __future__ import annotations

import re

from ebee.loader.verifier import c_line
from ebee.loader.verifier.scene import ACCESS_BYTES, Finding, Scene
from ebee.loader.verifier.words import argument, argument_text, bound, kind, number, span

_ADDED = re.compile(r"r(\d+) \+= r(\d+)$")
_SHIFTED = re.compile(r"[rw](\d+) <<= (\d+)$")
_ADDRESS = re.compile(r"\(r(\d+) ([+-]\d+)\)")
_ACCESS = re.compile(r"\*\([us](\d+) \*\)")
_VALUE_SIZE = re.compile(r"\b(?:vs|sz)=(\d+)")
_BELIEVABLE = 1 << 31


class Added:
    """An index that was added to the address used last.

    Attributes:
        step: the index of the step that added it.
        register: that held it.
        largest, smallest: what the verifier knows of it, in bytes; None where it knows nothing.
        scale_bytes: what one more of the C index adds.
    """

    __slots__ = ("largest", "register", "scale_bytes", "smallest", "step")

    def __init__(self, scene: Scene, step: int, register: int) -> None:
        self.step = step
        self.register = register
        state = scene.state(register, before=step + 1)
        self.largest = bound(state, "umax", "smax")
        self.smallest = bound(state, "smin", "umin")
        self.scale_bytes = _scale(scene, step, register)


def _scale(scene: Scene, step: int, register: int) -> int:
    for earlier in reversed(scene.report.steps[max(0, step - 4) : step]):
        shifted = _SHIFTED.match(earlier.text)
        # A shift by 32 is half of an extension from 32 to 64 bits.
        if shifted and int(shifted[1]) == register and int(shifted[2]) < 16:
            return 1 << int(shifted[2])
    return 1


def _index_added(scene: Scene) -> Added | None:
    address = _address(scene)
    for step in range(len(scene.report.steps) - 1, -1, -1):
        found = _ADDED.match(scene.step(step).text)
        if found and (address is None or int(found[1]) == address[0]):
            return Added(scene, step, int(found[2]))
    return None


def _address(scene: Scene) -> tuple[int, int] | None:
    """Return the register that the last step goes through or adds to, and what the access adds to it."""
    text = scene.last.text if scene.last else ""
    if found := _ADDRESS.search(text):
        return int(found[1]), int(found[2])
    added = _ADDED.match(text)
    return (int(added[1]), 0) if added else None


def _target_state(scene: Scene) -> str:
    address = _address(scene)
    return scene.state(address[0]) if address else ""


def _target(scene: Scene) -> str:
    """Return what the last step reaches into: `a value of map 'rows'`."""
    state = _target_state(scene)
    if state.startswith(("map_value", "map_key")):
        what = "a key" if state.startswith("map_key") else "a value"
        name = _map_name(scene, state)
        return f"{what} of map '{name}'" if name else f"{what} of the map"
    return kind(state).partition(" to ")[2] or "the memory"


def _map_name(scene: Scene, state: str) -> str:
    """Return the map's name as the log has it, or as the lookup that gave the address."""
    address = _address(scene)
    origin = scene.origin(address[0]) if address else None
    slot = scene.step(origin.at).slot if origin is not None and "map_lookup" in origin.name else -1
    return scene.map_name(state, slot)


def out_of_bounds(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid access to map value, value_size=64 off=64 size=1`."""
    size_bytes, offset, size = number(found[1]), number(found[2]), number(found[3])
    if offset < 0:
        message = f"{scene.verb} {-offset} bytes before the begin of {_target(scene)}"
    else:
        message = f"{scene.verb} {span(offset, size)} of {_target(scene)}, which has {size_bytes}"
    added = _index_added(scene)
    if added is None or added.largest is None or not 0 < added.largest < _BELIEVABLE:
        return Finding(message)
    most = _most(scene, size_bytes, size)
    name = c_line.index(scene.last_text)
    hint = (
        f"check {f'{name!r}' if name else 'the index'} before this line: it may be "
        f"{most // added.scale_bytes} at most, and can be {added.largest // added.scale_bytes}"
    )
    return Finding(message, hint=hint if most >= 0 else None)


def _most(scene: Scene, size_bytes: int, size: int) -> int:
    """Return the largest byte offset that may be added to the address."""
    access = _access(scene)
    return size_bytes - size - (access[0] if access else 0)


def _access(scene: Scene) -> tuple[int, int] | None:
    """Return the offset and size of the access refused, or of the one that the refused sum is for."""
    address = _address(scene)
    size = _ACCESS.search(scene.last.text) if scene.last else None
    if address is not None and size is not None:
        return address[1], int(size[1]) // 8
    following = scene.instructions[scene.last.slot + 1 :][:1] if scene.last else ()
    for instruction in following:
        if instruction.opcode & 0xE0 == 0x60 and instruction.opcode & 0x07 in (1, 2, 3):
            return instruction.offset, ACCESS_BYTES[instruction.opcode & 0x18]
    return None


def _limit(scene: Scene, added: Added | None) -> str:
    """Return what the C index must stay below, a number where all of it is known."""
    size_bytes = _VALUE_SIZE.search(_target_state(scene))
    access = _access(scene)
    if size_bytes is None or access is None or added is None:
        return "COUNT"
    most = number(size_bytes[1]) - access[1] - access[0]
    return str(most // added.scale_bytes + 1) if most >= 0 else "COUNT"


def unbounded(scene: Scene, found: re.Match[str]) -> Finding:
    """`R0 unbounded memory access, make sure to bounds check any such access`."""
    del found
    added = _index_added(scene)
    name = c_line.index(scene.last_text)
    return Finding(
        f"{f'index {name!r}' if name else 'the index'} into {_target(scene)} "
        "has no upper limit that the verifier knows",
        hint=_check(scene, name, _limit(scene, added)),
        notes=_index_notes(scene, added),
    )


def _check(scene: Scene, name: str, limit: str) -> str:
    if not name or c_line.is_name(name):
        return f"check it before this line: if ({name or 'index'} >= {limit}) {scene.leave()}"
    # An expression may be read twice, and then only the first reading is checked.
    return (
        f"put it into a variable and check that: __u32 index = {name}; if (index >= {limit}) {scene.leave()}"
    )


def negative(scene: Scene, found: re.Match[str]) -> Finding:
    """`R0 min value is negative`, `value -2147483648 makes map_value pointer be out of bounds`."""
    del found
    added = _index_added(scene)
    name = c_line.index(scene.last_text)
    checked = name if c_line.is_name(name) else "index"
    return Finding(
        f"{f'index {name!r}' if name else 'the index'} into {_target(scene)} may be negative",
        hint="declare it unsigned, or check both its ends: "
        f"if ({checked} < 0 || {checked} >= {_limit(scene, added)}) {scene.leave()}",
        notes=_index_notes(scene, added),
    )


def _index_notes(scene: Scene, added: Added | None) -> tuple[tuple[str, int], ...]:
    if added is None:
        return ()
    origin = scene.origin(added.register, before=added.step)
    if origin.at < 0 or origin.kind not in ("load", "call"):
        return ()
    return (("the index comes from here", scene.step(origin.at).slot),)


def stack_index(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid unbounded variable-offset read from stack R2`."""
    del found
    name = c_line.index(scene.last_text)
    return Finding(
        f"{f'index {name!r}' if name else 'the index'} into an array on the stack "
        "has no limit that the verifier knows",
        hint=_check(scene, name, "COUNT"),
        notes=_index_notes(scene, _index_added(scene)),
    )


# -- arguments of helpers --------------------------------------------------------------------------
def size_argument(scene: Scene, found: re.Match[str]) -> Finding:
    """`R2 min value is negative, either use unsigned or 'var &= const'`, `R2 unbounded memory access`."""
    register = int(found[1])
    largest = bound(scene.state(register), "smax", "umax")
    known = largest is not None and largest < _BELIEVABLE
    problem = "may be negative" if known else "has no upper limit that the verifier knows"
    size = argument_text(scene, register)
    buffer = argument_text(scene, register - 1) if register > 1 else ""
    limit = f"sizeof({buffer})" if c_line.is_name(buffer) else "SIZE"
    name = size if c_line.is_name(size) else "size"
    return Finding(
        f"{argument(scene, register)} {problem}",
        hint=f"declare it unsigned and check it before this line: if ({name} > {limit}) {scene.leave()}",
    )


def zero_size(scene: Scene, found: re.Match[str]) -> Finding:
    """`R2 invalid zero-sized read`."""
    register = int(found[1])
    size = argument_text(scene, register)
    name = size if c_line.is_name(size) else "size"
    return Finding(
        f"{argument(scene, register)} may be 0",
        hint=f"check it before this line: if ({name} == 0) {scene.leave()}",
    )


def not_constant(scene: Scene, found: re.Match[str]) -> Finding:
    """`R2 is not a known constant`."""
    what = argument(scene, int(found[1]))
    return Finding(f"{what} is known only when the program runs, expected a constant")

"""The stack: 512 bytes for all functions in a chain of calls, and set before it is read."""

from __future__ import annotations

import re

from ebee.loader.verifier import c_line
from ebee.loader.verifier.scene import Finding, Scene
from ebee.loader.verifier.words import argument_text, number

STACK_BYTES = 512
_MOVE_AWAY = "move large variables into a map of type BPF_MAP_TYPE_PERCPU_ARRAY with one entry"


def outside(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid write to stack R10 off=-520 size=8`."""
    offset, size = number(found["off"]), number(found["size"])
    helper = scene.called()
    if helper and -STACK_BYTES <= offset < 0:
        return Finding(
            f"{helper}() is told to use {size} bytes of the stack, where only {-offset} are left",
            hint="give it the real size of what you pass: sizeof(…)",
        )
    if offset < -STACK_BYTES:
        return Finding(
            f"byte {-offset} of the stack is used, which has {STACK_BYTES}",
            hint=_MOVE_AWAY,
        )
    return Finding(f"uses {size} bytes at offset {offset} of the stack, expected offsets of -512 to -1")


def unset(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid read from stack R2 off -8+4 size 8`, with `indirect` where a helper would read."""
    offset, inner, size = number(found["off"]), number(found["inner"] or "0"), number(found["size"])
    if not -STACK_BYTES <= offset < 0:
        return outside(scene, found)
    helper = scene.called()
    if not helper:
        return Finding(
            "reads a variable on the stack that was never set", hint="give it a value where it is declared"
        )
    name = _passed(scene, found)
    subject = f"'{name}'" if name else "the variable"
    cleared = f"__builtin_memset(&{name}, 0, sizeof({name}))" if name else "__builtin_memset() to 0"
    return Finding(
        f"{subject} is passed to {helper}() with byte {inner} of its {size} never set",
        hint=f"set all of it first, the padding between its fields too: {cleared}",
    )


def _passed(scene: Scene, found: re.Match[str]) -> str:
    """Return the variable whose address the call passes in the register that the log names."""
    register = found["register"]
    passed = argument_text(scene, int(register)) if register else ""
    name = passed.removeprefix("&").strip()
    return name if passed.startswith("&") and c_line.is_name(name) else ""


def calls(scene: Scene, found: re.Match[str]) -> Finding:
    """`combined stack size of 2 calls is 832. Too large`."""
    places = scene.subprogram_calls()
    return Finding(
        f"{found[1]} functions in a chain of calls use {found[2]} bytes of stack, "
        f"expected {STACK_BYTES} at most",
        hint=_MOVE_AWAY,
        slot=places[0][0] if len(places) == 1 else None,
    )

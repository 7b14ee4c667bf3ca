"""Loops, ends and arithmetic that the verifier refuses."""

from __future__ import annotations

import re

from ebee.loader.verifier.scene import Finding, Scene

_LOOP_HINT = (
    "give the loop a small constant limit: for (int i = 0; i < 64; i++) { if (i >= n) break; … }, "
    "or take bpf_loop()"
)
_LOOP = re.compile(r"\b(?:for|while|do)\b")


def back_edge(scene: Scene, found: re.Match[str]) -> Finding:
    """`back-edge from insn 5 to 3`: kernels before 5.3, and loops that nothing but a jump closes."""
    last, first = _slot(found[1]), _slot(found[2])
    head = _head(scene, first, last) if first is not None and last is not None else last
    return Finding("a loop whose end cannot be proven", hint=_LOOP_HINT, slot=head)


def endless(scene: Scene, found: re.Match[str]) -> Finding:
    """`infinite loop detected at insn 7`."""
    slot = _loop(scene)
    return Finding(
        "the loop never ends: nothing that it tests changes from one round to the next",
        hint=_LOOP_HINT,
        slot=slot if slot is not None else _slot(found[1]),
    )


def too_many_paths(scene: Scene, found: re.Match[str]) -> Finding:
    """`The sequence of 8193 jumps is too complex`."""
    slot = _loop(scene)
    what = "a loop with a branch in it that can go either way" if slot is not None else "the program branches"
    return Finding(
        f"{what}: {found[1]} ways are open at once, expected 8192 at most",
        hint="make the loop's limit smaller, or take bpf_loop(), whose body is looked at once",
        slot=slot,
    )


def too_large(scene: Scene, found: re.Match[str]) -> Finding:
    """`BPF program is too large. Processed 1000001 insn`."""
    slot = _loop(scene)
    if slot is None:
        return Finding(
            f"the program has too many paths: the verifier gave up after {found[1]} instructions",
            hint="split it with tail calls, or put parts into functions that are not static",
        )
    return Finding(
        f"the loop has too many rounds to be followed: the verifier gave up after {found[1]} instructions",
        hint=_LOOP_HINT,
        slot=slot,
    )


def log_full(scene: Scene) -> Finding | None:
    """Before Linux 6.4 a log that is full hides the reason; what fills it is most often a loop."""
    slot = _loop(scene)
    if slot is None:
        return None
    return Finding(
        "the loop has so many rounds that the verifier's log is full before it says what is wrong",
        hint=_LOOP_HINT,
        slot=slot,
    )


def _slot(digits: str) -> int | None:
    return int(digits) if len(digits) < 10 else None


def _loop(scene: Scene) -> int | None:
    """Return the instruction whose C line is the loop gone round last; None where no loop is seen."""
    steps = scene.report.steps
    for index in range(len(steps) - 1, 0, -1):
        before, after = steps[index - 1], steps[index]
        if after.slot <= before.slot and "goto pc-" in before.text:
            return _head(scene, after.slot, before.slot)
    last = scene.last
    return last.slot if last is not None and "goto pc-" in last.text else None


def _head(scene: Scene, first: int, last: int) -> int:
    """Return the instruction of a loop that has the `for` or `while` in its C line, else the jump back."""
    slots = range(first, min(last, first + 4096) + 1)
    return next((slot for slot in slots if _LOOP.search(scene.text(slot))), last)


# -- ends ----------------------------------------------------------------------------------------
_MEANINGS = {
    "CGROUP_SKB": "0 drops the packet, 1 lets it pass",
    "CGROUP_SOCK": "0 refuses, 1 allows",
    "CGROUP_SOCK_ADDR": "0 refuses, 1 allows",
    "CGROUP_DEVICE": "0 refuses, 1 allows",
    "CGROUP_SYSCTL": "0 refuses, 1 allows",
    "LSM": "0 allows, a negative errno refuses",
}


def return_value(scene: Scene, found: re.Match[str]) -> Finding:
    """`At program exit the register R0 has smin=7 smax=7 should have been in [0, 3]`.

    Before Linux 6.8 `has value (0x7; 0x0) should have been in (0x0; 0x3)`.
    """
    given, wanted = _range(found[1]), _range(found[2])
    text = (
        f"returns {given}"
        if given and " " not in given
        else f"returns a value of {given}"
        if given
        else "returns a value without known limits"
    )
    meaning = _MEANINGS.get(scene.program_type)
    return Finding(f"{text}, expected {wanted or found[2].strip()}", hint=meaning)


def _range(text: str) -> str:
    """Return `0 to 3` from `[0, 3]`, `smin=0 smax=3`, or the mask form `(0x0; 0x3)`."""
    if "unknown scalar" in text:
        return ""
    values = [int(value, 0) for value in re.findall(r"-?(?:0x[0-9a-f]{1,16}|\b[1-9]\d{0,19}\b|\b0\b)", text)]
    if len(values) != 2:
        return ""
    low, high = values
    if ";" in text:
        high |= low
    return str(low) if low == high else f"{low} to {high}"


def unreachable(scene: Scene, found: re.Match[str]) -> Finding:
    """`unreachable insn 1`."""
    del scene
    return Finding("nothing ever gets to the code here", hint=None, slot=_slot(found[1]))


def open_end(scene: Scene, found: re.Match[str]) -> Finding:
    """`last insn is not an exit or jmp`."""
    del found
    last = len(scene.instructions) - 1
    return Finding(
        "the function runs past its end: it has a path without a return",
        hint="end every function with a return",
        slot=last if last >= 0 else None,
    )


def jump_out(scene: Scene, found: re.Match[str]) -> Finding:
    """`jump out of range from insn 1 to 99`."""
    del scene
    return Finding("a jump leads out of the program", slot=_slot(found[1]))

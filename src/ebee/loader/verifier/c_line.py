"""Names out of one line of C: what it assigns, passes, indexes and dereferences.

The verifier knows registers only. A line of C is read as far as one line can be; where it says nothing
for certain, the answer is empty rather than a guess.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_]\w*$")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*(?:(?:->|\.)\w+)*)\s*=(?!=)\s*(.*)")
_ARROW = re.compile(r"([A-Za-z_]\w*)\s*->")
_STAR = re.compile(r"(?:^|[^\w\s)\]*]|\breturn\b)\s*\*+\s*([A-Za-z_]\w*)")
_INDEX = re.compile(r"\[([^\[\]]+)\]")
_CAST_TO_NAME = re.compile(r"\*\s*\(\s*[\w ]+\*+\s*\)\s*([A-Za-z_]\w*)\b(?!\s*\()")


def is_name(text: str) -> bool:
    """Whether a text is one C name."""
    return _NAME.match(text) is not None


def assigned(text: str, *, of: str = "") -> str:
    """Return the variable that a line assigns to, if `of` stands on the right-hand side."""
    found = _ASSIGNED.search(text)
    return found[1] if found and of in found[2] else ""


def arguments(text: str, function: str) -> list[str]:
    """Return the arguments of the one call of a function that a line holds whole."""
    start = text.find(function + "(")
    if not function or start < 0 or text.find(function + "(", start + 1) >= 0:
        return []
    parts, depth, begin = [], 0, start + len(function) + 1
    for place in range(begin, len(text)):
        letter = text[place]
        if letter in "([{":
            depth += 1
        elif letter in ")]}" and depth:
            depth -= 1
        elif (letter == "," and not depth) or letter in ")]}":
            parts.append(text[begin:place].strip())
            begin = place + 1
            if letter != ",":
                return parts
    return []


def index(text: str) -> str:
    """Return what stands between brackets, where a line has one pair of them that holds no number."""
    found = {inner.strip() for inner in _INDEX.findall(text) if not inner.strip().isdigit()}
    return found.pop() if len(found) == 1 else ""


def arrow(text: str) -> str:
    """Return the pointer in front of `->`, where a line has one of them."""
    found = set(_ARROW.findall(text))
    return found.pop() if len(found) == 1 else ""


def dereferenced(text: str) -> str:
    """Return the one pointer that a line reads or writes through: `*p`, `p->x`, `*(type *)p`."""
    found = set(_ARROW.findall(text)) | set(_CAST_TO_NAME.findall(text))
    found |= {name for name in _STAR.findall(text) if not re.search(rf"\*+\s*{name}\s*\)", text)}
    return found.pop() if len(found) == 1 else ""


def is_void_pointer(text: str, name: str) -> bool:
    """Whether a line declares a name as a pointer to bytes, so that adding to it counts bytes."""
    return re.search(rf"\b(?:void|char|__u8)\s*\*\s*{re.escape(name)}\b", text) is not None

"""The program's context: what may be read and written of it."""

from __future__ import annotations

import re

from ebee.loader.verifier.scene import Finding, Scene
from ebee.loader.verifier.words import number

_FIELD = re.compile(r"\b(?:ctx|skb|xdp|sk|msg|args)\s*->\s*(\w+)")


def field(scene: Scene, found: re.Match[str]) -> Finding:
    """`invalid bpf_context access off=80 size=4`."""
    offset, size = number(found[1]), number(found[2])
    names = set(_FIELD.findall(scene.last_text))
    name = f"'{names.pop()}' of" if len(names) == 1 else f"{size} bytes at offset {offset} of"
    if scene.verb == "writes":
        return Finding(f"writes {name} the context, which {scene.a_program} may only read there")
    return Finding(f"reads {name} the context, which {scene.a_program} may not")

"""`ebee map show`, `ebee map list`."""

from __future__ import annotations

from ebee.cli.call import Answer, Call
from ebee.cli.showing import Shown, show
from ebee.introspect.maps import describe_map, list_maps, map_lines
from ebee.kernel.protocol import ObjectKind

_SHOWN = Shown(ObjectKind.MAP, list_maps, describe_map, map_lines)


def main(call: Call) -> Answer:
    return show(call, _SHOWN)

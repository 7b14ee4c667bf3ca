"""`ebee link show`, `ebee link list`."""

from __future__ import annotations

from ebee.cli.call import Answer, Call
from ebee.cli.showing import Shown, show
from ebee.introspect.links import describe_link, link_lines, list_links
from ebee.kernel.protocol import ObjectKind

_SHOWN = Shown(ObjectKind.LINK, list_links, describe_link, link_lines)


def main(call: Call) -> Answer:
    return show(call, _SHOWN)

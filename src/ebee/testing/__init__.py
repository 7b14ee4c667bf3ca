"""For trying programs out: objects under test, packets in and verdicts out, a network of one's own.

`ebee.testing.plugin` is found by pytest itself; the rest is imported when it is first used, so that
pytest costs nobody anything who tests something else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.packets import Packet, generate, read_packets, write_packets
    from ebee.sessions.packets import PacketResult
    from ebee.testing.compare import as_dict, assert_map
    from ebee.testing.network import VethPair, private_network
    from ebee.testing.objects import BpfObject, open_object

_HOMES = {
    "BpfObject": "ebee.testing.objects",
    "Packet": "ebee.packets",
    "PacketResult": "ebee.sessions.packets",
    "VethPair": "ebee.testing.network",
    "as_dict": "ebee.testing.compare",
    "assert_map": "ebee.testing.compare",
    "generate": "ebee.packets",
    "open_object": "ebee.testing.objects",
    "private_network": "ebee.testing.network",
    "read_packets": "ebee.packets",
    "write_packets": "ebee.packets",
}

__all__ = [
    "BpfObject",
    "Packet",
    "PacketResult",
    "VethPair",
    "as_dict",
    "assert_map",
    "generate",
    "open_object",
    "private_network",
    "read_packets",
    "write_packets",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ebee.testing' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(home), name)

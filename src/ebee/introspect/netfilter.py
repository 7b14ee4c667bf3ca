"""Netfilter links in words.

Source: include/uapi/linux/netfilter.h, enum nf_inet_hooks; netfilter_arp.h.
"""

from __future__ import annotations

from ebee.kernel.protocol import LinkInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FAMILIES = {2: "ip", 3: "arp", 10: "ip6"}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_ARP_HOOKS = ("input", "output", "forward")


def netfilter_facts(info: LinkInfo) -> dict[str, Any]:
    """Return pf, hook, prio and flags of a netfilter link; numbers where there is no name."""
    family, hook = info.details.get("pf", 0), info.details.get("hooknum", 0)
    names = _ARP_HOOKS if family == 3 else _HOOKS
    known = isinstance(hook, int) and hook < len(names)
    return {
        "pf": _FAMILIES.get(family, family) if isinstance(family, int) else family,
        "hook": names[hook] if known and isinstance(hook, int) else hook,
        "prio": info.details.get("priority", 0),
        "flags": info.details.get("flags", 0),
    }

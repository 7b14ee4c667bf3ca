"""Contexts: what programs of each type get as their first argument, from facts or from a test run's bytes.

Each function makes the memory of one run; `release` gives it back. Another context made meanwhile takes
the place of the first in memory until `enter` puts that back.
"""

from ebee.vm.contexts.base import enter, get_field, release, set_field
from ebee.vm.contexts.raw import (
    SOCKET_STRUCTS,
    Call,
    Output,
    Sysctl,
    arguments_context,
    iterator_context,
    message_context,
    perf_event_context,
    raw_context,
    registers_context,
    reuseport_context,
    socket_context,
    sockopt_context,
    sysctl_context,
)
from ebee.vm.contexts.skb import Skb, flow_context, skb_context, skb_context_out, skb_data_out
from ebee.vm.contexts.xdp import xdp_context, xdp_context_out, xdp_data_out

__all__ = [
    "SOCKET_STRUCTS",
    "Call",
    "Output",
    "Skb",
    "Sysctl",
    "arguments_context",
    "enter",
    "flow_context",
    "get_field",
    "iterator_context",
    "message_context",
    "perf_event_context",
    "raw_context",
    "registers_context",
    "release",
    "reuseport_context",
    "set_field",
    "skb_context",
    "skb_context_out",
    "skb_data_out",
    "socket_context",
    "sockopt_context",
    "sysctl_context",
    "xdp_context",
    "xdp_context_out",
    "xdp_data_out",
]

"""A network namespace with a veth pair: a cable with both ends in one's hands.

A frame sent into one end comes out of the other, so a program attached to `a` sees what is sent
from `b`. Everything goes with the process, even when it is killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ebee.kernel.live.namespaces import enter_network, unshare_network
from ebee.kernel.live.netlink import create_veth, delete_link, set_link_up

ETH_P_ALL = 3


class VethPair:
    """Two interfaces that are each other's far end, both up.

    Attributes:
        a, b: their names.
        a_index, b_index: their numbers.
    """

    def __init__(self, a: str = "veth0", b: str = "veth1") -> None:
        self.a, self.b = a, b
        self.a_index, self.b_index = create_veth(a, b)
        set_link_up(self.a_index)
        set_link_up(self.b_index)

    def send(self, frame: bytes, *, count: int = 1) -> None:
        """Send an Ethernet frame from `b`, so that it arrives at `a`."""
        import socket

        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((self.b, 0))
            for _ in range(count):
                sock.send(frame)

    def close(self) -> None:
        """Remove both."""
        delete_link(self.a_index)

    def __enter__(self) -> VethPair:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def private_network(a: str = "veth0", b: str = "veth1") -> Iterator[VethPair]:
    """Move this thread into a network namespace of its own, with a veth pair, and back afterwards.

    Raises:
        NotPermittedError: it needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare_network()
        try:
            with VethPair(a, b) as pair:
                yield pair
        finally:
            enter_network(home)
    finally:
        os.close(home)

"""What helpers know of the network around: interfaces, routes, sockets. All of it is settable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ebee.record import NamedTuple, Record
from ebee.vm.machine import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

SLOT = "network"
LOOPBACK_MTU = 65536
ETHERNET_MTU = 1500


class Interface(NamedTuple):
    """An interface."""

    ifindex: int
    mtu: int = ETHERNET_MTU


class Route(NamedTuple):
    """A way that bpf_fib_lookup() finds.

    Attributes:
        target: the network, `192.0.2.0/24` or `2001:db8::/32`.
        ifindex: where it leads.
        gateway: the next hop; None where the target itself is it.
        source: the address that packets of ours have there.
        source_mac, target_mac: 6 bytes each; no `target_mac` means that the neighbour is not known.
        mtu: of the way; 0 for the interface's.
    """

    target: str
    ifindex: int
    gateway: str | None = None
    source: str | None = None
    source_mac: bytes = bytes(6)
    target_mac: bytes | None = bytes(6)
    mtu: int = 0

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The target, as a network."""
        from ipaddress import ip_network

        return ip_network(self.target, strict=False)


class Socket(NamedTuple):
    """A socket that bpf_sk_lookup_tcp() and its kin find.

    Attributes:
        protocol: `tcp` or `udp`.
        port, address: where it is bound; no address means any.
        peer_port, peer_address: the other end of a connection; port 0 for a socket without one.
        state: of TCP, TCP_LISTEN (10) by default; 1 is an established connection.
        facts: other fields of struct bpf_sock, by name, such as `mark`.
    """

    protocol: str
    port: int
    address: str | None = None
    peer_port: int = 0
    peer_address: str | None = None
    state: int = 10
    facts: Mapping[str, int] = {}

    def fits(self, protocol: str, ours: tuple[str, int], theirs: tuple[str, int]) -> bool:
        """Return whether packets from their address and port to ours are for it."""
        bound = self.protocol == protocol and self.port == ours[1] and self.address in (None, ours[0])
        return bound and (self.peer_port == 0 or (self.peer_address, self.peer_port) == theirs)


class Redirect(NamedTuple):
    """Where a program sends its packet: `Run.redirected`.

    Attributes:
        helper: by which helper: `redirect`, `redirect_map`, `redirect_peer`, `redirect_neigh`.
        ifindex: the interface; of a map, its value's first number.
        map_index: the map, of bpf_redirect_map(); with its key.
        flags: as the program gave them.
        neighbour: struct bpf_redir_neigh, where one is given.
    """

    helper: str
    ifindex: int
    map_index: int | None = None
    key: int = 0
    flags: int = 0
    neighbour: bytes = b""


class Network(Record):
    """The network around a machine.

    Attributes:
        interfaces: those that exist, or a function that tells them; None stands for any, with the usual MTUs.
        routes: what bpf_fib_lookup() finds; the longest prefix wins.
        sockets: what the lookups of sockets find; one with a connection goes before one without.
        socket_cookie, netns_cookie, socket_uid: what helpers of those names say.
    """

    interfaces: Sequence[Interface] | Callable[[], Iterable[Interface]] | None = None
    routes: Sequence[Route] = ()
    sockets: Sequence[Socket] = ()
    socket_cookie: int = 1
    netns_cookie: int = 1
    socket_uid: int = 0

    def mtu_of(self, ifindex: int) -> int | None:
        """Return an interface's MTU; None where there is no such interface."""
        if self.interfaces is None:
            return LOOPBACK_MTU if ifindex == 1 else ETHERNET_MTU
        there = self.interfaces() if callable(self.interfaces) else self.interfaces
        return next((each.mtu for each in there if each.ifindex == ifindex), None)

    def socket_for(self, protocol: str, ours: tuple[str, int], theirs: tuple[str, int]) -> Socket | None:
        """Return the socket that packets from their address and port to ours are for."""
        fitting = [each for each in self.sockets if each.fits(protocol, ours, theirs)]
        return max(fitting, key=lambda each: each.peer_port != 0, default=None)

    def route_to(self, address: str) -> Route | None:
        """Return the way to an address, by the longest prefix."""
        from ipaddress import ip_address

        target = ip_address(address)
        ways = [route for route in self.routes if target in route.network]
        return max(ways, key=lambda route: route.network.prefixlen, default=None)


def network_of(machine: Machine) -> Network:
    """Return the network around a machine; change what it holds to set it."""
    found = machine.slots.setdefault(SLOT, Network())
    assert isinstance(found, Network)
    return found

"""For trying programs out: a network of one's own, that nobody else sees and that leaves nothing."""

from ebee.testing.network import VethPair, private_network

__all__ = ["VethPair", "private_network"]

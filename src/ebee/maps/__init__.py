"""Loaded maps as typed Python mappings, and the global variables that lie in some of them."""

from ebee.maps.map import Map, create_map
from ebee.maps.variable import Variable

__all__ = ["Map", "Variable", "create_map"]

"""Maps with the kernel's semantics: `make_map` makes any of them."""

from ebee.vm.maps.base import MapSetup, VmMap

__all__ = ["MapSetup", "VmMap"]

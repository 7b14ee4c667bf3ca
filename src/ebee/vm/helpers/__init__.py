"""The kernel's helper functions, by number."""

from ebee.vm.helpers.registry import HelperFunction, find_helper

__all__ = ["HelperFunction", "find_helper"]

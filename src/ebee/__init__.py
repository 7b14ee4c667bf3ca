"""ebee: the whole of eBPF for Python, in one pip install."""

from ebee.version import __version__

__all__ = ["__version__"]

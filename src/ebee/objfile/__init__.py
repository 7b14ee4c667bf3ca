"""ELF objects <-> ObjectSpec. The same bytes give the same spec on every machine."""

from ebee.objfile.reader import read_object

__all__ = ["read_object"]

"""ObjectSpec -> LoadedObject: all of an object's maps and programs in the kernel, or none."""

from ebee.loader.loaded import LoadedObject
from ebee.loader.objects import load

__all__ = ["LoadedObject", "load"]

"""ObjectSpec -> LoadedObject: all of an object's maps and programs in the kernel, or none."""

from ebee.loader.load import load
from ebee.loader.loaded import LoadedObject

__all__ = ["LoadedObject", "load"]

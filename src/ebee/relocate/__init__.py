"""ObjectSpec + what the kernel has -> instructions ready to load. Pure: no file, no system call."""

from ebee.relocate.linking import LinkedProgram, link
from ebee.relocate.references import Target, resolve

__all__ = ["LinkedProgram", "Target", "link", "resolve"]

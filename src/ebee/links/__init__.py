"""Attaching: a loaded program + an attach point -> a Link. One file per family of hooks."""

from ebee.links.families import attach, families
from ebee.links.link import Link, ProgramHandle

__all__ = ["Link", "ProgramHandle", "attach", "families"]

"""Blueprints: what an object holds before any kernel has seen it.

The same bytes give the same ObjectSpec on every machine. A spec is meant to be changed before it is
loaded: rename, resize, drop a program, set a variable.
"""

from ebee.spec.attach import AttachPoint
from ebee.spec.maps import MapSpec, Pinning
from ebee.spec.objects import ObjectSpec
from ebee.spec.programs import Function, MapReference, ProgramSpec
from ebee.spec.variables import VariableSpec

__all__ = [
    "AttachPoint",
    "Function",
    "MapReference",
    "MapSpec",
    "ObjectSpec",
    "Pinning",
    "ProgramSpec",
    "VariableSpec",
]

"""BTF, the kernel's type format: bytes <-> types, layout of types, values <-> bytes.

Source: Documentation/bpf/btf.rst.
"""

from ebee.btf.btf import Btf, decode
from ebee.btf.types import Kind, Type

__all__ = ["Btf", "Kind", "Type", "decode"]

"""C text -> a BPF object, with the clang of the ziglang wheel, a cache, and messages people can use."""

from __future__ import annotations

from ebee.clang.arguments import CompileOptions
from ebee.clang.compile import CompiledObject, compile_c
from ebee.clang.toolchain import Toolchain, find_toolchain

__all__ = ["CompileOptions", "CompiledObject", "Toolchain", "compile_c", "find_toolchain"]

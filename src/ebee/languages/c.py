"""C -> ObjectSpec: compile, read the object, keep the text for messages."""

from __future__ import annotations

import os

from ebee.clang import CompileOptions, compile_c
from ebee.objfile import read_object
from ebee.source import Diagnostic, SourceText
from ebee.spec import ObjectSpec


def compile_object(
    path: str | os.PathLike[str], options: CompileOptions | None = None
) -> tuple[ObjectSpec, tuple[Diagnostic, ...]]:
    """Return what a C file compiles to, and the compiler's warnings.

    Raises:
        ParseError, UnknownNameError, TypeMismatchError: the C is wrong; carries the places.
        ToolError: the compiler is missing or failed.
    """
    compiled = compile_c(path, options=options or CompileOptions())
    return read_object(compiled.data, os.fspath(path)), compiled.warnings


def compile_text(
    text: str, *, name: str = "<text>", options: CompileOptions | None = None
) -> tuple[ObjectSpec, tuple[Diagnostic, ...]]:
    """Return what C text compiles to, and the compiler's warnings; errors as of `compile_object`.

    Args:
        name: what messages call the text; its part up to the first dot names the object.
    """
    source = SourceText(name, text)
    compiled = compile_c(source, options=options or CompileOptions())
    return read_object(compiled.data, name, source=source), compiled.warnings

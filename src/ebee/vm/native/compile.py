"""C -> machine code for this processor, in one piece that runs at any address; cached.

What is compiled needs no linker: it is without constants in memory and calls nothing but itself. So the
text section of the compiler's object is all there is of it.
"""

from __future__ import annotations

import os
from functools import cache

from ebee.abi.arch import Arch
from ebee.clang.cache import Entry, digest, open_cache
from ebee.clang.process import run_compiler
from ebee.clang.toolchain import Toolchain, find_toolchain
from ebee.elf import read_elf
from ebee.errors import ToolError
from ebee.record import NamedTuple

# The program has no headers and no C library; constants become parts of instructions, not of memory.
_FLAGS = (
    *("-std=gnu2x", "-O2", "-ffreestanding", "-fno-builtin", "-fPIC", "-fvisibility=hidden", "-w"),
    # Loops are short here: rewriting their counters costs more instructions than it saves.
    *("-mllvm", "-disable-lsr"),
    *("-mgeneral-regs-only", "-fno-jump-tables", "-fno-vectorize", "-fno-slp-vectorize"),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing", "-fwrapv"),
    *("-fno-color-diagnostics", "-fno-crash-diagnostics", "-c", "-x", "c", "-o", "-", "-"),
)
# So addresses of functions are counted from where they are asked for, which needs no linker.
_FLAGS_BY_ARCH = {"aarch64": ("-mcmodel=tiny", "-mno-outline-atomics"), "x86_64": ()}
_TIMEOUT_S = 120.0
_VERSION = b"ebee native code 1"


class MachineCode(NamedTuple):
    """Code that can be put anywhere.

    Attributes:
        data: its bytes.
        entry: where in it the asked-for function begins.
        from_cache: whether the compiler did not have to run.
    """

    data: bytes
    entry: int
    from_cache: bool


@cache
def source_text(*names: str) -> str:
    """Return files of C that lie beside this one, one after the other."""
    folder = os.path.dirname(os.path.abspath(__file__))
    parts = []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            parts.append(file.read())
    return "".join(parts)


def compile_code(text: str, function: str, arch: Arch, toolchain: Toolchain | None = None) -> MachineCode:
    """Compile C text to machine code that is entered at a function.

    Raises:
        ToolError: there is no compiler, or it gave no code.
    """
    toolchain = toolchain or find_toolchain()
    words = [*toolchain.command, *toolchain.flags, "-target", f"{arch.name}-unknown-linux-gnu"]
    words += [*_FLAGS_BY_ARCH[arch.name], *_FLAGS]
    data = text.encode()
    cache = open_cache()
    key = digest([_VERSION, function.encode(), toolchain.identity.encode(), *map(os.fsencode, words), data])
    found = None if cache is None else cache.find(key)
    if found is not None:
        return _unpacked(found.data, from_cache=True)
    finished = run_compiler(words, stdin=data, timeout_s=_TIMEOUT_S)
    if finished.status != 0:
        said = finished.messages.decode("utf-8", "replace").strip().splitlines()
        raise ToolError(
            f"compiling machine code: {toolchain.command[0]} ended with status {finished.status}",
            hint=said[0] if said else "unset EBEE_CLANG to use the clang of the ziglang package",
        )
    packed = _packed(finished.output, function)
    if cache is not None:
        cache.store(key, Entry(packed, b"", ()))
    return _unpacked(packed, from_cache=False)


def _packed(output: bytes, function: str) -> bytes:
    """Return the text section of an object, behind where a function begins in it."""
    elf = read_elf(output, "the compiled program")
    text = elf.section(".text")
    entry = next((symbol for symbol in elf.symbols if symbol.name == function), None)
    loose = [section.name for section in elf.sections if section.name.startswith(".rela.text")]
    if text is None or entry is None or entry.section != text.number or loose:
        raise ToolError(
            "compiling machine code: the compiler's object has parts that need a linker",
            hint="unset EBEE_CLANG to use the clang of the ziglang package",
        )
    return entry.value.to_bytes(8, "little") + elf.data(text)


def _unpacked(packed: bytes, *, from_cache: bool) -> MachineCode:
    return MachineCode(packed[8:], int.from_bytes(packed[:8], "little"), from_cache)

"""An object's BTF as the kernel wants it."""

from __future__ import annotations

from collections.abc import Collection

from ebee.btf import Btf, Kind
from ebee.btf import decode as decode_btf
from ebee.btf.encode import complete_datasecs, encode
from ebee.btf.types import FuncLinkage
from ebee.elf import ElfFile
from ebee.record import NamedTuple


class LoadableTypes(NamedTuple):
    """An object's types with the sections' layout filled in, and the same as bytes for BPF_BTF_LOAD."""

    btf: Btf
    data: bytes


def loadable_types(raw: Btf, elf: ElfFile, hidden: Collection[str]) -> LoadableTypes:
    """Return the types that the kernel takes.

    Args:
        raw: as the compiler wrote them.
        elf: says how large sections are and where variables lie in them.
        hidden: global functions that are hidden, so that the verifier may treat them as static ones
            (checked where they are called, with what is known there).
    """
    sizes = {section.name: section.size_bytes for section in elf.sections}
    offsets = {
        (elf.sections[symbol.section].name, symbol.name): symbol.value
        for symbol in elf.symbols
        if symbol.section < len(elf.sections)
    }
    data = complete_datasecs(raw, sizes, offsets)
    btf = decode_btf(data)
    if not hidden:
        return LoadableTypes(btf, data)
    types = [
        found._replace(linkage=FuncLinkage.STATIC)
        if found.kind is Kind.FUNC and found.name in hidden
        else found
        for _, found in btf
    ]
    data = encode(types, strings=btf.strings, byte_order=btf.byte_order)
    return LoadableTypes(decode_btf(data), data)

"""ELF: sections, symbols and relocations of 64-bit files of either byte order.

Source: the System V ABI, chapters 4 and 5; include/uapi/linux/elf.h.
"""

from ebee.elf.reader import ElfFile, Machine, Relocation, Section, Symbol, read_elf

__all__ = ["ElfFile", "Machine", "Relocation", "Section", "Symbol", "read_elf"]

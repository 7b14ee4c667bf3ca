"""ELF files: what is read, and what is refused."""

from __future__ import annotations

import pytest

from ebee.elf import Machine, read_elf
from ebee.errors import FormatError
from tests.support.objects import HELLO, compiled, elf_file


def test_a_compiled_object_shows_its_sections_symbols_and_relocations() -> None:
    """A real object gives the sections, symbols and relocations that its C text has."""
    elf = read_elf(compiled(HELLO, "hello.bpf.c"))
    code = elf.section("xdp")
    assert elf.machine == Machine.BPF
    assert code is not None
    assert code.is_executable
    names = {symbol.name for symbol in elf.symbols}
    assert {"hello", "counter", "LICENSE"} <= names
    targets = {elf.symbols[relocation.symbol].name for relocation in elf.relocations(code)}
    assert "counter" in targets


@pytest.mark.parametrize("mark", ["<", ">"])
def test_both_byte_orders_are_read(mark: str) -> None:
    """Headers are read in the order that the file itself tells."""
    elf = read_elf(elf_file([("license", 1, 3, b"GPL\0")], mark=mark))
    section = elf.section("license")
    assert section is not None
    assert elf.data(section) == b"GPL\0"
    assert elf.byte_order == ("little" if mark == "<" else "big")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ELF file x.o: begins with nothing, expected 7f 45 4c 46 (ELF)"),
        (b"int x;", "ELF file x.o: begins with 69 6e 74 20, expected 7f 45 4c 46 (ELF)"),
        (b"\x7fELF\x02\x01", "ELF file x.o: 6 bytes, expected a header of 64"),
        (b"\x7fELF\x01" + bytes(59), "ELF file x.o: a 32-bit file, expected a 64-bit one"),
        (b"\x7fELF\x02\x07" + bytes(58), "ELF file x.o: byte order 7, expected 1 (little) or 2 (big)"),
        (
            elf_file([("a", 1, 0, b"1234")])[:-1],
            "ELF file x.o: the table of sections ends at 273, expected within 272 bytes",
        ),
    ],
)
def test_what_is_no_whole_elf_file_is_refused_with_its_place(data: bytes, message: str) -> None:
    """Each way of being broken has its own line."""
    with pytest.raises(FormatError) as caught:
        read_elf(data, "x.o")
    assert str(caught.value) == message


def test_an_endless_bss_is_refused() -> None:
    """A section that claims gigabytes without a byte behind it takes no memory."""
    data = bytearray(elf_file([(".bss", 8, 3, b"")]))
    header = len(data) - 2 * 64
    data[header + 32 : header + 40] = (1 << 40).to_bytes(8, "little")
    with pytest.raises(FormatError, match=r"1099511627776 bytes of \.bss, expected 1073741824 or fewer"):
        read_elf(bytes(data))

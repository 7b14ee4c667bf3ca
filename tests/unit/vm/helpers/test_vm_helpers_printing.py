"""Helpers that print."""

from __future__ import annotations

import struct

import pytest

from ebee.vm.contexts import Output, iterator_context
from ebee.vm.faults import Fault, Refusal
from ebee.vm.helpers.formats import printed
from tests.unit.vm.helpers.desk import Desk

TEXT_ADDRESS = 0xFFFF_8881_0000_2000


def shown(text: str, *arguments: int) -> str:
    """Return what a format makes of arguments; `hello` lies at TEXT_ADDRESS."""
    desk = Desk()
    desk.machine.memory.kernel.put(TEXT_ADDRESS, b"hello\0" + bytes(range(1, 31)))
    return printed(desk.run, text.encode("latin1"), arguments).decode("latin1")


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("%d", -1, "-1"),
        ("%d", 0x1_0000_0005, "5"),
        ("%u", -1, "4294967295"),
        ("%ld", -2, "-2"),
        ("%llu", -1, "18446744073709551615"),
        ("%x", 0xBEEF, "beef"),
        ("%llX", 0xBEEF, "BEEF"),
        ("%5d|", 42, "   42|"),
        ("%-5d|", 42, "42   |"),
        ("%05d|", -42, "-0042|"),
        ("%+d|", 42, "+42|"),
        ("% d|", 42, " 42|"),
        ("%-05d|", 42, "42   |"),
        ("%c", 65, "A"),
        ("%3c|", 65, "  A|"),
        ("%%%d%%", 1, "%1%"),
        ("%px", 0x1234, "0000000000001234"),
        ("%p", 0, "0000000000000000"),
        ("%ps", 0x1234, "0x1234"),
        ("%pB %%", 0x1234, "0x1234 %"),
        ("%s", TEXT_ADDRESS, "hello"),
        ("%8s|", TEXT_ADDRESS, "   hello|"),
        ("%-8s|", TEXT_ADDRESS, "hello   |"),
        ("%s|", 8, "|"),
        ("%pks", TEXT_ADDRESS, "hello"),
        ("%pus", TEXT_ADDRESS, ""),
        ("%pI4", TEXT_ADDRESS, "104.101.108.108"),
        ("%pi4", TEXT_ADDRESS + 6, "001.002.003.004"),
        ("%pI6", TEXT_ADDRESS + 6, "0102:0304:0506:0708:090a:0b0c:0d0e:0f10"),
        ("%pi6", TEXT_ADDRESS + 6, "0102030405060708090a0b0c0d0e0f10"),
        ("%pI4", 8, "0.0.0.0"),
        ("\x80", 0, "\x80"),
    ],
)
def test_formats(text: str, value: int, expected: str) -> None:
    assert shown(text, value) == expected


def test_pointers_are_hashed_and_equal_ones_alike() -> None:
    first, second, third = (shown("%p", value) for value in (0x1234, 0x1234, 0x1235))
    assert first == second != third
    assert first.startswith("00000000")


@pytest.mark.parametrize("part", ["%f", "%hd", "%lc", "%.3d", "%*d", "%", "%pX", "%pI5", "%sx", "%#x", "%n"])
def test_conversions_that_programs_have_not(part: str) -> None:
    with pytest.raises(Refusal) as caught:
        shown(f"a {part}", 1)
    assert caught.value.errno == 22
    assert caught.value.detail == f'format "a {part}": "{part}" begins with no conversion that programs have'


def test_formats_have_no_control_bytes() -> None:
    with pytest.raises(Refusal) as caught:
        shown("a\x01b")
    assert caught.value.detail == 'format "a\x01b": byte 0x01, expected no control byte'


def test_formats_want_their_arguments() -> None:
    with pytest.raises(Refusal) as caught:
        shown("%d %d", 1)
    assert caught.value.detail == 'format "%d %d": 2 conversions, 1 arguments'


def test_a_line_goes_to_the_trace_pipe() -> None:
    desk = Desk()
    lines: list[str] = []
    desk.machine.print_line = lines.append
    text = b"%d and %s\n\0"
    assert desk.call("trace_printk", desk.put(text), len(text), 7, desk.put(b"more\0")) == 11
    assert lines == ["7 and more"]
    assert desk.call("trace_printk", desk.put(b"no end"), 6) == -22
    assert desk.call("trace_printk", desk.put(b"%d%d%d%d\0"), 9, 1, 2, 3) == -22
    assert lines == ["7 and more"]


def test_a_line_with_an_array_of_arguments() -> None:
    desk = Desk()
    lines: list[str] = []
    desk.machine.print_line = lines.append
    text, data = desk.put(b"%d %d %d %d\0"), desk.put(struct.pack("<4Q", 1, 2, 3, 4))
    assert desk.call("trace_vprintk", text, 12, data, 32) == 7
    assert lines == ["1 2 3 4"]
    assert desk.call("trace_vprintk", text, 12, data, 12) == -22
    assert desk.call("trace_vprintk", text, 12, data, 8 * 13) == -22


def test_text_is_cut_where_the_buffer_ends() -> None:
    desk = Desk()
    text, data, place = desk.put(b"%d apples\0"), desk.put(struct.pack("<Q", 12)), desk.room(16)
    assert desk.call("snprintf", place, 16, text, data, 8) == 10
    assert desk.get(place, 11) == b"12 apples\0\xff"
    assert desk.call("snprintf", place, 4, text, data, 8) == 10
    assert desk.get(place, 4) == b"12 \0"
    assert desk.call("snprintf", 0, 0, text, data, 8) == 10


def test_iterators_print_into_their_output() -> None:
    desk = Desk(lambda machine: iterator_context(machine.memory, [0]))
    text, data = desk.put(b"pid %d\n\0"), desk.put(struct.pack("<Q", 12))
    assert desk.call("seq_printf", 0, text, 8, data, 8) == 0
    assert desk.call("seq_write", 0, desk.put(b"xyz"), 3) == 0
    assert isinstance(desk.context.event, Output)
    assert bytes(desk.context.event.data) == b"pid 12\nxyz"


def test_only_iterators_have_an_output() -> None:
    desk = Desk()
    with pytest.raises(
        Fault, match="call of bpf_seq_write: the context has no output, expected an iterator's"
    ):
        desk.call("seq_write", 0, desk.put(b"xyz"), 3)

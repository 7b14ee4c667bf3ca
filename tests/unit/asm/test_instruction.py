"""Bytes <-> instruction records."""

from __future__ import annotations

import pytest

from ebee.asm import Instruction, decode, encode
from ebee.errors import FormatError

STORE = Instruction(0x63, dst=10, src=1, offset=-4, imm=7)


@pytest.mark.parametrize(
    ("byte_order", "code"), [("little", "631afcff07000000"), ("big", "63a1fffc00000007")]
)
def test_registers_and_fields_follow_the_byte_order(byte_order: str, code: str) -> None:
    assert decode(bytes.fromhex(code), byte_order) == [STORE]
    assert encode([STORE], byte_order).hex() == code


def test_code_that_is_no_whole_number_of_slots_is_refused() -> None:
    with pytest.raises(FormatError, match=r"^code: 9 bytes, expected a multiple of 8$"):
        decode(bytes(9))


def test_a_field_that_does_not_fit_is_refused() -> None:
    with pytest.raises(FormatError, match=r"^code: an instruction's field does not fit: "):
        encode([Instruction(0x05, offset=1 << 15)])

"""The table of section names."""

from __future__ import annotations

import pytest

from ebee.abi.bpf import AttachType
from ebee.objfile.sections import known_sections, section_meaning


@pytest.mark.parametrize("name", known_sections())
def test_every_row_of_the_table_names_types_that_exist(name: str) -> None:
    """No row names a program type or attach type that the kernel's header has not."""
    meaning = section_meaning(name)
    assert meaning is not None
    assert meaning.expected_attach_type == 0 or isinstance(meaning.expected_attach_type, AttachType)


def test_names_that_only_begin_like_a_known_one_are_not_known() -> None:
    """`xdp_prog` is no XDP section, and `socket/x` no socket filter."""
    assert section_meaning("xdp_prog") is None
    assert section_meaning("socket/x") is None

"""Words and numbers for people."""

from __future__ import annotations

import pytest

from ebee.text import columns, did_you_mean, hex_bytes, nearest, size


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (4096, "4 KiB"), (1536, "1.5 KiB"), (5 << 40, "5 TiB")]
)
def test_sizes_are_shown_in_powers_of_1024(count: int, shown: str) -> None:
    """A size has the largest unit below it."""
    assert size(count) == shown


def test_near_words_are_suggested_and_far_ones_are_not() -> None:
    """A hint is given only where it is likely to help."""
    assert did_you_mean("counte", ["counter", "hello"]) == "did you mean 'counter'?"
    assert did_you_mean("zzz", ["counter", "hello"]) is None


def test_of_words_equally_near_one_of_the_same_length_is_suggested() -> None:
    """Swapped letters are the commonest slip."""
    assert did_you_mean("xpd", ["xdpdrv", "xdp", "xdpgeneric"]) == "did you mean 'xdp'?"


def test_the_nearest_of_very_many_words_is_still_found() -> None:
    """A kernel's function names are too many to compare each; near ones are found all the same."""
    names = [f"sys_{number:05}" for number in range(50_000)] + ["tcp_v4_connect"]
    assert nearest("tcp_v4_conect", names) == ["tcp_v4_connect"]


def test_columns_line_up_and_the_last_is_not_padded() -> None:
    """No line ends with spaces."""
    assert columns([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc  d"]


def test_bytes_are_shown_as_pairs() -> None:
    """Two digits a byte."""
    assert hex_bytes(b"\x00\xff") == "00 ff"

"""How far programs reach into their context, by their instructions."""

from __future__ import annotations

import pytest

from ebee.asm import assemble
from ebee.kernel.simulated.reach import context_reach


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r0 = 0\nexit", 0),
        ("r0 = *(u64 *)(r1 +8)\nexit", 16),
        ("r0 = *(u8 *)(r1 +3)\nr0 = *(u16 *)(r1 +0)\nexit", 4),
        ("*(u32 *)(r1 +4) = r2\nr0 = 0\nexit", 8),
        ("r6 = r1\nr1 = 0\nr0 = *(u64 *)(r6 +24)\nexit", 32),
        ("r1 += 8\nr0 = *(u64 *)(r1 +8)\nexit", 24),
        ("r1 = 7\nr0 = *(u64 *)(r1 +8)\nexit", 0),
        ("r6 = r1\ncall bpf_ktime_get_ns#5\nr0 = *(u64 *)(r6 +0)\nexit", 8),
        ("r1 = *(u64 *)(r1 +0)\nr0 = *(u64 *)(r1 +80)\nexit", 8),
        ("r1 = 0 ll\nr0 = *(u64 *)(r1 +80)\nexit", 0),
    ],
)
def test_the_furthest_load_or_store_counts(text: str, expected: int) -> None:
    """Of registers that hold the context, wherever it was moved."""
    assert context_reach(assemble(text)) == expected

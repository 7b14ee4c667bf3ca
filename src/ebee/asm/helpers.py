"""The names of the kernel's helper functions, by id and the other way round.

Kept apart from the tables of `ebee.abi` because the kernel's disassembler names id 0 too.
"""

from __future__ import annotations

from functools import cache


@cache
def helper_names() -> dict[int, str]:
    """Return the name of each helper by its id, such as 1: `bpf_map_lookup_elem`."""
    from ebee.abi.helpers import HELPERS

    return {0: "bpf_unspec"} | {helper.number: helper.name for helper in HELPERS}


@cache
def helper_ids() -> dict[str, int]:
    """Return the id of each helper by its name."""
    return {name: number for number, name in helper_names().items()}

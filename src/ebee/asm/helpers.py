"""The names of the kernel's helper functions as they stand in assembly.

Unlike the tables of `ebee.abi` these have the prefix bpf_, and id 0, which the kernel names too.
"""

from __future__ import annotations

from functools import cache


@cache
def helper_names() -> dict[int, str]:
    """Return the name of each helper by its id, such as 1: `bpf_map_lookup_elem`."""
    from ebee.abi.helpers import HELPERS

    return {0: "bpf_unspec"} | {number: f"bpf_{name}" for number, (name, _) in HELPERS.items()}


@cache
def helper_ids() -> dict[str, int]:
    """Return the id of each helper by its name."""
    return {name: number for number, name in helper_names().items()}

"""Which processes hold objects open."""

from __future__ import annotations

import pytest

from ebee.introspect.holders import _number, holders
from ebee.kernel.protocol import ObjectKind

PROGRAM = b"pos:\t0\nprog_type:\t6\nprog_jited:\t1\nprog_id:\t77\n"
LINK = b"pos:\t0\nlink_type:\tperf\nlink_id:\t4\nprog_tag:\tabc\nprog_id:\t77\n"
MAP = b"pos:\t0\nmap_type:\t1\nmap_id:\t5\n"


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        (PROGRAM, ObjectKind.PROGRAM, 77),
        (PROGRAM, ObjectKind.MAP, None),
        (LINK, ObjectKind.LINK, 4),
        (LINK, ObjectKind.PROGRAM, None),
        (MAP, ObjectKind.MAP, 5),
    ],
)
def test_fdinfo_tells_an_objects_id(text: bytes, kind: ObjectKind, found: int | None) -> None:
    """A link's program is not held by whoever holds the link."""
    key = {ObjectKind.PROGRAM: b"prog_id:", ObjectKind.MAP: b"map_id:", ObjectKind.LINK: b"link_id:"}[kind]
    assert _number(text, key, kind) == found


def test_walking_through_all_processes_finds_no_ghosts() -> None:
    """Processes that end meanwhile, and those one may not look into, are left out."""
    assert all(item.pid > 0 for held in holders(ObjectKind.PROGRAM).values() for item in held)

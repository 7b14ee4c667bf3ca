"""Maps as dicts, and what is different between what is found and what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ebee.abi.bpf import MapType
from ebee.maps import Map
from ebee.maps.map import PER_CPU
from ebee.packets import Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ARRAYS = frozenset((MapType.ARRAY, MapType.PERCPU_ARRAY))
_MOST_LINES = 20


def as_dict(found: Mapping[Any, Any], *, zeros: bool | None = None) -> dict[Any, Any]:
    """Return a map as a dict that a test can compare.

    Values of per-CPU maps become one: numbers are added up over the CPUs, structs member by member.

    Args:
        zeros: entries whose value is zero throughout are kept; by default of all maps but arrays,
            which have an entry under every index.
    """
    if not isinstance(found, Map):
        return dict(found.items())
    values = dict(found.items())
    if found.spec.type in PER_CPU:
        values = {key: _total(parts) for key, parts in values.items()}
    if zeros is None:
        zeros = found.spec.type not in _ARRAYS
    return values if zeros else {key: value for key, value in values.items() if not _is_zero(value)}


def _total(parts: list[Any]) -> Any:
    """Return the sum over all CPUs; the list itself where its values cannot be added."""
    first = parts[0]
    if isinstance(first, int):
        return sum(parts)
    if isinstance(first, dict):
        return {name: _total([part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [_total(list(column)) for column in zip(*parts, strict=True)]
    return parts


def _is_zero(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_zero, value.values()))
    if isinstance(value, list):
        return all(map(_is_zero, value))
    return not any(value) if isinstance(value, bytes) else not value


def assert_map(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Say that a map holds what is expected, and nothing else; compared as `as_dict` has it.

    An entry of an array that is expected to be zero may be named or left out.

    Raises:
        AssertionError: it holds something else; each entry that differs has a line.
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    wanted, held = dict(expected), as_dict(found)
    if isinstance(found, Map) and found.spec.type in _ARRAYS:
        wanted = {key: value for key, value in wanted.items() if not _is_zero(value) or key not in found}
    lines = list(differences(held, wanted))
    if lines:
        raise AssertionError("\n".join([headline(found, len(lines)), *_shortened(lines)]))


def headline(found: object, count: int) -> str:
    """Return what the lines of a difference are about."""
    name = f"map {found.name}" if isinstance(found, Map) else "map"
    return f"{name}: {count} {'entry differs' if count == 1 else 'entries differ'}"


def differences(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a line for each entry that is not as expected, in the order of the keys."""
    for key in _in_order({*found, *expected}):
        if key not in expected:
            yield f"  [{key!r}]: found {_shown(found[key])}, expected no such key"
        elif key not in found:
            yield f"  [{key!r}]: found no such key, expected {_shown(expected[key])}"
        elif found[key] != expected[key]:
            yield f"  [{key!r}]: {_changed(found[key], expected[key])}"


def _in_order(keys: set[Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:
        return sorted(keys, key=repr)


def _changed(found: Any, expected: Any) -> str:
    """Return how values differ; of structs only the members that do."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        members = [name for name in found if found[name] != expected[name]]
        return ", ".join(f".{name} found {found[name]!r}, expected {expected[name]!r}" for name in members)
    return f"found {_shown(found)}, expected {_shown(expected)}"


def _shown(value: Any) -> str:
    return repr(dict(value)) if isinstance(value, dict) else repr(value)


def _shortened(lines: list[str]) -> list[str]:
    left = len(lines) - _MOST_LINES
    return lines if left <= 0 else [*lines[:_MOST_LINES], f"  ... and {left} more"]


def packet_differences(found: Packet, expected: Packet) -> Iterator[str]:
    """Yield the rows of 16 bytes that differ, as hex, and what differs besides."""
    longest = max(len(found.data), len(expected.data))
    for place in range(0, longest, 16):
        rows = [packet.data[place : place + 16] for packet in (found, expected)]
        if rows[0] != rows[1]:
            yield f"  {place:04x}  found     {rows[0].hex(' ') or 'nothing'}"
            yield f"        expected  {rows[1].hex(' ') or 'nothing'}"
    if len(found.data) != len(expected.data):
        yield f"  found {len(found.data)} bytes, expected {len(expected.data)}"
    for name in ("timestamp_ns", "link_type", "original_bytes"):
        if getattr(found, name) != getattr(expected, name):
            yield f"  .{name} found {getattr(found, name)}, expected {getattr(expected, name)}"


def explain_comparison(left: object, right: object) -> list[str] | None:
    """Return why `left == right` does not hold, for maps and for packets; None for anything else."""
    if isinstance(left, Packet) and isinstance(right, Packet):
        return [f"{left!r} is another than {right!r}", *_shortened(list(packet_differences(left, right)))]
    if isinstance(right, Map) and not isinstance(left, Map):
        left, right = right, left
    if not isinstance(left, Map) or not isinstance(right, Mapping):
        return None
    lines = list(differences(dict(left.items()), dict(right.items())))
    return [headline(left, len(lines)), *_shortened(lines)]

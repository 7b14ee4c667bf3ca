"""What the kernel tells about a link: the common part, and the tail of its type by the kernel's names."""

from __future__ import annotations

from array import array

from ebee.abi.bpf import (
    PERF_EVENT_EVENT,
    PERF_EVENT_KPROBE,
    PERF_EVENT_KRETPROBE,
    PERF_EVENT_TRACEPOINT,
    PERF_EVENT_UPROBE,
    PERF_EVENT_URETPROBE,
    Command,
    LinkType,
)
from ebee.abi.layout import Layout, Value
from ebee.abi.layouts import ATTR_OBJ_GET_INFO, LINK_INFO, LINK_INFO_TAILS
from ebee.kernel.live.command import bpf, number_of, unpacked
from ebee.kernel.live.syscall import Buffer, address, buffer, c_string
from ebee.kernel.protocol import LinkInfo

_TEXT_BYTES = 4096
"""Room for a path (PATH_MAX); symbols and tracepoints are shorter."""

# Texts of each tail: pointer field -> field that says how much room there is.
_TEXTS: dict[str, dict[str, str]] = {
    "raw_tracepoint": {"tp_name": "tp_name_len"},
    "iter": {"target_name": "target_name_len"},
    "uprobe_multi": {"path": "path_size"},
}
# perf_event is a union within the union; its `type` says which part of it holds.
_PERF_PARTS = {
    PERF_EVENT_UPROBE: "uprobe",
    PERF_EVENT_URETPROBE: "uprobe",
    PERF_EVENT_KPROBE: "kprobe",
    PERF_EVENT_KRETPROBE: "kprobe",
    PERF_EVENT_TRACEPOINT: "tracepoint",
    PERF_EVENT_EVENT: "event",
}
_PERF_TEXTS = {"uprobe": "file_name", "kprobe": "func_name", "tracepoint": "tp_name"}
# Arrays of 64-bit numbers, as many as `count` says.
_ARRAYS = {"kprobe_multi": ("addrs", "cookies"), "uprobe_multi": ("offsets", "ref_ctr_offsets", "cookies")}
_LENGTHS = frozenset(("tp_name_len", "target_name_len", "path_size", "name_len"))

Details = dict[str, int | str | bytes]


def read_link_info(fd: int) -> LinkInfo:
    """Return what the kernel tells about a link. Raises OSError."""
    raw = _ask(fd, LINK_INFO.pack())
    head = LINK_INFO.unpack(raw)
    number = number_of(head, "type")
    kind = _kind(number)
    name = kind.name.lower() if isinstance(kind, LinkType) else ""
    layout = LINK_INFO_TAILS.get(name)
    details = {} if layout is None else _tail(fd, name, layout, raw)
    return LinkInfo(number_of(head, "id"), kind, number_of(head, "prog_id"), details)


def _kind(number: int) -> LinkType | int:
    try:
        return LinkType(number)
    except ValueError:
        return number


def _ask(fd: int, info: bytearray) -> bytes:
    attributes = ATTR_OBJ_GET_INFO.pack(bpf_fd=fd, info_len=len(info), info=address(info))
    bpf(Command.OBJ_GET_INFO_BY_FD, attributes)
    return bytes(info[: number_of(unpacked(ATTR_OBJ_GET_INFO, attributes), "info_len")])


def _tail(fd: int, name: str, layout: Layout, raw: bytes) -> Details:
    if name == "perf_event":
        return _perf_tail(fd, layout, raw)
    rooms = {field: buffer(_TEXT_BYTES) for field in _TEXTS.get(name, {})}
    told = layout.unpack(raw)
    arrays = {field: buffer(8 * number_of(told, "count")) for field in _ARRAYS.get(name, ())}
    if rooms or arrays:
        told = layout.unpack(_ask(fd, _question(layout, _TEXTS.get(name, {}), rooms, arrays)))
    return _readable(told, rooms, arrays)


def _perf_tail(fd: int, layout: Layout, raw: bytes) -> Details:
    """Return a perf event's part of the tail. Kernel: since 6.6; before it, the answer ends earlier."""
    told = layout.unpack(raw)
    part = _PERF_PARTS.get(number_of(told, "type"))
    if part is None:
        return {}
    text = _PERF_TEXTS.get(part)
    rooms: dict[str, Buffer] = {} if text is None else {f"{part}_{text}": buffer(_TEXT_BYTES)}
    if rooms:
        lengths = dict.fromkeys(rooms, f"{part}_name_len")
        told = layout.unpack(_ask(fd, _question(layout, lengths, rooms, {})))
    own = {name: value for name, value in told.items() if name == "type" or name.startswith(f"{part}_")}
    found = _readable(own, rooms, {})
    # `type` of the part `event` is the perf event's own; the tail's goes by the kernel's enum's name
    return {
        "perf_event_type" if name == "type" else name.removeprefix(f"{part}_"): found[name] for name in found
    }


def _question(
    layout: Layout, lengths: dict[str, str], rooms: dict[str, Buffer], arrays: dict[str, Buffer]
) -> bytearray:
    fields: dict[str, Value] = {}
    for name, room in rooms.items():
        fields[name], fields[lengths[name]] = address(room), len(room)
    for name, room in arrays.items():
        fields[name], fields["count"] = address(room), len(room) // 8
    return layout.pack(**fields)


def _readable(told: dict[str, Value], rooms: dict[str, Buffer], arrays: dict[str, Buffer]) -> Details:
    """Put texts in the place of their addresses, and arrays as the bytes of their 64-bit numbers."""
    details: Details = {}
    for name, value in told.items():
        if name in rooms:
            details[name] = c_string(rooms[name].raw)
        elif name in arrays:
            details[name] = arrays[name].raw
        elif not any(name == length or name.endswith(f"_{length}") for length in _LENGTHS):
            details[name] = value
    return details


def numbers_of(details: Details, name: str) -> list[int]:
    """Return an array of a tail, such as the addresses of a kprobe_multi link, as numbers."""
    value = details.get(name)
    return list(array("Q", value)) if isinstance(value, bytes) else []

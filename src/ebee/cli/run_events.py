"""`ebee run FILE --events RECORDING`: a tracing program over what its hooks saw somewhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ebee.cli.call import Call
from ebee.cli.failures import complain
from ebee.cli.output import json_text, write_lines
from ebee.cli.waiting import until_interrupted
from ebee.cli.words import UsageError
from ebee.errors import EbeeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.maps import Map
    from ebee.recording.replaying import Replay, Replayed
    from ebee.spec import ObjectSpec

_SHOWN = 20
"""How many entries of a map are shown; all with -v."""
_OTHERS = ("dev", "mode", "duration", "pcap", "out", "program")


def check_options(call: Call) -> None:
    """Say what is wrong with the options before anything is compiled.

    Raises:
        UsageError: two of them do not go together.
    """
    for name in _OTHERS:
        if call.text(name) is not None:
            raise UsageError(
                f"ebee run: --{name} and --events, expected one of them",
                hint="with --events nothing is attached: the programs run over what was recorded",
            )
    from ebee.cli.run_packets import count

    count(call)
    if call.switch("live"):
        raise UsageError(
            "ebee run: --live and --events, expected one of them",
            hint="recordings run on the userspace machine",
        )


def run(call: Call, spec: ObjectSpec, events: str) -> None:
    """Run the programs over a recording, show what they print, and what their maps hold in the end.

    Args:
        events: the recording's path, or the name of an example.
    """
    from ebee.cli.run_packets import count as most_of
    from ebee.recording.examples import recording_path
    from ebee.recording.recordings import open_recording
    from ebee.recording.replaying import replay

    count, engine = most_of(call), call.text("engine") or "auto"
    with (
        open_recording(recording_path(events)) as recording,
        replay(spec, recording, engine=engine) as running,
    ):
        report = _Report(call, running)
        try:
            with until_interrupted():
                for step in running.steps():
                    report.add(step)
                    if count is not None and report.events >= count:
                        break
        except EbeeError:
            if report.events:
                report.finish()
            raise
        report.finish()


class _Report:
    """What is said of each event, and of all in the end."""

    def __init__(self, call: Call, running: Replay) -> None:
        self._running = running
        self._settings = call.settings
        self._records: dict[str, list[int]] = {}
        self.events = 0

    def add(self, step: Replayed) -> None:
        """Show what the programs made of an event."""
        self.events += 1
        for name, records in step.records.items():
            counts = self._records.setdefault(name, [0, 0])
            counts[0] += len(records)
            counts[1] += sum(map(len, records))
        if self._settings.json:
            write_lines([json_text(_data(step), pretty=self._settings.pretty)])
        else:
            write_lines(line.raw for line in step.lines)
        sys.stdout.flush()

    def finish(self) -> None:
        """Show what maps and variables hold, and say what was not whole."""
        if self._settings.json:
            write_lines([json_text(self._data(), pretty=self._settings.pretty)])
        else:
            write_lines(self._lines())
        for note in self._notes():
            complain(f"note: {note}")

    def _lines(self) -> Iterator[str]:
        yield ""
        yield f"{self.events} event{'s' * (self.events != 1)}"
        for name, (records, size_bytes) in self._records.items():
            yield f"{name}: {records} record{'s' * (records != 1)}, {size_bytes} bytes"
        for name, entries in self._maps():
            yield f"{name}: {len(entries)} entr{'ies' if len(entries) != 1 else 'y'}"
            shown = entries if self._settings.verbose else entries[:_SHOWN]
            yield from (f"  {_text(key)} = {_text(value)}" for key, value in shown)
            if len(entries) > len(shown):
                yield f"  ... {len(entries) - len(shown)} more; -v shows all"
        for name, value in self._variables():
            yield f"{name} = {_text(value)}"

    def _data(self) -> dict[str, Any]:
        maps = {
            name: [{"key": _plain(key), "value": _plain(value)} for key, value in entries]
            for name, entries in self._maps()
        }
        variables = {name: _plain(value) for name, value in self._variables()}
        missing, cut = self._running.missing, self._running.cut
        return {"events": self.events, "maps": maps, "variables": variables, "missing": missing, "cut": cut}

    def _maps(self) -> Iterator[tuple[str, list[tuple[Any, Any]]]]:
        for name, item in self._running.loaded.maps.items():
            if not item.spec.is_data:
                entries = _entries(item)
                if entries is not None:
                    yield name, entries

    def _variables(self) -> Iterator[tuple[str, Any]]:
        for name, variable in self._running.loaded.variables.items():
            if not variable.spec.read_only and "." not in name:
                yield name, variable.value

    def _notes(self) -> Iterator[str]:
        missing, cut = self._running.missing, self._running.cut
        if missing:
            yield (
                f"{missing} read{'s' * (missing != 1)} found nothing: "
                "the program reads what it did not when it was recorded; record it again"
            )
        if cut:
            yield f"{cut} event{'s' * (cut != 1)} had more to them than a recording holds"


def _entries(item: Map) -> list[tuple[Any, Any]] | None:
    """Return what a map holds, empty slots of arrays left out; None where it cannot be walked."""
    try:
        entries = list(item.items())
    except EbeeError:
        return None
    return [(key, value) for key, value in entries if not _is_empty_slot(item, value)]


def _is_empty_slot(item: Map, value: Any) -> bool:
    from ebee.abi.bpf import MapType

    if item.spec.type not in (MapType.ARRAY, MapType.PERCPU_ARRAY):
        return False
    plain = _plain(value)
    return not any(plain) if isinstance(plain, list) else not plain


def _plain(value: Any) -> Any:
    """Return a value as JSON takes it: bytes as hex, structs as objects."""
    if isinstance(value, dict):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        named = getattr(value, "_asdict", None)
        return _plain(named()) if named is not None else [_plain(member) for member in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value


def _text(value: Any) -> str:
    """Return a value for people; of a struct with one member, that member."""
    plain = _plain(value)
    if isinstance(plain, dict):
        if len(plain) == 1:
            return _text(next(iter(plain.values())))
        return ", ".join(f"{name}={_text(member)}" for name, member in plain.items())
    if isinstance(plain, list):
        return f"[{', '.join(map(_text, plain))}]"
    return str(plain)


def _data(step: Replayed) -> dict[str, Any]:
    event = step.event
    return {
        "event": step.number,
        "time_ns": event.time_ns,
        "cpu": event.cpu,
        "pid": event.pid,
        "tgid": event.tgid,
        "comm": event.comm.decode("utf-8", "backslashreplace"),
        "programs": list(step.programs),
        "printed": [line.message for line in step.lines],
        "records": {name: [record.hex() for record in records] for name, records in step.records.items()},
    }

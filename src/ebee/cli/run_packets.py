"""`ebee run FILE --pcap PACKETS`: packets through programs, verdicts and changed packets out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from ebee.cli.call import Call
from ebee.cli.failures import complain
from ebee.cli.output import json_text, write_lines
from ebee.cli.waiting import until_interrupted
from ebee.cli.words import UsageError
from ebee.errors import EbeeError, FormatError, SpecError
from ebee.packets import (
    Packet,
    describe,
    format_of,
    generate,
    open_writer,
    read_packets,
)
from ebee.packets.files import STDIO
from ebee.sessions.packets import PacketResult, listen, packet_programs, run_packets, take_long_packets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.kernel.protocol import Kernel
    from ebee.loader import LoadedObject
    from ebee.packets import PacketReader, PacketWriter
    from ebee.sessions.kernels import Wanted
    from ebee.spec import ObjectSpec

MADE = 12
"""How many packets are made where none are given; each kind is among them."""
_SHOWN = 20
"""How many packets have a line; all with -v."""


def check_options(call: Call) -> None:
    """Say what is wrong with the options before anything is compiled.

    Raises:
        UsageError: two of them do not go together, or a value is none.
    """
    count(call)
    out, pcap = call.text("out"), call.text("pcap")
    if out == STDIO and call.settings.json:
        raise UsageError("ebee run: --out - and -j, expected one of them on standard output")
    given = [name for name in ("pcap", "count", "out", "program", "vm", "engine") if call.values.get(name)]
    for name in ("dev", "mode", "duration"):
        if call.text(name) is not None:
            raise UsageError(
                f"ebee run: --{name} and --{given[0]}, expected one of them",
                hint=f"with --{given[0]} nothing is attached: packets of a file, or made ones, "
                "go through the programs",
            )
    if out is not None and pcap not in (None, STDIO) and _same_file(pcap or "", out):
        raise UsageError(f"ebee run: --out {out}: is the file that packets are read from, expected another")


def _same_file(one: str, other: str) -> bool:
    import os

    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def count(call: Call) -> int | None:
    """Return the option --count.

    Raises:
        UsageError: it is no number.
    """
    text = call.text("count")
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) < 1 << 63:
        raise UsageError(f"ebee run: count '{text}', expected a number, 1 or more")
    return int(text)


def run(call: Call, spec: ObjectSpec, wanted: Wanted) -> None:
    """Load the programs that see packets, and run the packets through them."""
    from ebee.loader import load
    from ebee.sessions.kernels import on_kernel

    names = packet_programs(spec, call.text("program"))
    if call.text("out") is not None and len(names) > 1:
        raise SpecError(
            f"run {spec.name}: {len(names)} programs of it see packets ({', '.join(names)}), "
            "expected one to write what passes it",
            hint=f"name one: --program {names[0]}",
        )
    with ExitStack() as resources:
        reader = _reader(call, resources)
        loaded = resources.enter_context(on_kernel(wanted, lambda kernel: load(spec, kernel, programs=names)))
        take_long_packets(loaded.kernel)
        writer = _writer(call, reader, resources)
        listener = resources.enter_context(listen(spec, loaded.kernel))
        packets = _Seen(_packets(call, reader))
        _say_what_runs(call, names, loaded.kernel)
        report = _Report(call, names)
        try:
            with until_interrupted():
                for results in run_packets([loaded.programs[name] for name in names], packets, listener):
                    report.add(results)
                    _write_passed(writer, results)
        except EbeeError as error:
            if report.packets:
                report.finish(loaded)
            packets.explain(error)
            raise
        report.finish(loaded)


def _reader(call: Call, resources: ExitStack) -> PacketReader | None:
    path = call.text("pcap")
    return None if path is None else resources.enter_context(read_packets(path))


def _packets(call: Call, reader: PacketReader | None) -> Iterable[Packet]:
    """Return the file's packets, or so many made ones."""
    from itertools import islice

    most = count(call)
    if reader is None:
        return generate(MADE if most is None else most)
    return reader if most is None else islice(reader, most)


def _say_what_runs(call: Call, names: Sequence[str], kernel: Kernel) -> None:
    """Tell on standard error which programs run where, on what."""
    engine = call.text("engine")
    machine = "the userspace machine" if engine is None else f"the userspace machine ({engine})"
    where = machine if kernel.label == "vm" else "this kernel"
    path = call.text("pcap")
    made = count(call) or MADE
    packets = f"{made} made packet{'s' * (made != 1)}; --pcap FILE takes others"
    complain(f"{', '.join(names)} on {where}: {packets if path is None else f'packets of {path}'}")


def _writer(call: Call, reader: PacketReader | None, resources: ExitStack) -> PacketWriter | None:
    """Open what is written: as the file's ending says, else as the packets came."""
    path = call.text("out")
    if path is None:
        return None
    wanted = format_of(path)
    same = reader is not None and wanted in (None, reader.format.name)
    return resources.enter_context(open_writer(path, reader.format if reader and same else wanted))


def _write_passed(writer: PacketWriter | None, results: Sequence[PacketResult]) -> None:
    if writer is not None:
        for result in results:
            if result.passed:
                writer.write(result.packet)


class _Seen:
    """Packets as they are taken, so that an error can say in which it came."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self._packets = packets
        self._number = 0
        self._last: Packet | None = None

    def __iter__(self) -> Iterator[Packet]:
        for packet in self._packets:
            self._number += 1
            self._last = packet
            yield packet

    def explain(self, error: EbeeError) -> None:
        """Say which packet it was, where the error does not."""
        if self._last is not None and not isinstance(error, FormatError):
            complain(f"note: packet {self._number} was run: {describe(self._last)}")


class _Report:
    """What is said of each packet, and of all in the end."""

    def __init__(self, call: Call, names: Sequence[str]) -> None:
        self._names = names
        self._packets_on_stdout = call.text("out") == STDIO
        self._shown = sys.maxsize if call.settings.verbose else _SHOWN
        self._settings = call.settings
        self._counts: dict[str, dict[str, int]] = {name: {} for name in names}
        self.packets = 0
        self._left_lines = 0

    def _say(self, line: str) -> None:
        if self._packets_on_stdout:
            complain(line)
        else:
            write_lines([line])
            sys.stdout.flush()

    def add(self, results: Sequence[PacketResult]) -> None:
        self.packets += 1
        for result in results:
            counts = self._counts[result.program]
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
        if self._settings.json:
            self._say(json_text(_data(self.packets, results), pretty=self._settings.pretty))
        elif self.packets <= self._shown:
            for line in self._lines(results):
                self._say(line)
        else:
            self._left_lines += sum(len(result.printed) for result in results)

    def _lines(self, results: Sequence[PacketResult]) -> Iterator[str]:
        width = max(map(len, self._names))
        words = describe(results[0].before)
        for place, result in enumerate(results):
            name = f"{result.program:{width}}  " if len(self._names) > 1 else ""
            about = f"{words}, {_size(result)}" if place == 0 else _size(result)
            yield f"{self.packets if place == 0 else '':>4}  {name}{result.verdict:12}  {about}"
            for text in result.printed:
                yield f"      {text}"

    def finish(self, loaded: LoadedObject) -> None:
        values = _variables(loaded)
        if self._settings.json:
            data = {"packets": self.packets, "verdicts": self._counts, "variables": values}
            self._say(json_text(data, pretty=self._settings.pretty))
            return
        left = self.packets - self._shown
        if left > 0:
            printed = f", {self._left_lines} more lines printed" if self._left_lines else ""
            self._say(f" ...  {left} more packet{'s' * (left != 1)}{printed}; -v shows all")
        self._say("")
        for line in self._table():
            self._say(line)
        for name, value in values.items():
            self._say(f"{name} = {value}")

    def _table(self) -> list[str]:
        rows = [
            (name, each, str(number))
            for name, counts in self._counts.items()
            for each, number in sorted(counts.items(), key=lambda item: -item[1])
        ]
        if not rows:
            return ["no packets"]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        begin = 0 if len(self._names) > 1 else 1
        return [
            "  ".join([*(row[i].ljust(widths[i]) for i in range(begin, 2)), row[2].rjust(widths[2])])
            for row in rows
        ]


def _size(result: PacketResult) -> str:
    before, after = len(result.before.data), len(result.packet.data)
    if before != after:
        return f"{before} -> {after} bytes"
    return f"{before} bytes{', changed' if result.changed else ''}"


def _data(number: int, results: Sequence[PacketResult]) -> dict[str, Any]:
    packet = results[0].before
    return {
        "packet": number,
        "timestamp_ns": packet.timestamp_ns,
        "description": describe(packet),
        "bytes": len(packet.data),
        "results": [
            {
                "program": result.program,
                "verdict": result.verdict,
                "return_value": result.return_value,
                "passed": result.passed,
                "changed": result.changed,
                "bytes": len(result.packet.data),
                "data": result.packet.data.hex() if result.changed else None,
                "printed": list(result.printed),
            }
            for result in results
        ],
    }


def _variables(loaded: LoadedObject) -> dict[str, int]:
    """Return the numbers that global variables hold in the end."""
    values = {
        name: variable.value
        for name, variable in loaded.variables.items()
        if not variable.spec.read_only and "." not in name
    }
    return {name: value for name, value in values.items() if isinstance(value, int)}

"""`ebee doctor`: what works on this machine, and how to mend what does not, on one screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ebee.cli.call import Answer, Call
from ebee.cli.failures import has_colour
from ebee.features.doctor import Finding, Health, Report, Section, examine
from ebee.text import columns

_COLOURS = {Health.OK: "32", Health.WARN: "33", Health.FAIL: "1;31", Health.UNKNOWN: "36"}
_MARKS = {Health.OK: "✓", Health.WARN: "!", Health.FAIL: "✗", Health.UNKNOWN: "?"}
_WORDS = {Health.OK: "ok", Health.WARN: "warn", Health.FAIL: "FAIL", Health.UNKNOWN: "?"}
_MANY = 8
"""Of a section with more findings than these, those that are well share a line."""
_WIDTH = 100


def main(call: Call) -> Answer:
    call.words.finish()
    report = examine(call.kernel())
    return Answer(_data(report), lambda: _lines(report, everything=call.settings.verbose))


def _data(report: Report) -> dict[str, object]:
    return {
        "health": report.health.value,
        "sections": [
            {"title": section.title, "findings": [_finding_data(item) for item in section.findings]}
            for section in report.sections
        ],
    }


def _finding_data(finding: Finding) -> dict[str, str]:
    data = {"name": finding.name, "health": finding.health.value, "found": finding.found}
    return data | ({"mend": finding.mend} if finding.mend else {})


def _lines(report: Report, *, everything: bool) -> Iterator[str]:
    colour = has_colour(sys.stdout)
    for section in report.sections:
        yield _bold(section.title, colour)
        yield from _section(section, colour, everything)
    yield ""
    yield _verdict(report)


def _section(section: Section, colour: bool, everything: bool) -> Iterator[str]:
    findings = list(section.findings)
    if len(findings) > _MANY and not everything:
        well = [item.name for item in findings if item.health is Health.OK]
        findings = [item for item in findings if item.health is not Health.OK]
        yield from _shared(well, colour)
    rows = [(f"  {_mark(item.health, colour)} {item.name}", item.found) for item in findings]
    for item, line in zip(findings, columns(rows), strict=True):
        yield line
        if item.mend:
            yield f"         {'→' if colour else 'mend:'} {item.mend}"


def _shared(names: list[str], colour: bool) -> Iterator[str]:
    """Yield names that are well, as many in a line as fit."""
    line = ""
    for name in names:
        if line and len(line) + len(name) > _WIDTH:
            yield f"  {_mark(Health.OK, colour)} {line},"
            line = ""
        line = f"{line}, {name}" if line else name
    if line:
        yield f"  {_mark(Health.OK, colour)} {line}"


def _mark(health: Health, colour: bool) -> str:
    if colour:
        return f"\x1b[{_COLOURS[health]}m{_MARKS[health]}\x1b[0m"
    return f"{_WORDS[health]:<4}"


def _bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text


def _verdict(report: Report) -> str:
    if report.health is Health.FAIL:
        return "eBPF does not work here until what is marked FAIL is mended."
    if report.health is Health.WARN:
        return "eBPF works here; what is marked warn does not. `ebee doctor -v` shows each finding."
    return "all that was looked at works here. `ebee doctor -v` shows each finding."

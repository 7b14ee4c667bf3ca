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
"""Of a section with more findings than these, those of which the same can be said share a line."""
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
        for alike in _alike(findings):
            if len(alike) > 1 or alike[0].health is Health.OK:
                findings = [item for item in findings if item not in alike]
                yield from _shared(alike, colour)
    rows = [(f"  {_mark(item.health, colour)} {item.name}", item.found) for item in findings]
    for item, line in zip(findings, columns(rows), strict=True):
        yield line
        yield from _mend(item, colour)


def _alike(findings: list[Finding]) -> list[list[Finding]]:
    """Return findings in groups of which the same can be said; all that are well are one."""
    groups: dict[tuple[Health, str, str], list[Finding]] = {}
    for item in findings:
        said = "" if item.health is Health.OK else item.found
        groups.setdefault((item.health, said, item.mend), []).append(item)
    return list(groups.values())


def _shared(findings: list[Finding], colour: bool) -> Iterator[str]:
    """Yield names, as many in a line as fit, and below them once what is to be said of all."""
    mark = _mark(findings[0].health, colour)
    line = ""
    for name in (item.name for item in findings):
        if line and len(line) + len(name) > _WIDTH:
            yield f"  {mark} {line},"
            line = ""
        line = f"{line}, {name}" if line else name
    yield f"  {mark} {line}"
    if findings[0].health is not Health.OK:
        yield f"         {findings[0].found}"
        yield from _mend(findings[0], colour)


def _mend(finding: Finding, colour: bool) -> Iterator[str]:
    if finding.mend:
        yield f"         {'→' if colour else 'mend:'} {finding.mend}"


def _mark(health: Health, colour: bool) -> str:
    if colour:
        return f"\x1b[{_COLOURS[health]}m{_MARKS[health]}\x1b[0m"
    return f"{_WORDS[health]:<4}"


def _bold(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text


def _verdict(report: Report) -> str:
    if report.health is Health.FAIL:
        return (
            "this kernel takes no programs until what is marked FAIL is mended; "
            "the userspace machine runs them meanwhile: ebee run FILE --vm"
        )
    if report.health is Health.WARN:
        return "eBPF works here; what is marked warn does not. `ebee doctor -v` shows each finding."
    return "all that was looked at works here. `ebee doctor -v` shows each finding."

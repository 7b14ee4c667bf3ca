"""`ebee prog show`, `ebee prog list`."""

from __future__ import annotations

from ebee.cli.call import Answer, Call
from ebee.cli.showing import Shown, show
from ebee.introspect.programs import describe_program, list_programs, program_lines
from ebee.kernel.protocol import ObjectKind

_SHOWN = Shown(ObjectKind.PROGRAM, list_programs, describe_program, program_lines)


def main(call: Call) -> Answer:
    return show(call, _SHOWN)

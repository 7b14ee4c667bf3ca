"""`ebee prog dump xlated PROG`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from ebee.cli.call import Answer, Call, nothing
from ebee.cli.selectors import take_selector
from ebee.errors import NotSupportedError, SpecError
from ebee.introspect.extras import Extras
from ebee.introspect.programs import describe_program, header
from ebee.introspect.xlated import Row, code_facts, code_lines, program_code
from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEADER_KEYS = ("id", "type", "name", "tag", "gpl_compatible", "run_time_ns", "run_cnt", "recursion_misses")


class _Wish(NamedTuple):
    """What is to be shown besides instructions, or the file they are to be written to."""

    opcodes: bool
    linum: bool
    path: str | None


class _Dump(NamedTuple):
    """A program and its code."""

    program: dict[str, Any]
    rows: list[Row]


def main(call: Call) -> Answer:
    if call.words.choice(("xlated", "jited")) == "jited":
        raise NotSupportedError(
            "prog dump jited: ebee cannot show machine code yet",
            hint="see what it is made from: prog dump xlated",
        )
    selector = take_selector(call.words, ObjectKind.PROGRAM)
    wish = _wish(call)
    kernel = call.kernel()
    with ExitStack() as resources:
        if wish.path is not None:
            return _to_file(kernel, selector.open_one(kernel, resources, call.words), wish.path)
        fds = selector.open_all(kernel, resources)
        dumps = [_Dump(describe_program(kernel, fd, Extras()), program_code(kernel, fd)) for fd in fds]
    return Answer(_data(dumps, wish), lambda: _lines(dumps, wish))


def _wish(call: Call) -> _Wish:
    opcodes = linum = False
    path = None
    while call.words:
        word = call.words.choice(("opcodes", "linum", "file"))
        opcodes, linum = opcodes or word == "opcodes", linum or word == "linum"
        if word == "file":
            path = call.words.take("a path")
    return _Wish(opcodes, linum, path)


def _to_file(kernel: Kernel, fd: int, path: str) -> Answer:
    code = kernel.program_info(fd, code=True).instructions
    try:
        with open(path, "wb") as file:
            file.write(code)
    except OSError as error:
        raise SpecError(f"write {path}: {(error.strerror or str(error)).lower()}") from None
    return Answer(None, nothing)


def _data(dumps: list[_Dump], wish: _Wish) -> list[dict[str, Any]]:
    if len(dumps) == 1:
        return code_facts(dumps[0].rows, opcodes=wish.opcodes, linum=wish.linum)
    return [
        {key: dump.program[key] for key in _HEADER_KEYS if key in dump.program}
        | {"insns": code_facts(dump.rows, opcodes=wish.opcodes, linum=wish.linum)}
        for dump in dumps
    ]


def _lines(dumps: list[_Dump], wish: _Wish) -> Iterator[str]:
    for number, dump in enumerate(dumps):
        if len(dumps) > 1:
            yield from ("",) if number else ()
            yield header(dump.program)
        yield from code_lines(dump.rows, opcodes=wish.opcodes, linum=wish.linum)

"""`ebee prog pin PROG PATH`."""

from __future__ import annotations

from contextlib import ExitStack

from ebee.cli.call import Answer, Call, nothing
from ebee.cli.selectors import take_selector
from ebee.kernel.protocol import ObjectKind


def main(call: Call) -> Answer:
    from ebee.pins import pin

    selector = take_selector(call.words, ObjectKind.PROGRAM)
    path = call.words.take("a path")
    call.words.finish()
    kernel = call.kernel()
    with ExitStack() as resources:
        pin(kernel, selector.open_one(kernel, resources, call.words), path)
    return Answer(None, nothing)

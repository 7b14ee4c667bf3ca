"""`ebee link pin`, `ebee link detach`."""

from __future__ import annotations

from contextlib import ExitStack

from ebee.cli.call import Answer, Call, nothing
from ebee.cli.selectors import take_selector
from ebee.errors import KernelError
from ebee.kernel.protocol import ObjectKind


def main(call: Call) -> Answer:
    selector = take_selector(call.words, ObjectKind.LINK)
    path = call.words.take("a path") if call.command[-1] == "pin" else None
    call.words.finish()
    kernel = call.kernel()
    with ExitStack() as resources:
        fd = selector.open_one(kernel, resources, call.words)
        if path is None:
            try:
                kernel.link_detach(fd)
            except KernelError as error:
                raise error.about(f"link (fd {fd})", str(selector)) from None
        else:
            from ebee.pins import pin

            pin(kernel, fd, path)
    return Answer(None, nothing)

"""What `prog show`, `map show` and `link show` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ebee.cli.call import Answer, Call
from ebee.introspect.extras import Extras, collect
from ebee.kernel.protocol import Kernel, ObjectKind
from ebee.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Facts = dict[str, "Any"]


class Shown(NamedTuple):
    """How objects of one kind are described: all of them, one, and one as lines."""

    kind: ObjectKind
    list_all: Callable[[Kernel, Extras], list[Facts]]
    describe: Callable[[Kernel, int, Extras], Facts]
    lines: Callable[[Facts], Iterator[str]]


def show(call: Call, shown: Shown) -> Answer:
    """Describe all objects, or those that the words name.

    Data are a list, or one object where the words name just one.
    """
    from ebee.cli.selectors import optional_selector

    selector = optional_selector(call, shown.kind)
    kernel = call.kernel()
    extras = collect(kernel, shown.kind, pinned=call.settings.bpffs, pids=call.switch("pids"))
    if selector is None:
        found = shown.list_all(kernel, extras)
        return Answer(found, lambda: _lines(found, shown))
    from contextlib import ExitStack

    with ExitStack() as resources:
        fds = selector.open_all(kernel, resources)
        some = [shown.describe(kernel, fd, extras) for fd in fds]
    return Answer(some if len(some) > 1 else some[0], lambda: _lines(some, shown))


def _lines(found: list[Facts], shown: Shown) -> Iterator[str]:
    for facts in found:
        yield from shown.lines(facts)

"""`ebee version`: the version of ebee, and with -j of what it is made of."""

from __future__ import annotations

import sys

from ebee.cli.call import Answer, Call
from ebee.version import __version__


def main(call: Call) -> Answer:
    call.words.finish()
    python = ".".join(str(part) for part in sys.version_info[:3])
    return Answer({"version": __version__, "python": python}, lambda: [f"ebee {__version__}"])

"""`ebee prog tracelog`: what programs print by bpf_printk(), until Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ebee.cli.call import Call
from ebee.cli.output import json_text, write
from ebee.events import TraceLine
from ebee.events.trace_pipe import open_trace_pipe


def main(call: Call) -> None:
    """Print lines as they come; under -j each as an object on a line of its own."""
    call.words.finish()
    form: Callable[[TraceLine], str] = _json if call.settings.json else str
    with open_trace_pipe(call.kernel()) as lines:
        if sys.stderr.isatty():
            sys.stderr.write("waiting for lines of bpf_printk(); Ctrl-C ends\n")
        try:
            for line in lines:
                write(f"{form(line)}\n")
                sys.stdout.flush()
        except KeyboardInterrupt:
            return


def _json(line: TraceLine) -> str:
    return json_text(
        {
            "task": line.task,
            "pid": line.pid,
            "cpu": line.cpu,
            "flags": line.flags,
            "timestamp": line.timestamp_s,
            "message": line.message,
        }
    )

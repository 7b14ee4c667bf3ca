"""Make the recordings that ebee brings along: a short session of a user without anything private.

Run as root, from the repository: python -m tools.bundled_recordings. What a recording shows is the session
below alone: tasks of user 1000, whom nobody else on the machine may be; what the kernel and the clock say
is made neutral.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from ebee.kernel.live import LiveKernel
from ebee.recording.events import encode_event
from ebee.recording.recordings import Recording, RecordingWriter
from ebee.recording.session import start_recording
from ebee.sessions.c import open_spec

FOLDER = Path(__file__).resolve().parents[1] / "src/ebee/recording/bundled"
USER = 1000
SESSION = """
ls /etc/apt
cat /etc/hostname
head -n 1 /etc/os-release
python3 -ISc 'print(6 * 7)'
cat /etc/shadow
date
"""
BEGIN_NS = 100_000_000_000
"""The time of the first event."""


def record(tracer: Path) -> bytes:
    """Return what a tracer sees of the session, as a recording."""
    raw = io.BytesIO()
    with start_recording(open_spec(str(tracer)), raw, LiveKernel()) as recorder:
        subprocess.run(
            ["/bin/sh", "-c", SESSION],
            env={"PATH": "/usr/bin:/bin", "HOME": "/home/ada"},
            cwd="/",
            user=USER,
            group=USER,
            extra_groups=[],
            capture_output=True,
            check=True,
        )
        recorder.run(duration_s=0.5)
        lost = recorder.stop().lost
    assert not lost
    return neutral(Recording(io.BytesIO(raw.getvalue()), tracer.name))


def neutral(recording: Recording) -> bytes:
    """Return a recording with the session's own events, times from BEGIN_NS on, and a plain header."""
    events = sorted((e for e in recording.events() if e.uid == USER), key=lambda event: event.time_ns)
    first = next(index for index, event in enumerate(events) if event.comm == b"sh")
    earlier_ns = events[first].time_ns - BEGIN_NS
    header = recording.header._replace(
        release=recording.header.release.partition("-")[0], monotonic_ns=BEGIN_NS, wall_ns=0
    )
    file = io.BytesIO()
    writer = RecordingWriter(file, header)
    for event in events[first:]:
        writer.write(encode_event(event._replace(time_ns=event.time_ns - earlier_ns), header.byte_order))
    writer.flush()
    return file.getvalue()


def main() -> int:
    if os.geteuid() != 0:
        print("recording needs root", file=sys.stderr)
        return 1
    for tracer in sorted(FOLDER.glob("*.bpf.c")):
        path = tracer.with_suffix("").with_suffix(".ebee")
        path.write_bytes(record(tracer))
        print(f"{path.relative_to(Path.cwd())}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Recordings: what the hooks of a program saw on a machine with rights, for machines without.

`instrument` puts the recorder's calls into a program, `session` loads and attaches it and writes what comes,
`events` and `recordings` are the file, `replaying` runs programs over one on the userspace machine.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ebee.recording.recordings import Recording as Recording
    from ebee.recording.recordings import open_recording as open_recording
    from ebee.recording.replaying import Replay as Replay
    from ebee.recording.replaying import replay as replay
    from ebee.recording.session import Recorder as Recorder
    from ebee.recording.session import start_recording as start_recording

# Imported when they are first used: reading a recording needs neither a machine nor a compiler.
_HOMES = {
    "Recorder": "session",
    "Recording": "recordings",
    "Replay": "replaying",
    "open_recording": "recordings",
    "replay": "replaying",
    "start_recording": "session",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ebee.recording' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"ebee.recording.{home}"), name)

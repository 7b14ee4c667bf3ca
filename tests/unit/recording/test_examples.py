"""What ebee brings along: tracers that a newcomer runs without rights, and nothing private in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebee.errors import SpecError
from ebee.recording.examples import EXAMPLES, is_example, program_path, recording_path
from ebee.recording.recordings import open_recording
from ebee.recording.replaying import replay
from ebee.sessions.c import open_spec


def test_examples_are_found_by_their_names() -> None:
    """Anything else is a path."""
    assert is_example("example:exec")
    assert not is_example("exec.bpf.c")
    assert program_path("exec.bpf.c") == "exec.bpf.c"
    assert recording_path("x.ebee") == "x.ebee"
    assert all(Path(program_path(f"example:{name}")).is_file() for name in EXAMPLES)


@pytest.mark.parametrize(
    ("word", "hint"),
    [("example:exce", "did you mean 'exec'?"), ("example:zzz", "there are example:exec and example:open")],
)
def test_an_example_that_is_not_there_is_told(word: str, hint: str) -> None:
    """With the nearest, or all there are."""
    with pytest.raises(SpecError) as caught:
        program_path(word)
    assert (str(caught.value), caught.value.hint) == (f"open {word}: there is no such example", hint)


def test_every_file_belongs_to_an_example() -> None:
    """A tracer and a recording each."""
    folder = Path(program_path("example:exec")).parent
    assert {path.name for path in folder.iterdir()} == {
        f"{name}{ending}" for name in EXAMPLES for ending in (".bpf.c", ".ebee")
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_recordings_hold_nothing_private(name: str) -> None:
    """One user, whose home is nowhere, and files that every system has."""
    with open_recording(recording_path(f"example:{name}")) as recording:
        events = list(recording.events())
    assert {event.uid for event in events} == {1000}
    for event in events:
        for text in (event.context, *(piece.data for piece in event.pieces)):
            assert b"/work" not in text
            assert b"/root" not in text
            assert b"/home" not in text
            assert b"/tmp" not in text


def lines(name: str) -> tuple[list[str], dict[str, int]]:
    """Return what an example prints, and what its map counts."""
    spec = open_spec(program_path(f"example:{name}"))
    with open_recording(recording_path(f"example:{name}")) as recording, replay(spec, recording) as run:
        found = [line.message for step in run.steps() for line in step.lines]
        (counts,) = (item for item in run.loaded.maps.values() if not item.spec.is_data)
        return found, {next(iter(key.values())): value for key, value in counts.items()}


def test_exec_shows_what_was_started() -> None:
    """What was asked for, what came of it, and how often."""
    found, counts = lines("exec")
    assert found[0].startswith("starts /bin/sh as process ")
    assert "asks for /usr/bin/cat /etc/hostname" in found
    assert counts["/usr/bin/cat"] == 2


def test_open_shows_what_was_opened() -> None:
    """And by whom."""
    found, counts = lines("open")
    assert "cat opens /etc/hostname" in found
    assert counts["cat"] == found.count("cat opens /etc/hostname") * len([f for f in found if f[:3] == "cat"])

"""What ebee brings along to begin with: two tracers, and a recording for each.

They lie in the package, beside this module, because whoever installed ebee has no checkout of it.
"""

from __future__ import annotations

import os

from ebee.errors import SpecError
from ebee.text import did_you_mean

_PREFIX = "example:"
_FOLDER = os.path.join(os.path.dirname(__file__), "bundled")
EXAMPLES = ("exec", "open")


def is_example(word: str) -> bool:
    """Return whether a word names an example rather than a file."""
    return word.startswith(_PREFIX)


def program_path(word: str) -> str:
    """Return the path of the C file that `example:exec` names; any other word as it is.

    Raises:
        SpecError: there is no such example.
    """
    return _path(word, ".bpf.c")


def recording_path(word: str) -> str:
    """Return the path of the recording that `example:exec` names; any other word as it is.

    Raises:
        SpecError: there is no such example.
    """
    return _path(word, ".ebee")


def _path(word: str, ending: str) -> str:
    if not is_example(word):
        return word
    name = word.removeprefix(_PREFIX)
    if name not in EXAMPLES:
        raise SpecError(
            f"open {word}: there is no such example",
            hint=did_you_mean(name, EXAMPLES)
            or f"there are {' and '.join(_PREFIX + each for each in EXAMPLES)}",
        )
    return os.path.join(_FOLDER, name + ending)

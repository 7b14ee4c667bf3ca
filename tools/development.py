"""Print the development tools that pyproject.toml names, one a line, for older pips than know groups."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

print("\n".join(tomllib.loads(PROJECT.read_text())["dependency-groups"]["dev"]))

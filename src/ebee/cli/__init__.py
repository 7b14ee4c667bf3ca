"""The command line: one file per command; each returns data, and `output` renders text or JSON.

Start-up is a feature: the table of commands holds names, help and usage, and a command's module is
imported when it runs. `python -X importtime -m ebee prog list` shows what that costs.
"""

from __future__ import annotations

from ebee.cli.main import run

__all__ = ["run"]

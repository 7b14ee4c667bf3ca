"""ebee as a program: `python -m ebee`, and the console script `ebee`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return the exit code.

    The version is answered before anything is imported: scripts ask for it often, and a newcomer
    asks for it first.
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        from ebee.version import __version__

        sys.stdout.write(f"ebee {__version__}\n")
        return 0
    from ebee.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

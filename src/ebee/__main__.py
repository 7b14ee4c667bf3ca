"""ebee as a program: `python -m ebee`, and the console script `ebee`."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line and return the exit code.

    The version is answered before anything is imported: scripts ask for it often, and a newcomer
    asks for it first.
    """
    if sys.argv[1:] in (["--version"], ["-V"]) and sys.stdout is not None:
        from ebee.version import __version__

        sys.stdout.write(f"ebee {__version__}\n")
        return 0
    import gc

    # Starting makes tens of thousands of objects and no garbage; looking for it takes 3 ms.
    gc.set_threshold(50_000)
    from ebee.cli import run

    return run(sys.argv[1:])


def script() -> None:
    """Run the command line and end the process at once.

    Everything was closed and written by then; taking the interpreter apart would add 4 ms.
    """
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    script()

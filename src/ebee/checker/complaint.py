"""Why a program is refused."""

from __future__ import annotations

from errno import E2BIG, EACCES, EINVAL

__all__ = ["E2BIG", "EACCES", "EINVAL", "Complaint"]


class Complaint(Exception):  # noqa: N818  # caught inside; the answer is a log
    """The last words of a log.

    Args:
        errno: what the kernel answers.
        words: the lines with which its verifier stops.
    """

    def __init__(self, errno: int, *words: str) -> None:
        super().__init__(words)
        self.errno = errno
        self.words = words

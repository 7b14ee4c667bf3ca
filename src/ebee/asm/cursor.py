"""One line of assembly cut into tokens, walked from left to right, and its complaints with places."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from ebee.errors import ParseError, SourceError
from ebee.record import NamedTuple
from ebee.source import Diagnostic, SourceText, Span
from ebee.text import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import NoReturn

# A number keeps its sign, because that is how offsets are written: `(r1 +0)`, `pc-3`. The signs that
# begin with s stand before names, longest first.
_TOKEN = r"""
    (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.]))
  | (?P<sign>s>>=|s/=|s%=|s>=|s<=|s>|s<|<<=|>>=|[-+*/|&%^=!<>]=|[-+*&=<>()\[\],#:])
  | (?P<name>kernel-function|[A-Za-z_][\w.$]*)
  | (?P<other>\S)
"""


class Token(NamedTuple):
    """A piece of a line; `kind` is `number`, `sign`, `name`, `other` or `end`, columns count from 1."""

    kind: str
    text: str
    column: int


class Cursor:
    """A place in a line's tokens.

    Args:
        source: the text that the line belongs to.
        number: which line, counted from 1.
        start, stop: the part of the line to cut into tokens.
    """

    __slots__ = ("_index", "_number", "_source", "_tokens")

    def __init__(self, source: SourceText, number: int, start: int, stop: int) -> None:
        self._source = source
        self._number = number
        line = source.line(number) or ""
        self._tokens = [
            Token(match.lastgroup or "other", match[0], match.start() + 1)
            for match in _token_pattern().finditer(line, start, stop)
        ]
        width = len(line[:stop].rstrip())
        self._tokens.append(Token("end", "", width + 1))
        self._index = 0

    @property
    def token(self) -> Token:
        """The next token; one of kind `end` after the last."""
        return self._tokens[self._index]

    def next(self) -> Token:
        """Return the next token and step past it."""
        token = self._tokens[self._index]
        if token.kind != "end":
            self._index += 1
        return token

    def take(self, text: str) -> bool:
        """Step past the next token if it reads `text`, and say whether it did."""
        if self.token.text != text:
            return False
        self._index += 1
        return True

    def expect(self, *texts: str) -> None:
        """Step past tokens that must read so, one after the other."""
        for text in texts:
            if not self.take(text):
                self.fail(f"expected '{text}'")

    def choose(self, known: Iterable[str], what: str) -> str:
        """Step past a token that must be one of the known ones, and return it."""
        names = list(known)
        if self.token.text not in names:
            self.fail(f"expected {what}", hint=did_you_mean(self.token.text, names))
        return self.next().text

    def expect_end(self) -> None:
        """Complain unless all tokens were taken."""
        if self.token.kind != "end":
            self.fail("expected the end of the line")

    def fail(self, message: str, *, token: Token | None = None, hint: str | None = None) -> NoReturn:
        """Complain of a token, the next one unless another is named, adding what was found."""
        place = token or self.token
        found = f"'{place.text}'" if place.text else "the end of the line"
        raise self.error(ParseError, f"{message}, found {found}", place, hint)

    def error(
        self, kind: Callable[..., SourceError], message: str, token: Token, hint: str | None
    ) -> SourceError:
        """Return an error of a kind whose one diagnostic points at a token."""
        span = Span(self._source.path, self._number, token.column, max(1, len(token.text)))
        diagnostic = Diagnostic(message, "error", span, self._source.line(self._number), hint)
        return kind(diagnostic.headline(), diagnostics=[diagnostic], hint=hint)


@cache
def _token_pattern() -> re.Pattern[str]:
    import re

    return re.compile(_TOKEN, re.VERBOSE)

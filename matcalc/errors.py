"""What matcalc raises: every error names the place, what was expected and a way out."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """A piece of the user's text: offsets into ``source``, in characters, end exclusive."""

    source: str
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source[self.start : self.end]

    @property
    def line(self) -> int:
        """Line number, counted from 1."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """Column number, counted from 1."""
        return self.start - (self.source.rfind("\n", 0, self.start) + 1) + 1

    def excerpt(self, width: int = 76) -> str:
        """The line that holds the span with carets under it, cut to ``width`` characters."""
        first = self.source.rfind("\n", 0, self.start) + 1
        last = self.source.find("\n", self.start)
        line = self.source[first : len(self.source) if last < 0 else last]
        line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
        at, length = self.start - first, max(1, min(self.end, first + len(line)) - self.start)
        if len(line) > width:
            left = max(0, at - width // 2)
            piece = line[left : left + width]
            head = "…" if left else ""
            tail = "…" if left + width < len(line) else ""
            line, at = head + piece + tail, at - left + len(head)
            length = min(length, max(1, len(line) - at))
        return f"    {line}\n    {' ' * at}{'^' * length}"


class MatcalcError(Exception):
    """Base of all errors about the user's input.

    ``message``  what is wrong, one sentence without a full stop
    ``span``     the place in the text, or None when there is no text
    ``detail``   the operands and shapes concerned
    ``hint``     what to do instead
    """

    def __init__(self, message: str, *, span: Span | None = None, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.detail = detail
        self.hint = hint

    @property
    def line(self) -> int | None:
        return self.span.line if self.span else None

    @property
    def column(self) -> int | None:
        return self.span.column if self.span else None

    def __str__(self) -> str:
        where = f" (line {self.span.line}, column {self.span.column})" if self.span else ""
        parts = [f"{type(self).__name__}: {self.message}{where}"]
        if self.span:
            parts.append(self.span.excerpt())
        parts += [f"  {line}" for text in (self.detail, self.hint) if text for line in text.splitlines()]
        return "\n".join(parts)


class ParseError(MatcalcError):
    """The text is not a sentence of the language."""


class AmbiguityError(ParseError):
    """The text has two readings; the hint shows both."""


class ShapeError(MatcalcError):
    """Shapes do not fit; ``left`` and ``right`` are the two operands as (text, shape) pairs where there are two."""

    left: tuple[str, str] | None = None
    right: tuple[str, str] | None = None


class UnknownNameError(MatcalcError):
    """A name is unknown, absent, or used for two things."""


class DeclarationError(MatcalcError):
    """A declaration contradicts itself, another one, or the language."""


class NotScalarError(MatcalcError):
    """A gradient was asked of something that is not a scalar."""


class LimitError(MatcalcError):
    """The input is larger than a stated limit."""


class ArgumentError(MatcalcError):
    """A compiled function was called with missing, superfluous or misshapen arguments."""

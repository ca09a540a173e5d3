"""Text to expressions."""

from matcalc.syntax.elaborate import Program, parse

__all__ = ["Program", "parse"]

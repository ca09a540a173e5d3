"""Expressions as text, Unicode and LaTeX, with names for repeated parts, and derivations in words."""

"""Numerical verification: evaluation to any precision, random values, gradient tests, claimed derivatives."""

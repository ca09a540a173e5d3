"""Differentiation: linearise by the rule of each primitive, then transpose by the trace rules."""

"""How fast what matcalc generates is, beside hand-written NumPy and automatic differentiation."""

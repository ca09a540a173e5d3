"""matcalc: matrix calculus with closed forms, steps and verified callables."""

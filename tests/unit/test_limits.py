"""Work is bounded: what would take for ever is refused, with a way out, and what is only large is done."""

import pytest

import matcalc
from matcalc.errors import ArgumentError, LimitError
from matcalc.simplify import simplify


def test_a_power_written_out_is_differentiated() -> None:
    assert str(matcalc.gradient("tr(" + "A*" * 99 + "A)", "A")) == "100*A'^99"


def test_the_derivative_of_a_product_of_very_many_factors_is_refused() -> None:
    with pytest.raises(LimitError) as caught:
        matcalc.gradient("A" * 10_000, "A")
    assert "A^k" in caught.value.hint


def test_a_long_product_with_one_variable_is_differentiated() -> None:
    assert str(matcalc.gradient("c'*" + "A*" * 3000 + "x", "x")) == "A'^3000*c"


def test_a_divisor_that_is_zero_whatever_the_variables_are() -> None:
    with pytest.raises(ArgumentError, match="divides by zero"):
        matcalc.gradient("a/(b - b)", "a", "a, b in R").source()


def test_a_minus_goes_to_a_difference_however_deep_it_is() -> None:
    layers = "; ".join(f"g{k} = A*(d .* g{k - 1})" for k in range(1, 600))
    form = simplify(matcalc.parse(f"g0 = A*(d .* (x - b)); {layers}; -g599").expr)
    assert "(b - x)" in str(form)
    assert "-1" not in str(form)


def test_a_tower_of_squares_is_factored_at_once() -> None:
    program = "; ".join(["a0 = x + x.*x", *[f"a{i} = a{i - 1}.*a{i - 1}" for i in range(1, 60)], "sum(a59)"])
    n = 2**59
    assert str(matcalc.gradient(program, "x")) == f"{n}*(x.^{n - 1} .* (1 + 2*x) .* (1 + x).^{n - 1})"


def test_a_wide_sum_prints_and_its_derivation_is_refused() -> None:
    gradient = matcalc.gradient("+".join(f"tanh(x[{k}])" for k in range(1, 600)), "x", where="x in R^1000")
    assert gradient.text().count("e(") == 599
    with pytest.raises(LimitError, match="steps"):
        _ = gradient.steps


@pytest.mark.parametrize(
    ("term", "other", "declared"),
    [
        ("cos(a{i})^2 - sin(a{i})^2", "cos(2*a{i})", "R"),
        ("log(sigmoid(a{i})) - log(sigmoid(-a{i}))", "a{i}", "R"),
        ("exp(a{i}) + exp(-a{i})", "2*cosh(a{i})", "R^n"),
    ],
)
def test_a_rule_applies_everywhere_in_a_wide_sum(term: str, other: str, declared: str) -> None:
    where = f"{', '.join(f'a{i}' for i in range(200))} in {declared}"
    left, right = ("+".join(side.format(i=i) for i in range(200)) for side in (term, other))
    assert simplify(matcalc.parse(left, where).expr) is simplify(matcalc.parse(right, where).expr)


def test_a_rule_applies_everywhere_in_a_wide_elementwise_product() -> None:
    where = f"{', '.join(f'x{i}' for i in range(400))} in R^n"
    left, right = (
        " .* ".join(side.format(i=i) for i in range(400)) for side in ("sin(x{i}) ./ cos(x{i})", "tan(x{i})")
    )
    assert simplify(matcalc.parse(left, where).expr) is simplify(matcalc.parse(right, where).expr)


def test_a_rule_gives_up_where_too_many_terms_begin_it_in_vain() -> None:
    where = f"x in R^n; {', '.join(f'y{i}' for i in range(300))} in R^n"
    found = simplify(matcalc.parse("+".join(f"exp(x'*y{i})" for i in range(300)), where).expr)
    assert len(found.args) == 300

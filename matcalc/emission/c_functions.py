"""The static functions that C sources are given when they need them: each with those that it calls."""

from __future__ import annotations

from matcalc.emission import c_matrices

# name -> (what it needs, text)
HELPERS: dict[str, tuple[tuple[str, ...], str]] = dict(c_matrices.HELPERS)


def helper(name: str, text: str, *needs: str) -> None:
    HELPERS[name] = (needs, text.strip("\n"))


# Functions of a number

helper("relu", """
static double relu(double x) { return x > 0.0 || x != x ? x : 0.0; }
""")  # fmt: skip

helper("sign", """
static double sign(double x) { return x != x ? x : (double) ((x > 0.0) - (x < 0.0)); }
""")  # fmt: skip

helper("step", """
static double step(double x) { return x != x ? x : (double) (x > 0.0); }
""")  # fmt: skip

helper("sigmoid", """
static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
""")  # fmt: skip

helper("softplus", """
/* log(1 + exp(x)) without overflow */
static double softplus(double x) { return log1p(exp(-fabs(x))) + (x > 0.0 || x != x ? x : 0.0); }
""")  # fmt: skip

helper("silu", """
static double silu(double x) { return x / (1.0 + exp(-x)); }
""")  # fmt: skip

helper("gelu", """
static double gelu(double x) { return x * (0.5 * (1.0 + erf(x * 0.7071067811865476))); }
""")  # fmt: skip

helper("safe_reciprocal", """
/* 1/x, and 0 where x is 0: the subgradient of a norm at 0 */
static double safe_reciprocal(double x) { return x != 0.0 ? 1.0 / x : x; }
""")  # fmt: skip

# Along the entries of groups

helper("largest", """
/* the largest of entries that lie `stride` apart, or NaN */
static double largest(ptrdiff_t length, ptrdiff_t stride, const double *x)
{
    double top = -HUGE_VAL;
    for (ptrdiff_t k = 0; k < length; k++)
        if (x[k * stride] > top || x[k * stride] != x[k * stride]) top = x[k * stride];
    return top;
}
""")  # fmt: skip


def along(name: str, what: str, body: str) -> None:
    """A function of each group, whose largest entry is ``top``."""
    opening = f"static void {name}("
    helper(name, f"""
/* {what}; groups lie `step` apart, the entries of one `stride` apart */
{opening}ptrdiff_t groups, ptrdiff_t step, ptrdiff_t length, ptrdiff_t stride,
{" " * len(opening)}const double *x, double *out)
{{
    for (ptrdiff_t g = 0; g < groups; g++) {{
        const double top = largest(length, stride, x + g * step);
        {body.strip()}
    }}
}}
""", "largest")  # fmt: skip


along("maxima", "the largest entry of each group", "out[g] = top;")

along("argmax", "equal shares of 1 at the largest entries of each group, else 0", """
        double hits = 0.0;
        for (ptrdiff_t k = 0; k < length; k++) hits += x[g * step + k * stride] == top;
        for (ptrdiff_t k = 0; k < length; k++)
            out[g * step + k * stride] = (x[g * step + k * stride] == top) / hits;
""")  # fmt: skip

along("softmax", "exp(x)/sum(exp(x)) in each group", """
        double total = 0.0;
        for (ptrdiff_t k = 0; k < length; k++) {
            const double e = exp(x[g * step + k * stride] - top);
            out[g * step + k * stride] = e;
            total += e;
        }
        for (ptrdiff_t k = 0; k < length; k++) out[g * step + k * stride] /= total;
""")  # fmt: skip

along("logsumexp", "log(sum(exp(x))) of each group", """
        double total = 0.0;
        for (ptrdiff_t k = 0; k < length; k++) total += exp(x[g * step + k * stride] - top);
        out[g] = isfinite(top) ? log(total) + top : top;
""")  # fmt: skip

along("log_softmax", "x - log(sum(exp(x))) in each group", """
        double total = 0.0;
        for (ptrdiff_t k = 0; k < length; k++) total += exp(x[g * step + k * stride] - top);
        total = log(total);
        for (ptrdiff_t k = 0; k < length; k++)
            out[g * step + k * stride] = (x[g * step + k * stride] - top) - total;
""")  # fmt: skip

__all__ = ["HELPERS"]

"""Static functions of C sources that compute with matrices."""

from __future__ import annotations

HELPERS: dict[str, tuple[tuple[str, ...], str]] = {}


def helper(name: str, text: str, *needs: str) -> None:
    HELPERS[name] = (needs, text.strip("\n"))


helper("multiply", """
/* out = A B for A in R^{m x p}, B in R^{p x n} */
static void multiply(ptrdiff_t m, ptrdiff_t p, ptrdiff_t n, const double *a, const double *b, double *out)
{
    for (ptrdiff_t k = 0; k < m * n; k++) out[k] = 0.0;
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t k = 0; k < p; k++) {
            const double c = a[i * p + k];
            for (ptrdiff_t j = 0; j < n; j++) out[i * n + j] += c * b[k * n + j];
        }
}
""")  # fmt: skip

helper("lu_factor", """
/* Overwrites A in R^{n x n} by its factors L, U with rows exchanged (partial pivoting); rows[k] is the row exchanged
   with row k. Returns 1 where a pivot is zero. */
static int lu_factor(ptrdiff_t n, double *a, double *rows)
{
    int singular = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t best = k;
        for (ptrdiff_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
        rows[k] = (double) best;
        if (a[best * n + k] == 0.0) {
            singular = 1;
            continue;
        }
        if (best != k)
            for (ptrdiff_t j = 0; j < n; j++) {
                const double other = a[k * n + j];
                a[k * n + j] = a[best * n + j];
                a[best * n + j] = other;
            }
        for (ptrdiff_t i = k + 1; i < n; i++) {
            const double c = a[i * n + k] / a[k * n + k];
            a[i * n + k] = c;
            if (c != 0.0)
                for (ptrdiff_t j = k + 1; j < n; j++) a[i * n + j] -= c * a[k * n + j];
        }
    }
    return singular;
}
""")  # fmt: skip

helper("lu_solve", """
/* Overwrites B in R^{n x p} by A^-1 B, from the factors of A. */
static void lu_solve(ptrdiff_t n, ptrdiff_t p, const double *lu, const double *rows, double *b)
{
    for (ptrdiff_t k = 0; k < n; k++) {
        const ptrdiff_t other = (ptrdiff_t) rows[k];
        if (other != k)
            for (ptrdiff_t j = 0; j < p; j++) {
                const double e = b[k * p + j];
                b[k * p + j] = b[other * p + j];
                b[other * p + j] = e;
            }
    }
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < i; k++) {
            const double c = lu[i * n + k];
            for (ptrdiff_t j = 0; j < p; j++) b[i * p + j] -= c * b[k * p + j];
        }
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        for (ptrdiff_t k = i + 1; k < n; k++) {
            const double c = lu[i * n + k];
            for (ptrdiff_t j = 0; j < p; j++) b[i * p + j] -= c * b[k * p + j];
        }
        for (ptrdiff_t j = 0; j < p; j++) b[i * p + j] /= lu[i * n + i];
    }
}
""")  # fmt: skip

helper("identity", """
static void identity(ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++) out[i * n + j] = i == j ? 1.0 : 0.0;
}
""")  # fmt: skip

helper("determinant", """
/* the determinant from the factors */
static double determinant(ptrdiff_t n, const double *lu, const double *rows)
{
    double product = 1.0;
    for (ptrdiff_t k = 0; k < n; k++) product *= rows[k] == (double) k ? lu[k * n + k] : -lu[k * n + k];
    return product;
}
""")  # fmt: skip

helper("log_determinant", """
/* the logarithm of the absolute determinant from the factors */
static double log_determinant(ptrdiff_t n, const double *lu)
{
    double total = 0.0;
    for (ptrdiff_t k = 0; k < n; k++) total += log(fabs(lu[k * n + k]));
    return total;
}
""")  # fmt: skip

helper("cholesky", """
/* Overwrites the lower half of a symmetric A in R^{n x n} by L with A = L L'. Returns 1 where A is not positive
   definite. */
static int cholesky(ptrdiff_t n, double *a)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            double e = a[i * n + j];
            for (ptrdiff_t k = 0; k < j; k++) e -= a[i * n + k] * a[j * n + k];
            if (j < i) {
                a[i * n + j] = e / a[j * n + j];
            } else {
                if (!(e > 0.0)) return 1;
                a[i * n + i] = sqrt(e);
            }
        }
    return 0;
}
""")  # fmt: skip

helper("matrix_power", """
/* A^k for a whole k; `work` holds 3 n^2 + n numbers. Returns 1 where the inverse is needed and A is singular. */
static int matrix_power(ptrdiff_t n, const double *a, ptrdiff_t k, double *out, double *work)
{
    double *base = work, *next = work + n * n, *lu = work + 2 * n * n, *rows = work + 3 * n * n;
    if (k < 0) {
        for (ptrdiff_t e = 0; e < n * n; e++) lu[e] = a[e];
        if (lu_factor(n, lu, rows)) return 1;
        identity(n, base);
        lu_solve(n, n, lu, rows, base);
        k = -k;
    } else {
        for (ptrdiff_t e = 0; e < n * n; e++) base[e] = a[e];
    }
    identity(n, out);
    for (; k > 0; k /= 2) {
        if (k % 2 == 1) {
            multiply(n, n, n, out, base, next);
            for (ptrdiff_t e = 0; e < n * n; e++) out[e] = next[e];
        }
        multiply(n, n, n, base, base, next);
        for (ptrdiff_t e = 0; e < n * n; e++) base[e] = next[e];
    }
    return 0;
}
""", "multiply", "identity", "lu_factor", "lu_solve")  # fmt: skip

helper("expm", """
/* The matrix exponential: Pade approximant of order 13 with scaling and squaring (Higham 2008, 10.3); `work` holds
   7 n^2 + n numbers. */
static void expm(ptrdiff_t n, const double *x, double *out, double *work)
{
    static const double b[] = {64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
                               129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0,
                               40840800.0, 960960.0, 16380.0, 182.0, 1.0};
    const ptrdiff_t size = n * n;
    double *a = work, *a2 = a + size, *a4 = a2 + size, *a6 = a4 + size, *u = a6 + size, *v = u + size;
    double *t = v + size, *rows = t + size;
    double norm = 0.0, scale = 1.0;
    int squarings = 0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double column = 0.0;
        for (ptrdiff_t i = 0; i < n; i++) column += fabs(x[i * n + j]);
        if (column > norm) norm = column;
    }
    if (norm > 5.371920351148152 && isfinite(norm)) squarings = (int) ceil(log2(norm / 5.371920351148152));
    for (int k = 0; k < squarings; k++) scale *= 0.5;
    for (ptrdiff_t k = 0; k < size; k++) a[k] = x[k] * scale;
    multiply(n, n, n, a, a, a2);
    multiply(n, n, n, a2, a2, a4);
    multiply(n, n, n, a4, a2, a6);
    for (ptrdiff_t k = 0; k < size; k++) t[k] = b[13] * a6[k] + b[11] * a4[k] + b[9] * a2[k];
    multiply(n, n, n, a6, t, u);
    for (ptrdiff_t k = 0; k < size; k++)
        t[k] = u[k] + b[7] * a6[k] + b[5] * a4[k] + b[3] * a2[k] + (k % (n + 1) == 0 ? b[1] : 0.0);
    multiply(n, n, n, a, t, u);
    for (ptrdiff_t k = 0; k < size; k++) t[k] = b[12] * a6[k] + b[10] * a4[k] + b[8] * a2[k];
    multiply(n, n, n, a6, t, v);
    for (ptrdiff_t k = 0; k < size; k++)
        v[k] += b[6] * a6[k] + b[4] * a4[k] + b[2] * a2[k] + (k % (n + 1) == 0 ? b[0] : 0.0);
    for (ptrdiff_t k = 0; k < size; k++) {
        a[k] = v[k] - u[k];
        out[k] = v[k] + u[k];
    }
    lu_factor(n, a, rows);
    lu_solve(n, n, a, rows, out);
    for (int s = 0; s < squarings; s++) {
        multiply(n, n, n, out, out, t);
        for (ptrdiff_t k = 0; k < size; k++) out[k] = t[k];
    }
}
""", "multiply", "lu_factor", "lu_solve")  # fmt: skip

helper("expm_frechet", """
/* The derivative of the matrix exponential at A along E, a block of a larger exponential; `work` holds
   36 n^2 + 2 n numbers. */
static void expm_frechet(ptrdiff_t n, const double *a, const double *e, double *out, double *work)
{
    double *blocks = work, *found = work + 4 * n * n, *rest = found + 4 * n * n;
    double norm = 1.0, length = 0.0;
    for (ptrdiff_t j = 0; j < n; j++) {
        double first = 0.0, second = 0.0;
        for (ptrdiff_t i = 0; i < n; i++) {
            first += fabs(a[i * n + j]);
            second += fabs(e[i * n + j]);
        }
        if (first > norm) norm = first;
        if (second > length) length = second;
    }
    if (length == 0.0) {
        for (ptrdiff_t k = 0; k < n * n; k++) out[k] = e[k];
        return;
    }
    const double scale = norm / length; /* linear in E, which must not decide on the scaling */
    for (ptrdiff_t k = 0; k < 4 * n * n; k++) blocks[k] = 0.0;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            blocks[i * 2 * n + j] = blocks[(n + i) * 2 * n + n + j] = a[i * n + j];
            blocks[i * 2 * n + n + j] = scale * e[i * n + j];
        }
    expm(2 * n, blocks, found, rest);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++) out[i * n + j] = found[i * 2 * n + n + j] / scale;
}
""", "expm")  # fmt: skip

helper("singular_values", """
/* A = U diag(s) V' for A in R^{m x n}, m >= n, by rotations of columns (one-sided Jacobi): overwrites A by U, and gives
   s and V in R^{n x n}. Columns of U that belong to singular values of zero are completed. */
static void singular_values(ptrdiff_t m, ptrdiff_t n, double *a, double *s, double *v)
{
    identity(n, v);
    for (int sweep = 0; sweep < 60; sweep++) {
        int rotated = 0;
        for (ptrdiff_t p = 0; p < n; p++)
            for (ptrdiff_t q = p + 1; q < n; q++) {
                double alpha = 0.0, beta = 0.0, gamma = 0.0;
                for (ptrdiff_t i = 0; i < m; i++) {
                    alpha += a[i * n + p] * a[i * n + p];
                    beta += a[i * n + q] * a[i * n + q];
                    gamma += a[i * n + p] * a[i * n + q];
                }
                if (!(fabs(gamma) > 1e-16 * sqrt(alpha) * sqrt(beta)) || gamma == 0.0) continue;
                rotated = 1;
                const double zeta = (beta - alpha) / (2.0 * gamma);
                const double t = (zeta >= 0.0 ? 1.0 : -1.0) / (fabs(zeta) + hypot(1.0, zeta));
                const double c = 1.0 / sqrt(1.0 + t * t), d = c * t;
                for (ptrdiff_t i = 0; i < m; i++) {
                    const double x = a[i * n + p], y = a[i * n + q];
                    a[i * n + p] = c * x - d * y;
                    a[i * n + q] = d * x + c * y;
                }
                for (ptrdiff_t i = 0; i < n; i++) {
                    const double x = v[i * n + p], y = v[i * n + q];
                    v[i * n + p] = c * x - d * y;
                    v[i * n + q] = d * x + c * y;
                }
            }
        if (!rotated) break;
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        double norm = 0.0;
        for (ptrdiff_t i = 0; i < m; i++) norm = hypot(norm, a[i * n + j]);
        s[j] = norm;
        if (norm > 0.0)
            for (ptrdiff_t i = 0; i < m; i++) a[i * n + j] /= norm;
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        if (s[j] != 0.0) continue;
        double best = 0.0;
        for (ptrdiff_t axis = 0; axis < m && best < 0.5; axis++) {
            /* the unit vector less its part along the other columns, twice; kept where enough of it is left */
            double norm = 0.0, before = best;
            for (ptrdiff_t i = 0; i < m; i++) a[i * n + j] = i == axis ? 1.0 : 0.0;
            for (int again = 0; again < 2; again++)
                for (ptrdiff_t k = 0; k < n; k++) {
                    double along = 0.0;
                    if (k == j || (s[k] == 0.0 && k > j)) continue;
                    for (ptrdiff_t i = 0; i < m; i++) along += a[i * n + j] * a[i * n + k];
                    for (ptrdiff_t i = 0; i < m; i++) a[i * n + j] -= along * a[i * n + k];
                }
            for (ptrdiff_t i = 0; i < m; i++) norm = hypot(norm, a[i * n + j]);
            if (norm * norm * (double) m >= 0.5 && norm > before) best = 1.0;
            if (norm > 0.0)
                for (ptrdiff_t i = 0; i < m; i++) a[i * n + j] /= norm;
        }
    }
}
""", "identity")  # fmt: skip

helper("adjugate", """
/* The transpose of the matrix of cofactors, by singular values, so that singular matrices have theirs; `work` holds
   3 n^2 + 3 n numbers. */
static void adjugate(ptrdiff_t n, const double *x, double *out, double *work)
{
    double *u = work, *v = u + n * n, *lu = v + n * n, *s = lu + n * n, *rows = s + n, *others = rows + n;
    double sign;
    for (ptrdiff_t k = 0; k < n * n; k++) u[k] = x[k];
    singular_values(n, n, u, s, v);
    for (ptrdiff_t k = 0; k < n * n; k++) lu[k] = u[k];
    lu_factor(n, lu, rows);
    sign = determinant(n, lu, rows) > 0.0 ? 1.0 : -1.0;
    for (ptrdiff_t k = 0; k < n * n; k++) lu[k] = v[k];
    lu_factor(n, lu, rows);
    sign *= determinant(n, lu, rows) > 0.0 ? 1.0 : -1.0;
    for (ptrdiff_t k = 0; k < n; k++) {
        others[k] = sign;
        for (ptrdiff_t j = 0; j < n; j++)
            if (j != k) others[k] *= s[j];
    }
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double e = 0.0;
            for (ptrdiff_t k = 0; k < n; k++) e += v[i * n + k] * others[k] * u[j * n + k];
            out[i * n + j] = e;
        }
}
""", "singular_values", "lu_factor", "determinant")  # fmt: skip

helper("pseudo_inverse", """
/* The pseudo-inverse in R^{n x m} of A in R^{m x n}; `work` holds m n + r^2 + r numbers, r = min(m, n). */
static void pseudo_inverse(ptrdiff_t m, ptrdiff_t n, const double *x, double *out, double *work)
{
    const int turned = m < n;
    const ptrdiff_t rows = turned ? n : m, cols = turned ? m : n;
    double *u = work, *v = u + m * n, *s = v + cols * cols;
    double top = 0.0;
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) u[turned ? j * m + i : i * n + j] = x[i * n + j];
    singular_values(rows, cols, u, s, v);
    for (ptrdiff_t k = 0; k < cols; k++)
        if (s[k] > top) top = s[k];
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < m; j++) {
            double e = 0.0;
            for (ptrdiff_t k = 0; k < cols; k++)
                if (s[k] > 2.220446049250313e-16 * (double) rows * top)
                    e += (turned ? u[i * cols + k] * v[j * cols + k] : v[i * cols + k] * u[j * cols + k]) / s[k];
            out[i * m + j] = e;
        }
}
""", "singular_values")  # fmt: skip

# Convolutions

helper("correlate", """
/* out in R^{m x n}: the sums over the windows of an image, which begin at (i - top, j - left); zero outside it.
   The kernel in R^{p x q} is taken from its end where `flipped`. */
static void correlate(ptrdiff_t p, ptrdiff_t q, const double *kernel, int flipped, ptrdiff_t rows, ptrdiff_t cols,
                      const double *image, ptrdiff_t top, ptrdiff_t left, ptrdiff_t m, ptrdiff_t n, double *out)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double e = 0.0;
            for (ptrdiff_t k = 0; k < p; k++)
                for (ptrdiff_t l = 0; l < q; l++) {
                    const ptrdiff_t row = i - top + k, col = j - left + l;
                    if (row >= 0 && row < rows && col >= 0 && col < cols)
                        e += kernel[flipped ? (p - 1 - k) * q + q - 1 - l : k * q + l] * image[row * cols + col];
                }
            out[i * n + j] = e;
        }
}
""")  # fmt: skip

__all__ = ["HELPERS"]

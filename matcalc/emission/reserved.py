"""Words that sources in other languages cannot use as names: keywords, and functions that they call."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# the last ones are names that every C source has
C = _words("""
auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
_Bool _Complex _Imaginary asm main NULL NAN INFINITY HUGE_VAL I acos acosh asin asinh atan atan2 atanh cbrt ceil
copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax fmin fmod frexp hypot ilogb isfinite isinf
isnan isnormal signbit ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround modf nan nearbyint
pow remainder rint round scalbn sin sinh sqrt tan tanh tgamma trunc abs div labs malloc calloc free realloc
abort exit atexit getenv system rand srand qsort bsearch size_t ptrdiff_t wchar_t offsetof j0 j1 jn y0 y1 yn
gamma signgam status work done
""")

# keywords; Base and LinearAlgebra
JULIA = _words("""
baremodule begin break catch const continue do else elseif end export false finally for function global if
import let local macro module quote return struct true try using while abstract mutable primitive type where
in isa abs acos asin atan cat cholesky collect copy copysign cos cosh count det diag Diagonal div dot dropdims
eachindex evalpoly exp expm1 fill float hcat I ifelse Inf Int inv isfinite isnan kron length log log1p
logabsdet logdet Matrix max maximum min NaN norm ntuple only ones opnorm permutedims pi pinv prod repeat
reshape reverse selectdim sign sin sinh size sqrt sum svd Symmetric tan tanh throw tr vcat vec zero zeros
DimensionMismatch DomainError
""")

# keywords of MATLAB and Octave; functions
MATLAB = _words("""
break case catch classdef continue else elseif end endfunction endif endfor endwhile for function global if
otherwise parfor persistent return spmd switch try until while do unwind_protect abs acos asin atan cat chol
conv2 cos cosh det diag double erf error exp expm expm1 eye floor full inv isequal isfinite isscalar kron log
log1p lu max nargin norm numel ones permute pi pinv prod repmat reshape rot90 sign sin sinh size sqrt strcmp
sum svd tan tanh trace zeros assert NaN Inf nan inf varargin ans
""")

__all__ = ["JULIA", "MATLAB", "C"]

"""Special functions inside kernels: SciPy's own Cython functions, bound by name so that the disk cache survives."""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
from numba import types
from numba.extending import get_cython_function_address
from scipy.special import cython_special

from lmd_trialsim.kernel.jit import kernel

_MODULE = "scipy.special.cython_special"


def _bind(name: str, arguments: int) -> Any:
    """Return the all-double variant of a cython_special function, whatever its fuse index (it differs by function)."""
    wanted = "double (" + ", ".join(["double"] * arguments) + ", int __pyx_skip_dispatch)"
    for key in (name, *(f"__pyx_fuse_{i}{name}" for i in range(4))):
        capsule = cython_special.__pyx_capi__.get(key)
        if capsule is not None and str(capsule).split('"')[1] == wanted:
            symbol = f"lmd_trialsim_{name}"
            llvmlite.binding.add_symbol(symbol, get_cython_function_address(_MODULE, key))
            return types.ExternalFunction(symbol, types.float64(*([types.float64] * arguments), types.int32))
    raise LookupError(f"scipy.special.cython_special has no all-double {name}")


_betainc = _bind("betainc", 3)
_betaincinv = _bind("betaincinv", 3)
_gammainc = _bind("gammainc", 2)
_gammaincinv = _bind("gammaincinv", 2)
_psi = _bind("psi", 1)
_ndtri = _bind("ndtri", 1)
_stdtr = _bind("stdtr", 2)


@kernel
def beta_cdf(a, b, x):
    """Return P(X <= x) for X ~ Beta(a, b)."""
    return _betainc(a, b, x, 0)


@kernel
def beta_quantile(a, b, p):
    """Return x with P(X <= x) = p for X ~ Beta(a, b)."""
    return _betaincinv(a, b, p, 0)


@kernel
def gamma_cdf(shape, x):
    """Return P(X <= x) for X ~ Gamma(shape, rate 1)."""
    return _gammainc(shape, x, 0)


@kernel
def gamma_quantile(shape, p):
    """Return x with P(X <= x) = p for X ~ Gamma(shape, rate 1)."""
    return _gammaincinv(shape, p, 0)


@kernel
def normal_quantile(p):
    """Return z with P(Z <= z) = p for a standard normal Z."""
    return _ndtri(p, 0)


@kernel
def student_cdf(freedom, t):
    """Return P(T <= t) for Student's t with so many degrees of freedom."""
    return _stdtr(freedom, t, 0)


@kernel
def digamma(x):
    """Return the derivative of the log gamma function."""
    return _psi(x, 0)


@kernel
def trigamma(x):
    """Return the second derivative of the log gamma function (Abramowitz and Stegun 1964, 6.4.6 and 6.4.12)."""
    total = 0.0
    while x < 12.0:
        total += 1.0 / (x * x)
        x += 1.0
    y = 1.0 / (x * x)
    series = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * 5.0 / 66.0))))
    return total + (1.0 + 0.5 / x + series) / x


@kernel
def normal_cdf(z):
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))

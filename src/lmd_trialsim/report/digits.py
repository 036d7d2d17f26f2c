"""How a number is written: as many digits as its Monte Carlo error warrants."""

from __future__ import annotations

import math

from lmd_trialsim.characteristics import Characteristic

MOST_OF_PROPORTIONS, MOST = 4, 6  # decimals
ROUNDING = 1e-12  # a smaller proportion is none
NOT_PROPORTIONS = ("quadrature_error", "expected_", "effective_", "mean_estimate", "bias", "root_mean_square_error")


def is_proportion(name: str) -> bool:
    """Return whether a characteristic of this name is a proportion of trials."""
    return not name.startswith(NOT_PROPORTIONS) and "_quantile_" not in name


def decimals(error: float, most: int) -> int:
    """Return how many decimals show two significant digits of the error."""
    if error <= 0.0:
        return most
    rounded = float(f"{error:.1e}")  # 0.0996 has the digits of 0.10
    return min(max(1 - math.floor(math.log10(rounded)), 0), most)


def number(value: float, places: int) -> str:
    """Return the number with so many decimals, and no minus before a zero."""
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def with_error(one: Characteristic) -> str:
    """Return `0.8130 ± 0.0012`; of a proportion without a hit or a miss, its limit; empty where there is no number."""
    value, error = one.estimate, one.mcse
    if math.isnan(value):
        return ""
    proportion = is_proportion(one.name)
    if not error > 0.0:
        if proportion and value <= 0.0 < one.high:
            return f"0 (below {one.high:.2g})"
        if proportion and value >= 1.0 > one.low:
            return f"1 (above {number(one.low, decimals(1.0 - one.low, 9))})"
        return alone(one)
    places = decimals(error, MOST_OF_PROPORTIONS if proportion else MOST)
    shown = number(error, places)
    if float(shown) == 0.0:
        if proportion and value < 0.00095:
            return f"{value:.1e} ± {error:.1e}"
        return f"{number(value, places)} ± <{10.0**-places:.{places}f}"
    return f"{number(value, places)} ± {shown}"


def alone(one: Characteristic) -> str:
    """Return a number that has no Monte Carlo error; empty where there is none."""
    if math.isnan(one.estimate):
        return ""
    if not is_proportion(one.name):
        return f"{one.estimate:.6g}"
    if ROUNDING < one.estimate < 0.00095:
        return f"{one.estimate:.1e}"
    return number(one.estimate, MOST_OF_PROPORTIONS)

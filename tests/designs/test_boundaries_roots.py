"""The root finder of the boundaries against scipy's, on curves of each kind that they ask it about."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from lmd_trialsim.designs.boundaries import root

CURVES = {
    "straight": (lambda x: x - 1.25, -3.0, 8.0),
    "probability": (lambda x: ndtr(x) - 0.975, -8.0, 8.0),
    "logarithm of a tail": (lambda x: np.log(max(ndtr(-x), 1e-300)) - np.log(1e-9), -32.0, 32.0),
    "curved to one side": (lambda x: np.expm1(x) - 1e-3, -1.0, 40.0),
    "falling": (lambda x: 0.025 - ndtr(x), -8.0, 8.0),
    "flat about the root": (lambda x: (x - 0.5) ** 3, -4.0, 2.0),
}


@pytest.mark.parametrize("name", CURVES)
def test_root_is_that_of_scipy(name: str) -> None:
    curve, least, most = CURVES[name]
    expected = brentq(curve, least, most, xtol=1e-14, rtol=1e-15, maxiter=1000)
    # A root of third order is known to the cube root of the rounding of the function only.
    tolerance = 1e-4 if name == "flat about the root" else 1e-12
    assert root(curve, least, most) == pytest.approx(expected, abs=tolerance)


def test_root_outside_of_the_bracket_is_refused() -> None:
    with pytest.raises(ValueError, match="no root between"):
        root(lambda x: x - 1.0, 2.0, 3.0)

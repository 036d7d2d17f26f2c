"""Digits follow the Monte Carlo error."""

import math

import pytest

from lmd_trialsim.characteristics import Characteristic, proportion
from lmd_trialsim.report.digits import alone, with_error


@pytest.mark.parametrize(
    ("name", "estimate", "mcse", "text"),
    [
        ("power", 0.81299, 0.00123, "0.8130 ± 0.0012"),
        ("power", 0.812345, 0.0123, "0.812 ± 0.012"),
        ("power", 0.812345, 0.00996, "0.812 ± 0.010"),
        ("power", 0.5, 0.00005, "0.5000 ± 0.0001"),
        ("power", 0.5, 0.000002, "0.5000 ± <0.0001"),
        ("type_i_error", 0.00001, 0.000003, "1.0e-05 ± 3.0e-06"),
        ("expected_patients", 45.1234, 0.0456, "45.123 ± 0.046"),
        ("expected_patients", 451.2, 12.3, "451 ± 12"),
        ("expected_patients", 63.0, 0.0, "63"),
        ("patients_quantile_50", 38.0, 0.0, "38"),
        ("months_quantile_90", 38.02, 0.5, "38.02 ± 0.50"),
        ("bias", -0.0000012, 0.0000347, "-0.000001 ± 0.000035"),
        ("bias", -0.0004, 0.12, "0.00 ± 0.12"),
        ("coverage", math.nan, math.nan, ""),
    ],
)
def test_a_number_and_its_error(name: str, estimate: float, mcse: float, text: str) -> None:
    assert with_error(Characteristic(name, None, estimate, mcse, estimate - mcse, estimate + mcse)) == text


def test_none_and_all_have_a_limit() -> None:
    assert with_error(proportion("power", 0, 1000)) == "0 (below 0.0037)"
    assert with_error(proportion("power", 1000, 1000)) == "1 (above 0.9963)"


def test_exact_numbers_stand_alone() -> None:
    assert alone(Characteristic("power", None, 0.81304, 0.0, 0.81304, 0.81304)) == "0.8130"
    assert alone(Characteristic("type_i_error", None, 0.0000123, 0.0, 0.0, 0.0)) == "1.2e-05"
    assert alone(Characteristic("not_estimable", None, 2.2e-16, 0.0, 0.0, 0.0)) == "0.0000"
    assert alone(Characteristic("expected_patients", None, 17.23456789, 0.0, 17.0, 17.0)) == "17.2346"

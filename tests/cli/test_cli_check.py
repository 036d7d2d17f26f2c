"""`check`: the calibration that needs no PyMC, what is refused, and how the comparison is printed."""

import csv
import io
import json
import sys

import numpy as np
import pytest
from calling import BINARY, EVENTS, at_terminal, call, lines_of, refusal
from rich.console import Console

from lmd_trialsim.posterior_checks import checking
from lmd_trialsim.report import page
from lmd_trialsim.second_opinion import sampling
from lmd_trialsim.second_opinion.sampling import Fit, Gates

CALIBRATION = ("check", BINARY, "--design", "posterior", "--calibration", "--ranks", "2000")


def test_without_pymc_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)  # as if it were not there
    (line,) = refusal("check", BINARY)
    assert line == "check needs PyMC and nutpie: pip install 'lmd-trialsim[check]'"


def test_calibration_is_told_and_written(tmp_path):
    folder = tmp_path / "out"
    told = call(*CALIBRATION, "--seed", 3, "--out", folder).stdout
    assert "calibrated" in told
    assert "2,000 ranks" in told
    document = json.loads((folder / "check.json").read_text())
    assert document["agrees"]
    assert document["seed"] == 3
    (row,) = list(csv.DictReader((folder / "check.csv").open()))
    assert (row["design"], row["number"], row["verdict"]) == ("posterior", "rate", "calibrated")
    assert float(row["chi_square_p"]) == document["numbers"][0]["chi_square_p"]
    assert json.loads(call(*CALIBRATION, "--seed", 3, "--format", "json").stdout) == document


def test_what_has_no_posterior_is_named():
    told = call("check", BINARY, "--calibration", "--ranks", "1000").stdout
    assert "randomised: no calibration of difference_of_proportions" in told
    (line,) = refusal("check", EVENTS, "--design", "group_sequential", "--calibration")
    assert line == "group_sequential: no calibration of log_rank, so there is nothing to rank."


def test_numbers_are_refused_in_one_line():
    for wrong, what in (("999", "between 1,000"), ("many", "no whole number")):
        (line,) = refusal("check", BINARY, "--calibration", "--ranks", wrong)
        assert what in line
    (line,) = refusal("check", BINARY, "--design", "posterio")
    assert "Did you mean posterior?" in line


def test_the_table_fits_80_columns():
    assert all(len(line) <= 80 for line in lines_of(at_terminal(*CALIBRATION)))


class Exact:
    """A sampler of the beta posterior of the one arm of BINARY's design; its gates and its prior may be made wrong."""

    gates = Gates(1.0, 4000.0, 4000.0, 0)
    more = 0

    def __init__(self, twin, cores):
        assert twin.name == "beta_binomial"
        assert cores >= 1

    def fit(self, data, seed):
        x, n = data["responses"][0] + self.more, data["patients"][0] + self.more
        draws = np.random.default_rng(seed).beta(0.4 + x, 1.6 + n - x, (4, 1000))
        return Fit({"rate_0": draws}, self.gates)


@pytest.fixture
def exact(monkeypatch):
    """Put the sampler that is exact in the place of PyMC."""
    monkeypatch.setattr(sampling, "versions", lambda: {"pymc": "none", "nutpie": "none"})
    monkeypatch.setattr(checking, "Sampler", Exact)
    return monkeypatch


CHECK = ("check", BINARY, "--design", "posterior", "--design", "simon", "--data-sets", "6", "--seed", "5")


def test_a_check_that_agrees(exact, tmp_path):
    told = call(*CHECK, "--out", tmp_path).stdout
    assert "P(rate > 0.2)" in told
    assert "6 data sets at looks, 6 hard ones; 12 of 12 fits trusted" in told
    assert "0 of 6 decisions would have been otherwise" in told
    assert "simon: exact_binomial has no posterior" in told
    rows = list(csv.DictReader((tmp_path / "check.csv").open()))
    assert {row["verdict"] for row in rows} == {"agrees"}
    assert {row["number"] for row in rows} == {"P(rate > 0.2)", "rate, mean", "rate, 2.5%", "rate, 97.5%"}
    document = json.loads((tmp_path / "check.json").read_text())
    assert [number["verdict"] for number in document["designs"][0]["numbers"]] == ["agrees"] * 4
    assert len(document["designs"][0]["compared"]) == len(rows)


def test_a_check_that_does_not(exact):
    exact.setattr(Exact, "more", 6)
    assert "differs" in call(*CHECK, status=1).stdout


def test_a_fit_that_fails_is_never_silent(exact):
    exact.setattr(Exact, "gates", Gates(1.08, 4000.0, 4000.0, 3))
    told = call(*CHECK, status=1).stdout
    assert "0 of 12 fits trusted" in told
    assert "not trusted: R-hat 1.08, 3 divergences" in told


def test_nothing_to_compare_is_refused(exact):
    (line,) = refusal("check", BINARY, "--design", "simon")
    assert line == "simon: exact_binomial has no posterior, so there is nothing to compare."


def test_the_comparison_fits_80_columns(exact):
    exact.setattr(page, "console", lambda: Console(width=80, file=io.StringIO(), color_system=None))
    told = call(*CHECK).stdout
    assert all(len(line) <= 80 for line in told.splitlines())
    assert any(line.startswith("P(rate > 0.2) ") and line.endswith("agrees") for line in told.splitlines())

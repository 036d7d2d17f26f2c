"""Scenarios of platform designs for the tests, and what is told of the trials they play."""

import math

import numpy as np

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

SIGMAS = 5.0


def scenario_of(endpoint, courses, designs, *, per_month=20, equally_spaced=False, **truth):
    """Return the scenario of designs with one endpoint and one truth; courses by arm, the control's first."""
    accrual = {"patients_per_month": per_month}
    if equally_spaced:
        accrual["arrivals"] = "equally_spaced"
    control = next(iter(courses))
    document = {
        "schema": 1,
        "title": "platform",
        "population": {"accrual": accrual},
        "endpoints": {"outcome": endpoint},
        "arms": {arm: {"control": True} if arm == control else {} for arm in courses},
        "truths": {"true": {"outcome": courses, **truth}},
        "designs": {name: {"kind": "platform", "endpoint": "outcome", **one} for name, one in designs.items()},
    }
    return Scenario.of(Document(document, "platform"))


def rows_of(scenario, replicates, seed, designs=None):
    """Return the rows of a run by design."""
    return {row.design: row for row in run(scenario, replicates=replicates, seed=seed, designs=designs).rows}


def assert_meets(row, name, theirs, their_error, cell=None):
    """Assert that an estimate agrees with another one within five joint standard errors."""
    ours = row.get(name, cell)
    z = (ours.estimate - theirs) / math.hypot(ours.mcse, their_error)
    told = f"{name} {cell or ''}: ours {ours.estimate:.5f}, theirs {theirs:.5f}: {z:+.1f} joint standard errors"
    assert abs(z) < SIGMAS, told


def assert_alike(name, ours, theirs, error):
    """Assert that two numbers agree within five joint standard errors."""
    assert abs(ours - theirs) < SIGMAS * error, f"{name}: {ours:.5f} and {theirs:.5f}, {error:.5f} the joint error"


def proportion_error(p, trials):
    return math.sqrt(p * (1 - p) / trials)


def played(scenario, design, replicates, seed):
    """Return (integers of the trial, integers by arm, numbers by arm), a row a replicate."""
    outcomes = play(job_of(scenario, design, "true", replicates), seed, 0, replicates)
    arms = (outcomes.integers.shape[1] - column.HEAD) // column.OF_ARM
    by_arm = outcomes.integers[:, column.HEAD :].reshape(replicates, arms, column.OF_ARM)
    reals = outcomes.numbers[:, 1:].reshape(replicates, arms, column.NUMBERS_OF_ARM)
    return outcomes.integers[:, : column.HEAD], by_arm, reals


def mean_and_error(values):
    """Return the mean of the values, and its standard error."""
    values = np.asarray(values, float)
    return values.mean(), values.std(ddof=1) / math.sqrt(len(values))

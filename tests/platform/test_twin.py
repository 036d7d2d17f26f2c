"""The platform loop against its plain-Python twin on the same addresses: equal trial by trial, in every column."""

import numpy as np
import pytest
import yaml
from naive_platform import NaivePlatform

from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of

SCENARIO = yaml.safe_load("""
schema: 1
title: twins
population: {accrual: {patients_per_month: 4}, strata: {a: 0.5, b: 0.3, c: 0.2}}
endpoints: {response: {kind: binary, assessed_after_months: 1.3}}
arms: {control: {control: true}, first: {}, second: {}, third: {}}
truths:
  real:
    response:
      control: {by_stratum: {a: {rate: 0.2}, b: {rate: 0.3}, c: {rate: 0.4}}}
      first: {difference: 0.25}
      second: {by_stratum: {a: {rate: 0.4}, b: {rate: 0.1}, c: {same_as: control}}}
      third: {odds_ratio: 4}
designs: {}
""")


def merged(base, changes):
    """Mappings merged key by key, to the second level."""
    return {
        key: {**base[key], **value} if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in {**base, **changes}.items()
    }


def scenario_of(design, world):
    """The scenario with what a case changes of the world, and its design."""
    world = world or {}
    found = merged(SCENARIO, {key: value for key, value in world.items() if key in ("population",)})
    endpoint = {**SCENARIO["endpoints"]["response"], **world.get("endpoint", {})}
    truth = merged(SCENARIO["truths"]["real"], world.get("truth", {}))
    arms = world.get("arms", SCENARIO["arms"])
    return found | {
        "endpoints": {"response": endpoint},
        "arms": arms,
        "truths": {"real": truth},
        "designs": {"platform": design},
    }


def rows_of(outcomes, row, arms):
    """A row in words: of the trial, integers by arm, numbers by arm."""
    integers, numbers = outcomes.integers[row], outcomes.numbers[row]
    of_trial = {
        "enrolled": integers[column.ENROLLED],
        "succeeded": integers[column.SUCCEEDED],
        "closed": integers[column.CLOSED_EARLY],
        "selected": integers[column.SELECTED],
        "alike": integers[column.ALIKE],
        "arrived": integers[column.ARRIVED],
        "months": numbers[column.MONTHS],
    }
    of_arm = integers[column.HEAD :].reshape(arms, column.OF_ARM)
    reals = numbers[1:].reshape(arms, column.NUMBERS_OF_ARM)
    return of_trial, of_arm, reals


def rows_of_twin(twin):
    arms = twin.arms
    of_trial = {
        "enrolled": twin.taken,
        "succeeded": int(any(arm.verdict == 1 for arm in arms)),
        "closed": int(twin.closed_early),
        "selected": twin.selected,
        "alike": int(twin.alike),
        "arrived": twin.arrived,
        "months": twin.months,
    }
    of_arm = {
        "VERDICT": [arm.verdict or 0 for arm in arms],
        "LOOK": [arm.look for arm in arms],
        "PATIENTS": [arm.taken for arm in arms],
        "EVALUABLE": [arm.evaluable for arm in arms],
        "CONTROLS": [arm.controls for arm in arms],
        "COUNTED": [arm.counted for arm in arms],
        "COVERED": [arm.covered for arm in arms],
        "ENTERED": [int(arm.has_entered) for arm in arms],
    }
    reals = {
        "ESTIMATE": [arm.estimate for arm in arms],
        "QUEUED": [arm.entered - arm.ready for arm in arms],
        "DECIDED": [arm.decided for arm in arms],
    }
    return of_trial, of_arm, reals


def differences(outcomes, replicate, twin):
    """What the kernels and the twin say differently of a trial."""
    expected = rows_of_twin(twin)
    found = rows_of(outcomes, replicate, len(twin.arms))
    first = 0 if twin.control is None else 1  # of the control only its patients are told
    wrong = []
    for name, value in expected[0].items():
        if not np.allclose(found[0][name], value, rtol=1e-9, atol=1e-9):
            wrong.append((name, found[0][name], value))
    for name, values in expected[1].items():
        start = 0 if name == "PATIENTS" else first
        kernel = found[1][start:, getattr(column, name)].tolist()
        if kernel != values[start:]:
            wrong.append((name, kernel, values[start:]))
    for name, values in expected[2].items():
        kernel = found[2][first:, getattr(column, name)]
        if not np.allclose(kernel, values[first:], rtol=0, atol=1e-7, equal_nan=True):
            wrong.append((name, kernel.tolist(), values[first:]))
    return wrong


def compare(design, world=None, replicates=25, seed=None):
    """Return [(replicate, [(column, kernel, twin), ...]), ...], and the trials of the twin."""
    seed = int(np.random.default_rng().integers(2**40)) if seed is None else seed
    scenario = Scenario.of(Document(scenario_of(design, world), "twins"))
    outcomes = play(job_of(scenario, "platform", "real", replicates), seed, 0, replicates)
    found, twins = [], []
    for replicate in range(replicates):
        twin = NaivePlatform(scenario, design, "real", seed, replicate).play()
        twins.append(twin)
        if wrong := differences(outcomes, replicate, twin):
            found.append((replicate, wrong))
    return seed, found, twins


BASE = """
kind: platform
endpoint: response
max_patients: 60
looks: {evaluable: [20, 32, 44]}
analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}, priors: {control: {alpha: 1, beta: 3}}}
rules:
  - {stop_for: futility, at: interim, when: {probability_that: difference, above: 0.1, is_below: 0.25}}
  - {stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: 0.9}}
"""

CASES = {"blocks": "{}"}


def design_of(changes):
    """The base with the keys of the changes instead; a key of `~` is taken away."""
    found = {**yaml.safe_load(BASE), **yaml.safe_load(changes)}
    return {key: value for key, value in found.items() if value is not None}


@pytest.mark.parametrize("name", CASES)
def test_the_kernels_play_as_the_twin_does(name):
    case = CASES[name]
    changes, world = (case, None) if isinstance(case, str) else (case[0], yaml.safe_load(case[1]))
    seed, wrong, _ = compare(design_of(changes), world)
    assert not wrong, f"{seed=}: {wrong[:3]}"

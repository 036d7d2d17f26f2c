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
        "alike": integers[column.ENDED_AS] == column.AS_ALIKE,
        "arrived": integers[column.ARRIVED],
        "months": numbers[column.MONTHS],
    }
    of_arm = integers[column.HEAD : column.HEAD + arms * column.OF_ARM].reshape(arms, column.OF_ARM)
    reals = numbers[1:].reshape(arms, column.NUMBERS_OF_ARM)
    return of_trial, of_arm, reals


def rows_of_twin(twin):
    arms = twin.arms
    of_trial = {
        "enrolled": twin.taken,
        "succeeded": sum(arm.verdict == 1 for arm in arms),
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


def strata_of_twin(twin):
    """The columns of strata of arms, of what the twin played; arms under trial only."""
    strata, arms = list(twin.shares_of_strata), [arm for arm in twin.arms if not arm.is_control]
    return {
        "CLOSED_BY": [[arm.closings.get(s, (0, -1))[0] for s in strata] for arm in arms],
        "CLOSED_AT": [[arm.closings.get(s, (0, -1))[1] for s in strata] for arm in arms],
        "TAKEN": [[sum(person.stratum == s for person in arm.people) for s in strata] for arm in arms],
        "LEFT": [[int(s in twin.strata_left(arm)) for s in strata] for arm in arms],
    }


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
    of_strata = outcomes.integers[replicate, column.HEAD + len(twin.arms) * column.OF_ARM :]
    if of_strata.size:
        rows = of_strata.reshape(len(twin.arms), -1, column.OF_STRATUM)[first:]
        for name, values in strata_of_twin(twin).items():
            if rows[:, :, getattr(column, name)].tolist() != values:
                wrong.append((name, rows[:, :, getattr(column, name)].tolist(), values))
    return wrong


def compare(design, world=None, replicates=25, seed=None, naive=NaivePlatform):
    """Return [(replicate, [(column, kernel, twin), ...]), ...], and the trials of the twin."""
    seed = int(np.random.default_rng().integers(2**40)) if seed is None else seed
    scenario = Scenario.of(Document(scenario_of(design, world), "twins"))
    outcomes = play(job_of(scenario, "platform", "real", replicates), seed, 0, replicates)
    found, twins = [], []
    for replicate in range(replicates):
        twin = naive(scenario, design, "real", seed, replicate).play()
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

# A case: what it says instead of BASE, or that and what it changes of the world. Those that share the kinds of
# allocation and of schedule share a compiled kernel.
LOSSY = """
endpoint: {assessed_after_months: 1.3, death_before_assessment: missing, drop_out_before_assessment: not_evaluable}
truth: {death: {control: {median_months: 6}, first: {hazard_ratio: 2}, second: {same_as: control},
                third: {median_months: 12}}, drop_out: {per_month: 0.08}}
"""
LOSSY_REPLACED = LOSSY.replace("missing", "not_evaluable")
LOSSY_FAILING = LOSSY.replace("missing", "failure").replace("not_evaluable", "missing")
AT_ONCE = "endpoint: {assessed_after_months: 0}"
ONE_BY_ONE = """
first: {}, second: {enters_at_month: 3, max_patients: 12}, third: {enters_at_patients: 15, strata: [a, b]}
"""
# Where shifted distribution functions have a corner the quadrature of the kernels is good to some 1e-3 only: they and
# the twin might stand on the two sides of a threshold.
SMOOTH = "analysis: {kind: beta_binomial, prior: {alpha: 2, beta: 2}}"
EVALUABLE = {
    "blocks": "{}",
    "blocks, nothing to wait for": ("{}", AT_ONCE),
    "ratio and block": "allocation: {kind: fixed, ratio: {control: 2, third: 3}, block: 1}",
    "stratified blocks": "allocation: {kind: fixed, stratify_by: [strata], ratio: {control: 2}, block: 3}",
    "simple": "allocation: {kind: fixed, method: simple, ratio: {second: 2}}",
    "square root": "allocation: {kind: fixed, method: simple, control: square_root}",
    "lossy": ("{}", LOSSY),
    "lossy, replaced": ("{max_per_arm: 14}", LOSSY_REPLACED),
    "lossy, failing": ("{max_per_arm: 14}", LOSSY_FAILING),
    "one by one": f"""
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        arms_at_once: 2
        controls: concurrently_eligible
        months_to_decide: 1.1
        """,
    "one at once": "{max_per_arm: 10, arms_at_once: 1, controls: all, looks: {evaluable: [5, 9, 14, 20, 28, 40, 50]}}",
    "one at once, concurrent": f"{{arms: {{{ONE_BY_ONE}}}, max_per_arm: 10, arms_at_once: 1, months_to_decide: 0.7}}",
    "at random": """
        arms: {third: {enters_at_month: random}, first: {}, second: {enters_at_month: random}}
        new_arms_per_year: 4
        max_per_arm: 15
        months_to_decide: 0.5
        """,
    "all late": """
        arms: {third: {enters_at_month: random}, first: {enters_at_month: 2}, second: {enters_at_month: random}}
        new_arms_per_year: 2
        max_per_arm: 8
        max_months: 18
        months_to_decide: 0.5
        """,
    "keep best": """
        keep_best: [2, 1]
        rules: [{stop_for: efficacy, at: final, when: {probability_that: difference, above: 0, exceeds: 0.8}}]
        """,
    "keep best of those that come": f"""
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        keep_best: [2, 1]
        rules: [{{stop_for: efficacy, at: final, when: {{probability_that: difference, above: 0, exceeds: 0.8}}}}]
        """,
    "first success": "{ends_with: first_success, months_to_decide: 0.8}",
    "no looks": "{looks: ~, max_per_arm: 12, rules: [{stop_for: efficacy, when: {estimate_of: effect, exceeds: 0.1}}]}",
    "no looks, in turn": """
        {looks: ~, max_per_arm: 12, arms_at_once: 1,
        rules: [{stop_for: efficacy, when: {estimate_of: effect, exceeds: 0.1}}]}
        """,
    "closes": "{max_months: 9, max_per_arm: 15, months_to_decide: 2}",
    "closes, while a decision is awaited": "{max_months: 9.1, max_per_arm: 15, months_to_decide: 5}",
    "few exist": ("{max_per_arm: 25}", "population: {enrolment_cap: 40}"),
    "dries up": (
        "{max_per_arm: 25, max_months: 30}",
        "population: {accrual: {patients_per_month: [{from_month: 0, rate: 4}, {from_month: 9, rate: 0}]}}",
    ),
    "equally spaced, ramping up": (
        "{max_per_arm: 25}",
        "population: {accrual: {patients_per_month: 4, ramp_up_months: 5, arrivals: equally_spaced}}",
    ),
    "conditions": """
        rules:
          - stop_for: harm
            from_patients: 6
            when: {probability_that: difference, below: 0, exceeds: 0.6}
          - stop_for: futility
            at: [1, 3]
            when:
              - {probability_that: rate, above: 0.3, at_most: [0.4, 0.7]}
              - {number_of: responses, at_most: {by_arm: {first: 3, second: 5}}}
          - stop_for: efficacy
            when:
              - {probability_that: best, at_least: [0.5, 0.4, 0.3, 0.25]}
              - {estimate_of: effect, at_least: 0.1}
          - {stop_for: futility, at: final, when: {probability_that: rate, below: 0.5, exceeds: 0.5}}
        """,
    "lower is better": (
        """
        keep_best: [2]
        rules:
          - {stop_for: efficacy, when: {probability_that: best, exceeds: 0.7}}
          - {stop_for: futility, when: {probability_that: difference, below: 0, is_below: 0.3}}
          - {stop_for: efficacy, at: final, when: {estimate_of: effect, is_below: -0.02}}
        """,
        """
        endpoint: {assessed_after_months: 1.3, better: lower}
        truth:
          response: {control: {rate: 0.4}, first: {rate: 0.15}, second: {rate: 0.3}, third: {rate: 0.5}}
        """,
    ),
    "another control": """
        control: second
        arms: {third: {}, first: {}}
        analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
        """,
    "alike": f"{{{SMOOTH}, ends_if_alike: {{within: 0.35, exceeds: 0.3}}, months_to_decide: 0.4}}",
    "alike, with entries": f"{{{SMOOTH}, arms: {{{ONE_BY_ONE}}}, ends_if_alike: {{within: 0.35, exceeds: 0.3}}}}",
    "without a control": """
        without_control: true
        ends_if_alike: {within: 0.3, exceeds: 0.5}
        analysis: {kind: beta_binomial, prior: {alpha: 2, beta: 2}}
        rules:
          - {stop_for: efficacy, when: {probability_that: best, exceeds: 0.85}}
          - {stop_for: futility, when: {probability_that: best, is_below: 0.1}}
        """,
    "never comes": """
        without_control: true
        arms: {control: {}, first: {}, second: {enters_at_patients: 58}}
        keep_best: [2, 1]
        max_per_arm: 20
        months_to_decide: 0.4
        analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
        rules: [{stop_for: efficacy, when: {probability_that: best, exceeds: 0.97}}]
        """,
    "comes too late": """
        arms: {first: {}, second: {enters_at_month: 15}, third: {enters_at_patients: 50}}
        max_per_arm: 15
        months_to_decide: 0.4
        """,
    "square root, one by one": f"""
        allocation: {{kind: fixed, method: simple, control: square_root}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 11
        months_to_decide: 2
        """,
    "keep best, not begun": """
        arms: {first: {}, second: {}, third: {enters_at_month: 5.2}}
        keep_best: [3, 1]
        looks: {evaluable: [14, 16, 20, 40]}
        analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}, priors: {third: {alpha: 1, beta: 9}}}
        rules: [{stop_for: efficacy, at: final, when: {probability_that: difference, above: 0, exceeds: 0.8}}]
        """,
    "without a control, the last one wins": """
        without_control: true
        arms: {control: {}, first: {}, second: {enters_at_month: 5}, third: {}}
        keep_best: [3, 2, 1]
        max_per_arm: 20
        rules: [{stop_for: futility, when: {probability_that: rate, above: 0.3, is_below: 0.3}}]
        """,
}
BY_PATIENTS = {
    "patients": "looks: {patients: [15, 30, 45]}",
    "patients, at once": ("looks: {patients: [15, 30, 45, 60]}", AT_ONCE),
    "patients, lag": ("{looks: {patients: [15, 30, 45], lag_patients: 6}, max_per_arm: 12}", AT_ONCE),
    "patients, lag and delay": "{looks: {patients: [5, 15, 30, 45], lag_patients: 6}, max_per_arm: 12}",
    "patients, lossy": ("{looks: {patients: [15, 30, 45]}, months_to_decide: 2}", LOSSY_REPLACED),
    "patients, one by one": f"""
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        looks: {{patients: {{from: 10, every: 6, to: 50}}, lag_patients: 3}}
        months_to_decide: 1.1
        """,
}
BY_MONTHS = {
    "months": "looks: {months: [2, 5, 8, 11]}",
    "months, slow decisions": "{looks: {months: {from: 2, every: 2, to: 14}}, months_to_decide: 3.5, max_per_arm: 18}",
    "months, one by one": f"""
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 12
        arms_at_once: 2
        looks: {{months: {{from: 1, every: 1, to: 14}}}}
        controls: concurrently_eligible
        max_months: 14.5
        """,
    "months, lossy": ("{looks: {months: [2, 5, 8, 11]}, max_per_arm: 14, controls: all}", LOSSY),
    "months, first success": "{looks: {months: [2, 5, 8, 11]}, ends_with: first_success, months_to_decide: 1}",
    "months, all late": """
        arms: {third: {enters_at_month: random}, first: {enters_at_month: 4}, second: {enters_at_month: random}}
        new_arms_per_year: 2
        max_per_arm: 8
        looks: {months: {from: 3, every: 3, to: 30}}
        """,
}
IN_EACH = {
    "in each": "looks: {in_each: [5, 10]}",
    "in each, fills": "{looks: {in_each: [5, 10]}, max_per_arm: 13, months_to_decide: 1.2}",
    "in each, one by one": f"{{arms: {{{ONE_BY_ONE}}}, looks: {{in_each: [5, 10]}}, max_per_arm: 14, arms_at_once: 2}}",
    "in each, lossy": ("{looks: {in_each: [4, 8, 12]}, max_per_arm: 14}", LOSSY_REPLACED),
    "in each, slow decisions": "{looks: {in_each: [3, 5, 7]}, max_per_arm: 14, months_to_decide: 4, max_months: 14}",
    "in each, first success": "{looks: {in_each: [4, 8]}, max_per_arm: 14, ends_with: first_success}",
    "in each, alike": f"""
        {{{SMOOTH}, looks: {{in_each: [4, 8]}}, max_per_arm: 14, ends_if_alike: {{within: 0.35, exceeds: 0.3}}}}
        """,
    "in each, no control": """
        without_control: true
        looks: {in_each: [4, 8]}
        max_per_arm: 14
        analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
        rules: [{stop_for: futility, when: {probability_that: best, is_below: 0.15}}]
        """,
}
LOWER = (
    "rules: [{stop_for: futility, at: interim, when: {probability_that: difference, below: -0.1, is_below: 0.25}}, "
    "{stop_for: efficacy, when: {probability_that: difference, below: 0, exceeds: 0.9}}]"
)
ADAPTIVE = "looks: {patients: {from: 10, every: 8, to: 50}}"
THALL_WATHEN = {
    "growing": f"{{allocation: {{kind: thall_wathen}}, {ADAPTIVE}}}",
    "thompson": f"{{allocation: {{kind: thall_wathen, power: 1}}, {ADAPTIVE}}}",
    "growing fast": f"{{allocation: {{kind: thall_wathen, power: {{scale: 2, exponent: 0.5}}}}, {ADAPTIVE}}}",
    "burn-in": f"{{allocation: {{kind: thall_wathen, power: {{scale: 2}}, burn_in: 23}}, {ADAPTIVE}}}",
    "floor": f"{{allocation: {{kind: thall_wathen, power: 2, floor: 0.15}}, {ADAPTIVE}}}",
    "cap": f"{{allocation: {{kind: thall_wathen, power: 2, cap: 0.35}}, {ADAPTIVE}}}",
    "floor and cap": f"{{allocation: {{kind: thall_wathen, power: 3, floor: 0.1, cap: 0.5}}, {ADAPTIVE}}}",
    "control share": f"{{allocation: {{kind: thall_wathen, power: 1, control_share: 0.4}}, {ADAPTIVE}}}",
    "control share, limits": f"""
        allocation: {{kind: thall_wathen, power: 2, control_share: 0.3, floor: 0.1, cap: 0.4}}
        {ADAPTIVE}
        """,
    "control share, burn-in": f"""
        allocation: {{kind: thall_wathen, power: 1, control_share: 0.4, burn_in: 30}}
        {ADAPTIVE}
        """,
    "thompson, one by one": f"""
        allocation: {{kind: thall_wathen, power: 1, floor: 0.05}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        months_to_decide: 1.1
        {ADAPTIVE}
        """,
    "growing, one by one": f"""
        allocation: {{kind: thall_wathen, power: {{scale: 3}}}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        arms_at_once: 2
        months_to_decide: 1.1
        {ADAPTIVE}
        """,
    "thompson, lag": (
        "{allocation: {kind: thall_wathen, power: 1}, looks: {patients: [10, 18, 26, 34], "
        "lag_patients: 5}, max_per_arm: 16}",
        AT_ONCE,
    ),
    "thompson, no control": f"""
        without_control: true
        allocation: {{kind: thall_wathen, power: 0.5, floor: 0.15}}
        {ADAPTIVE}
        analysis: {{kind: beta_binomial, prior: {{alpha: 1, beta: 1}}}}
        ends_with: first_success
        rules:
          - {{stop_for: efficacy, when: {{probability_that: best, exceeds: 0.9}}}}
          - {{stop_for: futility, when: {{probability_that: best, is_below: 0.05}}}}
        """,
    "thompson, lower is better": (
        f"{{allocation: {{kind: thall_wathen, power: 1}}, {ADAPTIVE}, {LOWER}}}",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
TRIPPA = {
    "trippa": f"{{allocation: {{kind: trippa}}, {ADAPTIVE}}}",
    "trippa, fixed powers": f"{{allocation: {{kind: trippa, power: 2, catch_up: 0.3}}, {ADAPTIVE}}}",
    "trippa, said": f"""
        allocation: {{kind: trippa, power: {{scale: 6, exponent: 0.5}}, catch_up: {{scale: 0.5}}, burn_in: 12}}
        {ADAPTIVE}
        """,
    "trippa, one by one": f"""
        allocation: {{kind: trippa, cap: 0.6}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 14
        months_to_decide: 0.6
        {ADAPTIVE}
        """,
    "trippa, lower is better": (
        f"{{allocation: {{kind: trippa, floor: 0.1}}, {ADAPTIVE}, {LOWER}}}",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
TOP_TWO = {
    "top two": f"{{allocation: {{kind: top_two}}, {ADAPTIVE}}}",
    "top two, leader": f"{{allocation: {{kind: top_two, leader: 0.8, burn_in: 12, floor: 0.05}}, {ADAPTIVE}}}",
    "top two, one by one": f"""
        allocation: {{kind: top_two, control_share: 0.3}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 14
        {ADAPTIVE}
        """,
}
POOLED = {
    "test then pool": f"{{controls: test_then_pool, arms: {{{ONE_BY_ONE}}}, max_per_arm: 16}}",
    "test then pool, often not": f"{{controls: test_then_pool, pool_level: 0.8, arms: {{{ONE_BY_ONE}}}}}",
}
ROBUST = "[{weight: 0.5, alpha: 9, beta: 21}, {weight: 0.3, alpha: 2, beta: 5}, {weight: 0.2, alpha: 1, beta: 1}]"
MIXED = f"analysis: {{kind: beta_binomial, prior: {{alpha: 1, beta: 1}}, priors: {{control: {ROBUST}}}}}"
MIXTURES = {
    "robust prior": f"{{{MIXED}}}",
    "robust prior, alike": f"{{{MIXED}, ends_if_alike: {{within: 0.35, exceeds: 0.3}}, months_to_decide: 0.4}}",
    "mixtures everywhere": f"""
        analysis: {{kind: beta_binomial, prior: {ROBUST}}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 16
        rules:
          - {{stop_for: futility, at: interim, when: {{probability_that: rate, above: 0.3, is_below: 0.3}}}}
          - {{stop_for: efficacy, when: {{probability_that: best, exceeds: 0.5}}}}
        """,
    "robust prior, lower is better": (
        f"{{{MIXED}, {LOWER}, keep_best: [2]}}",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
OTHERS = "responses: 11, patients: 50"
EXTERNAL = {
    "controls from elsewhere, by a power": f"""
        analysis:
          kind: beta_binomial
          prior: {{alpha: 1, beta: 1}}
          external_controls: {{{OTHERS}, borrowing: {{kind: power, power: 0.45}}}}
        """,
    "controls from elsewhere, robustly": f"""
        analysis:
          kind: beta_binomial
          prior: {{alpha: 1, beta: 1}}
          external_controls: {{{OTHERS}, borrowing: {{kind: robust_mixture, weight: 0.6}}}}
        controls: robust_mixture
        arms: {{{ONE_BY_ONE}}}
        """,
}
BORROWED = {
    "weighed": f"{{controls: robust_mixture, arms: {{{ONE_BY_ONE}}}, max_per_arm: 16}}",
    "weighed, trusting": f"""
        {{controls: robust_mixture, pool_weight: 0.9, arms: {{{ONE_BY_ONE}}}, {MIXED}, months_to_decide: 0.7}}
        """,
    "weighed, lower is better": (
        f"{{controls: robust_mixture, arms: {{{ONE_BY_ONE}}}, {LOWER}}}",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
POWERED = {
    "by a power": f"{{controls: power, pool_power: 0.4, arms: {{{ONE_BY_ONE}}}, max_per_arm: 16}}",
    "by a power, mixed": f"{{controls: power, pool_power: 0.7, arms: {{{ONE_BY_ONE}}}, {MIXED}}}",
}
COIN = {
    "coin, Neyman": f"{{allocation: {{kind: doubly_adaptive, target: neyman, burn_in: 12}}, {ADAPTIVE}}}",
    "coin, one by one": f"""
        allocation: {{kind: doubly_adaptive, target: rsihr, gamma: 0.7, floor: 0.1}}
        arms: {{{ONE_BY_ONE}}}
        max_per_arm: 14
        {ADAPTIVE}
        """,
    "coin, lower is better": (
        f"{{allocation: {{kind: doubly_adaptive, target: rsihr}}, {ADAPTIVE}, {LOWER}}}",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
ELSEWHERE = {
    "thompson by month": "{allocation: {kind: thall_wathen, power: 1}, looks: {months: {from: 2, every: 2, to: 12}}}",
    "thompson in each": "{allocation: {kind: thall_wathen, power: 1}, looks: {in_each: [4, 8]}, max_per_arm: 14}",
    "thompson, evaluable": "allocation: {kind: thall_wathen, power: 1}",
}
NO_STRATUM_LEFT = """
rules:
  - {of: each_stratum, stop_for: futility, when: {probability_that: difference, above: 0.1, is_below: 0.65}}
  - {of: each_stratum, stop_for: harm, from_patients: 3, when: {probability_that: rate, above: 0.25, is_below: 0.4}}
  - {stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: 0.9}}
"""
ENRICHED = """
rules:
  - of: each_stratum
    stop_for: futility
    from_patients: 2
    when: {probability_that: difference, above: 0.1, is_below: 0.45}
  - {stop_for: futility, at: interim, when: {probability_that: difference, above: 0.1, is_below: 0.15}}
  - {stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: 0.9}}
"""
BY_STRATA = f"{ENRICHED}\ncontrols: concurrently_eligible\nallocation: {{kind: fixed, stratify_by: [strata]}}\n"
ENRICHING = {
    "strata close": BY_STRATA,
    "strata close, slow decisions": f"{BY_STRATA}months_to_decide: 1.7\nmax_per_arm: 14",
    "strata close, counted": f"{BY_STRATA}closed_strata: counted",
    "strata close, blocks of all": f"{ENRICHED}\ncontrols: concurrent",
    "strata close, all controls": f"{ENRICHED}\ncontrols: all\nmax_per_arm: 15\narms_at_once: 1",
    "strata close, one by one": f"""
{BY_STRATA}
arms: {{{ONE_BY_ONE}}}
max_per_arm: 16
arms_at_once: 2
months_to_decide: 1.1
""",
    "strata close, some never come": (f"{BY_STRATA}max_months: 25", "population: {strata: {a: 0.5, b: 0.5, c: 0.0}}"),
    "strata close, nobody is left": (f"{NO_STRATUM_LEFT}\nmonths_to_decide: 0.6\nmax_months: 30", LOSSY),
    "strata close, keep best": f"{BY_STRATA}keep_best: [2, 1]",
    "strata close, first success": f"{BY_STRATA}ends_with: first_success\nmonths_to_decide: 0.8",
    "strata close, alike": f"{BY_STRATA}ends_if_alike: {{within: 0.35, exceeds: 0.3}}\n{SMOOTH}",
    "strata close, many conditions": """
rules:
  - of: each_stratum
    stop_for: futility
    at: [2, 3, 4]
    when:
      - {probability_that: best, is_below: [0.4, 0.35, 0.3]}
      - {number_of: responses, at_most: {by_arm: {first: 3, second: 2}}}
  - {of: each_stratum, stop_for: harm, at: interim, when: {estimate_of: effect, is_below: -0.1}}
  - {of: each_stratum, stop_for: futility, at: final, when: {probability_that: rate, below: 0.3, exceeds: 0.6}}
  - {stop_for: efficacy, when: {probability_that: best, at_least: 0.5}}
""",
}
ENRICHING_ELSEWHERE = {
    "strata close, by patients": f"{ENRICHED}\nlooks: {{patients: [15, 30, 45], lag_patients: 6}}",
    "strata close, in each": f"{ENRICHED}\nlooks: {{in_each: [5, 10]}}\nmax_per_arm: 14\nmonths_to_decide: 1",
    "strata close, by month": f"{ENRICHED}\nlooks: {{months: [3, 6, 9, 12]}}\nmax_per_arm: 14\nmax_months: 14.5",
    "strata close, thompson": f"""
{ENRICHED}
controls: concurrently_eligible
allocation: {{kind: thall_wathen, power: 1}}
{ADAPTIVE}
max_per_arm: 20
months_to_decide: 0.4
""",
    "strata close, trippa": f"{ENRICHED}\nallocation: {{kind: trippa}}\n{ADAPTIVE}",
    "strata close, lower is better": (
        f"""
{ADAPTIVE}
allocation: {{kind: doubly_adaptive, target: rsihr}}
rules:
  - of: each_stratum
    stop_for: futility
    from_patients: 3
    when: {{probability_that: difference, below: -0.1, is_below: 0.3}}
  - {{stop_for: efficacy, when: {{probability_that: difference, below: 0, exceeds: 0.9}}}}
""",
        "endpoint: {assessed_after_months: 1.3, better: lower}",
    ),
}
CASES = {
    **EVALUABLE,
    **BY_PATIENTS,
    **BY_MONTHS,
    **IN_EACH,
    **THALL_WATHEN,
    **TRIPPA,
    **TOP_TWO,
    **COIN,
    **POOLED,
    **MIXTURES,
    **EXTERNAL,
    **BORROWED,
    **POWERED,
    **ELSEWHERE,
    **ENRICHING,
    **ENRICHING_ELSEWHERE,
}


def design_of(changes):
    """The base with the keys of the changes instead; a key of `~` is taken away."""
    found = {**yaml.safe_load(BASE), **yaml.safe_load(changes)}
    return {key: value for key, value in found.items() if value is not None}


# These have kernels of their own; of the others, which share them, every sixth is played each time.
SLOW = {"months, lossy", "in each, lossy", "equally spaced, ramping up", *TRIPPA, *TOP_TWO, *COIN, *ELSEWHERE}
SLOW |= {"strata close, nobody is left", *ENRICHING_ELSEWHERE}
SLOW |= {name for number, name in enumerate(CASES) if number % 6}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CASES])
def test_the_kernels_play_as_the_twin_does(name):
    case = CASES[name]
    changes, world = (case, None) if isinstance(case, str) else (case[0], yaml.safe_load(case[1]))
    seed, wrong, twins = compare(design_of(changes), world, replicates=20)
    assert not wrong, f"{seed=}: {wrong[:3]}"
    if name in (*ENRICHING, *ENRICHING_ELSEWHERE):
        assert any(arm.closings for twin in twins for arm in twin.tests), "no stratum closes"
    if name == "strata close, nobody is left":
        assert any(arm.ended_on for twin in twins for arm in twin.tests), "no arm ends with its strata"


def rule_of_strata(one):
    """A rule that closes strata."""
    condition = one(
        {"probability_that": "best", "is_below": 0.25},
        {"probability_that": "rate", "above": 0.3, "is_below": 0.4},
        {"estimate_of": "effect", "is_below": 0.0},
    )
    said = {"stop_for": one("futility", "harm"), "at": one("all", "interim", "final"), "from_patients": one(0, 2, 4)}
    return {"of": "each_stratum", **said, "when": condition}


def drawn(random):
    """A design drawn at random, and what it changes of the world; among kernels that the cases have."""

    def one(*these):
        return these[random.integers(len(these))]

    alone = random.random() < 0.2
    limits = {"floor": one(0.0, 0.03, 0.1), "cap": one(1.0, 1.0, 0.55), "burn_in": one(0, 0, 7, 20)}
    if not alone and random.random() < 0.3:
        limits |= {"control_share": one(0.2, 0.35), "floor": one(0.0, 0.05)}
    power = {"power": one(0.5, 1, 2, {"scale": 2}, {"scale": 3, "exponent": 0.5})}
    kind = one("blocks", "blocks", "simple", "thall_wathen", "top_two", "thall_wathen" if alone else "trippa")
    allocation = {
        "blocks": {"kind": "fixed", "block": one(1, 2, 3), "stratify_by": one([], ["strata"]), "ratio": {"first": 2}},
        "simple": {"kind": "fixed", "method": "simple", "control": "share" if alone else one("share", "square_root")},
        "thall_wathen": {"kind": "thall_wathen", **limits, **power},
        "top_two": {"kind": "top_two", **limits, "leader": one(0.3, 0.5, 0.9)},
        "trippa": {"kind": "trippa", **limits, **power, "catch_up": one(0.1, {"scale": 0.3}, {"scale": 1})},
    }[kind]
    looks = [{"evaluable": one([12, 24, 36], [7, 9, 30])}, {"patients": [9, 18, 27], "lag_patients": one(0, 0, 4, 10)}]
    if kind in ("blocks", "thall_wathen"):
        looks += [{"months": {"from": 1.5, "every": one(1, 2.5), "to": 9.5}}, {"in_each": one([4, 8], [3, 5, 7, 9])}]
    looks = one(*looks)
    names = [*(["control"] if alone else []), "first", "second", "third"]
    entries = ({}, {}, {"enters_at_month": one(1, 4, "random")}, {"enters_at_patients": one(5, 12, 30)})
    arms = {
        name: {
            **(one(*entries) if i else {}),
            **one({}, {}, {"max_patients": int(random.integers(5, 20))}),
            **one({}, {}, {"strata": ["a", "c"]}),
        }
        for i, name in enumerate(names)
    }
    rules = one(
        [
            {"stop_for": "efficacy", "when": {"probability_that": "best", "exceeds": 0.8}},
            {"stop_for": "futility", "at": "interim", "when": {"probability_that": "best", "is_below": 0.1}},
        ],
        [
            {
                "stop_for": "harm",
                "from_patients": 4,
                "when": {"probability_that": "rate", "below": 0.2, "exceeds": 0.7},
            },
            {"stop_for": "efficacy", "at": "final", "when": {"estimate_of": "effect", "exceeds": 0.15}},
        ],
    )
    closes = kind == "blocks" and not alone and random.random() < 0.4  # kernels that the cases have
    if closes:
        rules = [rule_of_strata(one), *rules]
    alike = one({}, {}, {"ends_if_alike": {"within": 0.3, "exceeds": 0.3}})
    prior = {"alpha": 2, "beta": 2.5} if alike else {"alpha": one(0.5, 1, 2), "beta": one(0.6, 1.5)}
    design = {
        "kind": "platform",
        "endpoint": "response",
        "max_patients": one(25, 45, 60),
        "looks": looks,
        "arms": arms,
        "allocation": allocation,
        "analysis": {"kind": "beta_binomial", "prior": prior},
        "rules": rules,
        "controls": one("concurrent", "concurrently_eligible", "all"),
        "months_to_decide": one(0, 0, 0.9, 3),
        "ends_with": one("last_arm", "last_arm", "first_success"),
        **one({}, {"max_per_arm": 14}),
        **one({}, {}, {"arms_at_once": 1}, {"arms_at_once": 2}),
        **one({}, {}, {"max_months": 12}),
        **alike,
        **({"without_control": True} if alone else {}),
        **({"closed_strata": one("left_out", "counted")} if closes else {}),
        **({"keep_best": one([2], [3, 1])} if "in_each" not in looks and random.random() < 0.3 else {}),
    }
    if any(arm.get("enters_at_month") == "random" for arm in arms.values()):
        design["new_arms_per_year"] = 4
    endpoint = {"assessed_after_months": one(0, 1.3, 4), "better": one("higher", "higher", "lower")}
    world = {"endpoint": endpoint, "population": {}}
    if not closes and not any("strata" in arm for arm in arms.values()) and design.get("arms_at_once") is None:
        world["population"] = one({}, {"enrolment_cap": 40})
    if kind == "blocks" and random.random() < 0.4:
        lossy = yaml.safe_load(one(LOSSY, LOSSY_REPLACED, LOSSY_FAILING))
        world |= lossy | {"endpoint": lossy["endpoint"] | endpoint | {"assessed_after_months": 1.3}}
    return design, world


@pytest.mark.slow
def test_designs_drawn_at_random():
    seed = int(np.random.default_rng().integers(2**40))
    random = np.random.default_rng(seed)
    played = 0
    while played < 100:
        design, world = drawn(random)
        try:
            Scenario.of(Document(scenario_of(design, world), "twins"))
        except ValueError:
            continue
        played += 1
        _, wrong, _ = compare(design, world, replicates=10, seed=seed)
        assert not wrong, f"{seed=}: {design=}, {world=}: {wrong[:3]}"

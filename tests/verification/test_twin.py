"""The plain-Python twin, written from docs/scenario.md, plays the same trials as the kernels, replicate by replicate.

Everything that is kept of a trial must be equal: whole numbers exactly, months to 1e-9, estimates to 1e-6. Where a rule
of the twin comes within 1e-9 of its threshold rounding may decide: such trials are excused, and counted.
"""

import functools
import math
import runpy
import secrets
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading.composing import compose
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.trial import Twin
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of

TESTS = Path(__file__).resolve().parents[1]
CATALOGUE = sorted((TESTS.parent / "scenarios").glob("*.yaml"))
DOCS = runpy.run_path(str(TESTS / "test_docs.py"))

SEED = 20_260_611
MONTHS, ESTIMATE, TIE = 1e-9, 1e-6, 1e-9
MOST_TIES = 3e-3
"""Share of trials that rounding may decide."""

VERDICTS = ("inconclusive", "efficacy", "futility", "harm")
ACCRUAL = {None: 0, "efficacy": 4, "futility": 5}

met: Counter[str] = Counter()
"""Trials played, and those excused, by all tests of this module."""


# ---- scenarios made to meet corners ----------------------------------------------------------------------------------

BINARY = """
schema: 1
title: Corners of binary endpoints
population:
  accrual: {ACCRUAL}
  strata: {a: 0.3, b: 0.7}
endpoints:
  response: {kind: binary, assessed_after_months: 1.5, LOSSES}
  at_once: {kind: binary}
  bad: {kind: binary, better: lower, assessed_after_months: 2}
  alive: {kind: survival_at_month, month: 3}
arms: {control: {control: true}, treatment: {}}
truths:
  lossy:
    response: {control: {rate: 0.3}, treatment: {difference: 0.2}}
    at_once: {control: {rate: 0.3}, treatment: {odds_ratio: 2}}
    bad: {control: {by_stratum: {a: {rate: 0.4}, b: {rate: 0.2}}}, treatment: {risk_ratio: 0.5}}
    alive: {control: {median_months: 4, shape: 0.8}, treatment: {hazard_ratio: 0.6, from_month: 1}}
    death: {control: {median_months: 6, cure_fraction: 0.1}, treatment: {hazard_ratio: 1.5}}
    drop_out: {per_month: 0.08}
designs:
  evaluable:
    kind: single_arm
    arm: treatment
    endpoint: response
    max_patients: 30
    max_months: 25
    months_to_decide: 0.7
    looks: {evaluable: [8, 16, 24]}
    analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
    rules:
      - {stop_for: futility, at: interim, when: {probability_that: rate, above: 0.35, is_below: 0.4}}
      - {stop_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.9}}
  pausing: {like: evaluable, accrual_at_looks: pauses}
  closing: {like: evaluable, max_months: 8}
  patients: {like: evaluable, looks: {patients: [8, 16, 24]}}
  months: {like: evaluable, looks: {months: [2, 5, 9]}}
  closing_at_a_look: {like: months, max_months: 9}
  evaluable_then_followed: {like: evaluable, looks: {evaluable: [8, 16], final: {follow_up_months: 3}}}
  patients_then_followed: {like: evaluable, looks: {patients: [8, 16], final: {follow_up_months: 0.5}}}
  months_then_followed: {like: evaluable, looks: {months: [2, 5], final: {follow_up_months: 2}}}
  stopping_accrual:
    like: patients_then_followed
    rules:
      - {stop_accrual_for: futility, when: {probability_that: rate, above: 0.35, is_below: 0.5}}
      - {stop_accrual_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.8}}
      - {stop_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.9}}
  cut_off:
    like: patients_then_followed
    rules:
      - {stop_for: futility, when: {probability_that: rate, above: 0.35, is_below: {lambda: 0.8, gamma: 0.7}}}
      - {stop_for: efficacy, at: final, when: {probability_that: rate, above: 0.35, at_least: 0.8}}
  from_patients:
    like: patients
    rules:
      - {stop_for: efficacy, from_patients: 12, when: {probability_that: rate, above: 0.35, exceeds: 0.6}}
      - {stop_for: harm, from_patients: 5, at: [1, 3], when: {probability_that: rate, below: 0.35, exceeds: [0.5, 0.6]}}
  counts:
    like: evaluable
    rules:
      - {stop_for: futility, at: interim, when: {number_of: responses, at_most: [2, 6]}}
      - {stop_for: efficacy, at: final, when: {number_of: responses, at_least: 10}}
  predicted:
    like: evaluable
    rules:
      - {stop_for: futility, at: interim, when: {predictive_probability_of: success, is_below: 0.3}}
      - {stop_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.9}}
  predicted_at_present:
    like: patients_then_followed
    rules:
      - {stop_accrual_for: futility, when: {predictive_probability_of: success, at: present, is_below: 0.3}}
      - {stop_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.9}}
  at_once: {like: evaluable, endpoint: at_once}
  lower_is_better:
    like: evaluable
    endpoint: bad
    rules: [{stop_for: efficacy, when: {probability_that: rate, below: 0.35, exceeds: 0.9}}]
  alive: {like: evaluable, endpoint: alive}
  two:
    kind: two_arm
    endpoint: response
    max_patients: 40
    max_months: 25
    months_to_decide: 0.4
    looks: {evaluable: [15, 30]}
    analysis: {kind: difference_of_proportions}
    allocation: {ratio: {control: 1, treatment: 2}, stratify_by: [strata]}
    rules:
      - {stop_for: efficacy, spending: lan_demets_pocock, alpha: 0.1}
      - {stop_for: futility, spending: kim_demets, rho: 1, beta: 0.3, binding: false}
  two_binding:
    like: two
    rules:
      - {stop_for: efficacy, spending: lan_demets_pocock, alpha: 0.1}
      - {stop_for: futility, spending: kim_demets, rho: 1, beta: 0.3}
  two_simple: {like: two, allocation: {method: simple, ratio: {control: 2, treatment: 1}}}
  two_in_order: {like: two, allocation: {method: fixed_order, order: [treatment, control, treatment]}}
  two_lower: {like: two, endpoint: bad, accrual_at_looks: pauses}
run: {replicates: 100, seed: 1}
"""

TIMES = """
schema: 1
title: Corners of event times
population:
  accrual: {ACCRUAL}
  strata: {a: 0.3, b: 0.7}
endpoints:
  os: {kind: time_to_event}
  short: {kind: time_to_event, followed_for_months: 5}
arms: {control: {control: true}, treatment: {}}
truths:
  plain:
    os: {control: {median_months: 3}, treatment: {hazard_ratio: 0.5}}
    short: {control: {median_months: 3}, treatment: {same_as: control}}
  fancy:
    os:
      control:
        by_stratum:
          a: {median_months: 2, shape: 0.7, cure_fraction: 0.1}
          b: {landmarks: [{month: 3, survival: 0.5}, {month: 12, survival: 0.2}], cure_fraction: 0.05}
      treatment: {hazard_ratio: 0.4, from_month: 1, until_month: 6}
    short:
      control:
        hazards: [{from_month: 0, per_month: 0.3}, {from_month: 2, per_month: 0}, {from_month: 4, per_month: 0.2}]
      treatment: {hazard_ratio: [{from_month: 0, ratio: 2}, {from_month: 3, ratio: 0.2}]}
    drop_out: {proportion: 0.3, by_month: 6}
  quiet:
    os: {control: {survival: 0.99, at_month: 60}, treatment: {same_as: control}}
    short: {control: {hazard_per_month: 0.0001, shape: 2}, treatment: {same_as: control}}
    drop_out: {per_month: 0.05}
designs:
  events:
    kind: two_arm
    endpoint: os
    max_patients: 40
    max_months: 25
    months_to_decide: 1.3
    looks: {events: [8, 16, 24]}
    analysis: {kind: log_rank}
    rules:
      - {stop_for: futility, at: interim, when: {statistic: z, is_below: 0}}
      - {stop_for: efficacy, when: {statistic: z, exceeds: 1.5}}
  events_of_short: {like: events, endpoint: short}
  closing: {like: events, max_months: 9}
  patients: {like: events, looks: {patients: [10, 20, 40]}}
  months: {like: events, looks: {months: [0.2, 4, 8]}}
  patients_then_followed: {like: events, looks: {patients: [10, 20], final: {follow_up_months: 4}}}
  months_then_followed: {like: events, looks: {months: [4, 8], final: {follow_up_months: 1}}}
  followed:
    like: events
    looks: {final: {follow_up_months: 3}}
    rules: [{stop_for: efficacy, when: {statistic: z, exceeds: 1.5}}]
  stopping_accrual:
    like: patients_then_followed
    months_to_decide: 2
    rules:
      - {stop_accrual_for: futility, at: [1, 2], when: {statistic: z, is_below: 0.3}}
      - {stop_accrual_for: efficacy, when: {statistic: z, exceeds: 1}}
      - {stop_for: efficacy, when: {statistic: z, exceeds: 1.5}}
  overruled:
    like: events
    looks: {events: [12, 24]}
    rules:
      - {stop_for: futility, binding: false, at: [1], when: {statistic: z, is_below: 0.3}}
      - {stop_for: efficacy, when: {statistic: z, exceeds: 1}}
  information:
    like: months
    looks: {months: [4, 8, 12]}
    rules:
      - {stop_for: efficacy, spending: obrien_fleming, alpha: 0.1, information: [10, 20, 40]}
      - {stop_for: futility, spending: kim_demets, rho: 2, beta: 0.3, binding: false, information: [10, 20, 40]}
  haybittle: {like: events, rules: [{stop_for: efficacy, spending: haybittle_peto, alpha: 0.1, interim: 2}]}
  cut_off:
    like: patients_then_followed
    analysis: {kind: gamma_exponential, prior: {events: 1, months: 3}}
    rules:
      - {stop_for: futility, when: {probability_that: hazard_ratio, below: 1, is_below: {lambda: 0.8, gamma: 1}}}
      - {stop_for: efficacy, at: final, when: {probability_that: hazard_ratio, below: 1, at_least: 0.8}}
run: {replicates: 100, seed: 1}
"""

ACCRUALS = {
    "poisson": "patients_per_month: 3",
    "drying_up": "patients_per_month: [{from_month: 0, rate: 3}, {from_month: 6, rate: 0}]",
    "with_a_gap": "patients_per_month: [{from_month: 0, rate: 3}, {from_month: 2, rate: 0}, {from_month: 4, rate: 5}], "
    "ramp_up_months: 3",
    "few_exist": "patients_per_month: 3}\n  enrolment_cap: 13\n  # {",
    "equally_spaced": "arrivals: equally_spaced, patients_per_month: 2",
    "ramp": "arrivals: equally_spaced, sites: 3, patients_per_site_month: 0.7, ramp_up_months: 4",
}
LOSSES = {
    "poisson": "death_before_assessment: failure",
    "drying_up": "death_before_assessment: missing, drop_out_before_assessment: missing",
    "with_a_gap": "death_before_assessment: not_evaluable, drop_out_before_assessment: failure",
}
EVENLY = ("evaluable", "months", "patients", "events")
"""Designs to play with evenly spaced arrivals: where these meet the months of looks there are ties."""

MODEL = "{kind: gamma_exponential, prior: {events: 1, months: 3}}"
MENDED = {
    "a pause puts off only later arrivals, not the assessments of those enrolled before": (
        "binary",
        "{like: patients, accrual_at_looks: pauses}",
    ),
    "a trial that closes while a look is awaited has enrolled those whom the look needs, and no fewer or more": (
        "binary",
        "{like: pausing, max_months: 10}",
    ),
    "a pause begins at the look where nobody is enrolled yet": (
        "binary",
        "{like: months, accrual_at_looks: pauses, looks: {months: [0.05, 5, 9]}}",
    ),
    "the planned number of a final look by follow-up is not 0": (
        "binary",
        "{like: counts, looks: {patients: [8, 16], final: {follow_up_months: 4}}}",
    ),
    "at the final look nothing is left to predict: rules that do are silent": (
        "binary",
        "{like: evaluable, max_months: 9, rules: [{stop_for: futility, when: {predictive_probability_of: success, "
        "is_below: 0.05}}, {stop_for: efficacy, when: {probability_that: rate, above: 0.35, exceeds: 0.9}}]}",
    ),
    "with `final` a look by events comes at that month, where fewer events can occur": (
        "times",
        "{like: events_of_short, looks: {events: [8, 16, 40], final: {follow_up_months: 6}}}",
    ),
    "a trial that goes on in spite of a non-binding rule goes on in spite of it at later looks, too": (
        "times",
        "{like: overruled, looks: {events: [8, 12, 16, 24]}, rules: [{stop_for: futility, binding: false, at: interim, "
        "when: {statistic: z, is_below: 0.3}}, {stop_for: efficacy, when: {statistic: z, exceeds: 1}}]}",
    ),
    "where a non-binding rule is overruled the rules after it are asked": (
        "times",
        "{like: overruled, rules: [{stop_for: futility, binding: false, at: [1], when: {statistic: z, is_below: 0.3}}, "
        "{stop_for: futility, at: [1], when: {statistic: z, is_below: 0}}, {stop_for: efficacy, when: {statistic: z, "
        "exceeds: 1}}]}",
    ),
    "looks by months are predicted at their months": (
        "times",
        "{like: events, max_patients: 60, looks: {months: [6, 9]}, rules: [{stop_for: futility, at: interim, when: "
        f"{{predictive_probability_of: success, imputations: 20, is_below: 0.3, model: {MODEL}}}}}, "
        "{stop_for: efficacy, when: {statistic: z, exceeds: 1}}]}",
    ),
}
"""Where twin and kernels once differed: what the page says, and a design that shows it."""


# ---- cases -----------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One design under one truth."""

    scenario: Scenario
    design: str
    truth: str


def corners(kind, accrual="poisson", more=""):
    text = {"binary": BINARY, "times": TIMES}[kind].replace("ACCRUAL", ACCRUALS[accrual])
    text = text.replace("LOSSES", LOSSES.get(accrual, LOSSES["poisson"])).replace("run: {", f"{more}run: {{")
    return Scenario.of(compose(text, "corners"))


@functools.cache
def scenarios():
    found = {path.stem: Scenario.load(path) for path in CATALOGUE}
    for example in DOCS["examples"]():
        section, kind, snippet = example.values
        if str(example.id).startswith("scenario.md"):
            text = snippet if section == "scenario" else DOCS["scenario_around"](section, kind, snippet)
            found[str(example.id)] = Scenario.of(compose(text, "example"))
    for kind in ("binary", "times"):
        for accrual in ACCRUALS:
            found[f"{kind}-{accrual}"] = corners(kind, accrual)
    return found


def cases():
    for name, scenario in scenarios().items():
        for design, spec in scenario.designs.items():
            if isinstance(spec, Basket | Platform):
                continue  # tests/baskets
            if name.endswith(("equally_spaced", "ramp")) and design not in EVENLY:
                continue
            for truth in scenario.truths:
                yield pytest.param(Case(scenario, design, truth), id=f"{name}-{design}-{truth}")


def predicts_times(case):
    design = case.scenario.designs[case.design].general()
    times = case.scenario.endpoints[design.endpoint].kind == "time_to_event"
    conditions = [condition for rule in design.rules for condition in rule.conditions]
    return times and any(condition.predictive_probability_of is not None for condition in conditions)


def replicates_of(case):
    """Return few where the twin is slow: imputations, quadratures."""
    design = case.scenario.designs[case.design].general()
    if predicts_times(case):
        return 1
    slow = design.analysis.kind in ("beta_binomial", "piecewise_gamma_exponential") and hasattr(design, "allocation")
    return 3 if slow else 12


# ---- comparison ------------------------------------------------------------------------------------------------------


def kept(integers, numbers):
    """Return a row of outcomes under the names that it is told by."""
    names = {
        "verdict": column.VERDICT,
        "look": column.LOOK,
        "rule": column.RULE,
        "patients": column.PATIENTS,
        "evaluable": column.EVALUABLE,
        "events": column.EVENTS,
        "closed": column.CLOSED,
        "analysable": column.ANALYSABLE,
        "contradicted": column.CONTRADICTED,
        "success_ignoring": column.SUCCESS_IGNORING,
        "accrual_closed": column.ACCRUAL_CLOSED,
    }
    whole = {name: int(integers[place]) for name, place in names.items()}
    whole["by_arm"] = tuple(int(n) for n in integers[column.ARMS :])
    real = {"months": column.MONTHS, "estimate": column.ESTIMATE, "low": column.LOW, "high": column.HIGH}
    return whole | {name: float(numbers[place]) for name, place in real.items()}


def twin_row(played):
    told = {name: getattr(played, name) for name in ("look", "patients", "by_arm", "evaluable", "events")}
    flags = ("closed", "analysable", "contradicted", "success_ignoring")
    return {
        "verdict": VERDICTS.index(played.verdict),
        "rule": -1 if played.rule is None else played.rule,
        "accrual_closed": ACCRUAL[played.accrual_closed],
        **told,
        **{name: int(getattr(played, name)) for name in flags},
        **{name: getattr(played, name) for name in ("months", "estimate", "low", "high")},
    }


def alike(name, ours, theirs):
    if isinstance(ours, float):
        both_untold = math.isnan(ours) and math.isnan(theirs)
        close = MONTHS if name == "months" else ESTIMATE
        return both_untold or math.isclose(ours, theirs, rel_tol=close, abs_tol=0.0 if name == "months" else close)
    return ours == theirs


def outcomes(case, seed, start, stop):
    """Yield the rows of the kernels."""
    job = job_of(case.scenario, case.design, case.truth, stop - start)
    yield from zip(*play(job, seed, start, stop), strict=True)


def differences(case, seed, start, stop):
    """Return, in words, the replicates in which twin and kernels differ; what rounding may decide is counted apart."""
    twin = Twin(case.scenario, case.design, case.truth)
    found = []
    for replicate, row in zip(range(start, stop), outcomes(case, seed, start, stop), strict=True):
        played = twin.play(Draws(seed, replicate))
        ours, theirs = twin_row(played), kept(*row)
        wrong = [name for name in ours if not alike(name, ours[name], theirs[name])]
        met["played"] += 1
        if wrong and played.closest < TIE:
            met["excused"] += 1
        elif wrong:
            told = ", ".join(f"{name} {ours[name]} and not {theirs[name]}" for name in wrong)
            found.append(f"seed {seed}, replicate {replicate}: the twin has {told}")
    return found


def check(case, seed, start, stop):
    found = differences(case, seed, start, stop)
    assert not found, "\n".join(found)


def marked():
    """Yield all cases; those whose kernels nothing else compiles are slow, but for corners with Poisson arrivals."""
    quick = {path.stem for path in CATALOGUE} | {"binary-poisson", "times-poisson"}
    for case in cases():
        is_quick = any(case.id.startswith(f"{name}-") for name in quick)
        yield case if is_quick else pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)


@pytest.mark.parametrize("case", list(marked()))
def test_the_twin_plays_the_same_trials(case):
    check(case, SEED, 0, replicates_of(case))


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()))
def test_the_twin_plays_the_same_trials_of_any_seed(case):
    seed, start = secrets.randbits(63), secrets.randbelow(10**10)
    print(f"seed {seed}, replicates from {start}")
    check(case, seed, start, start + 25 * replicates_of(case))


@pytest.mark.parametrize(
    ("kind", "design"),
    [pytest.param(*shown, id=sentence) for sentence, shown in MENDED.items()],
)
def test_what_the_page_says_is_done(kind, design):
    scenario = corners(kind, more=f"  disputed: {design}\n")
    for truth in scenario.truths:
        found = differences(Case(scenario, "disputed", truth), SEED, 0, 60)
        assert not found, "\n".join(found)


def test_a_replicate_is_the_same_whatever_was_played_before():
    rule = f"{{predictive_probability_of: success, imputations: 20, is_below: 0.3, model: {MODEL}}}"
    design = f"{{like: events, rules: [{{stop_for: futility, at: interim, when: {rule}}}, {{stop_for: efficacy, when: "
    scenario = corners("times", more=f"  predicting: {design}{{statistic: z, exceeds: 1}}}}]}}\n")
    job = job_of(scenario, "predicting", "plain", 200)
    together = play(job, SEED, 0, 200)
    alone = [play(job, SEED, replicate, replicate + 1) for replicate in range(200)]
    assert [row.tolist() for row in together.integers] == [each.integers[0].tolist() for each in alone]


def test_few_trials_were_decided_by_rounding():
    assert met["excused"] <= MOST_TIES * met["played"], met

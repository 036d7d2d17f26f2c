"""Platforms that are judged by a regression of all arms, against the plain twin: equal trial by trial."""

import math

import numpy as np
import pytest
import yaml
from naive_platform import NaivePlatform
from naive_regression import NaiveRegression, mixed_below, mixed_mode, walk_precision
from test_platform_twin import compare

from lmd_trialsim.designs.arm_regression import NODES
from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, rule_of


class NaiveRegressionPlatform(NaivePlatform):
    """The twin, its arms judged by the odds ratio of a logistic regression."""

    def buckets(self):
        """Return the time of entry of each known patient."""
        time = self.spec["analysis"].get("time")
        if time is None:
            return np.zeros(len(self.known), int)
        place = {id(person): index for index, person in enumerate(self.people)}
        if "patients" in time:
            return np.array([place[id(person)] // time["patients"] for person in self.known], int)
        if "months" in time:
            return np.array([int(person.month / time["months"]) for person in self.known], int)
        period, of = -1, {}
        for person, before in zip(self.people, [None, *self.people], strict=False):
            period += before is None or person.open_then != before.open_then
            of[id(person)] = period
        return np.array([of[id(person)] for person in self.known], int)

    def models(self):
        """Return the model for each step of the walk, its prior share, and the column before that of the first arm."""
        analysis, strata = self.spec["analysis"], list(self.shares_of_strata)
        bucket, adjusts, arms = self.buckets(), "strata" in analysis, len(self.arms)
        levels = int(bucket.max()) + 1 if len(bucket) else 1
        first = levels + (len(strata) if adjusts else 0)
        seen = [i for i, person in enumerate(self.known) if person.outcome in (0, 1)]
        rows = np.zeros((len(seen), first + arms - 1))
        for row, i in enumerate(seen):
            person = self.known[i]
            rows[row, bucket[i]] = 1.0
            if adjusts:
                rows[row, levels + strata.index(person.stratum)] = 1.0
            if person.arm:
                rows[row, first + person.arm - 1] = 1.0
        outcome = np.array([float(self.known[i].outcome) for i in seen])
        said = [analysis.get("priors", {}).get(arm.name) or analysis["prior"] for arm in self.tests]
        sd = [analysis["strata"]["sd"]] * (first - levels) if adjusts else []
        precision = np.diag([*[0.0] * levels, *(1.0 / np.array([*sd, *(one["sd"] for one in said)]) ** 2)])
        mean = np.zeros(first + arms - 1)
        mean[:levels] = analysis["level"]["mean"]
        mean[first:] = [one.get("mean", 0.0) for one in said]
        walk = (analysis.get("time") or {}).get("walk")
        kinds = {"fixed": FixedSd, "half_normal": HalfNormal}
        rule = None if walk is None else rule_of(kinds[walk["sd"]["kind"]].model_validate(walk["sd"]), NODES)
        steps, shares = ([1.0], [1.0]) if rule is None else (rule.nodes, rule.weights)
        found = []
        for step in steps:
            own = precision.copy()
            order = 0 if walk is None else walk.get("order", 1)
            own[:levels, :levels] = walk_precision(levels, order, step, analysis["level"]["sd"] ** -2.0)
            found.append(NaiveRegression("logistic", rows, outcome, np.ones(len(seen)), mean, own))
        return found, np.array(shares), first - 1

    def estimate(self, arm, stratum=None):
        assert stratum is None
        models, shares, before = self.models()
        return mixed_mode(models, shares)[before + arm.number]

    def true_effect(self, arm):
        strata = {s: self.shares_of_strata[s] for s in self.strata_of(arm)}
        pairs = np.array([[w, self.rate_of(arm, s), self.rate_of(self.arms[0], s)] for s, w in strata.items()])
        if "strata" not in self.spec["analysis"]:
            pairs = np.array([[1.0, *(pairs[:, 0] @ pairs[:, 1:] / pairs[:, 0].sum())]])
        ratios = np.log(pairs[:, 1] / (1 - pairs[:, 1])) - np.log(pairs[:, 2] / (1 - pairs[:, 2]))
        return ratios[0] if np.ptp(ratios) < 1e-9 else math.nan

    def below(self, arm, log_ratio):
        models, shares, before = self.models()
        return mixed_below(models, shares, before + arm.number, log_ratio)

    def covers(self, arm):
        effect = self.true_effect(arm)
        return -1 if math.isnan(effect) else int(0.025 <= self.below(arm, effect) <= 0.975)

    def number_of(self, condition, arm, stratum=None):
        if condition.get("probability_that") != "odds_ratio":
            return super().number_of(condition, arm, stratum)
        below = self.below(arm, math.log(condition.get("above", condition.get("below"))))
        return 1.0 - below if "above" in condition else below


BASE = """
kind: platform
endpoint: response
max_patients: 60
controls: all
looks: {evaluable: [20, 32, 44]}
analysis: {kind: regression, level: {mean: -1, sd: 1.5}, prior: {sd: 1.2}, priors: {second: {mean: 0.2, sd: 0.8}}}
rules:
  - {stop_for: futility, at: interim, when: {probability_that: odds_ratio, above: 1.3, is_below: 0.25}}
  - {stop_for: efficacy, when: {probability_that: odds_ratio, above: 1, exceeds: 0.9}}
  - {stop_for: futility, at: final, when: {estimate_of: effect, is_below: 0.3}}
"""
ENTER = (
    "arms: {first: {}, second: {enters_at_month: 3, max_patients: 12}, third: {enters_at_patients: 15, strata: [a, b]}}"
)
CASES = {
    "one level": "{}",
    "strata": "analysis: {strata: {sd: 0.7}}",
    "periods": f"{{{ENTER}, max_per_arm: 18, analysis: {{time: {{each: period}}}}}}",
    "months": f"""
        {{{ENTER}, max_months: 60, months_to_decide: 0.8, analysis: {{time: {{months: 2.5}}, strata: {{sd: 0.5}}}}}}
        """,
    "a walk": f"{{{ENTER}, analysis: {{time: {{patients: 10, walk: {{sd: {{kind: fixed, value: 0.3}}}}}}}}}}",
    "lower is better": (
        """
        rules:
          - {stop_for: efficacy, when: {probability_that: odds_ratio, below: 1, exceeds: 0.8}}
          - {stop_for: futility, when: {probability_that: odds_ratio, above: 0.9, exceeds: 0.6}}
        """,
        """
        endpoint: {assessed_after_months: 1.3, better: lower}
        truth:
          response: {control: {rate: 0.4}, first: {rate: 0.15}, second: {rate: 0.3}, third: {rate: 0.5}}
        """,
    ),
}


QUICK = ("periods", "a walk")


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_trials_are_those_of_the_twin(case):
    """Verdicts, looks, patients, estimates, intervals."""
    changes, world = (CASES[case], None) if isinstance(CASES[case], str) else CASES[case]
    changes, design = yaml.safe_load(changes), yaml.safe_load(BASE)
    design = {**design, **changes, "analysis": {**design["analysis"], **changes.get("analysis", {})}}
    seed, wrong, twins = compare(design, world and yaml.safe_load(world), 12, naive=NaiveRegressionPlatform)
    assert not wrong, f"seed {seed}"
    assert {arm.verdict for twin in twins for arm in twin.tests} >= {1, 2}


@pytest.mark.slow
def test_the_walk_is_summed_over_in_a_trial():
    """A few trials: each look weighs a dozen steps."""
    design = yaml.safe_load(BASE) | {"looks": {"evaluable": [30]}}
    walk = {"order": 2, "sd": {"kind": "half_normal", "scale": 0.4}}
    design["analysis"]["time"] = {"patients": 12, "walk": walk}
    seed, wrong, _ = compare(design, None, 3, naive=NaiveRegressionPlatform)
    assert not wrong, f"seed {seed}"

"""Effects that borrow between the strata of an arm: against dense algebra, its limits, and trials against the twin."""

import math

import numpy as np
import pytest
import yaml
from naive_platform import NaivePlatform
from naive_regression import NaiveRegression, mixed_below, mixed_mode
from scipy.stats import norm
from test_platform_twin import compare

from lmd_trialsim.designs.arm_frame import ArmFrame
from lmd_trialsim.designs.arm_regression import NODES
from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, rule_of
from lmd_trialsim.designs.strata_hierarchy import StrataHierarchical
from lmd_trialsim.kernel.desk import OPEN, new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.seams import estimate_of_arm, moments_of_arm, tail_of_arm, weigh_arms

SAME = 1e-6  # two optimisers at the same maximum
LEVEL, EFFECT = {"mean": -1.0, "sd": 1.5}, {"mean": 0.2, "sd": 1.1}
BOUND = {"binary": 1.3, "time_to_event": 0.8, "continuous": 0.2}
QUANTITY = {"binary": "odds_ratio", "time_to_event": "hazard_ratio", "continuous": "difference"}
SD = 0.9


@door
def _ask(model, desk, stratum, told):
    """Write tail, estimate and variance of each arm in the stratum, (arms, 3)."""
    desk.state[0].stratum = stratum
    weigh_arms(model, desk)
    for arm in range(1, desk.arms.shape[0]):
        told[arm, 0] = tail_of_arm(model, desk, arm, 0)
        told[arm, 1] = estimate_of_arm(model, desk, arm)[0]
        told[arm, 2] = moments_of_arm(model, desk, arm)[1]


def asked(samples, kind, spread):
    """Return what is told, (strata, arms, 3). samples: (strata, arms, 4), the two numbers of the controls first."""
    strata, arms = samples.shape[:2]
    spec = {"kind": "hierarchical", "level": LEVEL, "mean": EFFECT, "spread": spread}
    spec |= {"sd": SD} if kind == "continuous" else {}
    names = [f"arm{i}" for i in range(arms)]
    bounds = [(QUANTITY[kind], BOUND[kind])]
    frame = ArmFrame(names, True, False, bounds, np.full(arms, math.nan), 99, 0.0, endpoint=kind, strata=strata)
    model, memory = StrataHierarchical.model_validate(spec).model(frame)
    desk = new_desk(1, arms, strata, 1, memory.scratch, closing=1)
    desk.scratch[:] = math.nan
    desk.by_stratum.status = OPEN
    names = {
        "binary": ("control_patients", "control_responses", "patients", "responses"),
        "time_to_event": ("control_months", "control_events", "months", "events"),
        "continuous": ("control_patients", "control_total", "patients", "total"),
    }[kind]
    for name, values in zip(names, np.moveaxis(samples, 2, 0), strict=True):
        desk.by_stratum[name] = values
    told = np.zeros((strata, arms, 3))
    for stratum in range(strata):
        _ask(canonical(model), desk, stratum, told[stratum])
    return told


def draw(rng, kind, strata=3, arms=3):
    """Return samples; one stratum of the last arm has nobody."""
    shape = (strata, arms)
    if kind == "time_to_event":
        counts = rng.integers(0, 12, (*shape, 2))
        amounts = rng.uniform(5.0, 60.0, (*shape, 2))
    else:
        amounts = rng.integers(4, 25, (*shape, 2)).astype(float)
        counts = rng.binomial(amounts.astype(int), rng.uniform(0.1, 0.6, (*shape, 2))).astype(float)
    samples = np.stack([amounts[..., 0], counts[..., 0], amounts[..., 1], counts[..., 1]], axis=2)
    samples[-1, -1, 2:] = 0.0
    return samples


def dense(samples, arm, kind, tau):
    """Return the model of one arm. Variables: levels, effects in the strata, their mean."""
    strata = len(samples)
    rows, outcome, months, value = [], [], [], []
    for stratum in range(strata):
        for treated in (0, 1):
            amount, total = samples[stratum, arm, 2 * treated : 2 * treated + 2]
            row = np.zeros(2 * strata + 1)
            row[stratum] = 1.0
            row[strata + stratum] = float(treated)
            if kind == "time_to_event":
                rows.append(row)
                outcome.append(total)
                months.append(amount)
            else:
                rows += [row] * int(amount)
                outcome += [1.0] * int(total) + [0.0] * int(amount - total) if kind == "binary" else []
                value += [total / amount] * int(amount) if amount else []
    ties = np.hstack([np.eye(strata), -np.ones((strata, 1))]) / tau
    precision = np.zeros((2 * strata + 1, 2 * strata + 1))
    precision[:strata, :strata] = np.eye(strata) / LEVEL["sd"] ** 2
    precision[strata:, strata:] = ties.T @ ties
    precision[-1, -1] += EFFECT["sd"] ** -2.0
    mean = np.array([LEVEL["mean"]] * strata + [EFFECT["mean"]] * (strata + 1))
    data = np.array(value if kind == "continuous" else outcome)
    name = {"binary": "logistic", "time_to_event": "exponential", "continuous": "normal"}[kind]
    found = months if kind == "time_to_event" else np.ones(len(rows))
    return NaiveRegression(name, np.array(rows), data, np.array(found), mean, precision, SD)


@pytest.mark.parametrize("kind", ["binary", "time_to_event", "continuous"])
@pytest.mark.parametrize("spread", [{"kind": "fixed", "value": 0.4}, {"kind": "half_normal", "scale": 0.6}])
def test_effects_are_those_of_dense_algebra(kind, spread):
    """Tails, modes and variances in each stratum; where everybody is in one, and where an arm has nobody."""
    samples = draw(np.random.default_rng(4), kind)
    told = asked(samples, kind, spread)
    rule = rule_of({"fixed": FixedSd, "half_normal": HalfNormal}[spread["kind"]].model_validate(spread), NODES)
    bound = BOUND[kind] if kind == "continuous" else math.log(BOUND[kind])
    for arm in (1, 2):
        models = [dense(samples, arm, kind, tau) for tau in rule.nodes]
        for stratum in range(3):
            below = mixed_below(models, rule.weights, 3 + stratum, bound)
            better = below if kind == "time_to_event" else 1.0 - below
            assert told[stratum, arm, 0] == pytest.approx(better, abs=SAME)
            assert told[stratum, arm, 1] == pytest.approx(mixed_mode(models, rule.weights)[3 + stratum], abs=SAME)


def test_a_spread_of_nothing_pools_and_one_without_end_separates():
    """Effects are one; or each is as in the stratum alone, where the mean effect is known no better than before."""
    samples = draw(np.random.default_rng(6), "continuous")[:, :2]
    samples[-1, -1, 2:] = [9.0, 3.0]
    pooled = asked(samples, "continuous", {"kind": "fixed", "value": 1e-4})
    np.testing.assert_allclose(pooled[:, 1, 1], pooled[0, 1, 1], atol=1e-6)
    apart = asked(samples, "continuous", {"kind": "fixed", "value": 30.0})
    for stratum in range(3):
        alone = asked(samples[stratum : stratum + 1], "continuous", {"kind": "fixed", "value": 30.0})
        np.testing.assert_allclose(apart[stratum, 1], alone[0, 1], atol=2e-3)


def test_a_stratum_without_anybody_has_what_the_others_say():
    """Its effect is that of a new stratum: wider than the mean effect's."""
    samples = draw(np.random.default_rng(7), "continuous")
    told = asked(samples, "continuous", {"kind": "fixed", "value": 0.5})
    model = dense(samples, 2, "continuous", 0.5)
    spread = np.linalg.inv(model.curvature(model.mode()))
    assert told[2, 2, 2] == pytest.approx(spread[6, 6] + 0.25, rel=1e-9)
    z = (told[2, 2, 1] - BOUND["continuous"]) / math.sqrt(told[2, 2, 2])
    assert told[2, 2, 0] == pytest.approx(norm.cdf(z), abs=1e-9)


class NaiveBorrowing(NaivePlatform):
    """The twin, its strata judged by odds ratios that borrow."""

    def number_of(self, condition, arm, stratum=None):
        if stratum is None:
            return super().number_of(condition, arm)
        said, strata = self.spec["strata_analysis"], list(self.shares_of_strata)
        samples = np.zeros((len(strata), 2, 4))
        for place, one in enumerate(strata):
            known = [p for p in self.known if p.arm == arm.number and p.stratum == one]
            samples[place, 1] = [*self.counts(self.controls_of(arm, one)), *self.counts(known)]
        rule = rule_of(HalfNormal.model_validate(said["spread"]), NODES)
        models = [dense(samples, 1, "binary", tau) for tau in rule.nodes]
        bound = math.log(condition.get("above", condition.get("below")))
        below = mixed_below(models, rule.weights, len(strata) + strata.index(stratum), bound)
        return 1.0 - below if "above" in condition else below


DESIGN = f"""
kind: platform
endpoint: response
max_patients: 70
looks: {{evaluable: [30, 45]}}
analysis: {{kind: beta_binomial, prior: {{alpha: 1, beta: 1}}}}
strata_analysis: {{kind: hierarchical, level: {LEVEL}, mean: {EFFECT}, spread: {{kind: half_normal, scale: 0.5}}}}
rules:
  - of: each_stratum
    stop_for: futility
    from_patients: 2
    when: {{probability_that: odds_ratio, above: 1, is_below: 0.6}}
  - {{stop_for: efficacy, when: {{probability_that: difference, above: 0, exceeds: 0.9}}}}
"""


def test_trials_are_those_of_the_twin():
    """Which strata close, and what comes of the arms."""
    seed, wrong, twins = compare(yaml.safe_load(DESIGN), None, 6, naive=NaiveBorrowing)
    assert not wrong, f"seed {seed}"
    assert any(arm.closings for twin in twins for arm in twin.tests)

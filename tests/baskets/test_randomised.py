"""Randomised baskets: posteriors by another order of integration, trials told again from their patients."""

import copy
import functools
import math

import numpy as np
import pytest
from effects_by_hand import of_kernels, posterior
from naive_baskets import Draws
from numpy.polynomial.legendre import leggauss
from scipy.interpolate import CubicSpline
from scipy.special import expit, logsumexp
from scipy.stats import beta as beta_distribution
from scipy.stats import gamma as gamma_distribution
from scipy.stats import norm

from lmd_trialsim.analyses.hierarchical_tables import EXCHANGEABLE, Kind, Mixture, Normal
from lmd_trialsim.basket_replay import replay_baskets
from lmd_trialsim.designs.effect_building import _difference, built_on_grid
from lmd_trialsim.designs.effect_data import OfTwoHazards, OfTwoRates
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.measures import HAZARD_RATIO, ODDS_RATIO
from lmd_trialsim.designs.scale_priors import HalfNormal, NormalLogit
from lmd_trialsim.patients.course import Curve, lives_no_longer
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import run

ALLOCATION = 2
BOUNDS = np.array([[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
MEAN, SCALE = (-0.2, 0.8), 0.5
HAZARDS = {  # (events, months) of control and treatment in three baskets
    "alike": [((9, 30.0), (6, 45.0)), ((12, 38.0), (8, 50.0)), ((7, 22.0), (6, 31.0))],
    "unlike": [((15, 20.0), (3, 60.0)), ((4, 30.0), (11, 25.0)), ((0, 3.0), (0, 2.5))],
}
RATES = {  # (responses, patients)
    "alike": [((3, 10), (6, 10)), ((4, 12), (8, 13)), ((2, 9), (5, 9))],
    "unlike": [((1, 12), (11, 12)), ((9, 14), (4, 13)), ((0, 0), (0, 1))],
}


def frame(measure):
    return Frame(["a", "b", "c"], [30, 28, 26], [], np.ones(3), np.full(3, math.nan), BOUNDS, len(BOUNDS), measure)


def ask(built, names, data):
    """Return tails and means as kernels compute them. names: of the columns of the desk that the data belong in."""
    columns = {name: np.transpose([[numbers[i] for numbers in arms] for arms in data]) for i, name in enumerate(names)}
    tails, moments = of_kernels(*built, 2, columns)
    return tails, moments[:, 0]


def log_of_hazards(control, treated, effect):
    """Both arms' likelihood with the control's hazard integrated numerically under its gamma prior."""
    (d_c, t_c), (d_t, t_t) = control, treated
    x, w = leggauss(24)
    edges = np.concatenate([[-70.0, -40.0, -20.0, -12.0], np.arange(-8.0, 5.1, 1.0)])
    half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
    log_hazard, weight = (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()
    hazard = np.exp(log_hazard)
    prior = gamma_distribution.logpdf(hazard, 0.5, scale=1.0 / 2.0) + log_hazard + np.log(weight)
    own = prior + d_c * log_hazard - hazard * t_c
    effect = np.asarray(effect)[..., None]
    return logsumexp(own + d_t * (log_hazard + effect) - hazard * np.exp(effect) * t_t, axis=-1)


def log_of_rates(control, treated, effect):
    """Both arms' likelihood with the control's rate integrated numerically under its beta prior."""
    (x_c, n_c), (x_t, n_t) = control, treated
    x, w = leggauss(120)
    rate = (x + 1.0) / 2.0
    logit = np.log(rate / (1.0 - rate))
    prior = beta_distribution.logpdf(rate, 1.0, 2.0) + np.log(w / 2.0)
    own = prior + x_c * np.log(rate) + (n_c - x_c) * np.log1p(-rate)
    treatment = expit(logit + np.asarray(effect)[..., None])
    tiny = 1e-300
    lost = np.log(np.maximum(1.0 - treatment, tiny))
    return logsumexp(own + x_t * np.log(np.maximum(treatment, tiny)) + (n_t - x_t) * lost, axis=-1)


@functools.cache
def tabulated(log, control, treated):
    """The log likelihood between the points of a fine grid, as the other integral asks it very often."""
    points = np.linspace(-45.0, 45.0, 6001)
    values = log(control, treated, points)
    return CubicSpline(points, values)


KINDS = {
    "hazards": (HAZARDS, OfTwoHazards(0.5, 2.0), HAZARD_RATIO, ("events", "months"), log_of_hazards),
    "rates": (RATES, OfTwoRates(1.0, 2.0), ODDS_RATIO, ("responses", "patients"), log_of_rates),
}


@pytest.mark.parametrize("name", ["alike", "unlike"])
@pytest.mark.parametrize("kind", KINDS)
def test_posterior_is_that_of_another_order_of_integration(kind, name):
    of, data, measure, names, log = KINDS[kind]
    built = built_on_grid(
        frame(measure),
        NormalLogit(mean=MEAN[0], sd=MEAN[1]),
        HalfNormal(kind="half_normal", scale=SCALE),
        [Kind(0.0, EXCHANGEABLE)] * 3,
        data,
    )
    assert built[0].error <= 1e-5
    tails, means = ask(built, names, of[name])
    logs = [tabulated(log, *arms) for arms in of[name]]
    expected, expected_means = posterior(logs, MEAN, SCALE, np.zeros(3), np.log(BOUNDS))
    np.testing.assert_allclose(tails, expected, atol=2e-5)  # twice the quadrature error that is let pass
    np.testing.assert_allclose(means, expected_means, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_exchangeable_or_not_is_that_of_another_order_of_integration(kind):
    of, data, measure, names, log = KINDS[kind]
    built = built_on_grid(
        frame(measure),
        NormalLogit(mean=MEAN[0], sd=MEAN[1]),
        HalfNormal(kind="half_normal", scale=SCALE),
        [Kind(0.0, Mixture(0.5, Normal(0.1, 1.0)))] * 3,
        data,
    )
    tails, _ = ask(built, names, of["unlike"])
    logs = [tabulated(log, *arms) for arms in of["unlike"]]
    expected, _ = posterior(logs, MEAN, SCALE, np.zeros(3), np.log(BOUNDS), (0.5, 0.1, 1.0))
    np.testing.assert_allclose(tails, expected, atol=2e-5)


# ---- whole trials -------------------------------------------------------------------------------------------------


def scenario_of(endpoint, analysis, word, **design):
    """A scenario of three randomised baskets, two for the treatment and one for the control."""
    by = {"a": (0.3, 4.0), "b": (0.5, 2.0), "c": (0.2, 6.0)}
    side = "below" if endpoint == "os" else "above"
    return {
        "schema": 1,
        "title": "randomised",
        "population": {"accrual": {"patients_per_month": 6}, "strata": {"a": 0.5, "b": 0.3, "c": 0.2}},
        "endpoints": {
            "os": {"kind": "time_to_event"},
            "response": {"kind": "binary", "assessed_after_months": 1.5},
        },
        "arms": {"standard": {"control": True}, "drug": {}},
        "truths": {
            "real": {
                "os": {
                    "standard": {"by_stratum": {name: {"median_months": m} for name, (_, m) in by.items()}},
                    "drug": {"hazard_ratio": 0.6},
                },
                "response": {
                    "standard": {"by_stratum": {name: {"rate": r} for name, (r, _) in by.items()}},
                    "drug": {"by_stratum": {name: {"rate": r + 0.2} for name, (r, _) in by.items()}},
                },
            }
        },
        "designs": {
            "basket": {
                "kind": "basket",
                "endpoint": endpoint,
                "arms": {"control": "standard", "treatment": "drug"},
                "ratio": {"standard": 1, "drug": 2},
                "block": 3,
                "max_patients": 18,
                "looks": {"in_each": [9]},
                "analysis": analysis,
                "rules": [
                    {"stop_for": "efficacy", "when": {"probability_that": word, side: "null_ratio", "exceeds": 0.95}}
                ],
                **design,
            }
        },
    }


ALONE = {
    "kind": "exnex",
    "exchangeable": [{"weight": 0, "mean": {"mean": 0, "sd": 1}, "sd": {"kind": "half_normal", "scale": 0.5}}],
    "non_exchangeable": {"weight": 1, "mean": 0.1, "sd": 0.9},
}
TIMES = scenario_of("os", ALONE | {"control_hazard": {"events": 0.5, "months": 2}}, "hazard_ratio", follow_up_months=2)
RESPONSES = scenario_of("response", ALONE | {"control_rate": {"alpha": 1, "beta": 2}}, "odds_ratio")


def effect_alone(log, control, treated):
    """Posterior mean and P(effect > 0) of one basket under its own prior, by one integral."""
    x, w = leggauss(12)
    edges = np.unique(np.append(np.linspace(-8.0, 8.2, 90), 0.0))
    half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
    effect, weight = (middle[:, None] + half[:, None] * x).ravel(), (half[:, None] * w).ravel()
    mass = norm.logpdf(effect, 0.1, 0.9) + log(control, treated, effect)
    mass = weight * np.exp(mass - mass.max())
    return (mass * effect).sum() / mass.sum(), mass[effect > 0.0].sum() / mass.sum()


def of_scenario(scenario):
    return Scenario.of(Document(copy.deepcopy(scenario), "randomised"))


@pytest.mark.parametrize(("scenario", "log"), [(TIMES, log_of_hazards), (RESPONSES, log_of_rates)])
def test_looks_are_those_that_their_patients_make(scenario, log):
    """Arms by permuted blocks of each basket, counts of each arm, and the posterior that follows from them."""
    loaded, seed = of_scenario(scenario), int(np.random.default_rng().integers(2**40))
    times = scenario is TIMES
    for replicate in range(4):
        trial = replay_baskets(loaded, "basket", "real", seed, replicate)
        for look in trial.looks:
            for seen in look.baskets:
                known = [counts_of(trial.patients, look, seen.basket, arm, times) for arm in (0, 1)]
                told = [seen.of_control, seen.of_treatment]
                assert [(arm.patients, arm.counted) for arm in told] == [(n, x) for n, x, _ in known]
                np.testing.assert_allclose([arm.months for arm in told], [m for *_, m in known], rtol=1e-9, atol=1e-9)
                data = [(x, m) if times else (x, n) for n, x, m in known]
                mean, above = effect_alone(log, *data)
                assert seen.mean == pytest.approx(mean, abs=2e-4)
                if seen.look is not None and seen.answers[0]:
                    assert seen.answers[0][0].value == pytest.approx(1.0 - above if times else above, abs=2e-5)


def counts_of(patients, look, basket, arm, times):
    """Return (patients, events or responses, patient-months) of an arm of a basket that are known at a look."""
    n = x = 0
    months = 0.0
    for person in patients:
        if person.basket != basket or person.arm != arm or person.month > look.month:
            continue
        if times:
            dead = person.month + person.event <= look.month
            n, x, months = n + 1, x + dead, months + min(person.event, look.month - person.month)
        elif person.month + 1.5 <= look.month + 1e-9:
            n, x = n + 1, x + person.outcome
    return n, x, months


def test_arms_are_drawn_from_permuted_blocks_of_each_basket():
    """All orders of a block come up alike; every third patient of a basket gets the control."""
    loaded, first = of_scenario(RESPONSES), {}
    for replicate in range(400):
        trial = replay_baskets(loaded, "basket", "real", 7, replicate)
        for basket in ("a", "b", "c"):
            arms = [p.arm for p in trial.patients if p.basket == basket]
            blocks = [tuple(arms[i : i + 3]) for i in range(0, len(arms) - 2, 3)]
            assert all(sum(block) == 2 for block in blocks)
            for block in blocks[:1]:
                first[block] = first.get(block, 0) + 1
    total = sum(first.values())
    assert len(first) == 3
    assert all(abs(count - total / 3) < 5 * math.sqrt(total * 2 / 9) for count in first.values())


def test_the_first_arm_of_a_basket_is_that_of_its_patients_own_uniform():
    trial = replay_baskets(of_scenario(TIMES), "basket", "real", 11, 3)
    draws = Draws(11, 3)
    for basket in ("a", "b", "c"):
        person = next(p for p in trial.patients if p.basket == basket)
        if trial.patients[-1].number == len(trial.patients) and person.number <= 9:
            # Nobody is turned away before a basket has 18, so the number of a patient is that of the arrival.
            assert person.arm == int(draws.at(ALLOCATION, person.number - 1) * 3 >= 1)


def test_type_i_error_and_power_are_told_by_the_curves():
    """A drug that helps late has no one hazard ratio: no bias, and success is power."""
    late = copy.deepcopy(TIMES)
    late["truths"]["real"]["os"]["drug"] = {"hazard_ratio": 0.5, "from_month": 3}
    (row,) = run(of_scenario(late), replicates=50).rows
    found = {(one.name, one.cell): one.estimate for one in row.characteristics}
    assert ("power", "a") in found
    assert math.isnan(found["bias", "a"])
    harmful = copy.deepcopy(TIMES)
    harmful["truths"]["real"]["os"]["drug"] = {"hazard_ratio": 1.3}
    (row,) = run(of_scenario(harmful), replicates=50).rows
    assert ("type_i_error", "a") in {(one.name, one.cell) for one in row.characteristics}


def test_equal_rates_are_no_effect_even_where_there_is_no_odds_ratio():
    nobody = copy.deepcopy(RESPONSES)
    nobody["truths"]["real"]["response"] = {"standard": {"rate": 0}, "drug": {"same_as": "standard"}}
    (row,) = run(of_scenario(nobody), replicates=20).rows
    assert ("type_i_error", "a") in {(one.name, one.cell) for one in row.characteristics}


@pytest.mark.parametrize("shape", [1.0, 2.0])
def test_a_drug_that_helps_for_a_short_while_is_no_null_one(shape):
    """The survival curves cross within days of entry, long before the first month, or between two months."""
    control = Curve(shape, 0.0, (0.0,), (0.1,))
    for until in (0.05, 7.3):
        helps = control.times([(0.0, 0.5), (until, 50.0)])
        assert helps.survival(until) > control.survival(until)
        assert helps.survival(1.2 * until) < control.survival(1.2 * until)
        assert not lives_no_longer(control, helps)
        assert lives_no_longer(control, control.times([(0.0, 1.0), (until, 50.0)]))


def test_accuracy_is_chosen_for_means_where_there_are_means():
    """Of baskets in which nobody, or everybody, responds a heavy prior leaves no mean: they are not compared."""
    draw = np.random.Generator(np.random.Philox(1))
    rates, hazards = OfTwoRates(1.0, 1.0), OfTwoHazards(1.0, 1.0)
    for data in (rates, hazards):
        seen = data.sampled(draw, np.zeros((10, 3)), np.full((10, 3), 20.0))
        assert {column.shape for column in seen.values()} == {(10, 2, 3)}
        assert 0.0 < data.bounds_effect(seen).mean() < 1.0
    assert not rates.bounds_effect(rates.sampled(draw, np.zeros((10, 3)), np.full((10, 3), 20.0)))[0, 0]
    answers = np.full((3, 4, 2), 0.5)  # a tail, means and standard deviations
    worse = answers.copy()
    worse[1, 0, 0] += 0.01
    assert _difference(answers, worse) == pytest.approx(0.01 * 0.01 / 0.5)
    worse[1, 0, 0] = answers[1, 0, 0] = math.nan
    assert _difference(answers, worse) == 0.0

"""Baskets of times to an event: posteriors by another order of integration, and trials by a plain-Python twin."""

import copy
import functools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from effects_by_hand import of_kernels, posterior
from naive_baskets import DROPOUT, Cell, NaiveTrial
from numpy.polynomial.legendre import leggauss
from scipy.special import digamma, polygamma
from scipy.stats import gamma as gamma_distribution
from scipy.stats import norm
from test_cell_trial import row_of, row_of_twin

from lmd_trialsim.analyses.gamma_cells import GammaCells
from lmd_trialsim.analyses.hierarchical_tables import EXCHANGEABLE, Kind, Mixture, Normal
from lmd_trialsim.designs.effect_building import built_on_grid
from lmd_trialsim.designs.effect_data import OfTimes
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.measures import MEDIAN
from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, NormalLogit
from lmd_trialsim.engine.backends import play
from lmd_trialsim.kernel.jit import door
from lmd_trialsim.kernel.special import trigamma
from lmd_trialsim.reading import Document
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import job_of, run

EVENT = 16
NULL = np.array([3.0, 2.0, 4.0])
BOUNDS = np.array([NULL, [6.0, 5.0, 7.0]])
DATA = {
    "alike": ([12, 9, 10], [55.0, 26.0, 60.0]),
    "unlike": ([18, 4, 15], [30.0, 48.0, 200.0]),
    "nobody has died in one": ([0, 6, 11], [21.0, 15.0, 52.0]),
    "one is empty": ([7, 0, 5], [33.0, 0.0, 12.0]),
    "early": ([1, 1, 0], [0.4, 6.0, 2.0]),
}


def frame(numbers=(20, 16, 18)):
    baskets = ["a", "b", "c"]
    return Frame(baskets, list(numbers), [], NULL, np.full(3, math.nan), BOUNDS, len(BOUNDS), MEDIAN)


def ask(model, scratch, events, months):
    """Return tails, (bounds, baskets), and moments, (baskets, 2), as kernels compute them."""
    return of_kernels(model, scratch, 1, {"events": [events], "months": [months]})


# ---- the same posterior by another order of integration --------------------------------------------------------------


def log_likelihood(events, months, effect):
    return -events * effect - math.log(2.0) * months * np.exp(-effect)


def posterior_effect_last(events, months, mean, scale, offsets, own=None):
    """The same posterior, the basket's own effect integrated last."""
    logs = [functools.partial(log_likelihood, float(d), t) for d, t in zip(events, months, strict=True)]
    bounds = np.log(BOUNDS)
    return posterior(logs, mean, scale, offsets, bounds, own)


OFTEN = ("unlike", "one is empty")
ALL = [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in DATA]


@pytest.mark.parametrize("name", ALL)
def test_hierarchical_posterior_is_that_of_another_order_of_integration(name):
    kinds = [Kind(math.log(null), EXCHANGEABLE) for null in NULL]
    model, scratch = built_on_grid(
        frame(), NormalLogit(mean=0.2, sd=1.0), HalfNormal(kind="half_normal", scale=0.5), kinds, OfTimes()
    )
    assert model.error <= 1e-5
    tails, moments = ask(model, scratch, *DATA[name])
    expected, means = posterior_effect_last(*DATA[name], (0.2, 1.0), 0.5, np.log(NULL))
    np.testing.assert_allclose(tails, expected, atol=2e-5)  # twice the quadrature error that is let pass
    np.testing.assert_allclose(moments[:, 0], means, atol=1e-4)


@pytest.mark.parametrize("name", ["nobody has died in one", pytest.param("unlike", marks=pytest.mark.slow)])
def test_exchangeable_or_not_is_that_of_another_order_of_integration(name):
    kinds = [Kind(0.0, Mixture(0.6, Normal(1.2, 0.9)))] * 3
    model, scratch = built_on_grid(
        frame(), NormalLogit(mean=1.0, sd=0.8), HalfNormal(kind="half_normal", scale=0.3), kinds, OfTimes()
    )
    tails, _ = ask(model, scratch, *DATA[name])
    expected, _ = posterior_effect_last(*DATA[name], (1.0, 0.8), 0.3, np.zeros(3), (0.6, 1.2, 0.9))
    np.testing.assert_allclose(tails, expected, atol=2e-5)


# ---- limits and closed forms ----------------------------------------------------------------------------------------


def one_effect(events, months, mean, sd):
    """Return P(effect > log bound) of one normal effect for all the data, (bounds,): one integral."""
    edges = np.unique(np.concatenate([np.linspace(mean - 9 * sd, mean + 9 * sd, 120), np.log(BOUNDS[:, 0])]))
    y, v = leggauss(12)
    half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
    effect, weight = (middle[:, None] + half[:, None] * y).ravel(), (half[:, None] * v).ravel()
    log = log_likelihood(events, months, effect) + norm.logpdf(effect, mean, sd)
    mass = weight * np.exp(log - log.max())
    return [mass[effect > np.log(bound)].sum() / mass.sum() for bound in BOUNDS[:, 0]]


@pytest.mark.parametrize("name", DATA)
def test_no_spread_pools(name):
    events, months = DATA[name]
    model, scratch = built_on_grid(
        frame(),
        NormalLogit(mean=1.0, sd=1.0),
        FixedSd(kind="fixed", value=0.0),
        [Kind(0.0, EXCHANGEABLE)] * 3,
        OfTimes(),
    )
    tails, _ = ask(model, scratch, events, months)
    np.testing.assert_allclose(tails[:, 0], one_effect(sum(events), sum(months), 1.0, 1.0), atol=1e-8)


@pytest.mark.parametrize("name", DATA)
def test_no_exchangeability_leaves_each_by_itself(name):
    events, months = DATA[name]
    kinds = [Kind(0.0, Mixture(0.0, Normal(1.1, 1.3)))] * 3
    model, scratch = built_on_grid(
        frame(), NormalLogit(mean=1.0, sd=1.0), HalfNormal(kind="half_normal", scale=1.0), kinds, OfTimes()
    )
    tails, _ = ask(model, scratch, events, months)
    np.testing.assert_allclose(tails[:, 0], one_effect(events[0], months[0], 1.1, 1.3), atol=1e-7)


@pytest.mark.parametrize("pooled", [0, 1])
def test_gamma_posteriors_are_those_of_scipy(pooled):
    events, months = (np.array(part, float) for part in DATA["unlike"])
    model = GammaCells(np.full(3, 0.7), np.full(3, 2.5), pooled, BOUNDS)
    tails, moments = ask(model, 1, events, months)
    shape, rate = (0.7 + events.sum(), 2.5 + months.sum()) if pooled else (0.7 + events, 2.5 + months)
    hazard = gamma_distribution(np.broadcast_to(shape, 3), scale=1.0 / rate)
    np.testing.assert_allclose(tails, hazard.cdf(math.log(2.0) / BOUNDS), rtol=1e-12)
    draws = np.log(math.log(2.0) / hazard.rvs((200_000, 3), random_state=np.random.default_rng(5)))
    error = draws.std(axis=0) / math.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - moments[:, 0]) < 5 * error).all()
    spread = moments[:, 1] - moments[:, 0] ** 2
    np.testing.assert_allclose(draws.var(axis=0), spread, rtol=0.03)


@door
def _trigamma(x):
    return trigamma(x)


def test_trigamma_is_that_of_scipy():
    for x in (1e-3, 0.3, 1.0, 2.5, 11.9, 12.0, 400.0):
        assert _trigamma(x) == pytest.approx(float(polygamma(1, x)), rel=1e-13)


# ---- whole trials, against a twin -----------------------------------------------------------------------------------

RULES = [
    {"stop_for": "harm", "from_patients": 4, "when": {"probability_that": "median", "below": 2.0, "exceeds": 0.9}},
    {
        "stop_for": "futility",
        "at": "interim",
        "when": [
            {"probability_that": "median", "above": "midpoint", "at_most": 0.3},
            {"number_of": "events", "at_least": 3},
        ],
    },
    {"stop_for": "efficacy", "when": {"probability_that": "median", "above": "null_median", "exceeds": 0.9}},
    {"stop_for": "efficacy", "at": "final", "when": {"estimate_of": "median", "at_least": 5.0}},
]


@dataclass
class FollowedCell(Cell):
    """A basket whose patients are followed."""

    events: int = 0  # by the present look

    @property
    def counted(self):
        """(patients, events)."""
        return self.taken, self.events


class NaiveTimes(NaiveTrial):
    """The twin, whose patients are followed: counts are of events, posteriors gamma."""

    def __init__(self, scenario, design, truth, seed, replicate):
        super().__init__(scenario, design, truth, seed, replicate)
        self.delay = float(self.spec.get("follow_up_months", 0.0))
        self.cells = [FollowedCell(cell.name, cell.most, cell.opens, cell.slow) for cell in self.cells]

    def outcome_of(self, patient, stratum):  # noqa: ARG002 (as any twin)
        return 0

    def screen(self, month, decision, look):
        patient = self.came
        person = super().screen(month, decision, look)
        if person is not None:
            median = self.truth[self.spec["endpoint"]][self.arm]["by_stratum"][self.stratum_of(patient)][
                "median_months"
            ]
            person.event = -math.log(self.draws.at(EVENT, patient)) * median / math.log(2)
            out = self.truth.get("drop_out")
            left = -math.log(self.draws.at(DROPOUT, patient)) / out["per_month"] if out else math.inf
            person.censor = min(left, self.endpoint.get("followed_for_months", math.inf))
        return person

    def seen(self, cell):
        """Return (events, patient-months) at the present look."""
        now, events, months = self.month_of_look[-1], 0, 0.0
        for person in cell.people:
            dead = person.event <= person.censor and person.month + person.event <= now
            events += dead
            months += person.event if dead else min(person.censor, now - person.month)
        return events, months

    def posterior(self, number):
        prior = self.spec["analysis"]["prior"]
        cells = self.cells if self.spec["analysis"].get("pooled") else [self.cells[number]]
        seen = [self.seen(cell) for cell in cells]
        return prior["events"] + sum(e for e, _ in seen), prior["months"] + sum(m for _, m in seen)

    def bound(self, stated, cell):
        of = self.of_basket[cell.name]
        null, target = (of.get(key, self.spec.get(key)) for key in ("null_median", "target_median"))
        named = {"null_median": null, "target_median": target, "midpoint": (null + target) / 2}
        return named.get(stated, stated)

    def holds(self, condition, number, place):  # noqa: ARG002 (as any twin)
        a, b = self.posterior(number)
        cell = self.cells[number]
        if "probability_that" in condition:
            side = "above" if "above" in condition else "below"
            hazard = gamma_distribution(a, scale=1.0 / b)
            tail = hazard.cdf if side == "above" else hazard.sf
            value = tail(math.log(2.0) / self.bound(condition[side], cell))
        elif "estimate_of" in condition:
            value = math.exp(self.estimate(a, b))
        else:
            value = self.seen(cell)[0]
        if "exceeds" in condition:
            return value > condition["exceeds"]
        return value >= condition["at_least"] if "at_least" in condition else value <= condition["at_most"]

    @staticmethod
    def estimate(a, b):
        return math.log(math.log(2.0)) - float(digamma(a)) + math.log(b)

    def judge(self, due, final):
        for cell in self.cells:
            cell.events = self.seen(cell)[0]
        super().judge(due, final)
        for number in due:
            if self.cells[number].state == "pending":
                self.cells[number].estimate = self.estimate(*self.posterior(number))


def scenario_of(*, population=None, endpoint=None, truth=None, **design):
    """A scenario of three baskets and a stratum without one."""
    medians = {"a": 5.0, "b": 2.0, "c": 3.5, "elsewhere": 3.0}
    return {
        "schema": 1,
        "title": "twins",
        "population": {
            "accrual": {"patients_per_month": 4},
            "strata": {"a": 0.4, "b": 0.25, "c": 0.2, "elsewhere": 0.15},
            **(population or {}),
        },
        "endpoints": {"os": {"kind": "time_to_event", **(endpoint or {})}},
        "arms": {"drug": {}},
        "truths": {
            "real": {
                "os": {"drug": {"by_stratum": {name: {"median_months": m} for name, m in medians.items()}}},
                **(truth or {}),
            }
        },
        "designs": {
            "basket": {
                "kind": "basket",
                "endpoint": "os",
                "null_median": 3,
                "target_median": 6,
                "max_patients": 14,
                "baskets": {"a": {}, "b": {}, "c": {}},
                "analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 2}},
                "rules": [rule for rule in RULES if "looks" in design or rule.get("at") != "interim"],
                **design,
            }
        },
    }


VARIANTS = {
    "one look": {"follow_up_months": 3},
    "at once": {},
    "in each": {"looks": {"in_each": [5, 10]}, "follow_up_months": 2.5},
    "in one": {"looks": {"in_one": [6]}, "follow_up_months": 1, "months_to_decide": 0.7},
    "in all": {"looks": {"in_all": [12, 25]}, "max_in_all": 36, "follow_up_months": 4},
    "months": {"looks": {"months": [4, 7, 9]}, "max_months": 11},
    "lost": {"truth": {"drop_out": {"per_month": 0.08}}, "looks": {"in_each": [8]}, "follow_up_months": 3},
    "own follow-up": {"endpoint": {"followed_for_months": 4}, "looks": {"in_all": [20]}, "follow_up_months": 3},
    "slow and late": {
        "baskets": {"a": {"opens_at_month": 2}, "b": {"closes_if": {"by_month": 5, "fewer_than": 6}}, "c": {}},
        "looks": {"in_each": [6]},
        "follow_up_months": 1,
    },
    "pooled": {
        "analysis": {"kind": "gamma_exponential", "pooled": True, "prior": {"events": 0.5, "months": 2}},
        "looks": {"in_each": [7]},
        "follow_up_months": 2,
    },
}


@pytest.mark.parametrize("name", VARIANTS)
def test_trials_are_those_of_the_twin(name):
    scenario, replicates, seed = scenario_of(**VARIANTS[name]), 30, int(np.random.default_rng().integers(2**40))
    job = job_of(Scenario.of(Document(copy.deepcopy(scenario), "twins")), "basket", "real", replicates)
    outcomes = play(job, seed, 0, replicates)
    for replicate in range(replicates):
        twin = NaiveTimes(scenario, "basket", "real", seed, replicate).play()
        expected, found = row_of_twin(twin), row_of(outcomes, replicate, len(twin.cells))
        for what, value in expected.items():
            if what in ("months", "estimate"):
                np.testing.assert_allclose(found[what], value, rtol=1e-9, err_msg=f"{what}, {seed}, {replicate}")
            else:
                assert found[what] == value, (what, seed, replicate)


def characteristics(scenario, replicates):
    (row,) = run(Scenario.of(Document(copy.deepcopy(scenario), "times")), replicates=replicates).rows
    return {(one.name, one.cell): one for one in row.characteristics}


def test_hierarchical_trials_have_power_between_those_of_separate_and_of_pooled_baskets():
    """And a basket that the drug does not help is called a success more often the more is borrowed."""
    hierarchical = {"kind": "hierarchical", "mean": {"mean": 1, "sd": 1}, "sd": {"kind": "half_normal", "scale": 0.5}}
    separate, between, pooled = (
        characteristics(scenario_of(follow_up_months=3, rules=[RULES[2]], analysis=analysis), 4000)
        for analysis in (
            VARIANTS["pooled"]["analysis"] | {"pooled": False},
            hierarchical,
            VARIANTS["pooled"]["analysis"],
        )
    )
    errors = [found["type_i_error", "b"] for found in (separate, between, pooled)]
    assert errors[0].estimate < errors[1].estimate < errors[2].estimate
    assert between["effective_borrowed_events", "a"].estimate > 0.5


def test_truth_without_a_median_is_no_null_one():
    scenario = scenario_of(follow_up_months=3)
    scenario["truths"]["real"]["os"]["drug"]["by_stratum"]["b"] = {"median_months": 3, "cure_fraction": 0.1}
    assert ("power", "b") not in characteristics(scenario, 10)


def test_power_with_complete_follow_up_is_that_of_the_gamma_distribution():
    """Where all have died, patient-months are gamma distributed, and success is a bound on them."""
    n, events, months, cut = 12, 0.5, 2.0, 0.9
    scenario = scenario_of(
        max_patients=n,
        follow_up_months=150,
        rules=[
            {"stop_for": "efficacy", "when": {"probability_that": "median", "above": "null_median", "exceeds": cut}}
        ],
    )
    found = characteristics(scenario, 20_000)
    needed = gamma_distribution.ppf(cut, events + n) * 3.0 / math.log(2.0) - months
    for basket, median in (("a", 5.0), ("b", 2.0), ("c", 3.5)):
        expected = gamma_distribution.sf(needed, n, scale=median / math.log(2.0))
        success = found["probability_of_success", basket]
        assert abs(success.estimate - expected) < 5 * math.sqrt(expected * (1 - expected) / 20_000)
        assert found["effective_borrowed_events", basket].estimate == pytest.approx(
            1 / float(polygamma(1, events + n)) - n
        )


@pytest.mark.parametrize("sd", [0.01, 0.1, 1.0])
def test_a_known_spread_is_integrated_as_well(sd):
    """As the spread falls, the posterior comes to that of pooled data."""
    kinds = [Kind(0.0, EXCHANGEABLE)] * 3
    model, scratch = built_on_grid(
        frame(), NormalLogit(mean=1.0, sd=1.0), FixedSd(kind="fixed", value=sd), kinds, OfTimes()
    )
    assert model.error <= 1e-5
    events, months = DATA["alike"]
    tails, _ = ask(model, scratch, events, months)
    distance = np.abs(tails[:, 0] - one_effect(sum(events), sum(months), 1.0, 1.0)).max()
    assert distance < 2e-3 if sd == 0.01 else distance > 2e-3


def test_own_priors_that_are_wide_are_not_cut_off():
    """Whatever the exchangeable prior is: a basket of weight 0 has its own prior alone."""
    kinds = [Kind(math.log(3.0), Mixture(0.0, Normal(0.0, 10.0)))] * 3
    narrow = HalfNormal(kind="half_normal", scale=0.1)
    model, scratch = built_on_grid(frame(), NormalLogit(mean=0.0, sd=0.1), narrow, kinds, OfTimes())
    tails, _ = ask(model, scratch, [0, 0, 0], [4.0, 2.8, 6.0])
    for basket, months in enumerate([4.0, 2.8, 6.0]):
        bound = math.log(BOUNDS[1, basket] / 3.0)
        edges = np.unique(np.append(np.linspace(-90.0, 90.0, 1200), bound))
        y, v = leggauss(12)
        half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
        effect, weight = (middle[:, None] + half[:, None] * y).ravel(), (half[:, None] * v).ravel()
        mass = weight * np.exp(log_likelihood(0, months, effect + math.log(3.0)) + norm.logpdf(effect, 0.0, 10.0))
        assert tails[1, basket] == pytest.approx(mass[effect > bound].sum() / mass.sum(), abs=1e-5)


def test_baskets_are_pooled_however_unlike_they_are():
    """Far out in the tails of two likelihoods the posterior is still that of all data together."""
    events, months = [100, 100, 100], [144.0, 4300.0, 144.0]
    kinds = [Kind(0.0, EXCHANGEABLE)] * 3
    model, scratch = built_on_grid(
        frame((100, 100, 100)), NormalLogit(mean=1.0, sd=1.0), FixedSd(kind="fixed", value=0.0), kinds, OfTimes()
    )
    tails, moments = ask(model, scratch, events, months)
    np.testing.assert_allclose(tails[:, 0], one_effect(sum(events), sum(months), 1.0, 1.0), atol=1e-8)
    assert moments[1, 0] == pytest.approx(math.log(math.log(2.0) * sum(months) / sum(events)), abs=0.05)

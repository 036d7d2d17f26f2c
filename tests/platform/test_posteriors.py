"""What is made of arms: against quadrature by other rules, sampling, and plain formulas that share no code with it."""

import math

import numpy as np
import pytest
from arm_desks import ask, controls_are, desk_for, frame
from lifelines.statistics import logrank_test
from scipy.integrate import quad
from scipy.special import beta as betafunction
from scipy.stats import beta, gamma, norm, t, ttest_ind

from lmd_trialsim.designs.arm_analyses import (
    ArmBetaBinomial,
    ArmDifferenceOfMeans,
    ArmDifferenceOfProportions,
    ArmGammaExponential,
    ArmLogRank,
    ArmNormal,
    ArmPeriodRegression,
)
from lmd_trialsim.kernel.desk import MISSING, NOT_EVALUABLE

SIGMAS = 5.0
EXACT = 1e-9  # what the windows of large counts cut off, and more than either quadrature loses otherwise


# Of distributions of scipy.stats, by double exponential quadrature over the probabilities of one of them: integrands
# are bounded there, poles of densities and all. `higher`: the larger one is the better.

_STEPS = np.linspace(-3.3, 3.3, 89)
_NODE = 1.0 / (1.0 + np.exp(-math.pi * np.sinh(_STEPS)))
_WEIGHT = _NODE * (1.0 - _NODE) * math.pi * np.cosh(_STEPS) * (_STEPS[1] - _STEPS[0])
_REST = 1.0 / (1.0 + np.exp(math.pi * np.sinh(_STEPS)))


def mean_over(distribution, function, breaks):
    """Return the mean of the function of x; in pieces between breaks, at which it may turn sharply."""
    low = np.sort(np.clip(np.array([0.0, *distribution.cdf(breaks)]), 0.0, 1.0))
    high = np.append(low[1:], 1.0)
    u = low[:, None] + (high - low)[:, None] * _NODE
    from_above = distribution.sf(np.sort([*breaks, *distribution.support()])[1:])  # 1 - u where u is near to 1
    upper = u > 0.9
    x = distribution.ppf(np.where(upper, 0.5, u))
    rest = (high - low)[:, None] * _REST + np.minimum(from_above, 1.0 - low)[: len(low), None]
    x = np.where(upper, distribution.isf(rest), x)
    return float(np.sum((high - low)[:, None] * _WEIGHT * function(x)))


def _turns(distributions, shifts=(0.0,)):
    """Return quantiles of the distributions, and ends of their supports, within the common support."""
    found = {q - s for d in distributions for s in shifts for q in d.ppf([1e-9, 0.01, 0.3, 0.7, 0.99, 1 - 1e-9])}
    low, high = distributions[0].support()
    found |= {end - s for end in (low, high) for s in shifts}
    return sorted(x for x in found if low < x < high)


def best_by_quadrature(distributions, higher=True):
    """Return P(each is the best of all)."""

    def of(number):
        others = [d for i, d in enumerate(distributions) if i != number]
        product = lambda x: np.prod([d.cdf(x) if higher else d.sf(x) for d in others], axis=0)  # noqa: E731
        return mean_over(distributions[number], product, _turns(distributions))

    return np.array([of(number) for number in range(len(distributions))])


def exceeds_by_quadrature(one, other, shift):
    """Return P(one > other + shift)."""
    return mean_over(other, lambda x: one.sf(x + shift), _turns([other, one], (0.0, shift)))


def alike_by_quadrature(distributions, within):
    """Return P(no two lie further apart than `within`)."""

    def of(lowest):
        others = [d for i, d in enumerate(distributions) if i != lowest]
        product = lambda x: np.prod([d.cdf(x + within) - d.cdf(x) for d in others], axis=0)  # noqa: E731
        return mean_over(distributions[lowest], product, _turns(distributions, (0.0, within)))

    return sum(of(lowest) for lowest in range(len(distributions)))


# Rates.

PRIORS = {
    "uniform": [(1, 1)],
    "jeffreys": [(0.5, 0.5)],
    "poles": [(0.1, 0.4)],
    "unequal": [(2, 6), (1, 1), (0.5, 1.5)],
}
COUNTS = {
    "none of few": [(0, 0), (1, 1), (3, 0)],
    "all and none": [(20, 20), (20, 0), (20, 7)],
    "eight": [(n, x) for n, x in zip(range(12, 36, 3), (3, 2, 6, 5, 9, 11, 8, 20), strict=True)],
    "many": [(300, 75), (300, 90), (280, 60), (300, 300)],
    "two": [(40, 10), (38, 17)],
}
BOUNDS = [("difference", 0.0), ("difference", 0.1), ("difference", -0.07), ("rate", 0.3)]


def rates_of(priors, counts, *, most, lower=False, control=True, within=0.1, other=None):
    """Return what the model says of arms with counts (patients, responses), and the beta distributions of the rates.

    other: counts of the control patients that arms are compared with.
    """
    arms = len(counts)
    pairs = [priors[i % len(priors)] for i in range(arms)]
    written = {f"arm{i}": {"alpha": a, "beta": b} for i, (a, b) in enumerate(pairs)}
    effects = (
        [math.nan, *(0.05 * (i - 1) for i in range(1, arms))] if control else [0.2 + 0.05 * i for i in range(arms)]
    )
    bounds = BOUNDS if control else BOUNDS[3:]
    spec = ArmBetaBinomial.model_validate({"kind": "beta_binomial", "priors": written})
    model, memory = spec.model(
        frame(arms, bounds=bounds, effects=effects, most=most, control=control, lower=lower, within=within)
    )
    desk = desk_for(memory, arms, control=control)
    desk.arms.patients, desk.arms.responses = np.array(counts).T
    n, x = other or counts[0]
    controls_are(desk, patients=n, responses=x)
    said = ask(model, desk, len(bounds))
    rates = [beta(a + x, b + n - x) for (a, b), (n, x) in zip(pairs, counts, strict=True)]
    return model, said, rates, beta(pairs[0][0] + x, pairs[0][1] + n - x), effects


def allowance(one, other, shift, node):
    """Return what a Gaussian rule may lose as the distribution function of one at x + shift turns at the end of its
    support: by the density of the other there, what lies within one gap of the nodes. By t ** q it rises from the end.
    """
    a, b = one.args
    turn, power = (1.0 - shift, b) if shift > 0 else (-shift, a)
    if shift == 0.0:
        return EXACT
    at = int(np.searchsorted(node, turn))
    gap = np.diff(node)[max(at - 2, 0) : at + 1].max()
    return EXACT + other.pdf(turn) * gap ** (power + 1.0) / (power * betafunction(a, b))


def assert_rates(model, said, rates, controls, effects, *, lower=False, within=0.1):
    node = model.node
    assert said.best == pytest.approx(best_by_quadrature(rates, higher=not lower), abs=EXACT)
    edges = sum(
        allowance(one, other, -within if lower else within, node)
        for one in rates
        for other in rates
        if one is not other
    )
    assert said.alike == pytest.approx(alike_by_quadrature(rates, within), abs=edges)
    for arm in range(1, len(rates)):
        asked = [*(value for quantity, value in BOUNDS if quantity == "difference"), effects[arm], 0.0]
        told = [*said.tails[:3, arm], said.beyond[arm], said.better[arm]]
        for shift, found in zip(asked, told, strict=True):
            beyond = exceeds_by_quadrature(rates[arm], controls, shift)
            near = allowance(rates[arm], controls, shift, node)
            assert found == pytest.approx(1.0 - beyond if lower else beyond, abs=near), (arm, shift)
        of_rate = rates[arm].sf(BOUNDS[3][1])
        assert said.tails[3, arm] == pytest.approx(1.0 - of_rate if lower else of_rate, abs=1e-13)
        assert said.estimate[arm] == pytest.approx(rates[arm].mean() - controls.mean(), abs=1e-13)


@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("priors", PRIORS.values(), ids=PRIORS)
def test_rates_are_those_of_quadrature(priors, counts, lower):
    assert_rates(*rates_of(priors, counts, most=max(n for n, _ in counts), lower=lower), lower=lower)


# SciPy is in doubt of a quantile far out in a tail with a pole; it is good enough here.
@pytest.mark.filterwarnings("ignore:Error in function boost")
@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
@pytest.mark.parametrize("priors", PRIORS.values(), ids=PRIORS)
def test_counts_beyond_the_table_are_made_as_good(priors, lower):
    # Of 300 patients a table of all counts is too large: those beyond it are made when they come up, and remembered.
    counts = [(300, 31), (299, 60), (150, 3), (7, 2), (290, 290), (280, 0)]
    found = rates_of(priors, counts, most=300, lower=lower, other=(297, 40))
    assert found[0].tabulated < 280
    assert_rates(*found, lower=lower)


def test_two_ways_to_the_same_integral_agree():
    # The quadrature of these tests against scipy's, where both can.
    rates = [beta(2, 6), beta(9, 5), beta(12, 30)]
    for number, found in enumerate(best_by_quadrature(rates)):
        others = [r for i, r in enumerate(rates) if i != number]
        of = quad(lambda x, n=number, o=others: rates[n].pdf(x) * o[0].cdf(x) * o[1].cdf(x), 0, 1, epsabs=1e-12)[0]
        assert found == pytest.approx(of, abs=1e-11)
    of = quad(lambda x: rates[0].pdf(x) * rates[1].sf(x + 0.1), 0, 0.9, epsabs=1e-12)[0]
    assert exceeds_by_quadrature(rates[1], rates[0], 0.1) == pytest.approx(of, abs=1e-11)


@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
def test_rates_are_those_of_sampling(lower):
    counts, draws = [(25, 6), (30, 9), (20, 9), (12, 2), (28, 11)], 1_000_000
    _, said, rates, _, effects = rates_of(PRIORS["unequal"], counts, most=30, lower=lower, within=0.3)
    drawn = np.array([r.rvs(draws, random_state=np.random.default_rng([9, i])) for i, r in enumerate(rates)])
    sign = -1.0 if lower else 1.0
    best = np.argmax(sign * drawn, axis=0)
    pairs = [(said.best[arm], np.mean(best == arm)) for arm in range(5)]
    pairs += [(said.better[arm], np.mean(sign * drawn[arm] > sign * drawn[0])) for arm in range(1, 5)]
    pairs += [(said.tails[1, arm], np.mean(sign * (drawn[arm] - drawn[0] - 0.1) > 0)) for arm in range(1, 5)]
    pairs += [(said.beyond[arm], np.mean(sign * (drawn[arm] - drawn[0] - effects[arm]) > 0)) for arm in range(1, 5)]
    pairs.append((said.alike, np.mean(np.ptp(drawn, axis=0) < 0.3)))
    for found, sampled in pairs:
        assert 0.001 < found < 0.999
        assert abs(found - sampled) < SIGMAS * math.sqrt(found * (1.0 - found) / draws)


def test_rates_without_a_control():
    counts = [(20, 5), (20, 8), (18, 3)]
    _, said, rates, _, effects = rates_of(PRIORS["unequal"], counts, most=20, control=False)
    assert said.best == pytest.approx(best_by_quadrature(rates), abs=EXACT)
    assert said.tails[0] == pytest.approx([r.sf(0.3) for r in rates], abs=1e-13)
    assert said.estimate == pytest.approx([r.mean() for r in rates], abs=1e-13)
    assert said.beyond == pytest.approx([r.sf(e) for r, e in zip(rates, effects, strict=True)], abs=1e-13)


def test_arms_that_wait_do_not_count():
    model, memory = ArmBetaBinomial.model_validate({"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}}).model(
        frame(4, most=20, within=0.2)
    )
    desk = desk_for(memory, 4, waiting=[2])
    desk.arms.patients, desk.arms.responses = [20, 18, 0, 15], [4, 7, 0, 6]
    controls_are(desk)
    said = ask(model, desk)
    rates = [beta(5, 17), beta(8, 12), beta(7, 10)]
    assert said.best[[0, 1, 3]] == pytest.approx(best_by_quadrature(rates), abs=EXACT)
    assert said.best[2] == said.better[2] == 0.0
    assert said.alike == pytest.approx(alike_by_quadrature(rates, 0.2), abs=1e-7)


# Hazards.

TIMES = {
    "no events": [(0, 0.0), (0, 12.0), (3, 8.0)],
    "one": [(1, 4.0), (1, 2.0)],
    "few": [(2, 10.0), (4, 12.0), (1, 9.0), (3, 30.0)],
    "many": [(200, 900.0), (180, 1000.0), (200, 950.0)],
    "few and many": [(200, 900.0), (2, 14.0), (0, 5.0), (60, 400.0)],
    "eight": [(10 + 3 * i, 60.0 + 17.0 * i) for i in range(8)],
}
HAZARD_PRIORS = {"vague": (0.1, 0.1), "half": (0.5, 2.0), "one": (1.0, 3.0), "four": (4.0, 20.0)}


def hazards_of(prior, counts, *, control=True, other=None):
    """Return what the model says of arms with counts (events, months), and the gamma distributions of the hazards."""
    arms = len(counts)
    events, months = prior
    bounds = [("hazard_ratio", 1.0), ("hazard_ratio", 0.7), ("median", 4.0)] if control else [("median", 4.0)]
    effects = [math.nan, *(-0.2 * i for i in range(1, arms))] if control else [math.log(3.0 + i) for i in range(arms)]
    spec = ArmGammaExponential.model_validate(
        {"kind": "gamma_exponential", "prior": {"events": events, "months": months}}
    )
    model, memory = spec.model(frame(arms, bounds=bounds, effects=effects, control=control))
    desk = desk_for(memory, arms, control=control)
    desk.arms.events, desk.arms.months = np.array(counts, float).T
    d, m = other or counts[0]
    controls_are(desk, events=d, months=m)
    hazards = [gamma(events + d, scale=1.0 / (months + m)) for d, m in counts]
    return ask(model, desk, len(bounds)), hazards, gamma(events + d, scale=1.0 / (months + m)), effects


@pytest.mark.parametrize("counts", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("prior", HAZARD_PRIORS.values(), ids=HAZARD_PRIORS)
def test_hazards_are_those_of_quadrature(prior, counts):
    other = (max(counts[0][0] - 1, 0), 0.9 * counts[0][1])
    said, hazards, controls, effects = hazards_of(prior, counts, other=other)
    assert said.best == pytest.approx(best_by_quadrature(hazards, higher=False), abs=1e-6)
    for arm in range(1, len(counts)):
        for bound, ratio in enumerate((1.0, 0.7)):
            scaled = gamma(controls.args[0], scale=ratio * controls.kwds["scale"])
            below = exceeds_by_quadrature(scaled, hazards[arm], 0.0)
            assert said.tails[bound, arm] == pytest.approx(below, abs=1e-10)
        scaled = gamma(controls.args[0], scale=math.exp(effects[arm]) * controls.kwds["scale"])
        assert said.beyond[arm] == pytest.approx(exceeds_by_quadrature(scaled, hazards[arm], 0.0), abs=1e-10)
        assert said.better[arm] == said.tails[0, arm]
        assert said.tails[2, arm] == pytest.approx(hazards[arm].cdf(math.log(2.0) / 4.0), abs=1e-12)
        log_mean = [mean_over(h, np.log, h.ppf([1e-9, 0.01, 0.3, 0.7, 0.99])) for h in (hazards[arm], controls)]
        assert said.estimate[arm] == pytest.approx(log_mean[0] - log_mean[1], abs=1e-7)


def test_hazards_without_a_control():
    said, hazards, _, effects = hazards_of((0.5, 2.0), TIMES["few"], control=False)
    assert said.best == pytest.approx(best_by_quadrature(hazards, higher=False), abs=1e-6)
    for arm, hazard in enumerate(hazards):
        of_log = mean_over(hazard, lambda x: np.log(math.log(2.0) / x), hazard.ppf([1e-9, 0.01, 0.3, 0.7, 0.99]))
        assert said.estimate[arm] == pytest.approx(of_log, abs=1e-7)
        assert said.beyond[arm] == pytest.approx(hazard.cdf(math.log(2.0) * math.exp(-effects[arm])), abs=1e-12)


# Means.

VALUES = {
    "alike": [(20, 1.0), (22, 1.1), (19, 0.9)],
    "unequal": [(200, 1.5), (2, 0.7), (30, 1.2), (0, 0.0)],
    "eight": [(10 + 4 * i, 1.0 + 0.08 * (i % 3)) for i in range(8)],
}


@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
@pytest.mark.parametrize("counts", VALUES.values(), ids=VALUES)
def test_means_are_those_of_normal_integrals(counts, lower):
    arms, sd, within, sign = len(counts), 0.8, 0.35, -1.0 if lower else 1.0
    priors = [(1.2, 2.0), (0.9, 0.5)]
    written = {f"arm{i}": dict(zip(("mean", "sd"), priors[i % 2], strict=True)) for i in range(arms)}
    effects = [math.nan, *(0.1 * i for i in range(1, arms))]
    bounds = [("difference", 0.0), ("difference", -0.15), ("mean", 1.1)]
    spec = ArmNormal.model_validate({"kind": "normal", "sd": sd, "priors": written})
    model, memory = spec.model(frame(arms, bounds=bounds, effects=effects, lower=lower, within=within))
    desk = desk_for(memory, arms)
    numbers, values = np.array(counts).T
    desk.arms.patients, desk.arms.total = numbers, numbers * values
    others = (max(numbers[0] - 5, 0), values[0] - 0.1)
    controls_are(desk, patients=others[0], total=others[0] * others[1])
    said = ask(model, desk, len(bounds))

    def posterior(i, n, value):  # by weights of the prior and the data
        mean, wide = priors[i % 2]
        share = wide**2 / (wide**2 + sd**2 / n) if n else 0.0
        return norm((1.0 - share) * mean + share * value, wide * math.sqrt(1.0 - share))

    means = [posterior(i, n, value) for i, (n, value) in enumerate(counts)]
    controls = posterior(0, *others)
    assert said.best == pytest.approx(best_by_quadrature(means, higher=not lower), abs=1e-9)
    assert said.alike == pytest.approx(alike_by_quadrature(means, within), abs=1e-9)
    for arm in range(1, arms):
        asked = [(said.tails[0, arm], 0.0), (said.tails[1, arm], -0.15), (said.beyond[arm], effects[arm])]
        for found, shift in [*asked, (said.better[arm], 0.0)]:
            beyond = exceeds_by_quadrature(means[arm], controls, shift)
            assert found == pytest.approx(1.0 - beyond if lower else beyond, abs=1e-11)
        assert said.tails[2, arm] == pytest.approx(means[arm].sf(1.1) if sign > 0 else means[arm].cdf(1.1), abs=1e-12)
        assert said.estimate[arm] == pytest.approx(means[arm].mean() - controls.mean(), abs=1e-12)


# Tests.


def trial(seed, patients, arms=3):
    """Return arms and whether each patient is one that arm 1, or arm 2, is compared with."""
    draw = np.random.default_rng(seed)
    arm = draw.integers(0, arms, patients)
    matches = np.where(arm == 0, draw.integers(0, 2 ** (arms - 1), patients) << 1, 0)
    return draw, arm, matches


def plain_log_rank(follow, status, treated, together):
    """Return (events of the arm less those expected, variance); events of a tie one by one, or together."""
    surplus = variance = 0.0
    for month in np.unique(follow[status == 1]):
        at_risk = follow >= month
        dead = (follow == month) & (status == 1)
        n, d, share = at_risk.sum(), dead.sum(), treated[at_risk].mean()
        surplus += treated[dead].sum() - d * share
        variance += d * share * (1.0 - share) * ((n - d) / (n - 1) if together and n > 1 else 1.0)
    return surplus, variance


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(3))
def test_log_rank_of_arms_is_the_plain_one(seed, ties):
    patients = 90
    draw, arm, matches = trial(seed, patients)
    event, censor = draw.weibull(1.2, patients) * (6.0 + 2.0 * arm), draw.uniform(2.0, 20.0, patients)
    follow = np.minimum(event, censor)
    follow = np.ceil(follow) if ties else follow
    status = (event <= censor).astype(int)
    effects = [math.nan, -0.3, 0.2]
    spec = ArmLogRank.model_validate({"kind": "log_rank"})
    model, memory = spec.model(frame(3, bounds=[("hazard_ratio", 0.8)], effects=effects))
    desk = desk_for(memory, 3, patients=patients)
    people = desk.patients[:patients]
    people.arm, people.follow, people.status, people.matches = arm, follow, status, matches
    desk.patients.follow[patients:] = 1e3  # nobody is known there: it must not be read
    desk.state.known = patients
    said = ask(model, desk, 1)
    for number in (1, 2):
        chosen = (arm == number) | ((arm == 0) & (matches >> number & 1 == 1))
        treated = arm[chosen] == number
        # Events of one month count one by one: where there are ties, the variance has no hypergeometric factor.
        surplus, variance = plain_log_rank(follow[chosen], status[chosen], treated, together=not ties)
        assert said.statistic[number] == pytest.approx(-surplus / math.sqrt(variance), rel=1e-10)
        assert said.estimate[number] == pytest.approx(surplus / variance, rel=1e-10)
        assert said.error[number] == pytest.approx(variance**-0.5, rel=1e-10)
        peto = norm(surplus / variance, variance**-0.5)
        assert said.tails[0, number] == pytest.approx(peto.cdf(math.log(0.8)), abs=1e-12)
        assert said.beyond[number] == pytest.approx(peto.sf(effects[number]), abs=1e-12)
        if not ties:
            groups = [(follow[chosen][treated == own], status[chosen][treated == own]) for own in (True, False)]
            theirs = logrank_test(groups[0][0], groups[1][0], groups[0][1], groups[1][1]).test_statistic
            assert said.statistic[number] ** 2 == pytest.approx(theirs, rel=1e-10)


def values_on(desk, arm, matches, value, outcome=None):
    """Put known patients on the desk, and what arms and their controls add up to."""
    people = desk.patients[: len(arm)]
    people.arm, people.matches, people.value = arm, matches, value
    people.outcome = 0 if outcome is None else outcome
    desk.state.known = len(arm)
    seen = people.outcome <= 1
    for number in range(len(desk.arms)):
        own, other = seen & (arm == number), seen & (arm == 0) & (matches >> number & 1 == 1)
        for name, chosen in (("", own), ("control_", other)):
            desk.arms[f"{name}patients"][number] = chosen.sum()
            desk.arms[f"{name}total"][number] = value[chosen].sum()
            desk.arms[f"{name}squares"][number] = (value[chosen] ** 2).sum()
            desk.arms[f"{name}responses"][number] = round(value[chosen].sum())


@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
@pytest.mark.parametrize("sd", [None, 1.3], ids=["estimated", "known"])
def test_difference_of_means_is_students_test(sd, lower):
    draw, arm, matches = trial(4, 70)
    value = 0.4 * arm + 1.3 * draw.standard_normal(70)
    effects = [math.nan, 0.3, 0.9]
    spec = ArmDifferenceOfMeans.model_validate({"kind": "difference_of_means", "sd": sd})
    model, memory = spec.model(frame(3, bounds=[("difference", 0.2)], effects=effects, lower=lower))
    desk = desk_for(memory, 3, patients=70)
    values_on(desk, arm, matches, value)
    said = ask(model, desk, 1)
    for number in (1, 2):
        own, other = value[arm == number], value[(arm == 0) & (matches >> number & 1 == 1)]
        difference = own.mean() - other.mean()
        assert said.estimate[number] == pytest.approx(difference, rel=1e-10)
        if sd is None:
            side = "less" if lower else "greater"
            p_value = ttest_ind(own, other, alternative=side).pvalue
            assert said.statistic[number] == pytest.approx(norm.isf(p_value), rel=1e-9)
            p_value = ttest_ind(own - 0.2, other, alternative=side).pvalue
            assert said.tails[0, number] == pytest.approx(1.0 - p_value, abs=1e-11)
            p_value = ttest_ind(own - effects[number], other, alternative="greater").pvalue
            assert said.beyond[number] == pytest.approx(1.0 - p_value, abs=1e-11)
        else:
            error, sign = sd * math.sqrt(1 / len(own) + 1 / len(other)), -1.0 if lower else 1.0
            assert said.statistic[number] == pytest.approx(sign * difference / error, rel=1e-10)
            assert said.tails[0, number] == pytest.approx(norm.cdf(sign * (difference - 0.2) / error), abs=1e-12)


def test_means_of_nobody_cannot_be_compared():
    model, memory = ArmDifferenceOfMeans.model_validate({"kind": "difference_of_means"}).model(frame(3))
    desk = desk_for(memory, 3, patients=10)
    # Arm 1 has nobody to be compared with; arm 2 two patients in all: no degree of freedom is left.
    values_on(desk, np.array([1, 1, 2, 0]), np.array([0, 0, 0, 4]), np.array([1.0, 2.0, 0.5, 0.7]))
    said = ask(model, desk)
    assert math.isnan(said.statistic[1])
    assert math.isnan(said.estimate[1])
    assert math.isnan(said.statistic[2])
    assert said.estimate[2] == pytest.approx(-0.2)


def test_difference_of_proportions_by_hand():
    effects = [math.nan, 0.1, 0.2, 0.0, 0.0]
    model, memory = ArmDifferenceOfProportions.model_validate({"kind": "difference_of_proportions"}).model(
        frame(5, bounds=[("difference", 0.05)], effects=effects)
    )
    desk = desk_for(memory, 5)
    desk.arms.patients, desk.arms.responses = [40, 30, 20, 10, 0], [10, 12, 4, 0, 0]
    desk.arms.control_patients, desk.arms.control_responses = [0, 40, 25, 6, 10], [0, 10, 5, 0, 3]
    said = ask(model, desk, 1)
    # Arm 1: 12/30 - 10/40 = 0.15, pooled 22/70, variance 22/70 * 48/70 * (1/30 + 1/40).
    error = math.sqrt(22 / 70 * 48 / 70 * (1 / 30 + 1 / 40))
    assert said.estimate[1] == pytest.approx(0.15)
    assert said.error[1] == pytest.approx(error)
    assert said.statistic[1] == pytest.approx(0.15 / error)
    assert said.tails[0, 1] == pytest.approx(norm.cdf(0.1 / error), abs=1e-12)
    assert said.beyond[1] == pytest.approx(norm.cdf(0.05 / error), abs=1e-12)
    assert said.statistic[2] == 0.0  # 4/20 and 5/25
    assert said.estimate[3] == 0.0  # nobody has responded: no z
    assert math.isnan(said.statistic[3])
    assert math.isnan(said.estimate[4])


def least_squares(arm, period, value, arms):
    """Return effects, standard errors, degrees of freedom of value ~ arm + period by the design matrix of patients."""
    periods = np.unique(period)
    present = [k for k in range(1, arms) if (arm == k).any()]
    design = np.column_stack([*(arm == k for k in present), *(period == p for p in periods)]).astype(float)
    solution, _, rank, _ = np.linalg.lstsq(design, value, rcond=None)
    freedom = len(value) - rank
    variance = np.sum((value - design @ solution) ** 2) / freedom
    errors = np.sqrt(variance * np.diag(np.linalg.pinv(design.T @ design)))
    found = np.full((2, arms), np.nan)
    found[:, present] = solution[: len(present)], errors[: len(present)]
    return found[0], found[1], freedom, rank == design.shape[1]


def regression(arm, period, value, outcome=None, *, arms=4, lower=False, effects=None):
    spec = ArmPeriodRegression.model_validate({"kind": "period_regression"})
    model, memory = spec.model(frame(arms, bounds=[("difference", 0.1)], effects=effects, lower=lower))
    desk = desk_for(memory, arms, patients=len(arm))
    values_on(desk, arm, np.zeros(len(arm), int), value, outcome)
    desk.patients.period[: len(arm)] = period
    desk.patients.value[len(arm) :] = 1e3  # nobody is known there
    return ask(model, desk, 1)


def staggered(seed, patients=160, binary=False):
    """Return arm, period and value of arms that enter and leave one by one, in a world that drifts."""
    draw = np.random.default_rng(seed)
    period = np.sort(draw.integers(0, 6, patients))
    is_open = {0: [0, 1], 1: [0, 1, 2], 2: [0, 1, 2], 3: [0, 2, 3], 4: [0, 3], 5: [0, 3]}
    arm = np.array([draw.choice(is_open[p]) for p in period])
    value = 0.3 * arm + 0.2 * period + draw.standard_normal(patients)
    return arm, period, (value > 0.8).astype(float) if binary else value


@pytest.mark.parametrize("lower", [False, True], ids=["higher", "lower"])
@pytest.mark.parametrize("binary", [False, True], ids=["values", "responses"])
@pytest.mark.parametrize("seed", range(3))
def test_period_regression_is_least_squares_of_patients(seed, binary, lower):
    arm, period, value = staggered(seed, binary=binary)
    # Who has no value does not count.
    outcome = np.where(np.random.default_rng(seed).random(len(arm)) < 0.1, MISSING, 0)
    outcome[3] = NOT_EVALUABLE
    effects = [math.nan, 0.2, 0.5, 1.1]
    said = regression(arm, period, value, outcome, lower=lower, effects=effects)
    seen = outcome == 0
    effect, error, freedom, full = least_squares(arm[seen], period[seen], value[seen], 4)
    assert full
    sign = -1.0 if lower else 1.0
    for number in (1, 2, 3):
        assert said.estimate[number] == pytest.approx(effect[number], rel=1e-9)
        assert said.error[number] == pytest.approx(error[number], rel=1e-9)
        assert said.freedom[number] == freedom
        z = norm.isf(t.sf(sign * effect[number] / error[number], freedom))
        assert said.statistic[number] == pytest.approx(z, rel=1e-8)
        tail = t.cdf(sign * (effect[number] - 0.1) / error[number], freedom)
        assert said.tails[0, number] == pytest.approx(tail, abs=1e-10)
        beyond = t.sf((effects[number] - effect[number]) / error[number], freedom)
        assert said.beyond[number] == pytest.approx(beyond, abs=1e-10)


def test_an_arm_that_no_chain_of_periods_leads_to_has_no_effect():
    # Arm 3 is alone in its periods; arm 2 has nobody yet; arm 1 shares its periods with the control.
    draw = np.random.default_rng(8)
    arm = np.array([0, 1] * 10 + [3] * 8)
    period = np.repeat([0, 1, 2], [12, 8, 8])
    value = draw.standard_normal(28) + arm
    said = regression(arm, period, value)
    effect, error, freedom, _ = least_squares(arm, period, value, 4)
    assert np.isnan(said.statistic[2:]).all()
    assert np.isnan(said.estimate[2:]).all()
    assert said.estimate[1] == pytest.approx(effect[1], rel=1e-9)
    assert said.freedom[1] == freedom  # the lone arm's period takes up what its own effect would
    alone = least_squares(arm[:20], period[:20], value[:20], 4)
    assert alone[0][1] == pytest.approx(effect[1], rel=1e-9)
    assert said.error[1] == pytest.approx(error[1], rel=1e-9)


def test_arms_that_share_periods_only_with_each_other_have_no_effect():
    # Arms 2 and 3 are compared with each other, not with the control.
    arm = np.array([0, 1] * 8 + [2, 3] * 8)
    period = np.repeat([0, 1], 16)
    value = np.random.default_rng(3).standard_normal(32)
    said = regression(arm, period, value)
    assert said.estimate[1] == pytest.approx(least_squares(arm, period, value, 4)[0][1], rel=1e-9)
    assert np.isnan(said.statistic[2:]).all()
    assert np.isnan(said.estimate[2:]).all()

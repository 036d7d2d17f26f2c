"""Group-sequential designs, as the YAML says them: published boundaries, normal theory, and other programs.

Boundaries are read where the rules meet them, in the looks of a trial that is replayed. What is exact is met to its
digits; simulations, ours or theirs, agree within five joint standard errors.
"""

import math
import secrets

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom, norm

from lmd_trialsim.reading import Document
from lmd_trialsim.reference.exact import exact
from lmd_trialsim.replay import replay
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import run

SIGMAS = 5.0
IN_TURN = {"method": "fixed_order", "order": ["treatment", "control"]}
ARMS = {"control": {"control": True}, "treatment": {}}


def scenario_of(**sections):
    document = {"schema": 1, "title": "group sequential", "arms": ARMS} | sections
    return Scenario.of(Document(document, "group sequential"))


def binary(looks, rules, rates, **words):
    """Return the scenario of a two-arm design on a response, under one truth."""
    design = {
        "kind": "two_arm", "endpoint": "response", "allocation": IN_TURN, "max_patients": looks[-1],
        "looks": {"evaluable": looks}, "analysis": {"kind": "difference_of_proportions"}, "rules": rules,
    }  # fmt: skip
    control, treatment = rates
    return scenario_of(
        population={"accrual": {"patients_per_month": 3}},
        endpoints={"response": {"kind": "binary"} | words.pop("endpoint", {})},
        truths={"true": {"response": {"control": {"rate": control}, "treatment": {"rate": treatment}}}},
        designs={"design": design | words},
    )


# Boundaries.


def boundaries(looks, *rules):
    """Return the thresholds that the rules, efficacy first, meet at the looks of a trial that sees them all."""
    scenario = binary(looks, list(rules), (0.3, 0.4))
    for replicate in range(500):
        trial = replay(scenario, "design", "true", 1, replicate)
        if len(trial.looks) == len(looks):
            return [[look.rules[rule].answers[0].threshold for look in trial.looks] for rule in range(len(rules))]
    raise AssertionError("no trial goes on to the last look")


def spend(shape, alpha=0.025, **words):
    return {"stop_for": "efficacy", "spending": shape, "alpha": alpha} | words


def spend_beta(shape, beta, **words):
    return {"stop_for": "futility", "spending": shape, "beta": beta} | words


def evenly(looks):
    return [20 * look for look in range(1, looks + 1)]


@pytest.mark.parametrize(
    ("rule", "looks", "printed"),
    [
        # gsDesign 3.4.0 and rpact 4.3.0, one-sided .025
        (spend("obrien_fleming"), evenly(2), "2.79651 1.97743"),
        (spend("obrien_fleming"), evenly(3), "3.47109 2.45443 2.00404"),
        (spend("pocock"), evenly(3), "2.28948 2.28948 2.28948"),
        (spend("lan_demets_obrien_fleming"), evenly(2), "2.962588 1.968596"),
        (spend("lan_demets_obrien_fleming"), evenly(3), "3.710303 2.511427 1.993048"),
        (spend("hwang_shih_decani", gamma=-4), evenly(3), "3.010739 2.546531 1.999226"),
        # Lan and DeMets (1983) as in ldbounds and everywhere: five looks, two-sided .05
        (spend("lan_demets_obrien_fleming"), evenly(5), "4.8769 3.3570 2.6803 2.2898 2.0310"),
        # rpact 3.3.4, getDesignGroupSequential: typeOfDesign = "asP", kMax = 5
        (spend("lan_demets_pocock"), evenly(5), "2.437977 2.426814 2.410194 2.396649 2.386000"),
        # "WT", deltaWT = .25, kMax = 4; deltaWT = .1, informationRates = c(.3, .8, 1), alpha = .05
        (spend("wang_tsiatis", delta=0.25), evenly(4), "2.988714 2.513199 2.270932 2.113340"),
        (spend("wang_tsiatis", 0.05, delta=0.1), [30, 80, 100], "2.821036 1.905553 1.742838"),
        # "OF", informationRates = c(10, 19) / 19, alpha = .05
        (spend("obrien_fleming", 0.05), [10, 19], "2.319139 1.682480"),
        # "HP", kMax = 4
        (spend("haybittle_peto"), evenly(4), "3 3 3 1.982751"),
        # "asKD", gammaA = 2, informationRates = c(.4, .7, 1), alpha = .05
        (spend("kim_demets", 0.05, rho=2), [40, 70, 100], "2.408916 2.041339 1.750446"),
        # "asHSD", gammaA = 1, kMax = 4; -8, alpha = .01; 0, informationRates = c(.2, .4, 1), alpha = .03
        (spend("hwang_shih_decani", gamma=1), evenly(4), "2.376103 2.357132 2.349901 2.357469"),
        (spend("hwang_shih_decani", 0.01, gamma=-8), evenly(4), "4.091387 3.593303 3.019374 2.336416"),
        (spend("hwang_shih_decani", 0.03, gamma=0), [20, 40, 100], "2.512144 2.422875 2.028039"),
        # "asUser", userAlphaSpending = c(.001, .02, .05), informationRates = c(.25, .5, 1)
        (spend("user", 0.05, cumulative=[0.001, 0.02, 0.05]), [25, 50, 100], "3.090232 2.060646 1.757667"),
        # rpact's own tests, 2022: userAlphaSpending = c(.01, .02, .03, .05)
        (spend("user", 0.05, cumulative=[0.01, 0.02, 0.03, 0.05]), evenly(4), "2.326348 2.219299 2.120135 1.818956"),
    ],
)  # fmt: skip
def test_efficacy_boundaries(rule, looks, printed):
    (found,) = boundaries(looks, rule)
    for value, text in zip(found, printed.split(), strict=True):
        # Programs stop their searches at about 1e-7; what they print is that, rounded.
        assert abs(value - float(text)) <= 0.5 * 10.0 ** -len(text.partition(".")[2]) + 2e-7, (found, printed)


@pytest.mark.parametrize(
    ("efficacy", "futility", "looks", "upper", "lower"),
    [
        # gsDesign 3.4.0, gsDesign(k = 3, test.type = 4, alpha = .025, beta = .1, sfu = sfHSD, sfupar = -4, sfl = sfHSD,
        # sflpar = -2)
        (
            spend("hwang_shih_decani", gamma=-4), spend_beta("hwang_shih_decani", 0.1, gamma=-2, binding=False),
            evenly(3), "3.010739 2.546531 1.999226", "-.238724 .941067",
        ),
        # rpact 3.3.4, getDesignGroupSequential(typeOfDesign = "asOF", typeBetaSpending = "bsKD", gammaB = 2.5, alpha =
        # .05, beta = .2, informationRates = c(.4, .75, 1), bindingFutility = FALSE), then TRUE
        (
            spend("lan_demets_obrien_fleming", 0.05), spend_beta("kim_demets", 0.2, rho=2.5, binding=False),
            [40, 75, 100], "2.887447 1.995494 1.717331", "-.422425 .897743",
        ),
        (
            spend("lan_demets_obrien_fleming", 0.05), spend_beta("kim_demets", 0.2, rho=2.5),
            [40, 75, 100], "2.887447 1.994999 1.683851", "-.440754 .872635",
        ),
        # "asP", "bsP", kMax = 4, beta = .1, bindingFutility = TRUE
        (
            spend("lan_demets_pocock"), spend_beta("lan_demets_pocock", 0.1, binding=True),
            evenly(4), "2.368328 2.364893 2.330867 2.207754", ".068766 .902511 1.562621",
        ),
        # "asOF", "bsOF", kMax = 3, beta = .2, bindingFutility = FALSE, then TRUE
        (
            spend("lan_demets_obrien_fleming"), spend_beta("lan_demets_obrien_fleming", 0.2, binding=False),
            evenly(3), "3.710303 2.511427 1.993047", "-.236145 1.170372",
        ),
        (
            spend("lan_demets_obrien_fleming"), spend_beta("lan_demets_obrien_fleming", 0.2),
            evenly(3), "3.710303 2.511108 1.930916", "-.270006 1.122485",
        ),
        # rpact's own tests, 2022: "asHSD", gammaA = -1, "bsHSD", gammaB = -2, alpha = .07, beta = .14, not binding
        (
            spend("hwang_shih_decani", 0.07, gamma=-1), spend_beta("hwang_shih_decani", 0.14, gamma=-2, binding=False),
            [20, 40, 100], "2.364813 2.192881 1.566047", "-1.106362 -.359924",
        ),
        # "asP", "bsUser", userBetaSpending = c(.01, .05, .3), informationRates = c(.35, .7, 1), alpha = .13, the same
        (
            spend("lan_demets_pocock", 0.13), spend_beta("user", 0.3, cumulative=[0.01, 0.05, 0.3], binding=False),
            [35, 70, 100], "1.544662 1.482868 1.462006", "-1.255704 -.168287",
        ),
    ],
)  # fmt: skip
def test_boundaries_of_efficacy_and_futility(efficacy, futility, looks, upper, lower):
    above, below = boundaries(looks, efficacy, futility)
    for found, printed in ((above, upper), (below[:-1], lower)):
        for value, text in zip(found, printed.split(), strict=True):
            assert abs(value - float(text)) <= 0.5 * 10.0 ** -len(text.partition(".")[2]) + 4e-7, (found, printed)
    assert math.isnan(below[-1])  # at the last look who does not succeed is not futile as well


# Jennison and Turnbull (2000), tables 2.1 and 2.3 (two-sided .05: C_P, C_B), 2.2 and 2.4 (R_P, R_B: the largest sample
# over that of a fixed one, for powers .8 and .9)
JENNISON_TURNBULL = {
    2: (2.178, 1.977, (1.110, 1.100), (1.008, 1.007)),
    3: (2.289, 2.004, (1.166, 1.151), (1.017, 1.016)),
    4: (2.361, 2.024, (1.202, 1.183), (1.024, 1.022)),
    5: (2.413, 2.040, (1.229, 1.207), (1.028, 1.026)),
}


NODES, WEIGHTS = np.polynomial.legendre.leggauss(160)


def stops(upper, lower, information, drift):
    """Return P(efficacy) and P(futility) by look, by Gauss-Legendre quadrature over z; `drift` is that of z at 1."""
    efficacy, futility = [], []
    z, mass, before = np.zeros(1), np.ones(1), 0.0
    for high, low, units in zip(upper, lower, information, strict=True):
        mean, sd = (z * math.sqrt(before) + drift * (units - before)) / math.sqrt(units), math.sqrt(1 - before / units)
        efficacy.append(float(mass @ ndtr((mean - high) / sd)))
        futility.append(float(mass @ ndtr((low - mean) / sd)))
        ends = np.clip([low, high], *(drift * math.sqrt(units) + np.array([-9.0, 9.0])))
        half = (ends[1] - ends[0]) / 2.0
        reached = ends[0] + half * (NODES + 1.0)
        mass = half * WEIGHTS * (mass @ norm.pdf(reached[None, :], mean[:, None], sd))
        z, before = reached, units
    return efficacy, futility


@pytest.mark.parametrize("looks", JENNISON_TURNBULL)
def test_jennison_and_turnbulls_tables(looks):
    constant_p, constant_b, inflation_p, inflation_b = JENNISON_TURNBULL[looks]
    information = np.arange(1, looks + 1) / looks
    for shape, constant, inflations in (
        ("pocock", constant_p, inflation_p),
        ("obrien_fleming", constant_b, inflation_b),
    ):
        (found,) = boundaries(evenly(looks), spend(shape))
        # Theirs are two-sided: the other tail is worth less than 1e-4 of a constant. Printed to 5e-4.
        assert abs(found[-1] - constant) < 6e-4
        for power, inflation in zip((0.8, 0.9), inflations, strict=True):
            fixed = norm.ppf(0.975) + norm.ppf(power)
            reached = [
                sum(stops(found, [-9.0] * looks, information, fixed * math.sqrt(ratio))[0])
                for ratio in (inflation - 6e-4, inflation + 6e-4)
            ]
            assert reached[0] < power < reached[1], f"{shape}: {power} lies beyond {reached}"


# Normal theory.


def test_large_samples_of_proportions_follow_the_normal_theory():
    # z has a lattice: where it may differ by a step, the exact probabilities of having stopped lie between those of the
    # boundaries a step higher and a step lower.
    looks, information, per_arm = [600, 1200, 1800], np.array([1, 2, 3]) / 3.0, np.array([300, 600, 900])
    rules = [spend("lan_demets_obrien_fleming", 0.05)]
    (upper,) = boundaries(looks, *rules)
    for control, treatment in ((0.5, 0.5), (0.5, 0.56)):
        row = exact(binary(looks, rules, (control, treatment))).rows[0]
        mean = (control + treatment) / 2.0
        sd = math.sqrt(mean * (1.0 - mean) * 2.0 / per_arm[-1])
        step = 1.0 / per_arm / np.sqrt(mean * (1.0 - mean) * 2.0 / per_arm)
        drift = (treatment - control) / sd
        spread = math.sqrt((control * (1 - control) + treatment * (1 - treatment)) / (2.0 * mean * (1.0 - mean)))
        found = np.cumsum([row.get(f"success_at_look_{k}").estimate for k in (1, 2, 3)])
        least, most = (
            np.cumsum(stops((upper + shift) / spread, [-40.0] * 3, information, drift / spread)[0])
            for shift in (step, -step)
        )
        assert (least <= found).all(), (least, found)
        assert (found <= most).all(), (found, most)


def survival(design, truth, accrual, replicates, seed, **words):
    """Return the row of a two-arm design on survival."""
    scenario = scenario_of(
        population={"accrual": accrual},
        endpoints={"survival": {"kind": "time_to_event"}},
        truths={"true": truth},
        designs={
            "design": {"kind": "two_arm", "endpoint": "survival", "analysis": {"kind": "log_rank"}} | design | words
        },
    )
    return run(scenario, replicates=replicates, seed=seed).rows[0]


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "seed"), [(1.0, 101), (0.8, 102)])
def test_log_rank_of_many_events_follows_the_normal_theory(ratio, seed):
    # Schoenfeld (1981): z has mean -log(ratio) sqrt(events) / 2 in equal arms. With 480 events and effects that small
    # what it neglects is less than one of the five standard errors of so many trials.
    rules = [
        spend("lan_demets_obrien_fleming"),
        spend_beta("hwang_shih_decani", 0.2, gamma=-2, binding=False),
    ]
    upper, lower = boundaries([160, 320, 480], *rules)
    lower[-1] = upper[-1]
    replicates = 20_000
    row = survival(
        {"allocation": {"block": 4}, "max_patients": 560, "looks": {"events": [160, 320, 480]}, "rules": rules},
        {"survival": {"control": {"median_months": 6}, "treatment": {"hazard_ratio": ratio}}},
        {"patients_per_month": 40},
        replicates,
        seed,
    )
    success, futility = stops(upper, lower, np.array([1, 2, 3]) / 3.0, -math.log(ratio) * math.sqrt(480) / 2.0)
    for look in (1, 2, 3):
        assert_near(row, f"success_at_look_{look}", success[look - 1], replicates)
    for look in (1, 2):
        assert_near(row, f"futility_at_look_{look}", futility[look - 1], replicates)
    ignoring = sum(stops(upper, [-9.0] * 3, np.array([1, 2, 3]) / 3.0, -math.log(ratio) * math.sqrt(480) / 2.0)[0])
    assert_near(row, "success_ignoring_non_binding_rules", ignoring, replicates)


def assert_near(row, name, expected, replicates):
    """Insist on a share within five standard errors; with fewer than a hundred hits expected, on its binomial tail."""
    found = row.get(name).estimate
    if expected * replicates < 100:
        hits = round(found * replicates)
        rare = min(binom.sf(hits - 1, replicates, expected), binom.cdf(hits, replicates, expected))
        assert rare > norm.sf(SIGMAS), f"{name}: {found}, expected {expected:.3e}"
        return
    z = (found - expected) / math.sqrt(expected * (1.0 - expected) / replicates)
    assert abs(z) < SIGMAS, f"{name}: {found} is {z:+.1f} standard errors from {expected:.6f}"


# Other programs: rates. Ours are exact, theirs are a million trials of rpact 3.3.4 (R 4.2.2) each.


def one_of(p, trials):
    return math.sqrt(p * (1.0 - p) / trials)


def assert_theirs(row, theirs, trials=1_000_000):
    """Insist on what another program has simulated, within five of its standard errors."""
    for name, p in theirs.items():
        z = (row.get(name).estimate - p) / one_of(p, trials)
        assert abs(z) < SIGMAS, f"{name}: ours {row.get(name).estimate:.6f}, theirs {p}: {z:+.1f} standard errors"


def by_look(word, *probabilities):
    return {f"{word}_at_look_{look}": p for look, p in enumerate(probabilities, 1)}


def test_rpact_rates():
    # getSimulationRates(getDesignGroupSequential(kMax = 3, alpha = .025, typeOfDesign = "asOF"), pi1 = .35, pi2 = .2,
    # plannedSubjects = c(90, 180, 270), maxNumberOfIterations = 1e6, seed = 21): expected subjects 232.4168
    row = exact(binary([90, 180, 270], [spend("lan_demets_obrien_fleming")], (0.2, 0.35))).rows[0]
    assert_theirs(row, by_look("success", 0.014387, 0.388817, 0.385011))
    stopped = np.array([0.014387, 0.388817, 0.596796])
    error = 90 * math.sqrt(stopped @ np.arange(3) ** 2 - (stopped @ np.arange(3)) ** 2) / 1e3
    assert abs(row.get("expected_patients").estimate - 232.4168) < SIGMAS * error


@pytest.mark.parametrize(
    ("rates", "success", "futility"),
    [((0.2, 0.5), (0.166221, 0.562777), 0.056532), ((0.2, 0.2), (0.001089, 0.045539), 0.550822)],
)
def test_rpact_rates_with_futility_where_z_is_no_more_than_its_bound(rates, success, futility):
    # getDesignGroupSequential(kMax = 2, alpha = .05, typeOfDesign = "OF", futilityBounds = 0, bindingFutility = FALSE),
    # getSimulationRates(pi2 = .2, plannedSubjects = c(30, 60), allocationRatioPlanned = 2, ..., seed = 22 and 23).
    # rpact stops where z is at most the bound: of 20 v 10 patients many differ by nothing.
    order = {"method": "fixed_order", "order": ["treatment", "treatment", "control"]}
    futile = {"stop_for": "futility", "at": "interim", "when": {"statistic": "z", "at_most": 0}}
    row = exact(binary([30, 60], [spend("obrien_fleming", 0.05), futile], rates, allocation=order)).rows[0]
    assert_theirs(row, by_look("success", *success) | by_look("futility", futility))


def test_rpact_rates_by_fishers_test():
    # getDesignGroupSequential(kMax = 2, alpha = .025, typeOfDesign = "P"), getSimulationRates(pi1 = .5, pi2 = .2,
    # plannedSubjects = c(40, 80), normalApproximation = FALSE, ..., seed = 24): p-values against each stage's level
    rule = {"stop_for": "efficacy", "when": {"p_value": "one_sided", "at_most": 0.0146928927}}
    row = exact(binary([40, 80], [rule], (0.2, 0.5), analysis={"kind": "fisher_exact"})).rows[0]
    assert_theirs(row, by_look("success", 0.312264, 0.377546))


def test_rpact_rates_where_lower_is_better():
    # getDesignGroupSequential(kMax = 2, alpha = .025, typeOfDesign = "OF"), getSimulationRates(pi1 = .3, pi2 = .5,
    # directionUpper = FALSE, plannedSubjects = c(60, 120), ..., seed = 26)
    row = exact(binary([60, 120], [spend("obrien_fleming")], (0.5, 0.3), endpoint={"better": "lower"})).rows[0]
    assert_theirs(row, by_look("success", 0.115369, 0.503099))


# Other programs: survival. Both sides are simulated; rpact 3.3.4 played 400,000 trials of each.

RPACT = 400_000


def assert_both(row, theirs):
    """Insist on five joint standard errors; `theirs` gives an estimate, and its error where it is not a share's."""
    for name, (estimate, error) in theirs.items():
        ours = row.get(name)
        z = (ours.estimate - estimate) / math.hypot(ours.mcse, error)
        assert abs(z) < SIGMAS, f"{name}: ours {ours.estimate:.5f}, theirs {estimate}: {z:+.1f} joint standard errors"


def shares(word, *probabilities):
    return {name: (p, one_of(p, RPACT)) for name, p in by_look(word, *probabilities).items()}


def lan_demets_weibull(replicates, seed):
    # getDesignGroupSequential(informationRates = c(.5, .75, 1), typeOfDesign = "asOF"), getSimulationSurvival(median1 =
    # 8, median2 = 4, kappa = .8, accrualTime = c(0, 25), accrualIntensity = 4, maxNumberOfSubjects = 100, plannedEvents
    # = c(40, 60, 80), dropoutRate1 = .1, dropoutRate2 = .1, dropoutTime = 12, seed = 11)
    row = survival(
        {"allocation": IN_TURN, "max_patients": 100, "looks": {"events": [40, 60, 80]}},
        {
            "survival": {
                "control": {"median_months": 4, "shape": 0.8},
                "treatment": {"median_months": 8, "shape": 0.8},
            },
            "drop_out": {"proportion": 0.1, "by_month": 12},
        },
        {"arrivals": "equally_spaced", "patients_per_month": 4},
        replicates,
        seed,
        rules=[spend("lan_demets_obrien_fleming")],
    )
    assert_both(row, shares("success", 0.1119475, 0.30249, 0.2656825))
    assert_both(row, {"expected_months": (29.59427, 0.01094), "expected_patients": (95.6593, 0.01404)})


def delayed_effect(replicates, seed):
    # getDesignGroupSequential(informationRates = c(.5, 1), beta = .1, typeOfDesign = "asHSD", gammaA = -4,
    # typeBetaSpending = "bsHSD", gammaB = -2, bindingFutility = FALSE), getSimulationSurvival(piecewiseSurvivalTime =
    # c(0, 3), lambda2 = log(2) / 6, lambda1 = log(2) / 6 * c(1, .5), accrualTime = c(0, 20), accrualIntensity = 10,
    # maxNumberOfSubjects = 200, plannedEvents = c(70, 140), seed = 12)
    row = survival(
        {"allocation": IN_TURN, "max_patients": 200, "looks": {"events": [70, 140]}},
        {"survival": {"control": {"median_months": 6}, "treatment": {"hazard_ratio": 0.5, "from_month": 3}}},
        {"arrivals": "equally_spaced", "patients_per_month": 10},
        replicates,
        seed,
        rules=[
            spend("hwang_shih_decani", gamma=-4),
            spend_beta("hwang_shih_decani", 0.1, gamma=-2, binding=False),
        ],
    )
    assert_both(row, shares("success", 0.06756, 0.5261325) | shares("futility", 0.20665))
    assert_both(row, {"expected_months": (22.10921, 0.00735), "expected_patients": (185.554, 0.0377)})


def pocock_without_effect(replicates, seed):
    # getDesignGroupSequential(kMax = 2, alpha = .05, typeOfDesign = "P"), getSimulationSurvival(lambda1 = .2, lambda2 =
    # .2, accrualTime = c(0, 6, 16), accrualIntensity = c(2, 4.8), maxNumberOfSubjects = 60, plannedEvents = c(25, 50),
    # allocation1 = 2, allocation2 = 1, seed = 13). At 2:1 the log-rank test has more than its nominal error.
    steps = [{"from_month": 0, "rate": 2.0}, {"from_month": 6, "rate": 4.8}]
    row = survival(
        {"max_patients": 60, "looks": {"events": [25, 50]}, "rules": [spend("pocock", 0.05)]},
        {"survival": {"control": {"hazard_per_month": 0.2}, "treatment": {"same_as": "control"}}},
        {"arrivals": "equally_spaced", "patients_per_month": steps},
        replicates,
        seed,
        allocation={"method": "fixed_order", "order": ["treatment", "treatment", "control"]},
    )
    assert_both(row, shares("success", 0.0399225, 0.0231))
    assert_both(row, {"expected_months": (19.52185, 0.003), "expected_patients": (59.36022, 0.0051)})


def obrien_fleming_two_to_one(replicates, seed):
    # The design of test_two_arm_other_programs.py once more, in 1,000,000 trials of version 3.3.4:
    # getDesignGroupSequential(kMax = 2, alpha = .025, typeOfDesign = "OF"), getSimulationSurvival(median1 = 6,
    # median2 = 3, accrualTime = c(0, 30), accrualIntensity = 3, maxNumberOfSubjects = 90, plannedEvents = c(35, 70),
    # allocation1 = 2, allocation2 = 1, dropoutRate1 = .05, dropoutRate2 = .05, dropoutTime = 12, seed = 77)
    row = survival(
        {"max_patients": 90, "looks": {"events": [35, 70]}, "rules": [spend("obrien_fleming")]},
        {
            "survival": {"control": {"median_months": 3}, "treatment": {"median_months": 6}},
            "drop_out": {"proportion": 0.05, "by_month": 12},
        },
        {"arrivals": "equally_spaced", "patients_per_month": 3},
        replicates,
        seed,
        allocation={"method": "fixed_order", "order": ["treatment", "treatment", "control"]},
    )
    million = 1_000_000
    assert_both(row, {name: (p, one_of(p, million)) for name, p in by_look("success", 0.229152, 0.559148).items()})
    # The patients that are spared by stopping early are about forty, give or take a few.
    spared = 40.0 * one_of(0.229152, million)
    assert_both(row, {"expected_months": (28.13879, 0.00535), "expected_patients": (81.60333, spared)})


SURVIVAL_DESIGNS = pytest.mark.parametrize(
    "design", [lan_demets_weibull, delayed_effect, pocock_without_effect, obrien_fleming_two_to_one]
)


@SURVIVAL_DESIGNS
def test_rpact_survival_designs(design):
    design(10_000, seed=2001)


@pytest.mark.slow
@SURVIVAL_DESIGNS
def test_rpact_survival_designs_in_many_trials(design):
    seed = secrets.randbits(62)
    print(f"seed {seed}")
    design(400_000, seed)


@pytest.mark.slow
def test_rpact_survival_looks():
    # rpact 4.3.0 getSimulationSurvival, 100,000 trials, as in test_two_arm_other_programs.py: look times 18.349 and
    # 30.981, z at the first look 2.0179 (standard deviation 1.0566)
    scenario = scenario_of(
        population={"accrual": {"arrivals": "equally_spaced", "patients_per_month": 3}},
        endpoints={"survival": {"kind": "time_to_event"}},
        truths={
            "better": {
                "survival": {"control": {"median_months": 3}, "treatment": {"median_months": 6}},
                "drop_out": {"proportion": 0.05, "by_month": 12},
            }
        },
        designs={
            "design": {
                "kind": "two_arm",
                "endpoint": "survival",
                "allocation": {"method": "fixed_order", "order": ["treatment", "treatment", "control"]},
                "max_patients": 90,
                "looks": {"events": [35, 70]},
                "analysis": {"kind": "log_rank"},
                "rules": [spend("obrien_fleming")],
            }
        },
    )
    trials = [replay(scenario, "design", "better", 35, replicate) for replicate in range(5_000)]
    months = [[trial.looks[k].month for trial in trials if len(trial.looks) > k] for k in (0, 1)]
    z = [trial.looks[0].rules[0].answers[0].value for trial in trials]
    for found, theirs, of in ((months[0], 18.349, 100_000), (months[1], 30.981, 77_333), (z, 2.0179, 100_000)):
        error = np.std(found) * math.sqrt(1.0 / len(found) + 1.0 / of)
        assert abs(np.mean(found) - theirs) < SIGMAS * error, (np.mean(found), theirs, error)
    # The error of a standard deviation of nearly normal numbers.
    assert abs(np.std(z) - 1.0566) < SIGMAS * 1.0566 * math.sqrt(0.5 / len(z) + 0.5 / 100_000)


# One look, other tests: R 4.2.2, survival 3.5-3, 12,000 trials (seed 31). Sixty patients in turn, four a month equally
# spaced, medians 4 v 8 months, drop-out .02 a month, everybody followed until six months after the last one's entry.
R_SURVIVAL = {
    # survdiff(Surv(time, status) ~ arm): (exp - obs) / sqrt(var) of the treatment arm >= 1.959964
    "log-rank": ({"kind": "log_rank"}, 0.6026667, (-0.7087379, 0.3288573)),
    # survdiff(rho = 1); the estimate is coxph's in all three
    "rho = 1": ({"kind": "log_rank", "rho": 1}, 0.5446667, (-0.7087379, 0.3288573)),
    # coxph, Wald
    "Cox": ({"kind": "cox"}, 0.5895, (-0.7087379, 0.3288573)),
    # summary(survfit, times = 6), Greenwood's errors
    "milestone": ({"kind": "milestone_survival", "month": 6}, 0.47225, (0.2414355, 0.1297243)),
    # areas under survfit up to month 6 and their variances as in survRM2's rmst1
    "restricted mean": ({"kind": "restricted_mean", "month": 6}, 0.4414167, (0.9517122, 0.537203)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", R_SURVIVAL)
def test_rs_survival_package(name):
    analysis, success, (mean, sd) = R_SURVIVAL[name]
    row = survival(
        {
            "allocation": IN_TURN | {"order": ["control", "treatment"]},
            "max_patients": 60,
            "looks": {"final": {"follow_up_months": 6}},
            "rules": [{"stop_for": "efficacy", "when": {"statistic": "z", "at_least": 1.959964}}],
        },
        {
            "survival": {"control": {"median_months": 4}, "treatment": {"median_months": 8}},
            "drop_out": {"per_month": 0.02},
        },
        {"arrivals": "equally_spaced", "patients_per_month": 4},
        20_000,
        seed=312,
        analysis=analysis,
    )
    trials = 12_000
    assert_both(
        row,
        {
            "probability_of_success": (success, one_of(success, trials)),
            "mean_estimate": (mean, sd / math.sqrt(trials)),
            "expected_events": (41.89675, 3.359369 / math.sqrt(trials)),
        },
    )
    assert row.get("expected_months").estimate == pytest.approx(21.0)


def test_a_z_that_equals_its_boundary_stops():
    # "Stops where z >= the boundary": 7 of 8 v 1 of 8 is z = 3 exactly, which Haybittle's first boundary is.
    rule = spend("haybittle_peto", interim=3)
    scenario = binary([16, 32], [rule], (0.2, 0.7))
    x_t, x_c = np.arange(9)[:, None], np.arange(9)[None, :]
    beyond = (x_t > x_c) & (16 * (x_t - x_c) ** 2 >= 9 * (x_t + x_c) * (16 - x_t - x_c))  # z^2 >= 9
    assert beyond[7, 1]
    expected = float((binom.pmf(x_t, 8, 0.7) * binom.pmf(x_c, 8, 0.2) * beyond).sum())
    assert exact(scenario).rows[0].get("success_at_look_1").estimate == pytest.approx(expected, rel=1e-12)
    assert_near(run(scenario, replicates=20_000, seed=9).rows[0], "success_at_look_1", expected, 20_000)

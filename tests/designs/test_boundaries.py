"""Group-sequential boundaries against published values, other programs, and integrals that share no code with them."""

import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad, simpson
from scipy.stats import norm

from lmd_trialsim.designs.boundaries import (
    SHAPES,
    SPENDING,
    binding_boundaries,
    crossing_probabilities,
    drift_for_power,
    efficacy_boundary,
    futility_boundary,
)

PARAMETERS = {
    "wang_tsiatis": {"delta": 0.25},
    "hwang_shih_decani": {"gamma": -4.0},
    "kim_demets": {"rho": 3.0},
    "user": {"cumulative": [0.002, 0.01, 0.025]},
}


def evenly(looks):
    return np.arange(1, looks + 1) / looks


# Two ways to the same probability, sharing no code with the module.


def success_by_adaptive_quadrature(upper, lower, information, drift):
    """Return the efficacy probabilities of up to three looks as integrals over the scores, to about 1e-10."""
    root, steps = np.sqrt(information), np.diff(information, prepend=0.0).tolist()
    above = (np.asarray(upper) * root).tolist()
    below = (np.maximum(lower, drift * root - 8.0) * root).tolist()

    def density(score, since, step):
        return math.exp(-((score - since - drift * step) ** 2) / (2 * step)) / math.sqrt(2 * math.pi * step)

    def tail(look, since):
        return math.erfc((above[look] - since - drift * steps[look]) / math.sqrt(2 * steps[look])) / 2

    def two(a):
        return density(a, 0.0, steps[0]) * tail(1, a)

    def three(b, a):
        return density(a, 0.0, steps[0]) * density(b, a, steps[1]) * tail(2, b)

    success = [tail(0, 0.0)]
    if len(steps) > 1:
        success.append(quad(two, below[0], above[0], epsabs=1e-12)[0])
    if len(steps) > 2:
        success.append(dblquad(three, below[0], above[0], below[1], above[1], epsabs=1e-11)[0])
    return np.array(success)


def stops_by_simpson(upper, lower, information, drift, points=1601):
    """Return efficacy and futility probabilities by Simpson's rule on a fine even grid of z."""
    efficacy, futility, grid, density = [], [], None, None
    for look, units in enumerate(information):
        if look == 0:
            efficacy.append(norm.sf(upper[0] - drift * np.sqrt(units)))
            futility.append(norm.cdf(lower[0] - drift * np.sqrt(units)))
        else:
            step = units - information[look - 1]
            mean = (grid * np.sqrt(information[look - 1]) + drift * step) / np.sqrt(units)
            sd = np.sqrt(step / units)
            efficacy.append(simpson(density * norm.sf(upper[look], mean, sd), x=grid))
            futility.append(simpson(density * norm.cdf(lower[look], mean, sd), x=grid))
        center = drift * np.sqrt(units)
        ends = np.clip([lower[look], upper[look]], center - 8.0, center + 8.0)
        reached = np.linspace(*ends, points)
        if look == 0:
            density = norm.pdf(reached, center)
        else:
            kernel = norm.pdf(reached[:, None], mean, sd)
            density = simpson(kernel * density, x=grid, axis=1)
        grid = reached
    return np.array(efficacy), np.array(futility)


# Known answers.


@pytest.mark.parametrize(
    ("shape", "expected", "tolerance"),
    [
        # One-sided .025, equally spaced: gsDesign 3.4.0 gsDesign(test.type = 1, alpha = .025, sfu = ...) and rpact
        # 4.3.0 getDesignGroupSequential(typeOfDesign = ...) agree; both solve for the boundary to about 1e-6.
        ("obrien_fleming", [2.79651, 1.97743], 6e-6),
        ("obrien_fleming", [3.47109, 2.45443, 2.00404], 6e-6),
        ("pocock", [2.28948, 2.28948, 2.28948], 6e-6),
        ("lan_demets_obrien_fleming", [2.962588, 1.968596], 1e-6),
        ("lan_demets_obrien_fleming", [3.710303, 2.511427, 1.993048], 1e-6),
        # Jennison and Turnbull (2000), tables 2.1 and 2.3: C_P and C_B, two-sided .05, five looks
        ("pocock", [2.413] * 5, 6e-4),
        ("obrien_fleming", 2.040 * np.sqrt(5 / np.arange(1, 6)), 6e-4 * np.sqrt(5)),
    ],
)
def test_known_efficacy_boundaries(shape, expected, tolerance):
    found = efficacy_boundary(shape, 0.025, evenly(len(expected)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_known_boundaries_with_futility_that_is_not_binding():
    # gsDesign 3.4.0: gsDesign(k = 3, test.type = 4, alpha = .025, beta = .1, sfu = sfHSD, sfupar = -4, sfl = sfHSD,
    # sflpar = -2)
    upper = efficacy_boundary("hwang_shih_decani", 0.025, evenly(3), gamma=-4.0)
    found = futility_boundary("hwang_shih_decani", 0.1, evenly(3), upper, gamma=-2.0)
    np.testing.assert_allclose(found.upper, [3.010739, 2.546531, 1.999226], rtol=0, atol=6e-7)
    np.testing.assert_allclose(found.lower, [-0.238724, 0.941067, 1.999226], rtol=0, atol=6e-7)


def test_one_look_is_the_fixed_design():
    upper = efficacy_boundary("pocock", 0.025, [1.0])
    found = futility_boundary("kim_demets", 0.1, [1.0], upper, rho=1.0)
    assert upper[0] == pytest.approx(norm.isf(0.025), abs=1e-11)
    assert found.drift == pytest.approx(norm.isf(0.025) + norm.isf(0.1), abs=1e-11)


# Probabilities by other means.


@pytest.mark.parametrize("drift", [0.0, 3.2, -1.0])
@pytest.mark.parametrize("information", [[0.5, 1.0], [0.2, 0.7, 1.0], [0.5, 0.52, 1.3]], ids=str)
def test_crossing_probabilities_agree_with_adaptive_quadrature(information, drift):
    upper, lower = [2.9, 2.4, 2.0][: len(information)], [-0.3, 0.4, 2.0][: len(information)]
    efficacy, _ = crossing_probabilities(upper, lower, information, drift)
    by_quadrature = success_by_adaptive_quadrature(upper, lower, information, drift)
    np.testing.assert_allclose(efficacy, by_quadrature, rtol=0, atol=2e-10)


@pytest.mark.parametrize("drift", [0.0, 3.0])
def test_crossing_probabilities_agree_with_simpson_at_many_looks(drift):
    information = np.cumsum([0.15, 0.1, 0.05, 0.2, 0.12, 0.08, 0.2, 0.1])
    upper, lower = 2.0 / np.sqrt(information), np.linspace(-1.5, 1.8, 8)
    found = crossing_probabilities(upper, lower, information, drift)
    # Simpson's error is about (spacing / width of the narrowest step)^4 / 180, here 1e-8.
    np.testing.assert_allclose(found, stops_by_simpson(upper, lower, information, drift), rtol=0, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("information", [[0.3, 0.45, 1.0], [35, 50, 70]], ids=str)
def test_every_shape_spends_alpha(shape, information):
    upper = efficacy_boundary(shape, 0.025, information, **PARAMETERS.get(shape, {}))
    spent = success_by_adaptive_quadrature(upper, np.full(3, -np.inf), np.array(information, float), 0.0)
    assert spent.sum() == pytest.approx(0.025, abs=1e-9)


def test_spending_is_as_published():
    fraction = np.array([0.25, 0.5, 0.75, 1.0])
    published = {  # each formula as the paper of its name writes it
        "lan_demets_obrien_fleming": 2 - 2 * norm.cdf(norm.ppf(1 - 0.0125) / np.sqrt(fraction)),
        "lan_demets_pocock": 0.025 * np.log(1 + (np.e - 1) * fraction),
        "hwang_shih_decani": 0.025 * (1 - np.exp(4 * fraction)) / (1 - np.exp(4)),
        "kim_demets": 0.025 * fraction**3,
        "user": np.array([0.001, 0.004, 0.01, 0.025]),
    }
    assert set(published) == set(SPENDING)
    for name, expected in published.items():
        parameters = {"cumulative": expected} if name == "user" else PARAMETERS.get(name, {})
        np.testing.assert_allclose(SPENDING[name](fraction, 0.025, **parameters), expected, rtol=1e-9)
        upper = efficacy_boundary(name, 0.025, fraction, **parameters)
        found, _ = stops_by_simpson(upper, np.full(4, -np.inf), fraction, 0.0)
        np.testing.assert_allclose(np.cumsum(found), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("information", [evenly(3), np.array([0.2, 0.3, 0.85, 1.0])], ids=len)
def test_binding_boundaries_spend_both_errors(information):
    found = binding_boundaries(
        0.025,
        0.1,
        information,
        {"shape": "hwang_shih_decani", "gamma": -4.0},
        {"shape": "lan_demets_obrien_fleming"},
    )
    assert found.upper[-1] == found.lower[-1]
    type_i_error, _ = stops_by_simpson(found.upper, found.lower, information, 0.0)
    _, type_ii_error = stops_by_simpson(found.upper, found.lower, information, found.drift)
    spent = 0.025 * (1 - np.exp(4 * information)) / (1 - np.exp(4))
    missed = 2 - 2 * norm.cdf(norm.ppf(1 - 0.05) / np.sqrt(information))
    np.testing.assert_allclose(np.cumsum(type_i_error), spent, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.cumsum(type_ii_error), missed, rtol=0, atol=1e-8)


@pytest.mark.parametrize("looks", [2, 5, 20])
def test_futility_that_is_not_binding_leaves_alpha_and_has_the_power(looks):
    information = evenly(looks)
    upper = efficacy_boundary("obrien_fleming", 0.05, information)
    found = futility_boundary("lan_demets_pocock", 0.2, information, upper)
    assert found.upper == pytest.approx(upper)
    assert found.lower[-1] == upper[-1]
    power, missed = stops_by_simpson(found.upper, found.lower, information, found.drift)
    assert power.sum() == pytest.approx(0.8, abs=1e-7)
    np.testing.assert_allclose(np.cumsum(missed), 0.2 * np.log(1 + (np.e - 1) * information), rtol=0, atol=1e-7)
    assert drift_for_power(found.upper, found.lower, information, 0.8) == pytest.approx(found.drift, abs=1e-10)


# Invariances.


def test_the_unit_of_information_does_not_matter():
    fractions, events = np.array([0.3, 0.6, 1.0]), np.array([30.0, 60.0, 100.0])
    upper = efficacy_boundary("lan_demets_pocock", 0.025, fractions)
    assert efficacy_boundary("lan_demets_pocock", 0.025, events) == pytest.approx(upper, abs=1e-11)
    of_fractions = futility_boundary("kim_demets", 0.1, fractions, upper, rho=2.0)
    of_events = futility_boundary("kim_demets", 0.1, events, upper, rho=2.0)
    assert of_events.lower == pytest.approx(of_fractions.lower, abs=1e-10)
    assert of_events.drift * 10.0 == pytest.approx(of_fractions.drift, abs=1e-10)


def test_members_of_families_coincide():
    information = [0.4, 0.7, 1.0]

    def of(shape, **parameters):
        return efficacy_boundary(shape, 0.025, information, **parameters)

    assert of("wang_tsiatis", delta=0.0) == pytest.approx(of("obrien_fleming"), abs=1e-11)
    assert of("wang_tsiatis", delta=0.5) == pytest.approx(of("pocock"), abs=1e-11)
    assert of("hwang_shih_decani", gamma=0.0) == pytest.approx(of("kim_demets", rho=1.0), abs=1e-11)
    assert of("hwang_shih_decani", gamma=1e-9) == pytest.approx(of("hwang_shih_decani", gamma=0.0), abs=1e-8)
    assert of("haybittle_peto") == pytest.approx(of("haybittle_peto", interim=3.0), abs=0)


def test_mirrored_boundaries_exchange_efficacy_and_futility():
    information, upper, lower = [0.2, 0.5, 1.0], np.array([3.0, 2.5, 2.0]), np.array([-1.0, 0.2, 1.1])
    efficacy, futility = crossing_probabilities(upper, lower, information, 1.7)
    mirrored = crossing_probabilities(-lower, -upper, information, -1.7)
    np.testing.assert_allclose(mirrored, [futility, efficacy], rtol=0, atol=1e-14)


def test_a_look_without_boundaries_changes_nothing():
    with_look = crossing_probabilities([2.5, np.inf, 2.0], [0.1, -np.inf, 2.0], [0.4, 0.6, 1.0], 2.0)
    without = crossing_probabilities([2.5, 2.0], [0.1, 2.0], [0.4, 1.0], 2.0)
    np.testing.assert_allclose(np.delete(with_look, 1, axis=1), without, rtol=0, atol=1e-13)
    assert np.all(np.array(with_look)[:, 1] == 0.0)


def test_every_path_stops_where_the_boundaries_meet():
    information = evenly(50)
    upper = efficacy_boundary("lan_demets_obrien_fleming", 0.025, information)
    found = futility_boundary("hwang_shih_decani", 0.1, information, upper, gamma=-2.0)
    for drift in (-3.0, 0.0, found.drift, 12.0, 60.0):
        assert np.sum(crossing_probabilities(found.upper, found.lower, information, drift)) == pytest.approx(
            1.0, abs=1e-12
        )


def test_a_look_with_nothing_to_spend_has_no_boundary():
    upper = efficacy_boundary("user", 0.025, [0.3, 0.6, 1.0], cumulative=[0.0, 0.01, 0.025])
    assert upper[0] == np.inf
    assert upper[1] == pytest.approx(norm.isf(0.01), abs=1e-11)


# Mistakes.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: efficacy_boundary("pocock", 0.025, [0.5, 0.5]), r"information: \[0.5, 0.5\] must increase"),
        (lambda: efficacy_boundary("pocock", 0.025, [0.0, 1.0]), "must be positive"),
        (lambda: efficacy_boundary("pocock", 0.5, [0.5, 1.0]), "alpha: 0.5 must lie between 0 and 0.5"),
        (lambda: efficacy_boundary("pockok", 0.025, [0.5, 1.0]), "did you mean 'pocock'"),
        (lambda: efficacy_boundary("zzz", 0.025, [0.5, 1.0]), "use one of obrien_fleming"),
        (lambda: efficacy_boundary("kim_demets", 0.025, [0.5, 1.0]), "kim_demets needs 'rho'"),
        (lambda: efficacy_boundary("pocock", 0.025, [0.5, 1.0], rho=1.0), "pocock takes no 'rho'; it takes no param"),
        (lambda: efficacy_boundary("kim_demets", 0.025, [0.5, 1.0], rho=-1.0), "rho: -1 must be positive"),
        (lambda: efficacy_boundary("kim_demets", 0.025, [0.5, 1.0], rho=np.nan), "give finite numbers"),
        (lambda: efficacy_boundary("wang_tsiatis", 0.025, [0.5, 1.0], delta=3.0), "delta: 3 must lie"),
        (lambda: efficacy_boundary("haybittle_peto", 0.025, [0.5, 1.0], interim=1.5), "interim: 1.5 spends all"),
        (lambda: efficacy_boundary("user", 0.025, [0.5, 1.0], cumulative=[0.025]), "1 values for 2 looks"),
        (lambda: efficacy_boundary("user", 0.025, [0.5, 1.0], cumulative=[0.03, 0.025]), "must rise"),
        (lambda: futility_boundary("pocock", 0.1, [0.5, 1.0], [2, 2]), "futility shape: 'pocock' is not known"),
        (lambda: futility_boundary("lan_demets_pocock", 0.99, [0.5, 1.0], [2, 2]), "beta: 0.99 must be below"),
        (lambda: futility_boundary("lan_demets_pocock", 0.1, [0.5, 1.0], [np.inf, np.inf]), "no drift reaches"),
        (lambda: futility_boundary("lan_demets_pocock", 0.1, [0.5, 1.0], [2]), "give one number for each look"),
        (lambda: crossing_probabilities([2, 2], [0, 3], [0.5, 1.0], 0), "lower: 3 at look 2 is above upper"),
        (
            lambda: binding_boundaries(0.025, 0.1, [0.5, 1.0], {"shape": "pocock"}, {"shape": "lan_demets_pocock"}),
            "'pocock' spends no alpha",
        ),
        (lambda: drift_for_power([2, 2], [0, 2], [0.5, 1.0], 0.01), "power: 0.01 is not above"),
    ],
)
def test_mistakes_are_named_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)

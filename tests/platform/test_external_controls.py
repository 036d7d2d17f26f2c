"""Controls from elsewhere: their models integrated point by point, against the mixture that the prior becomes."""

import math

import numpy as np
import pytest
from arm_densities import SIGMA, Density, Hazards, Means, Rates, log_prior_of, posterior
from arm_desks import ask, controls_are, desk_for, frame
from scipy.signal import fftconvolve
from scipy.special import roots_legendre
from scipy.stats import beta, halfnorm, norm

from lmd_trialsim.analyses.arm_mixtures import PooledByWeight
from lmd_trialsim.designs import conjugates
from lmd_trialsim.designs.arm_analyses import ArmBetaBinomial
from lmd_trialsim.designs.external_controls import priors_with

VAGUE = {Rates: [(1.0, 1.0, 2.0)], Hazards: [(1.0, 0.5, 2.0)], Means: [(1.0, 1.0, 1.5)]}
TWO = {
    Rates: [(0.7, 2.0, 5.0), (0.3, 1.0, 1.0)],
    Hazards: [(0.7, 4.0, 30.0), (0.3, 1.0, 4.0)],
    Means: [(0.7, 1.2, 0.6), (0.3, 0.8, 2.0)],
}
# What is said of the patients, and their (count, amount); of means, in units of the variance that they have.
ELSEWHERE = {
    Rates: [({"responses": 12, "patients": 60}, (60, 12)), ({"responses": 2, "patients": 9}, (9, 2))],
    Hazards: [({"events": 25, "months": 160.0}, (25, 160.0)), ({"events": 3, "months": 11.0}, (3, 11.0))],
    Means: [({"mean": 1.3, "sd": 0.9, "patients": 40}, (40, 1.3)), ({"mean": 0.6, "sd": 1.1, "patients": 5}, (5, 0.6))],
}
BORROWING = {
    "power": {"kind": "power", "power": 0.4},
    "all": {"kind": "power", "power": 1.0},
    "any power": {"kind": "normalised_power"},
    "a low power": {"kind": "normalised_power", "alpha": 1.5, "beta": 4.0},
    "commensurate": {"kind": "commensurate", "sd": 0.3},
    "half-normal": {"kind": "commensurate", "sd": {"half_normal": 0.6}},
    "robust": {"kind": "robust_mixture", "weight": 0.7},
}
FAMILIES = {Rates: conjugates.Rates(), Hazards: conjugates.Hazards(), Means: conjugates.Means()}
NEAR = 1.25 * conjugates.NEAR  # docs/methods.md; between the points at which it is fitted, too


def log_likelihood(family, said, sample):
    if family is Means:
        return -0.5 * sample[0] * (family.grid - sample[1]) ** 2 / said["sd"] ** 2
    return family.log_likelihood(*sample, family.grid)


def spread(family, density, sds, weights):
    """The density of what is normal about a parameter: a sum over the standard deviations of convolutions."""
    step = family.grid[1] - family.grid[0]
    found = np.zeros_like(density)
    for sd, weight in zip(sds, weights, strict=True):
        reach = np.arange(-math.ceil(9.0 * sd / step), math.ceil(9.0 * sd / step) + 1) * step
        kernel = norm.pdf(reach, scale=sd)
        found += weight * fftconvolve(density, kernel / kernel.sum(), mode="same")
    return np.clip(found, 1e-300, None)


def prior_by_integration(family, prior, said, sample, borrowing):
    """The density of the control's parameter before the trial, as docs/scenario.md has the models."""
    before, known = log_prior_of(family, prior), log_likelihood(family, said, sample)
    match borrowing["kind"]:
        case "power":
            return Density(family, before + borrowing["power"] * known)
        case "normalised_power":
            x, w = roots_legendre(120)
            power = np.sin(0.25 * math.pi * (1.0 + x)) ** 2  # closer together at the ends
            w = (
                w
                * np.sin(0.5 * math.pi * (1.0 + x))
                * beta.pdf(power, borrowing.get("alpha", 1), borrowing.get("beta", 1))
            )
            parts = [
                share * Density(family, before + one * known).density
                for one, share in zip(power, w / w.sum(), strict=True)
            ]
            return Density(family, np.log(np.sum(parts, axis=0) + 1e-300))
        case "commensurate":
            there, sd = Density(family, before + known).density, borrowing["sd"]
            if not isinstance(sd, dict):
                return Density(family, np.log(spread(family, there, [sd], [1.0])))
            x, w = roots_legendre(80)
            sds = 3.5 * sd["half_normal"] * (1.0 + x)
            weights = w * halfnorm.pdf(sds, scale=sd["half_normal"])
            return Density(family, np.log(spread(family, there, sds, weights / weights.sum())))
    elsewhere = Density(family, before + known)
    return elsewhere.mixed(Density(family, before), borrowing["weight"])


def spec_of(family, prior, said, borrowing):
    first, second = family.words
    parts = [{"weight": w, first: one, second: two} for w, one, two in prior]
    more = {"sd": SIGMA} if family is Means else {}
    one, two = VAGUE[family][0][1:]
    document = {
        "kind": family.kind,
        "prior": {first: one, second: two},
        "priors": {"arm0": parts},
        "external_controls": {**said, "borrowing": borrowing},
        **more,
    }
    return family.spec.model_validate(document)


def off(family, components, density):
    """The largest difference of the mixture's density, relative, where that is above a thousandth of its largest."""
    some = density.density > conjugates.LOW * density.density.max()
    found = sum(c.weight * np.exp(FAMILIES[family].log_density(c, family.grid[some])) for c in components)
    return float(np.abs(found / density.density[some] - 1.0).max())


@pytest.mark.parametrize("borrowing", BORROWING.values(), ids=BORROWING)
@pytest.mark.parametrize("prior", [VAGUE, TWO], ids=["vague", "mixture"])
@pytest.mark.parametrize("family", [Rates, Hazards, Means])
def test_the_prior_of_the_control_is_that_of_the_model(family, prior, borrowing):
    near = {"normalised_power": 1e-4, "commensurate": NEAR}.get(borrowing["kind"], 1e-9)
    for said, sample in ELSEWHERE[family]:
        spec = spec_of(family, prior[family], said, borrowing)
        control, other = priors_with(spec, FAMILIES[family], ["arm0", "arm1"])
        assert off(family, control, prior_by_integration(family, prior[family], said, sample, borrowing)) < near
        assert math.fsum(c.weight for c in control) == pytest.approx(1.0, abs=1e-12)
        assert [c.weight for c in other] == [1.0], "nobody from elsewhere had the arm under trial"


@pytest.mark.parametrize("lower", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["higher", "lower"])
@pytest.mark.parametrize("borrowing", BORROWING.values(), ids=BORROWING)
@pytest.mark.parametrize("family", [pytest.param(Rates, marks=pytest.mark.slow), Hazards, Means])
def test_what_is_said_with_controls_from_elsewhere(family, borrowing, lower):
    control, arm = {
        Rates: ((20, 9), (24, 11)),
        Hazards: ((14, 60.0), (20, 190.0)),
        Means: ((16, 13.0), (24, 34.0)),
    }[family]
    said, sample = ELSEWHERE[family][0]
    spec = spec_of(family, TWO[family], said, borrowing)
    bounds = [(family.difference, bound) for bound in family.bounds]
    model, memory = spec.model(frame(2, bounds=bounds, most=60, lower=lower))
    desk = desk_for(memory, 2)
    for place, name in enumerate(family.names):
        desk.arms[name] = [control[place], arm[place]]
    controls_are(desk)
    found = ask(model, desk, len(bounds))
    before = prior_by_integration(family, TWO[family], said, sample, borrowing)
    after = Density(family, np.log(before.density + 1e-300) + family.log_likelihood(*control, family.grid))
    own = posterior(family, VAGUE[family], *arm)
    # A prior within so much of its density, up and down, moves a probability by no more than twice that.
    near = 2.0 * {"normalised_power": 1e-4, "commensurate": NEAR}.get(borrowing["kind"], 5e-8)
    reversed_ = lower or family is Hazards
    for bound, tail in zip(family.bounds, found.tails[:, 1], strict=True):
        above = own.exceeds(after, bound)
        assert tail == pytest.approx(1.0 - above if reversed_ else above, abs=near)
    best = own.exceeds(after, 1.0 if family is Hazards else 0.0)
    assert found.best[1] == pytest.approx(1.0 - best if reversed_ else best, abs=near + 1e-6)
    values = family.effect(family.grid)
    assert found.estimate[1] == pytest.approx(own.mean_of(values) - after.mean_of(values), abs=near)


def test_controls_from_elsewhere_and_of_other_times_go_together():
    # The prior that they become is the one that weighs those of other times.
    said, sample = ELSEWHERE[Rates][0]
    borrowing = BORROWING["robust"]
    spec = spec_of(Rates, VAGUE[Rates], said, borrowing)
    weight = PooledByWeight(0.5)
    model, memory = spec.model(frame(2, bounds=[("difference", 0.0)], most=60, borrows=weight))
    desk = desk_for(memory, 2)
    desk.arms.patients, desk.arms.responses = [40, 24], [14, 11]
    controls_are(desk, patients=18, responses=5)
    found = ask(model, desk, 1)
    before = np.log(prior_by_integration(Rates, VAGUE[Rates], said, sample, borrowing).density + 1e-300)
    together, alone, others = (
        Density(Rates, before + Rates.log_likelihood(*counts, Rates.grid)) for counts in ((40, 14), (18, 5), (22, 9))
    )
    odds = math.exp(together.log_integral - alone.log_integral - others.log_integral)
    assert desk.arms.pooled[1] == pytest.approx(odds / (1.0 + odds), abs=1e-8)
    control = together.mixed(alone, odds / (1.0 + odds))
    above = posterior(Rates, VAGUE[Rates], 24, 11).exceeds(control, 0.0)
    assert found.tails[0, 1] == pytest.approx(above, abs=1e-7)


def test_a_prior_of_many_patients_has_nodes_enough():
    # As narrow as the posterior of a trial of 1200: nodes for the 20 patients of the trial alone were too few.
    written = {"alpha": 300, "beta": 900}
    spec = ArmBetaBinomial.model_validate({"kind": "beta_binomial", "prior": written})
    model, memory = spec.model(frame(2, bounds=[("difference", 0.0)], most=20))
    desk = desk_for(memory, 2)
    desk.arms.patients, desk.arms.responses = [20, 20], [3, 9]
    controls_are(desk)
    found = ask(model, desk, 1)
    prior = [(1.0, 300.0, 900.0)]
    above = posterior(Rates, prior, 20, 9).exceeds(posterior(Rates, prior, 20, 3), 0.0)
    assert found.tails[0, 1] == pytest.approx(above, abs=1e-7)
    assert found.best[1] == pytest.approx(above, abs=1e-7)

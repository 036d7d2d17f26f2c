"""The rules of quadrature of hierarchical models: what they promise to integrate, against scipy."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit

from lmd_trialsim.analyses import hierarchical_rules as rules
from lmd_trialsim.analyses.hierarchical_tables import Normal, panels_of
from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, HalfT, InverseGammaVariance, UniformSd, rule_of


class SquareRoot:
    """The distribution of the root of a variable, kept between limits: what scipy has no name for."""

    def __init__(self, of, least=0.0, most=math.inf):
        self.of, self.least, self.most = of, least, most
        self.low, self.high = of.cdf(least), of.cdf(most)

    def cdf(self, tau):
        return (self.of.cdf(np.clip(np.square(tau), self.least, self.most)) - self.low) / (self.high - self.low)

    def pdf(self, tau):
        inside = self.least <= tau * tau <= self.most
        return 2 * tau * self.of.pdf(tau * tau) / (self.high - self.low) if inside else 0.0


class Folded:
    """|t|."""

    def __init__(self, of):
        self.of = of

    def cdf(self, tau):
        return self.of.cdf(tau) - self.of.cdf(-tau)

    def pdf(self, tau):
        return 2 * self.of.pdf(tau)


PRIORS = {
    "half_normal": (HalfNormal(kind="half_normal", scale=1.0), stats.halfnorm(scale=1.0)),
    "narrow": (HalfNormal(kind="half_normal", scale=0.01), stats.halfnorm(scale=0.01)),
    "wide": (HalfNormal(kind="half_normal", scale=50.0), stats.halfnorm(scale=50.0)),
    "half_t": (HalfT(kind="half_t", scale=0.7, degrees_of_freedom=4), Folded(stats.t(4, scale=0.7))),
    "half_cauchy": (HalfT(kind="half_t", scale=2.5, degrees_of_freedom=1), stats.halfcauchy(scale=2.5)),
    "inverse_gamma": (
        InverseGammaVariance(kind="inverse_gamma_variance", shape=2.0, rate=0.6),
        SquareRoot(stats.invgamma(2.0, scale=0.6)),
    ),
    "many_orders_of_magnitude": (
        InverseGammaVariance(kind="inverse_gamma_variance", shape=0.0005, rate=0.000005, least=1e-6, most=1e3),
        SquareRoot(stats.invgamma(0.0005, scale=0.000005), 1e-6, 1e3),
    ),
    "uniform": (UniformSd(kind="uniform", low=0.1, high=2.0), stats.uniform(0.1, 1.9)),
}


@pytest.mark.parametrize("prior", PRIORS)
def test_quantile_functions_undo_distribution_functions(prior):
    written, distribution = PRIORS[prior]
    share = np.concatenate([[1e-9, 1e-4, 0.9999, 1 - 1e-9], np.linspace(0.01, 0.99, 99)])
    tau = written.quantile(share)
    assert (np.diff(tau[4:]) > 0).all()
    # A distribution function near 1 has a rounding error of 1e-16; that of the flat inverse gamma is in units of .006.
    # scipy.special.stdtrit is good to 1e-9 near 1/2.
    np.testing.assert_allclose(distribution.cdf(tau), share, rtol=1e-9, atol=2e-9 if "half_t" in prior else 2e-13)


@pytest.mark.parametrize(
    ("prior", "ends"),
    [
        ("half_normal", (0.0, math.inf)),
        ("inverse_gamma", (0.0, math.inf)),
        ("many_orders_of_magnitude", (1e-3, 1e1**1.5)),
        ("uniform", (0.1, 2.0)),
    ],
)
def test_quantiles_at_the_ends(prior, ends):
    with np.errstate(divide="ignore"):
        found = PRIORS[prior][0].quantile(np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, ends, rtol=1e-6, atol=1e-15)


def mean_of(f, distribution):
    """The mean of f(tau) by adaptive quadrature in log tau, piece by piece."""
    edges = np.log(np.concatenate([[1e-12], np.geomspace(1e-6, 1e6, 97), [1e12]]))
    extra = np.log([1e-3, 0.1, 2.0, 10**1.5])  # where a density of PRIORS begins or ends
    edges = np.unique(np.concatenate([edges, extra]))

    def integrand(s):
        return f(math.exp(s)) * distribution.pdf(math.exp(s)) * math.exp(s)

    return sum(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-12)[0] for a, b in itertools.pairwise(edges))


@pytest.mark.parametrize("order", [3, 8, 12])
@pytest.mark.parametrize("prior", PRIORS)
def test_the_scale_s_rule_integrates_polynomials(prior, order):
    """A Gauss rule of so many nodes integrates polynomials of y = tau / (tau + 1/2) up to degree 2 order - 1."""
    written, distribution = PRIORS[prior]
    rule = rules.scale_rule(written.quantile, order)
    assert len(rule.nodes) <= order
    assert (rule.weights > 0).all()
    assert (np.diff(rule.nodes) > 0).all()
    assert rule.nodes[0] >= 0.0
    y = rule.nodes / (rule.nodes + 0.5)
    assert rule.weights.sum() == pytest.approx(1.0, abs=1e-13)
    for degree in {1, 2, order, 2 * order - 1}:
        expected = mean_of(lambda tau, degree=degree: (tau / (tau + 0.5)) ** degree, distribution)
        # The prior is put on 3,200 points first; y is in [0, 1], so errors are absolute.
        assert (rule.weights * y**degree).sum() == pytest.approx(expected, abs=1e-8)


def test_a_known_scale_has_one_node():
    for value in (0.0, 0.3, 1000.0):
        nodes, weights = rule_of(FixedSd(kind="fixed", value=value), 12)
        assert (nodes.tolist(), weights.tolist()) == ([value], [1.0])


def test_gauss_rules_of_discrete_measures():
    draw = np.random.default_rng()
    points, masses = np.sort(draw.uniform(0, 1, 200)), draw.uniform(0, 3, 200)
    for order in (1, 2, 7, 15):
        nodes, weights = rules.gauss_rule(points, masses, order)
        assert len(nodes) == order
        assert (nodes > points[0]).all()
        assert (nodes < points[-1]).all()
        assert (weights > 0).all()
        for degree in range(2 * order):
            expected = (masses * points**degree).sum() / masses.sum()
            assert (weights * nodes**degree).sum() == pytest.approx(expected, abs=1e-12)
    # Degree 2 order is beyond it: the rule is no better than it should be.
    nodes, weights = rules.gauss_rule(points, masses, 2)
    assert abs((weights * nodes**4).sum() - (masses * points**4).sum() / masses.sum()) > 1e-6


def test_gauss_rules_of_fewer_points_than_nodes():
    points, masses = np.array([0.2, 0.5, 0.9]), np.array([1.0, 2.0, 1.0])
    nodes, weights = rules.gauss_rule(points, masses, 12)
    # Whatever nodes it has, those three points are all that weighs.
    for degree in range(8):
        assert (weights * nodes**degree).sum() == pytest.approx((masses * points**degree).sum() / 4.0, abs=1e-12)
    nodes, weights = rules.gauss_rule(np.array([0.3]), np.array([5.0]), 12)
    assert (weights * nodes).sum() == pytest.approx(0.3, abs=1e-15)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_panels_integrate_polynomials():
    edges = np.array([-3.0, -1.0, -0.9, 2.5])
    nodes, weights = rules.panels(edges)
    assert len(nodes) == 3 * rules.IN_A_PANEL
    assert ((nodes > -3.0) & (nodes < 2.5)).all()
    for degree in range(2 * rules.IN_A_PANEL):
        expected = (2.5 ** (degree + 1) - (-3.0) ** (degree + 1)) / (degree + 1)
        assert (weights * nodes**degree).sum() == pytest.approx(expected, rel=1e-12)


SETTINGS = [
    (-1.5, 1.0, 0.0, [0.0] * 5, [20] * 5),
    (-1.5, 10.0, 0.0, [-2.2, -1.0], [40, 3]),
    (2.0, 100.0, 0.7, [0.0] * 3, [100] * 3),
    (-30.0, 3.0, 1e-5, [-1.1] * 4, [20] * 4),
    (-1.0, 1e-3, 0.5, [0.0] * 2, [20] * 2),
    (-1.0, 2.0, 30.0, [0.0] * 10, [1000] * 10),
    (0.0, 1.0, 1000.0, [0.0] * 2, [1, 1]),
]


@pytest.mark.parametrize(("mean", "sd", "tau", "offsets", "numbers"), SETTINGS)
def test_edges_cover_the_prior(mean, sd, tau, offsets, numbers):
    offsets, numbers = np.array(offsets), np.array(numbers, float)
    counts = []
    for fineness in (1.0, 1.7, 3.0):
        edges = rules.mean_edges(mean, sd, tau, offsets, numbers, fineness)
        assert edges[0] == mean - rules.REACH * sd
        assert edges[-1] == mean + rules.REACH * sd
        assert (np.diff(edges) > 0).all()
        assert np.diff(edges).max() <= 3.0 * sd / fineness * (1 + 1e-12)
        nodes, weights = rules.panels(edges)
        density = stats.norm.pdf(nodes, mean, sd)
        assert (weights * density).sum() == pytest.approx(1.0, abs=1e-11)
        counts.append(len(edges) - 1)
    assert counts == sorted(counts)
    assert counts[-1] < 600


@pytest.mark.parametrize("fineness", [1.0, 2.2])
def test_panels_follow_the_product_of_likelihoods(fineness):
    """At tau = 0 the product of likelihoods is as narrow as it gets."""
    mean, sd, offsets, numbers = -1.5, 2.0, np.array([0.0, -0.8, 0.4]), np.array([40.0, 25.0, 60.0])
    nodes, weights = rules.panels(rules.mean_edges(mean, sd, 0.0, offsets, numbers, fineness))
    for shares in ([0.1, 0.1, 0.15], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.9, 0.05, 0.5]):
        x = np.round(numbers * shares)

        def value(mu, x=x):
            p = expit(np.array(mu)[..., None] + offsets)
            return np.prod(p**x * (1 - p) ** (numbers - x), axis=-1) * stats.norm.pdf(mu, mean, sd)

        pieces = np.linspace(mean - 8 * sd, mean + 8 * sd, 81)
        expected = sum(quad(value, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in itertools.pairwise(pieces))
        assert (weights * value(nodes)).sum() == pytest.approx(expected, rel=1e-5)


def test_weights_of_all_nodes_sum_to_one():
    scales = rules.scale_rule(PRIORS["half_normal"][0].quantile, 12)
    grid = panels_of(Normal(-1.2, 1.7), scales, np.zeros(4), np.full(4, 20.0), 1.1)
    assert [part.tau for part in grid] == scales.nodes.tolist()
    assert sum(part.prior.sum() for part in grid) == pytest.approx(1.0, abs=1e-11)
    for part, mass in zip(grid, scales.weights, strict=True):
        assert part.prior.sum() == pytest.approx(mass, abs=1e-12)
        assert (part.prior * part.mu).sum() / mass == pytest.approx(-1.2, abs=1e-9)
        assert (part.prior * (part.mu + 1.2) ** 2).sum() / mass == pytest.approx(1.7**2, rel=1e-9)

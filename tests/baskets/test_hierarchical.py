"""Hierarchical models against brute force on dense even grids of logits, published numbers, and their limits.

The promise is 1e-5 in any posterior probability that a rule looks at (issue 3); rules look at posterior means too.
"""

import itertools
import math

import numpy as np
import pytest
from basket_counts import posteriors, random_counts
from scipy import stats
from scipy.integrate import quad
from scipy.interpolate import make_interp_spline
from scipy.special import expit, log_expit, logit, ndtr

from lmd_trialsim.designs import hierarchical_levels
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec

PROMISE = 1e-5
UNPROMISED = 5e-4
"""Means and mean squares that the level of accuracy was not chosen by: as they are found, not as they should be."""

NAMES = ["lung", "breast", "melanoma", "lymphoma", "other", "sixth", "seventh", "eighth", "ninth", "tenth"]

# ---- brute force -----------------------------------------------------------------------------------------------------


def log_most(n, x):
    return (x * math.log(x / n) if x else 0.0) + ((n - x) * math.log1p(-x / n) if x < n else 0.0)


class DenseGrid:
    """Sums over dense grids of mu and of logits, for logits ~ N(mu, tau^2), mu ~ N(mean, sd^2), tau given.

    Logits are on panels that are cut at the bounds where tau is not small, else on the even grid of mu itself; what is
    smooth is summed exactly by even grids, and where a tail cuts them the first corrections are added (Euler and
    Maclaurin). Beyond the grid a likelihood is 0 or 1. All terms are positive, so nothing cancels.
    """

    def __init__(self, mean, sd, fineness=1.0):
        self.mean, self.sd, self.fineness = mean, sd, fineness
        self.reach = max(abs(mean) + 7.5 * sd, 20.0)

    def given(self, tau, counts, offsets, bounds):
        """(Z, (data sets, bounds + 2, baskets)): the likelihood, and what goes with tail, rate and rate^2 of it."""
        n, x = np.moveaxis(np.array(counts, float), 2, 0)[..., None]  # (data sets, baskets, 1)
        cuts = logit(np.array(bounds)) - np.array(offsets)
        theta_of = np.array(offsets, float)[:, None]
        if tau > 0.2:
            step = min(tau, self.sd) / (3.0 * self.fineness)
            k = math.ceil(7.5 * self.sd / step)
            mu, coarse = self.mean + np.arange(-k, k + 1) * step, 0.08 / self.fineness
            even = np.arange(-round(self.reach / coarse), round(self.reach / coarse) + 1) * coarse
            width, end = coarse, even[-1] + coarse / 2
        else:
            width = min(0.02 / self.fineness, tau / 1.2) if tau > 0 else 0.02 / self.fineness
            half = math.ceil(self.reach / width)
            mu = even = np.arange(-half, half + 1) * width
            step, end = width, even[-1] + width / 2
        prior = step * np.exp(-0.5 * ((mu - self.mean) / self.sd) ** 2) / (self.sd * math.sqrt(2 * math.pi))
        low, high = (ndtr((-end - side) / max(tau, 1e-9)) for side in (mu, -mu))
        likelihood = likelihood_of(n, x, even + theta_of)
        marginal = self._spread(likelihood, even, mu, width, tau) + (x == 0) * low + (x == n) * high
        baskets = range(n.shape[1])
        others = np.stack([prior * np.delete(marginal, k, axis=1).prod(axis=1) for k in baskets], axis=1)
        above = (others * high * (x == n)).sum(axis=2)
        sums = self._on_panels if tau > 0.2 else self._on_even_grid
        parts = sums(n, x, theta_of, cuts, tau, mu, others, end) + above[:, None]
        return (prior * marginal.prod(axis=1)).sum(axis=1), parts

    @staticmethod
    def _spread(f, even, mu, width, tau):
        """The means of functions of the logits under N(mu, tau^2)."""
        if tau == 0:
            return f
        if tau <= 0.2:
            return width * convolved(f, width, tau)
        return np.einsum("skt,tm->skm", f, width * normal_density(even[:, None] - mu, tau))

    def _on_panels(self, n, x, theta_of, cuts, tau, mu, others, end):
        found = []
        for k in range(n.shape[1]):
            even = np.linspace(-end, end, math.ceil(end * 2 * self.fineness))
            edges = np.unique(np.concatenate([even, cuts[:, k]]))
            half = np.diff(edges)[:, None] / 2
            theta = ((edges[1:, None] + edges[:-1, None]) / 2 + half * LEGENDRE[0]).ravel()
            density = np.einsum("sm,mt->st", others[:, k], normal_density(mu[:, None] - theta, tau))
            rate = expit(theta + theta_of[k])
            mass = density * likelihood_of(n[:, k], x[:, k], theta + theta_of[k]) * (half * LEGENDRE[1]).ravel()
            rows = [mass @ (theta > cut) for cut in cuts[:, k]] + [mass @ rate, mass @ rate**2]
            found.append(np.stack(rows, axis=1))
        return np.stack(found, axis=2)

    @staticmethod
    def _on_even_grid(n, x, theta_of, cuts, tau, mu, others, _):
        h = mu[1] - mu[0]
        theta = mu + theta_of
        density = likelihood_of(n, x, theta) * (others / h if tau == 0 else convolved(others, h, tau))
        rows = []
        for row in cuts:
            beyond = []
            for k, cut in enumerate(row):
                i = int(np.clip(round((cut - mu[0]) / h), 1, len(mu) - 2))
                before, here, after = np.moveaxis(density[:, k, i - 1 : i + 2], 1, 0)
                into, slope, bend = cut - mu[i], (after - before) / (2 * h), (after - 2 * here + before) / h**2
                edge = here * (h / 2 - into) + slope * ((h * h / 4 - into**2) / 2 - h * h / 24)
                edge += bend * ((h**3 / 8 - into**3) / 6 - h**3 / 48)
                beyond.append(h * density[:, k, i + 1 :].sum(axis=1) + edge)
            rows.append(np.stack(beyond, axis=1))
        return np.stack([*rows, *(h * (density * expit(theta) ** power).sum(axis=2) for power in (1, 2))], axis=1)


LEGENDRE = np.polynomial.legendre.leggauss(10)


def likelihood_of(n, x, logits):
    """In units of its maximum."""
    return np.exp(x * log_expit(logits) + (n - x) * log_expit(-logits) - np.vectorize(log_most)(n, x))


def normal_density(deviation, sd):
    return np.exp(-0.5 * (deviation / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def convolved(functions, step, sd):
    """Functions on an even grid, each convolved with a normal density and divided by the step."""
    reach = math.ceil(12 * sd / step)
    normal = normal_density(np.arange(-reach, reach + 1) * step, sd)
    return np.stack([[np.convolve(row, normal, "same") for row in of_set] for of_set in functions])


TAUS = np.concatenate([np.geomspace(1e-3, 0.06, 12)[:-1], np.geomspace(0.06, 12, 70), np.geomspace(12, 1e4, 22)[1:]])
"""Below, as at 0; beyond, as at the end; between, splines of degree five in log tau."""
CELLS = np.linspace(math.log(TAUS[0]), math.log(TAUS[-1]), 20_001)


class OverScales:
    """What the sums are at every tau; to be averaged over any prior of tau."""

    def __init__(self, grid, counts, offsets, bounds, taus=TAUS):
        self.still = grid.given(0.0, counts, offsets, bounds)
        found = [grid.given(tau, counts, offsets, bounds) for tau in taus]
        middle, log_taus = (CELLS[1:] + CELLS[:-1]) / 2, np.log(taus)
        self.total = np.exp(make_interp_spline(log_taus, np.log([z for z, _ in found]), k=5)(middle))
        self.parts = make_interp_spline(log_taus, [sums / z[:, None, None] for z, sums in found], k=5)(middle)
        self.last = found[-1]

    def averaged(self, cumulative):
        """(Z, (data sets, bounds + 2, baskets)) under the prior with this distribution function; masses of cells."""
        reached = cumulative(np.exp(CELLS))
        below, beyond = reached[0], 1.0 - reached[-1]
        weight = np.diff(reached)[:, None] * self.total
        sums = np.einsum("gs,gsbk->sbk", weight, self.parts) + below * self.still[1] + beyond * self.last[1]
        return weight.sum(axis=0) + below * self.still[0] + beyond * self.last[0], sums


def shares(sums):
    total, parts = sums
    return parts / total[:, None, None]


def inverse_gamma(shape, rate, least=0.0, most=math.inf):
    def cumulative(tau):
        of_square = stats.invgamma(shape, scale=rate).cdf
        low, high, here = of_square(least), of_square(most), of_square(np.clip(tau**2, least, most))
        return (here - low) / (high - low)

    return cumulative


SCALES = {
    "half_normal": ({"kind": "half_normal", "scale": 1.0}, stats.halfnorm(scale=1.0).cdf),
    "narrow_half_normal": ({"kind": "half_normal", "scale": 0.05}, stats.halfnorm(scale=0.05).cdf),
    "half_t": (
        {"kind": "half_t", "scale": 0.7, "degrees_of_freedom": 4},
        lambda tau: 2 * stats.t(4, scale=0.7).cdf(tau) - 1,
    ),
    "half_cauchy": ({"kind": "half_t", "scale": 1.0, "degrees_of_freedom": 1}, stats.halfcauchy(scale=1.0).cdf),
    "inverse_gamma_variance": (
        {"kind": "inverse_gamma_variance", "shape": 0.0005, "rate": 0.000005, "least": 1e-6, "most": 1e3},
        inverse_gamma(0.0005, 0.000005, 1e-6, 1e3),
    ),
    "inverse_gamma_without_limits": (
        {"kind": "inverse_gamma_variance", "shape": 2.0, "rate": 0.6},
        inverse_gamma(2.0, 0.6),
    ),
    "uniform": ({"kind": "uniform", "low": 0.1, "high": 2.0}, stats.uniform(0.1, 1.9).cdf),
}


def by_brute_force(grid, cumulative, counts, offsets, bounds):
    """(data sets, bounds + 2, baskets)"""
    return shares(OverScales(grid, counts, offsets, bounds).averaged(cumulative))


# ---- the program -----------------------------------------------------------------------------------------------------


def frame_of(counts, bounds, null=None, target=None):
    """The frame of designs at whose looks baskets have so many patients as in the data."""
    counts = np.array(counts)
    unsaid = np.full(counts.shape[1], np.nan)
    most, occurring = counts[:, :, 0].max(axis=0).tolist(), sorted({0, 1, *counts[:, :, 0].ravel().tolist()})
    null, target = (unsaid if rates is None else np.array(rates, float) for rates in (null, target))
    return Frame(NAMES[: counts.shape[1]], most, occurring, null, target, np.array(bounds, float), len(bounds))


def by_program(spec, counts, bounds, **rates):
    """(data sets, bounds + 2, baskets)"""
    built = spec.model(frame_of(counts, bounds, **rates))
    return np.concatenate(posteriors(built, np.array(counts), len(bounds)), axis=1)


def hierarchical(mean, sd, scale, **how):
    return HierarchicalSpec.model_validate(
        {"kind": "hierarchical", "mean": {"mean": mean, "sd": sd}, "sd": scale, **how}
    )


def exnex(parts, alone, **how):
    """parts: (weight, mean, sd, prior of tau) of each component; alone: (weight, mean, sd)."""
    return Exnex.model_validate(
        {
            "kind": "exnex",
            "exchangeable": [{"weight": w, "mean": {"mean": m, "sd": s}, "sd": scale} for w, m, s, scale in parts],
            "non_exchangeable": dict(zip(("weight", "mean", "sd"), alone, strict=True)),
            **how,
        }
    )


UNLIKE = [[(40, 4), (3, 3), (20, 0), (40, 40)], [(40, 40), (0, 0), (3, 0), (20, 1)]]


def hard_counts(draw, sets):
    """Data of four baskets: none, all, one patient, empty baskets; then random ones."""
    hard = [
        [(40, 0), (20, 0), (20, 0), (40, 0)],
        [(40, 40), (20, 20), (20, 20), (40, 40)],
        [(1, 0), (1, 1), (20, 3), (40, 5)],
        [(0, 0), (0, 0), (7, 2), (0, 0)],
    ]
    n = np.minimum(draw.choice([0, 1, 3, 7, 20, 40], (sets, 4)), [40, 20, 20, 40])
    logits = draw.normal(-1.0, 0.7, (sets, 1)) + draw.normal(0.0, 0.6, (sets, 4))
    return np.array([*hard, *np.stack([n, draw.binomial(n, expit(logits))], axis=2).tolist()])


BOUNDS = [[0.1, 0.3, 0.1, 0.3]]
MEAN, SD = -1.5, 1.5


@pytest.fixture(scope="module")
def data():
    """Counts of four baskets, and the sums at every tau."""
    counts = np.concatenate([hard_counts(np.random.default_rng(), 3), UNLIKE])
    return counts, OverScales(DenseGrid(MEAN, SD), counts, np.zeros(4), BOUNDS)


def assert_as_promised(found, expected, counts):
    error = np.abs(found - expected).max(axis=(1, 2))
    worst = int(error.argmax())
    assert error.max() < PROMISE, f"{error.max():.2g} at {counts[worst].tolist()}"


def test_brute_force_does_not_depend_on_its_steps(data):
    counts, sums = data
    finer = DenseGrid(MEAN, SD, 2.0)
    for tau in (0.0, 0.002, 0.05, 1.0, 3000.0):
        found = shares(DenseGrid(MEAN, SD).given(tau, counts, np.zeros(4), BOUNDS))
        assert np.abs(found - shares(finer.given(tau, counts, np.zeros(4), BOUNDS))).max() < 2e-7
    more_taus = OverScales(DenseGrid(MEAN, SD), counts, np.zeros(4), BOUNDS, np.geomspace(1e-3, 1e4, 203))
    for _, cumulative in SCALES.values():
        found, expected = shares(sums.averaged(cumulative)), shares(more_taus.averaged(cumulative))
        assert np.abs(found - expected).max() < 3e-7


@pytest.mark.parametrize(
    "scale",
    [
        "half_normal",
        "narrow_half_normal",
        "inverse_gamma_variance",
        "uniform",
        pytest.param("half_cauchy", marks=pytest.mark.slow),
        pytest.param("half_t", marks=pytest.mark.slow),
        pytest.param("inverse_gamma_without_limits", marks=pytest.mark.slow),
    ],
)
def test_posteriors_of_every_prior_of_the_scale(data, scale):
    counts, sums = data
    written, cumulative = SCALES[scale]
    found = by_program(hierarchical(MEAN, SD, written), counts, BOUNDS)
    assert_as_promised(found, shares(sums.averaged(cumulative)), counts)


@pytest.mark.parametrize("tau", [0.0, 1e-3, 0.03, 0.4, 2.0, 9.0])
def test_posteriors_of_a_known_scale(data, tau):
    counts = data[0]
    expected = shares(DenseGrid(MEAN, SD).given(tau, counts, np.zeros(4), BOUNDS))
    found = by_program(hierarchical(MEAN, SD, {"kind": "fixed", "value": tau}), counts, BOUNDS)
    assert_as_promised(found, expected, counts)


def homogeneity(data):
    """The chi-square statistic of equal rates."""
    n, x = np.array(data, float).T
    rate = x.sum() / n.sum()
    seen = n > 0
    spread = n[seen] * rate * (1 - rate)
    return ((x[seen] - n[seen] * rate) ** 2 / spread).sum() if 0 < rate < 1 else 0.0


def test_a_calibrated_scale():
    # Chu and Yuan (2018): tau^2 = exp(a + b log T). Where all rates agree, tau is 0.
    draw = np.random.default_rng()
    x = np.concatenate(
        [[[4, 4, 4, 4], [0, 0, 0, 0], [2, 3, 6, 3], [0, 0, 0, 20]], draw.binomial(20, [0.1, 0.2, 0.3, 0.3], (4, 4))]
    )
    counts = np.stack([np.full_like(x, 20), x], axis=2)
    spec = CalibratedHierarchicalSpec.model_validate(
        {"kind": "calibrated_hierarchical", "mean": {"mean": MEAN, "sd": SD}, "a": -3.0, "b": 1.4}
    )
    bounds = [[0.2] * 4]
    built = spec.model(frame_of(counts, bounds)._replace(occurring=[20]))
    found, grid = np.concatenate(posteriors(built, counts, 1), axis=1), DenseGrid(MEAN, SD)
    for data, row in zip(counts, found, strict=True):
        statistic = homogeneity(data)
        tau = math.exp((-3.0 + 1.4 * math.log(statistic)) / 2) if statistic > 1e-9 else 0.0
        assert_as_promised(row[None], shares(grid.given(tau, data[None], np.zeros(4), bounds)), data[None])


NULL, TARGET = [0.1, 0.2, 0.1, 0.3], [0.3, 0.4, 0.35, 0.5]


@pytest.mark.parametrize(
    "offset",
    [
        "null_rate",
        pytest.param(None, marks=pytest.mark.slow),
        pytest.param(0.25, marks=pytest.mark.slow),
        pytest.param("target_rate", marks=pytest.mark.slow),
    ],
)
def test_offsets(offset):
    counts = hard_counts(np.random.default_rng(), 1)[2:]
    rates = {None: [0.5] * 4, 0.25: [0.25] * 4, "null_rate": NULL, "target_rate": TARGET}[offset]
    how = {} if offset is None else {"offset": offset}
    spec = hierarchical(-0.4, 1.2, {"kind": "half_normal", "scale": 0.5}, **how)
    found = by_program(spec, counts, [NULL], null=NULL, target=TARGET)
    cumulative = stats.halfnorm(scale=0.5).cdf
    expected = by_brute_force(DenseGrid(-0.4, 1.2), cumulative, counts, logit(np.array(rates)), [NULL])
    assert_as_promised(found, expected, counts)


# ---- EXNEX: all assignments of baskets to components -----------------------------------------------------------------


def own_sums(count, offset, mean, sd, bounds):
    """(Z, (bounds + 2,)) of one basket under a normal prior of its own logit, by adaptive quadrature."""
    n, x = (int(part) for part in count)

    def integral(low=-math.inf, power=0):
        def f(theta):
            at = theta + offset
            log_lik = x * log_expit(at) + (n - x) * log_expit(-at) - log_most(n, x)
            return math.exp(log_lik - 0.5 * ((theta - mean) / sd) ** 2) * expit(at) ** power / sd

        edges = np.unique(np.clip(np.linspace(mean - 9 * sd, mean + 9 * sd, 13), low, None))
        return sum(quad(f, a, b, epsabs=1e-14, epsrel=1e-11)[0] for a, b in itertools.pairwise(edges))

    parts = [integral(logit(b) - offset) for b in bounds] + [integral(power=k) for k in (1, 2)]
    return integral() / math.sqrt(2 * math.pi), np.array(parts) / math.sqrt(2 * math.pi)


def exnex_by_brute_force(parts, own_weight, own, counts, offsets, bounds):
    """(bounds + 2, baskets); parts: (weight, DenseGrid, distribution function of tau); own: (mean, sd) by basket."""
    baskets = range(len(counts))
    rows = len(bounds) + 2
    alone = [own_sums(counts[k], offsets[k], *own[k], [row[k] for row in bounds]) for k in baskets]
    together = {}
    for component, (_, grid, cumulative) in enumerate(parts):
        for size in range(1, len(counts) + 1):
            for chosen in itertools.combinations(baskets, size):
                few = list(chosen)
                some = [[counts[k] for k in few]], np.array(offsets)[few], [[row[k] for k in few] for row in bounds]
                z, sums = OverScales(grid, *some).averaged(cumulative)
                together[component, chosen] = z[0], sums[0]
    total, found = 0.0, np.zeros((rows, len(counts)))
    for assigned in itertools.product(range(len(parts) + 1), repeat=len(counts)):
        weight, of_basket = 1.0, np.zeros((rows, len(counts)))
        for component in range(len(parts)):
            chosen = tuple(k for k in baskets if assigned[k] == component)
            if chosen:
                z, sums = together[component, chosen]
                weight *= parts[component][0] ** len(chosen) * z
                of_basket[:, chosen] = sums / z
        for k in baskets:
            if assigned[k] == len(parts):
                weight *= own_weight * alone[k][0]
                of_basket[:, k] = alone[k][1] / alone[k][0]
        total += weight
        found += weight * of_basket
    return found / total


EXNEX_COUNTS = np.array([[(20, 2), (12, 6), (5, 0)], [(20, 0), (1, 1), (9, 9)], [(30, 3), (0, 0), (30, 12)]])
EXNEX_BOUNDS = [[0.1, 0.3, 0.1]]
OWN = [(-1.0, 2.0), (0.3, 1.1), (-1.0, 2.0)]
SHALLOW = {"kind": "half_normal", "scale": 1.0}
STEEP = {"kind": "inverse_gamma_variance", "shape": 3.0, "rate": 0.1}
COMPONENTS = {
    "one": [(0.6, -1.8, 1.3, SHALLOW)],
    "two": [(0.25, -2.2, 1.4, SHALLOW), (0.35, -0.5, 0.9, STEEP)],
    "three": [(0.2, -2.2, 1.4, SHALLOW), (0.3, -0.5, 0.9, STEEP), (0.1, 0.5, 2.0, {"kind": "uniform", "high": 1.5})],
}
CUMULATIVE = [stats.halfnorm(scale=1.0).cdf, inverse_gamma(3.0, 0.1), stats.uniform(0.0, 1.5).cdf]


@pytest.mark.parametrize(
    ("components", "offset", "sets"),
    [
        ("one", None, [0, 1]),
        ("one", "null_rate", [2]),
        ("two", 0.25, [1]),
        pytest.param("two", None, [0, 1, 2], marks=pytest.mark.slow),
        pytest.param("one", "target_rate", [0, 1, 2], marks=pytest.mark.slow),
        pytest.param("two", "null_rate", [0, 1, 2], marks=pytest.mark.slow),
        pytest.param("three", None, [0, 1, 2], marks=pytest.mark.slow),
    ],
)
def test_exnex_agrees_with_the_sum_over_assignments(components, offset, sets):
    parts, counts = COMPONENTS[components], EXNEX_COUNTS[sets]
    null, target = NULL[:3], TARGET[:3]
    rates = {None: [0.5] * 3, 0.25: [0.25] * 3, "null_rate": null, "target_rate": target}[offset]
    weight = 1.0 - sum(part[0] for part in parts)
    how = {} if offset is None else {"offset": offset}
    spec = exnex(parts, (weight, *OWN[0]), own={NAMES[1]: {"mean": OWN[1][0], "sd": OWN[1][1]}}, **how)
    found = by_program(spec, counts, EXNEX_BOUNDS, null=null, target=target)
    grids = [(w, DenseGrid(m, s), cdf) for (w, m, s, _), cdf in zip(parts, CUMULATIVE, strict=False)]
    expected = [
        exnex_by_brute_force(grids, weight, OWN, one, logit(np.array(rates)), EXNEX_BOUNDS) for one in counts.tolist()
    ]
    assert_as_promised(found, np.array(expected), counts)


def test_a_lonely_basket_does_not_tell_like_components_apart():
    # Baskets of two components do not share a mean; for a basket among empty ones that makes no difference.
    counts = np.array([[(20, 3), (0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0), (20, 20)]])
    halves = [(0.2, -1.8, 1.3, SHALLOW), (0.4, -1.8, 1.3, SHALLOW), (0.0, 0.0, 1.0, SHALLOW)]
    found = by_program(exnex(halves, (0.4, -1.0, 2.0)), counts, BOUNDS)
    expected = by_program(exnex([(0.6, -1.8, 1.3, SHALLOW)], (0.4, -1.0, 2.0)), counts, BOUNDS)
    seen = counts[:, :, 0] > 0
    np.testing.assert_allclose(found.swapaxes(1, 2)[seen], expected.swapaxes(1, 2)[seen], rtol=0, atol=2 * PROMISE)


# ---- published numbers -----------------------------------------------------------------------------------------------


def by_gaussian_approximation(y, n, rate, mean, variance, bound):
    """P(rate > bound) as INLA has it: given tau^2 a normal at the mode, tau^2 by a sum; R10's inverse gamma prior."""
    scales, log_weight, tails = np.exp(np.linspace(math.log(1e-6), math.log(1e3), 80)), [], []
    for scale in scales:
        precision = np.linalg.inv(scale * np.eye(3) + variance * np.ones((3, 3)))
        theta = np.full(3, mean)
        for _ in range(100):
            p = expit(theta + logit(rate))
            curvature = np.diag(n * p * (1 - p)) + precision
            step = np.linalg.solve(curvature, y - n * p - precision @ (theta - mean))
            theta = theta + step / max(1.0, np.abs(step).max())
        fit = (y * np.log(p) + (n - y) * np.log1p(-p)).sum() - 0.5 * (theta - mean) @ precision @ (theta - mean)
        fit += 0.5 * (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(curvature)[1])
        log_weight.append(fit + stats.invgamma.logpdf(scale, 0.0005, scale=0.000005) + math.log(scale))
        sd = np.sqrt(np.diag(np.linalg.inv(curvature)))
        tails.append(stats.norm.sf(logit(bound) - logit(rate), theta, sd))
    weight = np.exp(np.array(log_weight) - max(log_weight))
    return weight @ np.array(tails) / weight.sum()


def test_inla_of_three_baskets():
    """R10's numbers are imprint's INLA, up to .05 off the posterior: the same model, approximated, meets them."""
    scale, cumulative = SCALES["inverse_gamma_variance"]
    y, bounds = [(3, 4, 9), (2, 8, 12)], [[0.1] * 3]
    theirs = np.array([[0.8151, 0.8694, 0.9754], [0.5693, 0.9950, 0.9999]])
    approximated = [by_gaussian_approximation(np.array(one), 35, 0.3, -1.34, 100.0, 0.1) for one in y]
    np.testing.assert_allclose(approximated, theirs, rtol=0, atol=0.01)
    counts = np.array([[(35, responses) for responses in one] for one in y])
    found = by_program(hierarchical(-1.34, 10.0, scale, offset=0.3), counts, bounds)
    expected = by_brute_force(DenseGrid(-1.34, 10.0), cumulative, counts, np.full(3, logit(0.3)), bounds)
    assert_as_promised(found, expected, counts)
    np.testing.assert_allclose(found[:, 0], theirs, rtol=0, atol=0.05)


FIVE = [[(20, 2), (20, 3), (20, 5), (20, 6), (20, 8)]]
# R10: bhmbasket 1.1.0, JAGS, 4 x 100,000 iterations, errors below .001; printed to four digits.
BERRY = (
    [0.1815, 0.2010, 0.2431, 0.2648, 0.3099],
    [0.0689, 0.0672, 0.0698, 0.0747, 0.0893],
    [0.0701, 0.0923, 0.1376, 0.1567, 0.1866],
)
NEUENSCHWANDER = (
    [0.1363, 0.1784, 0.2468, 0.2801, 0.3571],
    [0.0734, 0.0768, 0.0830, 0.0884, 0.1028],
    [0.0337, 0.0635, 0.1222, 0.1492, 0.2041],
)


@pytest.mark.parametrize(
    ("spec", "published"),
    [
        (hierarchical(logit(0.1) - logit(0.3), 10.0, SHALLOW, offset=0.3), BERRY),
        (exnex([(0.5, logit(0.2), 2.5, SHALLOW)], (0.5, logit(0.2), 2.5)), NEUENSCHWANDER),
    ],
    ids=["berry", "exnex"],
)
def test_jags_of_five_baskets(spec, published):
    means, sds, quantiles = published
    found = by_program(spec, FIVE, [quantiles])[0]
    np.testing.assert_allclose(found[1], means, rtol=0, atol=0.00105)
    np.testing.assert_allclose(np.sqrt(found[2] - found[1] ** 2), sds, rtol=0, atol=0.00105)
    # The tail beyond a quantile that is off by .001 is off by the density there times .001, at most 1 / sd * .4 * .001.
    np.testing.assert_allclose(found[0], 0.95, rtol=0, atol=0.0065)


SARCOMA = [[(15, 2), (13, 0), (12, 1), (28, 6), (29, 7), (29, 3), (26, 5), (5, 1), (2, 0), (20, 3)]]


def test_sarcoma():
    # R9: bhmbasket 1.1.0; its error is that of JAGS, some .001 (the same program as in R10).
    parts = [(0.5, -1.735, 0.146**-0.5, SHALLOW), (0.0, 0.847, 0.266**-0.5, SHALLOW)]
    spec = exnex(parts, (0.5, -1.734, 0.128**-0.5))
    found = by_program(spec, SARCOMA, [[0.2] * 10])[0]
    theirs = [0.1508, 0.0529, 0.1270, 0.1885, 0.2051, 0.1314, 0.1767, 0.1786, 0.1302, 0.1573]
    np.testing.assert_allclose(found[1], theirs, rtol=0, atol=0.00205)


# ---- limits ----------------------------------------------------------------------------------------------------------


def pooled_by_quadrature(data, offsets, bounds):
    """(bounds + 2, baskets) where all baskets have one logit, by adaptive quadrature."""

    def integral(low=-math.inf, power=0, offset=0.0):
        def f(theta):
            logits = theta + np.array(offsets)
            log_lik = (data[:, 1] * log_expit(logits) + (data[:, 0] - data[:, 1]) * log_expit(-logits)).sum()
            most = sum(log_most(int(n), int(x)) for n, x in data)
            return math.exp(log_lik - most - 0.5 * ((theta - MEAN) / SD) ** 2) * expit(theta + offset) ** power

        edges = np.unique(np.clip(np.linspace(MEAN - 9 * SD, MEAN + 9 * SD, 61), low, None))
        return sum(quad(f, a, b, epsabs=0, epsrel=1e-10)[0] for a, b in itertools.pairwise(edges))

    total = integral()
    rows = [[integral(logit(b) - o) / total for b, o in zip(row, offsets, strict=True)] for row in bounds]
    return np.array([*rows, *([integral(power=k, offset=o) / total for o in offsets] for k in (1, 2))])


@pytest.mark.parametrize(
    "scale",
    [
        {"kind": "fixed", "value": 0.0},
        pytest.param({"kind": "half_normal", "scale": 1e-4}, marks=pytest.mark.slow),
    ],
)
def test_no_spread_is_pooling(scale):
    counts = np.array([[(20, 3), (12, 4), (7, 0), (3, 1)], [(20, 0), (20, 1), (5, 0), (1, 0)]])
    offsets = logit(np.array(NULL))
    found = by_program(hierarchical(MEAN, SD, scale, offset="null_rate"), counts, [NULL, TARGET], null=NULL)
    expected = [pooled_by_quadrature(one, offsets, [NULL, TARGET]) for one in counts]
    assert_as_promised(found, np.array(expected), counts)


def independent_by_quadrature(counts, mean, sd, bounds):
    every = []
    for data in counts:
        sums = [own_sums(data[k], 0.0, mean, sd, [row[k] for row in bounds]) for k in range(len(data))]
        every.append(np.array([parts / total for total, parts in sums]).T)
    return np.array(every)


def test_a_known_mean_is_independence():
    counts = hard_counts(np.random.default_rng(), 2)
    found = by_program(hierarchical(-1.0, 1e-4, {"kind": "fixed", "value": 1.3}), counts, BOUNDS)
    assert_as_promised(found, independent_by_quadrature(counts, -1.0, 1.3, BOUNDS), counts)


def test_a_wide_spread_is_independence():
    # The logits' correlation is 1 / (1 + 200^2): tails move by no more than that.
    counts = hard_counts(np.random.default_rng(), 0)[2:]
    found = by_program(hierarchical(-1.0, 1.0, {"kind": "fixed", "value": 200.0}), counts, BOUNDS)
    expected = independent_by_quadrature(counts, -1.0, math.hypot(200.0, 1.0), BOUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=PROMISE + 200.0**-2)


def test_exnex_of_weight_0_is_independence_and_of_weight_1_is_exchangeability():
    counts = hard_counts(np.random.default_rng(), 2)[2:]
    part = (-1.8, 1.3, SHALLOW)
    alone = by_program(exnex([(0.0, *part)], (1.0, -1.0, 2.0)), counts, BOUNDS)
    assert_as_promised(alone, independent_by_quadrature(counts, -1.0, 2.0, BOUNDS), counts)
    together = by_program(exnex([(1.0, *part)], (0.0, -1.0, 2.0)), counts, BOUNDS)
    np.testing.assert_array_equal(together, by_program(hierarchical(*part), counts, BOUNDS))
    # Of two components: one without weight, and none of any.
    parts = [(1.0, *part), (0.0, 1.0, 1.0, STEEP)]
    np.testing.assert_array_equal(by_program(exnex(parts, (0.0, -1.0, 2.0)), counts, BOUNDS), together)
    none = [(1e-13, *part), (1e-13, 1.0, 1.0, STEEP)]
    assert_as_promised(by_program(exnex(none, (1.0 - 2e-13, -1.0, 2.0)), counts, BOUNDS), alone, counts)


# ---- invariances -----------------------------------------------------------------------------------------------------

MODELS = {
    "hierarchical": lambda: hierarchical(MEAN, SD, SHALLOW, offset="null_rate"),
    "exnex": lambda: exnex(COMPONENTS["one"], (0.4, -1.0, 2.0)),
    "two_components": lambda: exnex(COMPONENTS["two"], (0.4, -1.0, 2.0)),
}


@pytest.mark.parametrize("model", ["exnex", *(pytest.param(m, marks=pytest.mark.slow) for m in list(MODELS)[::2])])
def test_baskets_in_another_order(model):
    draw = np.random.default_rng()
    counts = hard_counts(draw, 4)
    order = draw.permutation(4)
    bounds, null = np.array([[0.1, 0.3, 0.1, 0.1]]), np.array([0.1, 0.1, 0.2, 0.2])
    found = by_program(MODELS[model](), counts, bounds, null=null)
    moved = by_program(MODELS[model](), counts[:, order], bounds[:, order], null=null[order])
    # The level of accuracy is chosen by data sampled basket by basket: another order may choose another one.
    np.testing.assert_allclose(moved[:, 0], found[:, 0, order], rtol=0, atol=2 * PROMISE)
    np.testing.assert_allclose(moved[:, 1:], found[:, 1:, order], rtol=0, atol=UNPROMISED)


@pytest.mark.parametrize("model", MODELS)
def test_empty_baskets_change_nothing(model):
    draw = np.random.default_rng()
    counts = hard_counts(draw, 4)
    padded = np.zeros((len(counts), 5, 2), np.int64)
    places = draw.permutation(5)[:4]
    padded[:, places] = counts
    bounds, null = np.full((1, 5), 0.2), np.full(5, 0.1)
    found = by_program(MODELS[model](), padded, bounds, null=null)[:, :, places]
    few = by_program(MODELS[model](), counts, bounds[:, places], null=null[places])
    # The rules of quadrature know how many baskets there are: both are as good as is promised, not the same bits.
    np.testing.assert_allclose(found[:, 0], few[:, 0], rtol=0, atol=2 * PROMISE)
    np.testing.assert_allclose(found[:, 1:], few[:, 1:], rtol=0, atol=UNPROMISED)


def test_means_are_as_good_as_tails():
    # Rules look at means too (estimate_of: rate). Everybody responds.
    counts = np.array([[(40, 40), (20, 20), (20, 20), (40, 40)]])
    found = by_program(hierarchical(MEAN, SD, SHALLOW, offset=0.1), counts, [[0.2] * 4])
    cumulative = stats.halfnorm(scale=1.0).cdf
    expected = by_brute_force(DenseGrid(MEAN, SD), cumulative, counts, np.full(4, logit(0.1)), [[0.2] * 4])
    assert_as_promised(found, expected, counts)


# ---- the trap: as tau -> 0 the tail is a step in mu ------------------------------------------------------------------


@pytest.mark.parametrize("offset", [None, "null_rate"])
@pytest.mark.parametrize("scale", [0.05, 0.002])
def test_a_step_at_the_null_rate(offset, scale):
    """The bound is the null rate, where the prior of mu is centred and the data lie: an even grid was off by .05."""
    null = [0.2] * 4
    mean = 0.0 if offset else logit(0.2)
    counts = np.array(
        [[(20, 4), (20, 4), (20, 4), (20, 4)], [(20, 3), (20, 5), (20, 4), (5, 1)], [(1, 0), (0, 0), (0, 0), (1, 1)]]
    )
    how = {"offset": offset} if offset else {}
    spec = hierarchical(mean, 0.8, {"kind": "half_normal", "scale": scale}, **how)
    found = by_program(spec, counts, [null], null=null)
    offsets = logit(np.array(null)) if offset else np.zeros(4)
    cumulative = stats.halfnorm(scale=scale).cdf
    expected = by_brute_force(DenseGrid(mean, 0.8), cumulative, counts, offsets, [null])
    assert_as_promised(found, expected, counts)
    assert (np.abs(found[:, 0] - 0.5) < 0.3).all()  # it is where the step is that is looked at


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_many_random_data_sets(scale):
    draw = np.random.default_rng()
    written, cumulative = SCALES[scale]
    for baskets in (2, 3, 6):
        most = draw.integers(1, 61, baskets)
        bounds = draw.uniform(0.03, 0.7, (2, baskets))
        mean, sd = float(draw.normal(-1.0, 1.0)), float(draw.choice([0.3, 1.0, 3.0, 10.0]))
        counts = random_counts(draw, most, 10)
        found = by_program(hierarchical(mean, sd, written), counts, bounds)
        grid = DenseGrid(mean, sd)
        expected = by_brute_force(grid, cumulative, counts, np.zeros(baskets), bounds)
        assert_as_promised(found, expected, counts)


# ---- what other processes have found ---------------------------------------------------------------------------------


def test_the_level_of_accuracy_is_found_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hierarchical_levels, "CACHE_FOLDER", str(tmp_path))
    searched = []

    def search():
        searched.append(True)
        return (13, 0.9), 2e-6

    for _ in range(2):
        assert hierarchical_levels.remembered("a question", search) == ((13, 0.9), 2e-6)
    assert len(searched) == 1
    hierarchical_levels.remembered("another question", search)
    assert len(searched) == 2
    for path in tmp_path.iterdir():
        path.write_text("[[13")  # a disk that was full
    assert hierarchical_levels.remembered("a question", search) == ((13, 0.9), 2e-6)
    assert len(searched) == 3
    monkeypatch.setattr(hierarchical_levels, "CACHE_FOLDER", None)
    hierarchical_levels.remembered("a question", search)
    assert len(searched) == 4


def test_what_cannot_be_told_is_no_agreement():
    answers = {1: np.array([0.5, math.nan]), 2: np.array([0.5, 0.3]), 3: np.array([0.5, 0.3])}
    levels = [(1, 1.0), (2, 1.0), (3, 1.0)]
    assert hierarchical_levels.agreeing(levels, lambda level: answers[level[0]]) == ((2, 1.0), 0.0)
    with pytest.raises(ValueError, match="does not come within"):
        hierarchical_levels.agreeing(levels, lambda _: answers[1])

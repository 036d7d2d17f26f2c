"""Power priors against other programs' exact numbers, and against a twin that integrates and searches anew."""

import itertools
import math

import numpy as np
import pytest
from basket_counts import chance, frame, outcome_space, posteriors, random_counts
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta as beta_distribution
from scipy.stats import betabinom

from lmd_trialsim.analyses import similarity
from lmd_trialsim.designs.borrowing import PowerPrior

NAMES = [f"basket_{i}" for i in range(9)]
UNIFORM = (1.0, 1.0)

FUJIKAWA = {"kind": "jensen_shannon", "epsilon": 2.0, "tau": 0.5}
CALIBRATED = {"kind": "calibrated", "a": 2.0, "b": 2.0}
MML = {"kind": "maximum_marginal_likelihood"}
DIFFERENCES = {"kind": "differences", "epsilon": 1.5, "weight": 0.9}


def built(weights, priors, numbers, bounds, **how):
    shapes = dict(zip(NAMES, [{"alpha": a, "beta": b} for a, b in priors], strict=False))
    spec = PowerPrior.model_validate({"kind": "power_prior", "weights": weights, "priors": shapes, **how})
    return spec.model(frame(NAMES[: len(priors)], numbers, bounds))


# ---- published numbers ----


def test_fujikawa_posterior():
    # R8: n = 15, r = (1, 5, 7).
    counts = np.array([[[15, 1], [15, 5], [15, 7]]])
    model = built(FUJIKAWA, [UNIFORM] * 3, [15] * 3, [[0.2] * 3])
    tails, moments = posteriors(model, counts)
    np.testing.assert_allclose(tails[0, 0], [0.1407375, 0.9942795, 0.9965258], rtol=0, atol=5e-8)
    w = 0.7832585  # R8; the weights of the first basket are 0
    alpha = [2, 6 + w * 8, 8 + w * 6]
    total = [17, 17 * (1 + w), 17 * (1 + w)]
    np.testing.assert_allclose(moments[0, 0], np.divide(alpha, total), rtol=0, atol=2e-8)


def test_fujikawa_weights_of_the_supplement():
    # Fujikawa et al. (2020), supplement: n = 15, r = (5, 1, 3), epsilon 2, tau 0, natural logarithms.
    outcomes, _ = similarity.outcomes_of([UNIFORM] * 3, [15] * 3)
    weights = similarity.jensen_shannon(outcomes, 2.0, 0.0).weights
    five, one, three = (15 * 16 // 2 + r for r in (5, 1, 3))
    found = [weights[five, one], weights[five, three], weights[one, three]]
    np.testing.assert_allclose(found, [0.3206983, 0.7493639, 0.6509846], rtol=0, atol=5e-7)


def characteristics(model, n, rates, threshold, null=0.2):
    """Rejection per basket, family-wise error and expected correct decisions, over all outcomes of three baskets."""
    counts = outcome_space(n, 3)
    reject = posteriors(model, counts)[0][:, 0] > threshold
    weight, true = chance(counts, rates), np.array(rates) > null
    return weight @ reject, weight @ (reject & ~true).any(axis=1), weight @ (reject == true).sum(axis=1)


@pytest.mark.parametrize(
    ("rates", "rejection", "family_wise", "correct"),
    [
        ([0.2, 0.2, 0.2], [0.03239555] * 3, 0.06315308, 2.9028133),
        ([0.2, 0.2, 0.5], [0.08360073, 0.08360073, 0.87762365], 0.14120859, 2.7104222),
        ([0.5, 0.5, 0.5], [0.96323865] * 3, 0.0, 2.8897159),
    ],
)
def test_fujikawa_characteristics(rates, rejection, family_wise, correct):
    # R8: exact, baskexact and independent enumeration.
    model = built(FUJIKAWA, [UNIFORM] * 3, [24] * 3, [[0.2] * 3])
    found = characteristics(model, 24, rates, 0.99)
    np.testing.assert_allclose(found[0], rejection, rtol=0, atol=5e-9)
    np.testing.assert_allclose(found[1:], [family_wise, correct], rtol=0, atol=5e-8)


def test_calibrated_characteristics():
    # R8: calibrated power prior a = b = 2, n = 15, threshold .9774.
    model = built(CALIBRATED, [UNIFORM] * 3, [15] * 3, [[0.2] * 3])
    assert characteristics(model, 15, [0.2, 0.2, 0.2], 0.9774)[1] == pytest.approx(0.04853831, abs=5e-9)
    found = characteristics(model, 15, [0.2, 0.2, 0.5], 0.9774)[0]
    np.testing.assert_allclose(found, [0.09676577, 0.09676577, 0.64422455], rtol=0, atol=5e-9)


# ---- a twin ----


def divergence(p, q):
    """Jensen-Shannon divergence of two betas, in nats: integrals of p log p / m, on the logit scale."""

    def log_density(shape, logit):
        a, b = shape
        return -a * np.logaddexp(0, -logit) - b * np.logaddexp(0, logit) - betaln(a, b)

    def integrand(logit):
        log_p, log_q = log_density(p, logit), log_density(q, logit)
        log_m = np.logaddexp(log_p, log_q) - math.log(2)
        return 0.5 * (math.exp(log_p) * (log_p - log_m) + math.exp(log_q) * (log_q - log_m))

    centres = sorted(math.log(a / b) for a, b in (p, q))
    end = 10 + 40 / min(*p, *q)
    edges = [-end, centres[0] - 5, *np.linspace(*centres, 4), centres[1] + 5, end]
    pieces = itertools.pairwise(edges)
    return math.fsum(quad(integrand, *piece, epsabs=1e-14, epsrel=1e-12, limit=300)[0] for piece in pieces)


def likeliest(n, x, m, z, a, b):
    """The weight of z of m at which x of n is likeliest: a grid, refined around its best point; 0 where it is flat."""
    low, high = 0.0, 1.0
    for step in range(9):
        grid = np.linspace(low, high, 41)
        logs = betabinom.logpmf(x, n, a + grid * z, b + grid * (m - z))
        best = int(np.argmax(logs))
        if step == 0 and np.ptp(logs) < 1e-12:
            return 0.0
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 40)]
    return grid[best]


def weight_by_hand(weights, target, source, prior, other):
    (n, x), (m, z) = target, source
    if weights["kind"] == "fixed":
        return weights["weight"]
    if weights["kind"] == "jensen_shannon":
        p, q = (prior[0] + x, prior[1] + n - x), (other[0] + z, other[1] + m - z)
        base = math.log(2) if weights.get("logarithm") == "binary" else 1.0
        weight = (1 - divergence(p, q) / base) ** weights["epsilon"]
        return weight if weight > weights["tau"] else 0.0
    if n == 0:
        return 0.0
    if weights["kind"] == "calibrated":
        s = max(n, m) ** 0.25 * abs(x / n - z / m)
        return 1 / (1 + math.exp(weights["a"]) * s ** weights["b"])
    return (likeliest(n, x, m, z, *prior) + likeliest(m, z, n, x, *other)) / 2


def overall_by_hand(counts, how):
    if how is None or how["kind"] == "fixed":
        return 1.0 if how is None else how["weight"]
    rates = sorted(x / n for n, x in counts if n)
    if len(rates) < 2:
        return how["weight"]
    steps = [b - a for a, b in itertools.pairwise(rates)]
    uneven = sum((step - 1 / len(steps)) ** 2 for step in steps)
    return (1 - sum(steps) * 10 ** (-uneven)) ** how["epsilon"] * how["weight"]


def by_hand(weights, counts, priors, bounds, overall=None, shared=False):
    """(data sets, bounds + 2, baskets)"""
    every = []
    for data in counts.tolist():
        factor, columns = overall_by_hand(data, overall), []
        for i, (n, x) in enumerate(data):
            a, b = priors[i][0] + x, priors[i][1] + n - x
            for j, (m, z) in enumerate(data):
                if j != i and m > 0:
                    w = factor * weight_by_hand(weights, (n, x), (m, z), priors[i], priors[j])
                    a += w * (z + shared * priors[j][0])
                    b += w * (m - z + shared * priors[j][1])
            mean = a / (a + b)
            tails = beta_distribution.sf(np.array(bounds)[:, i], a, b)
            columns.append([*tails, mean, mean * (1 - mean) / (a + b + 1) + mean**2])
        every.append(np.array(columns).T)
    return np.array(every)


KINDS = {
    "fujikawa": FUJIKAWA,
    "tau_0": {"kind": "jensen_shannon", "epsilon": 1.25, "tau": 0.0},
    "binary": {"kind": "jensen_shannon", "epsilon": 1.25, "tau": 0.0, "logarithm": "binary"},
    "calibrated": CALIBRATED,
    "marginal": MML,
    "fixed": {"kind": "fixed", "weight": 0.3},
}
# The search behind the twin's maximum compares logarithms that agree to 1e-13: it tells weights to some 1e-7.
TOLERANCE = {"marginal": 1e-6}
BOUNDS = [[0.1, 0.2, 0.3, 0.2], [0.5, 0.4, 0.3, 0.2]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("priors", ["one", "own"])
def test_posteriors_agree_with_the_twin(kind, priors):
    shapes = [UNIFORM] * 4 if priors == "one" else [(0.5, 0.5), (1.0, 1.0), (2.0, 5.0), (1.0, 1.0)]
    counts = random_counts(np.random.default_rng(), [7, 20, 11, 3], 6)
    model = built(KINDS[kind], shapes, [7, 20, 11, 3], BOUNDS, shared_prior=priors == "own", global_weight=DIFFERENCES)
    found = np.concatenate(posteriors(model, counts, 2), axis=1)
    expected = by_hand(KINDS[kind], counts, shapes, BOUNDS, DIFFERENCES, priors == "own")
    # Divergences are good to 1e-10, and a shift of one prior patient moves a tail by less than 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE.get(kind, 1e-8))


@pytest.mark.parametrize("prior", [(0.1, 0.1), (0.5, 0.5), (1.0, 1.0), (5.0, 5.0), (0.2, 8.0)])
@pytest.mark.parametrize("n", [3, 20, 45])
def test_divergences(prior, n):
    outcomes, _ = similarity.outcomes_of([prior], [n])
    weights = similarity.jensen_shannon(outcomes, 1.0, -1.0).weights
    draw = np.random.default_rng()
    pairs = [(n, 0, n, n), (n, 0, 0, 0), (n, n // 2, n, n // 2), (1, 1, n, 0)]
    pairs += [(m, draw.integers(0, m + 1), k, draw.integers(0, k + 1)) for m, k in draw.integers(0, n + 1, (6, 2))]
    for m, z, k, y in pairs:
        expected = divergence((prior[0] + z, prior[1] + m - z), (prior[0] + y, prior[1] + k - y))
        found = 1.0 - weights[m * (m + 1) // 2 + z, k * (k + 1) // 2 + y]
        assert found == pytest.approx(expected, abs=2e-10), (m, z, k, y)


@pytest.mark.parametrize("kind", ["fujikawa", "calibrated", "marginal"])
def test_what_is_not_tabulated_is_worked_out(kind, monkeypatch):
    priors, most, bounds = [UNIFORM, (0.5, 0.5), UNIFORM], [8, 5, 12], [[0.2] * 3]
    counts = random_counts(np.random.default_rng(), most, 30)
    tabulated = posteriors(built(KINDS[kind], priors, most, bounds), counts)
    monkeypatch.setattr(similarity, "PAIRS", 0)
    model = built(KINDS[kind], priors, most, bounds)
    assert not isinstance(model[0].similarity, similarity.Tabulated)
    for found, expected in zip(posteriors(model, counts), tabulated, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_marginal_likelihood_has_one_peak():
    # What the search relies on: along a grid, the likelihood never rises again once it has fallen.
    draw = np.random.default_rng()
    grid = np.linspace(0, 1, 201)
    for _ in range(300):
        a, b = np.exp(draw.uniform(-3, 3, 2))
        n, m = draw.integers(1, 40, 2)
        x, z = draw.integers(0, n + 1), draw.integers(0, m + 1)
        steps = np.diff(betabinom.logpmf(x, n, a + grid * z, b + grid * (m - z)))
        falling = steps < -1e-10
        assert not (steps[np.argmax(falling) :] > 1e-10).any() or not falling.any()


@pytest.mark.parametrize("shared", [True, False])
def test_fixed_weights_run_from_independent_to_pooled(shared):
    counts = random_counts(np.random.default_rng(), [9, 4, 12], 30)
    bounds, most = [[0.1, 0.2, 0.4]], [9, 4, 12]
    for weight in (0.0, 1.0):
        model = built({"kind": "fixed", "weight": weight}, [UNIFORM] * 3, most, bounds, shared_prior=shared)
        n, x = counts[..., 0], counts[..., 1]
        seen = (n > 0).sum(axis=1, keepdims=True) - (n > 0)  # other baskets whose priors are shared
        if weight:
            n, x = (np.broadcast_to(part.sum(axis=1, keepdims=True), n.shape) for part in (n, x))
        a, b = 1 + x + weight * shared * seen, 1 + n - x + weight * shared * seen
        tails = posteriors(model, counts)[0][:, 0]
        np.testing.assert_allclose(tails, beta_distribution.sf(bounds, a, b), rtol=0, atol=1e-12)


def test_global_weights_at_their_ends():
    # baskexact: 0 where rates are spread evenly from 0 to 1, the factor itself where they agree.
    weights, bounds = {"kind": "fixed", "weight": 1.0}, [[0.3] * 3]
    counts = np.array([[[20, 0], [20, 10], [20, 20]], [[20, 5], [12, 3], [4, 1]]])
    found = posteriors(built(weights, [UNIFORM] * 3, [20] * 3, bounds, global_weight=DIFFERENCES), counts)[0]
    alone = posteriors(built(weights | {"weight": 0.0}, [UNIFORM] * 3, [20] * 3, bounds), counts)[0]
    fixed = {"kind": "fixed", "weight": 0.9}
    even = posteriors(built(weights, [UNIFORM] * 3, [20] * 3, bounds, global_weight=fixed), counts)[0]
    np.testing.assert_allclose(found, [alone[0], even[1]], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_empty_baskets_change_nothing(kind):
    draw = np.random.default_rng()
    most = np.array([9, 14, 12, 6])
    counts = random_counts(draw, most, 20)
    padded = np.zeros((20, 6, 2), np.int64)
    places = draw.permutation(6)[:4]
    padded[:, places] = counts
    bounds, numbers = draw.uniform(0.05, 0.6, (2, 6)), np.full(6, 20)
    numbers[places] = most
    model = built(KINDS[kind], [UNIFORM] * 6, numbers, bounds, global_weight=DIFFERENCES)
    found = np.concatenate(posteriors(model, padded, 2), axis=1)[:, :, places]
    model = built(KINDS[kind], [UNIFORM] * 4, most, bounds[:, places], global_weight=DIFFERENCES)
    expected = np.concatenate(posteriors(model, counts, 2), axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)

"""Exchangeability and partition models against published numbers, and against twins that walk every model."""

import itertools
import math

import numpy as np
import pytest
from basket_counts import frame, posteriors, random_counts
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta as beta_distribution

from lmd_trialsim.analyses import partitions
from lmd_trialsim.designs import borrowing

JEFFREYS = (0.5, 0.5)
NAMES = [f"basket_{i}" for i in range(20)]


def written(kind, **how):
    """The Spec, and through it the model, with one prior for all or one each."""
    specs = {
        "independent": borrowing.Independent,
        "pooled": borrowing.Pooled,
        "multi_source_exchangeability": borrowing.SourceExchangeability,
        "partition_averaging": borrowing.PartitionAveraging,
    }

    def build(priors, numbers, bounds):
        shapes = [{"alpha": a, "beta": b} for a, b in priors]
        prior = {"prior": shapes[0]}
        if len(set(priors)) > 1:
            prior = {"priors": dict(zip(NAMES, shapes, strict=False))}
        spec = specs[kind].model_validate({"kind": kind, **prior, **how})
        return spec.model(frame(NAMES[: len(priors)], numbers, bounds))

    return build


def exchangeability(models, e):
    return written("multi_source_exchangeability", models=models, exchangeability=e)


# ---- twins: every model in turn ----


def evidence(counts, baskets, prior):
    n = sum(int(counts[j][0]) for j in baskets)
    x = sum(int(counts[j][1]) for j in baskets)
    return betaln(prior[0] + x, prior[1] + n - x) - betaln(*prior)


def mixed(counts, basket, weighted, prior, bounds):
    """Tails and moments of the rate of `basket`, from (log weight, set of baskets counted together)."""
    most = max(weight for weight, _ in weighted)
    total, tails, mean, square = 0.0, np.zeros(len(bounds)), 0.0, 0.0
    for log_weight, together in weighted:
        weight = math.exp(log_weight - most)
        n = sum(int(counts[j][0]) for j in together)
        x = sum(int(counts[j][1]) for j in together)
        a, b = prior[0] + x, prior[1] + n - x
        total += weight
        tails += weight * beta_distribution.sf(bounds, a, b)
        mean += weight * a / (a + b)
        square += weight * a * (a + 1) / ((a + b) * (a + b + 1))
    return np.array([*(tails / total), mean / total, square / total])


def log(p):
    return math.log(p) if p > 0 else -math.inf


def local_twin(e):
    def weighted(counts, priors, basket):
        others = [j for j in range(len(counts)) if j != basket]
        for size in range(len(others) + 1):
            for chosen in itertools.combinations(others, size):
                apart = [j for j in others if j not in chosen]
                yield (
                    size * log(e) + len(apart) * log(1 - e)
                    + evidence(counts, [basket, *chosen], priors[basket])
                    + sum(evidence(counts, [j], priors[j]) for j in apart)
                ), [basket, *chosen]  # fmt: skip

    return lambda counts, priors: [list(weighted(counts, priors, i)) for i in range(len(counts))]


def matrices_twin(e):
    def twin(counts, priors):
        baskets = range(len(counts))
        pairs = list(itertools.combinations(baskets, 2))
        found = [[] for _ in baskets]
        for ones in itertools.product([0, 1], repeat=len(pairs)):
            exchange = {pair for pair, one in zip(pairs, ones, strict=True) if one}
            rows = [[j for j in baskets if j == i or (min(i, j), max(i, j)) in exchange] for i in baskets]
            weight = sum(log(e) if one else log(1 - e) for one in ones)
            for i, row in enumerate(rows):
                weight += evidence(counts, row, priors[i])
                weight += sum(evidence(counts, [j], priors[j]) for j in baskets if j not in row)
            for i, row in enumerate(rows):
                found[i].append((weight, row))
        return found

    return twin


def all_partitions(items):
    if not items:
        yield []
        return
    for rest in all_partitions(items[1:]):
        yield [[items[0]], *rest]
        for i, block in enumerate(rest):
            yield [*rest[:i], [items[0], *block], *rest[i + 1 :]]


def partitions_twin(log_prior):
    """log_prior: of a partition, a list of blocks."""

    def weighted(counts, priors, basket):
        treated = [j for j in range(len(counts)) if counts[j][0] > 0 or j == basket]
        for blocks in all_partitions(treated):
            weight = log_prior(blocks) + sum(evidence(counts, block, priors[0]) for block in blocks)
            yield weight, next(block for block in blocks if basket in block)

    return lambda counts, priors: [list(weighted(counts, priors, i)) for i in range(len(counts))]


def transitive(e):
    def log_prior(blocks):
        together = sum(len(block) * (len(block) - 1) // 2 for block in blocks)
        baskets = sum(map(len, blocks))
        return together * log(e) + (baskets * (baskets - 1) // 2 - together) * log(1 - e)

    return log_prior


def alone(counts, priors):
    return [[(0.0, [i])] for i in range(len(counts))]


def one(counts, priors):
    return [[(0.0, range(len(counts)))] for _ in counts]


MODELS = {
    "independent": (written("independent"), alone),
    "pooled": (written("pooled"), one),
    "local": (exchangeability("local", 0.3), local_twin(0.3)),
    "matrices": (exchangeability("matrices", 0.7), matrices_twin(0.7)),
    "transitive": (exchangeability("partitions", 0.6), partitions_twin(transitive(0.6))),
    "psioda": (written("partition_averaging", strength=1.5), partitions_twin(lambda blocks: 1.5 * len(blocks))),
    "uniform": (written("partition_averaging", strength=0), partitions_twin(lambda blocks: 0.0)),
}
OWN_PRIORS = ["independent", "local", "matrices"]


def by_hand(twin, counts, priors, bounds):
    """(data sets, bounds + 2, baskets)"""
    every = []
    for data in counts:
        sets = twin(data, priors)
        columns = [mixed(data, i, sets[i], priors[i], np.array(bounds)[:, i]) for i in range(len(data))]
        every.append(np.array(columns).T)
    return np.array(every)


def by_kernel(build, counts, priors, bounds, numbers=None):
    numbers = counts[..., 0].max(axis=0) if numbers is None else numbers
    return np.concatenate(posteriors(build(priors, numbers, bounds), counts, len(bounds)), axis=1)


BOUNDS = [[0.1, 0.2, 0.3, 0.2], [0.5, 0.4, 0.3, 0.2]]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("priors", ["one", "own"])
def test_a_model_agrees_with_its_twin(model, priors):
    if priors == "own" and model not in OWN_PRIORS:
        pytest.skip("one prior by definition")
    shapes = [JEFFREYS] * 4 if priors == "one" else [(0.5, 0.5), (1.0, 1.0), (0.3, 0.7), (1.0, 1.0)]
    build, twin = MODELS[model]
    counts = random_counts(np.random.default_rng(), [7, 20, 11, 3], 12)
    found, expected = by_kernel(build, counts, shapes, BOUNDS), by_hand(twin, counts, shapes, BOUNDS)
    # The twin's log weights are sums of logarithms of gamma functions of some hundreds: 1e-14 of 1e3 each.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("baskets", [1, 2, 3, 5])
def test_any_number_of_baskets(model, baskets):
    build, twin = MODELS[model]
    counts = random_counts(np.random.default_rng(), [9, 4, 12, 6, 8][:baskets], 2)
    bounds, priors = [[0.25] * baskets], [(1.0, 1.0)] * baskets
    found, expected = by_kernel(build, counts, priors, bounds), by_hand(twin, counts, priors, bounds)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_five_baskets_over_all_matrices():
    # R11: exact over all 1,024 models.
    counts = np.array([[[20, 2], [20, 3], [20, 5], [20, 6], [20, 8]]])
    found = by_kernel(exchangeability("matrices", 0.5), counts, [JEFFREYS] * 5, [[0.1] * 5])
    np.testing.assert_allclose(found[0, 0], [0.975222, 0.994378, 0.998777, 0.999302, 0.999897], rtol=0, atol=5e-7)


VEMURAFENIB = np.array([[[19, 8], [10, 0], [26, 1], [8, 1], [14, 6], [7, 2]]])


def test_vemurafenib():
    # R11: basket 0.9.x by MCMC over the 32,768 models, +- .005.
    found = by_kernel(exchangeability("matrices", 0.5), VEMURAFENIB, [JEFFREYS] * 6, [[0.15] * 6])
    theirs = [[0.99975, 0.02617, 0.01842, 0.35001, 0.99940, 0.97109], [0.3938, 0.0543, 0.0527, 0.1492, 0.3931, 0.3591]]
    np.testing.assert_allclose(found[0, :2], theirs, rtol=0, atol=0.005)


@pytest.mark.slow
def test_vemurafenib_over_all_matrices():
    found = by_kernel(exchangeability("matrices", 0.5), VEMURAFENIB, [JEFFREYS] * 6, [[0.15] * 6])
    expected = by_hand(matrices_twin(0.5), VEMURAFENIB, [JEFFREYS] * 6, [[0.15] * 6])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["independent", "pooled"])
def test_mixtures_as_priors(kind):
    parts = [(0.8, 19.0, 58.0), (0.2, 1.0, 1.0)]
    prior = [{"weight": w, "alpha": a, "beta": b} for w, a, b in parts]
    spec = {"independent": borrowing.Independent, "pooled": borrowing.Pooled}[kind](kind=kind, prior=prior)
    counts = np.array([[[12, 7], [9, 2]]])
    tails, moments = posteriors(spec.model(frame(NAMES[:2], [12, 9], [[0.4, 0.3]])), counts)
    for i, bound in enumerate([0.4, 0.3]):
        n, x = counts[0, i] if kind == "independent" else counts[0].sum(axis=0)

        def density(p, n=n, x=x):
            return p**x * (1 - p) ** (n - x) * sum(w * beta_distribution.pdf(p, a, b) for w, a, b in parts)

        def integral(power, low, f=density):
            return quad(lambda p: p**power * f(p), low, 1.0, epsabs=0, epsrel=1e-11, limit=200)[0]

        total = integral(0, 0.0)
        np.testing.assert_allclose(tails[0, 0, i], integral(0, bound) / total, rtol=0, atol=1e-10)
        np.testing.assert_allclose(moments[0, :, i], [integral(1, 0.0) / total, integral(2, 0.0) / total], atol=1e-10)


@pytest.mark.parametrize("models", ["local", "matrices", "partitions"])
def test_exchangeability_runs_from_independent_to_pooled(models):
    counts = random_counts(np.random.default_rng(), [30, 20, 25, 10, 15], 40)
    priors, bounds, most = [(1.0, 1.0)] * 5, [[0.2] * 5], [30, 20, 25, 10, 15]
    for e, end in [(0.0, "independent"), (1.0, "pooled")]:
        found = by_kernel(exchangeability(models, e), counts, priors, bounds, most)
        expected = by_kernel(MODELS[end][0], counts, priors, bounds, most)
        seen = counts[:, :, 0].sum(axis=1) > 0
        np.testing.assert_allclose(found[seen], expected[seen], rtol=0, atol=1e-12)
    near = by_kernel(exchangeability(models, 1e-12), counts, priors, bounds, most)
    np.testing.assert_allclose(near, by_kernel(MODELS["independent"][0], counts, priors, bounds, most), atol=1e-8)


def test_strong_priors_of_partitions():
    # exp(100 * blocks): all baskets apart.
    counts = random_counts(np.random.default_rng(), [30, 20, 25, 10], 20)
    found = by_kernel(written("partition_averaging", strength=100), counts, [JEFFREYS] * 4, BOUNDS)
    expected = by_kernel(MODELS["independent"][0], counts, [JEFFREYS] * 4, BOUNDS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_baskets_in_another_order(model):
    draw = np.random.default_rng()
    most = np.array([9, 4, 12, 6, 8])
    counts = random_counts(draw, most, 20)
    bounds = draw.uniform(0.05, 0.6, (2, 5))
    order = draw.permutation(5)
    build = MODELS[model][0]
    found = by_kernel(build, counts, [JEFFREYS] * 5, bounds, most)
    moved = by_kernel(build, counts[:, order], [JEFFREYS] * 5, bounds[:, order], most[order])
    np.testing.assert_allclose(moved, found[:, :, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_empty_baskets_change_nothing(model):
    draw = np.random.default_rng()
    counts = random_counts(draw, [9, 14, 12], 20)
    padded = np.zeros((20, 5, 2), np.int64)
    padded[:, [0, 2, 4]] = counts
    bounds = draw.uniform(0.05, 0.6, (2, 5))
    build = MODELS[model][0]
    found = by_kernel(build, padded, [JEFFREYS] * 5, bounds, [9, 20, 14, 20, 12])[:, :, [0, 2, 4]]
    expected = by_kernel(build, counts, [JEFFREYS] * 3, bounds[:, [0, 2, 4]], [9, 14, 12])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("models", "baskets"), [("local", 10), ("matrices", 8), ("partitions", 10)])
@pytest.mark.parametrize("e", [1e-300, 0.5, 0.999999])
def test_extremes_are_numbers(models, baskets, e):
    # Rates as unlike as can be, at an exchangeability as near to an end as is allowed.
    counts = np.zeros((3, baskets, 2), np.int64)
    counts[:, :, 0] = 60
    counts[0, ::2, 1] = 60
    counts[1, :, 1] = np.linspace(0, 60, baskets).astype(int)
    found = by_kernel(exchangeability(models, e), counts, [JEFFREYS] * baskets, [[0.2] * baskets])
    assert ((found >= 0.0) & (found <= 1.0 + 1e-12)).all()


def test_eight_baskets_over_all_matrices():
    # 268,435,456 matrices; three empty baskets leave the sum over 1,024.
    counts = np.zeros((1, 8, 2), np.int64)
    kept = [1, 2, 4, 6, 7]
    counts[0, kept] = [[9, 2], [12, 3], [7, 5], [10, 6], [5, 0]]
    found = by_kernel(exchangeability("matrices", 0.4), counts, [JEFFREYS] * 8, [[0.2] * 8], [12] * 8)
    expected = by_hand(matrices_twin(0.4), counts[:, kept], [JEFFREYS] * 5, [[0.2] * 5])
    np.testing.assert_allclose(found[:, :, kept], expected, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["local", "transitive", "psioda"])
def test_seven_baskets_agree_with_their_twins(model):
    build, twin = MODELS[model]
    counts = random_counts(np.random.default_rng(), [7, 20, 11, 3, 15, 9, 12], 4)
    bounds, priors = [[0.1, 0.2, 0.3, 0.2, 0.1, 0.4, 0.2]], [JEFFREYS] * 7
    found, expected = by_kernel(build, counts, priors, bounds), by_hand(twin, counts, priors, bounds)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_bell_numbers():
    counted = [sum(1 for _ in all_partitions(list(range(k)))) for k in range(1, 8)]
    assert [partitions.models_of("partitions", k) for k in range(1, 8)] == counted
    assert partitions.models_of("matrices", 5) == 1024
    assert partitions.models_of("local", 5) == 16

"""How alike two baskets are: the weight that one basket's counts get in the posterior of another's rate.

* Jensen-Shannon: (1 - D)^epsilon where that exceeds tau, else 0; D is the divergence of the two baskets' own posteriors
  (Fujikawa et al. 2020, Biom J 62:330, with the natural logarithm).
* calibrated: 1 / (1 + exp(a + b log s)), s = max(n_i, n_j)^(1/4) |x_i / n_i - x_j / n_j|, a Kolmogorov-Smirnov distance
  (Pan, Yuan and Xia 2017, J R Stat Soc C 66:979).
* maximum marginal likelihood: the w in [0, 1] that maximises the beta-binomial probability of x_i of n_i with the prior
  Beta(a + w x_j, b + w (n_j - x_j)) (Gravestock and Held 2017, Pharm Stat 16:349), averaged with that of j given i.
* fixed; and an overall factor of all weights, fixed or falling with the differences between all observed rates
  (Baumann, Sauer and Kieser 2024, arXiv:2309.06988).

The weight of a pair depends on a few whole numbers: outcomes (prior, n, x) are numbered in rows, and the weights of all
pairs of rows tabulated up to some fifty patients; beyond, the same kernel works them out at the look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaln, xlogy

from lmd_trialsim.analyses.beta_mixture import Array
from lmd_trialsim.analyses.binary import row_index
from lmd_trialsim.kernel.jit import Seam, canonical, door, kernel

PAIRS = 2_000_000  # tabulated weights: 16 MB, two seconds
LARGEST = 250  # patients of a basket
ENTRIES = 20_000_000  # numbers of a quadrature: 160 MB


class Outcomes(NamedTuple):
    """What one basket may have seen, by row: blocks of one prior, in each n (n + 1) / 2 + x."""

    alpha: np.ndarray  # (rows,) of the prior
    beta: np.ndarray
    patients: np.ndarray  # (rows,)
    responses: np.ndarray


@Seam
def weight_of(similarity, i, j):  # type: ignore[no-untyped-def]
    """Return the weight between the outcomes in rows i and j; that in j has patients."""


@Seam
def overall_weight(overall, desk):  # type: ignore[no-untyped-def]
    """Return the factor of all weights, from the counts of all baskets."""


class JensenShannon(NamedTuple):
    """Weights by the divergence between posteriors."""

    mass: np.ndarray  # (rows, nodes) posterior probability of each node of the quadrature
    information: np.ndarray  # (rows,) sum of mass log mass
    first: np.ndarray  # (rows,) the nodes that hold all but 1e-16 of it
    last: np.ndarray
    per_unit: float  # 1 / logarithm of the base
    epsilon: float
    tau: float


@weight_of.case
def weight_by_divergence(similarity: JensenShannon, i, j):
    """D = H((p + q) / 2) - H(p) / 2 - H(q) / 2."""
    p, q = similarity.mass[i], similarity.mass[j]
    shared = 0.0
    for node in range(min(similarity.first[i], similarity.first[j]), max(similarity.last[i], similarity.last[j]) + 1):
        middle = 0.5 * (p[node] + q[node])
        shared += middle * math.log(middle)
    divergence = 0.5 * (similarity.information[i] + similarity.information[j]) - shared
    weight = (1.0 - min(max(divergence * similarity.per_unit, 0.0), 1.0)) ** similarity.epsilon
    return weight if weight > similarity.tau else 0.0


class Calibrated(NamedTuple):
    """Weights by the difference of the observed rates."""

    outcomes: Outcomes
    a: float
    b: float


@weight_of.case
def weight_by_difference(similarity: Calibrated, i, j):
    """None where a basket has no rate yet, all where the rates are the same."""
    n, m = similarity.outcomes.patients[i], similarity.outcomes.patients[j]
    if n == 0 or m == 0:
        return 0.0
    difference = abs(similarity.outcomes.responses[i] / n - similarity.outcomes.responses[j] / m)
    if difference == 0.0:
        return 1.0
    return 1.0 / (1.0 + math.exp(similarity.a + similarity.b * math.log(max(n, m) ** 0.25 * difference)))


class MarginalLikelihood(NamedTuple):
    """Weights by maximum marginal likelihood."""

    outcomes: Outcomes


@kernel
def _rises(count, start):
    """Return the first two derivatives of log Gamma(start + count) - log Gamma(start), the second negated."""
    slope, bend = 0.0, 0.0
    for k in range(count):
        part = 1.0 / (start + k)
        slope += part
        bend += part * part
    return slope, bend


@kernel
def _slope(a, b, n, x, m, z, w):
    """Return the derivatives in w, (first, second), of log P(x of n respond) under Beta(a + w z, b + w (m - z)).

    A first one within rounding of 0 is 0: where the likelihood is flat, it says nothing for borrowing.
    """
    s, s2 = _rises(x, a + w * z)
    f, f2 = _rises(n - x, b + w * (m - z))
    t, t2 = _rises(n, a + b + w * m)
    first = z * s + (m - z) * f - m * t
    return first if abs(first) > 1e-13 * m * t else 0.0, m * m * t2 - z * z * s2 - (m - z) * (m - z) * f2


@kernel
def _most_likely(a, b, n, x, m, z):
    """Return the w in [0, 1] of the maximum: the first derivative falls through 0 once at most; Newton in a bracket."""
    if _slope(a, b, n, x, m, z, 0.0)[0] <= 0.0:
        return 0.0
    if _slope(a, b, n, x, m, z, 1.0)[0] >= 0.0:
        return 1.0
    low, high, w = 0.0, 1.0, 0.5
    for _ in range(100):
        slope, bend = _slope(a, b, n, x, m, z, w)
        low, high = (w, high) if slope > 0.0 else (low, w)
        nearer = w - slope / bend if bend < 0.0 else high
        if not low < nearer < high:
            nearer = 0.5 * (low + high)
        if abs(nearer - w) < 1e-14:
            break
        w = nearer
    return w


@weight_of.case
def weight_by_likelihood(similarity: MarginalLikelihood, i, j):
    """The mean of both directions (as Baumann et al. 2024 have it); none where a basket has seen nobody."""
    seen = similarity.outcomes
    n, x, m, z = seen.patients[i], seen.responses[i], seen.patients[j], seen.responses[j]
    forth = _most_likely(seen.alpha[i], seen.beta[i], n, x, m, z)
    return 0.5 * (forth + _most_likely(seen.alpha[j], seen.beta[j], m, z, n, x))


class Fixed(NamedTuple):
    """The same weight always."""

    weight: float


@weight_of.case
def fixed_weight(similarity: Fixed, i, j):
    """As it is."""
    return similarity.weight


@overall_weight.case
def fixed_factor(overall: Fixed, desk):
    """As it is."""
    return overall.weight


class Tabulated(NamedTuple):
    """Weights worked out beforehand."""

    weights: np.ndarray  # (rows, rows)


@weight_of.case
def look_up_weight(similarity: Tabulated, i, j):
    """Look it up."""
    return similarity.weights[i, j]


@door
def _tabulate(similarity, weights):
    """Fill the (rows, rows) weights, which are symmetric."""
    for i in range(weights.shape[0]):
        for j in range(i + 1):
            weights[i, j] = weight_of(similarity, i, j)
            weights[j, i] = weights[i, j]


class Differences(NamedTuple):
    """An overall weight, 1 where all observed rates agree and 0 where they are spread evenly from 0 to 1.

    With d the L differences between neighbours in the order of the rates:
    (1 - sum(d) * 10^-sum((d - 1 / L)^2))^epsilon * weight.
    """

    epsilon: float
    weight: float


@overall_weight.case
def factor_by_differences(overall: Differences, desk):
    """Of the baskets with patients."""
    rates = 2 * desk.cells.shape[1]
    scratch = desk.scratch
    count = 0
    for basket in range(desk.cells.shape[1]):
        if desk.cells[0, basket].patients > 0:
            rate = desk.cells[0, basket].responses / desk.cells[0, basket].patients
            place = count
            while place > 0 and scratch[rates + place - 1] > rate:
                scratch[rates + place] = scratch[rates + place - 1]
                place -= 1
            scratch[rates + place] = rate
            count += 1
    if count < 2:
        return overall.weight
    spread = 0.0
    for place in range(1, count):
        spread += (scratch[rates + place] - scratch[rates + place - 1] - 1.0 / (count - 1)) ** 2
    most = scratch[rates + count - 1] - scratch[rates]
    return (1.0 - most * 10.0**-spread) ** overall.epsilon * overall.weight


def outcomes_of(priors: Sequence[tuple[float, float]], numbers: Sequence[int]) -> tuple[Outcomes, Array]:
    """Return all outcomes and where those of each basket begin, (baskets,); priors, numbers: (alpha, beta), most n."""
    if max(numbers) > LARGEST:
        raise ValueError(f"a basket of {max(numbers)} patients; weights are worked out for up to {LARGEST} a basket")
    largest: dict[tuple[float, float], int] = {}
    for prior, number in zip(priors, numbers, strict=True):
        largest[prior] = max(number, largest.get(prior, 0))
    rows = [row_index(range(most + 1), most)[1:] for most in largest.values()]
    sizes = [len(n) for n, _ in rows]
    begin = dict(zip(largest, np.cumsum([0, *sizes]).tolist(), strict=False))
    alpha, beta = (np.repeat([prior[i] for prior in largest], sizes) for i in (0, 1))
    n, x = (np.concatenate([row[i] for row in rows]).astype(np.int64) for i in (0, 1))
    return Outcomes(alpha, beta, n, x), np.array([begin[prior] for prior in priors])


def _tabulated(similarity: Any, rows: int) -> Any:
    if rows * rows > PAIRS:
        return similarity
    weights = np.zeros((rows, rows))
    _tabulate(canonical(similarity), weights)
    return Tabulated(weights)


def jensen_shannon(outcomes: Outcomes, epsilon: float, tau: float, base: float = math.e) -> Any:
    """Return the weights (1 - divergence)^epsilon above tau; divergences to 1e-10, logarithms to `base`.

    Tanh-sinh quadrature (Takahasi and Mori 1974). Its integrand m log m has branch points where the two densities
    cancel, at a distance ~ 1 / patients from the real line: hence the step.
    """
    alpha, beta = outcomes.alpha + outcomes.responses, outcomes.beta + outcomes.patients - outcomes.responses
    step = min(0.03, 0.12 / math.sqrt(float((alpha + beta).max())))
    half = math.ceil(math.asinh(40.0 / (math.pi * min(1.0, alpha.min(), beta.min()))) / step)
    if 2 * half * len(alpha) > ENTRIES:
        raise ValueError(
            f"{len(alpha):,} outcomes at {2 * half:,} nodes; at most {ENTRIES:,} numbers: a weaker prior fits"
        )
    t = (np.arange(2 * half) - half + 0.5) * step
    log_p, log_q = -np.logaddexp(0.0, -math.pi * np.sinh(t)), -np.logaddexp(0.0, math.pi * np.sinh(t))
    log_mass = alpha[:, None] * log_p + beta[:, None] * log_q + np.log(math.pi * np.cosh(t) * step)
    mass = np.maximum(np.exp(log_mass - betaln(alpha, beta)[:, None]), 1e-300)
    held = mass > 1e-18
    similarity = JensenShannon(
        mass,
        xlogy(mass, mass).sum(axis=1),
        held.argmax(axis=1),
        2 * half - 1 - held[:, ::-1].argmax(axis=1),
        1.0 / math.log(base),
        epsilon,
        tau,
    )
    return _tabulated(similarity, len(alpha))


def calibrated(outcomes: Outcomes, a: float, b: float) -> Any:
    """Return the weights of the calibrated power prior."""
    return _tabulated(Calibrated(outcomes, a, b), len(outcomes.alpha))


def marginal_likelihood(outcomes: Outcomes) -> Any:
    """Return the weights by maximum marginal likelihood."""
    return _tabulated(MarginalLikelihood(outcomes), len(outcomes.alpha))

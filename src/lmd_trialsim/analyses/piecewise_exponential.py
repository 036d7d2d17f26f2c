"""Piecewise exponential event times with gamma priors on the hazards: conjugate by arm and piece.

The cumulative hazard of an arm at a month is a sum of independent scaled gammas, one a piece. Questions about survival
ask for the distribution function of such a sum, or of the difference of two: its Laplace transform is inverted
numerically (Gil-Pelaez 1951, Biometrika 38:481), along a contour that passes through the saddle point.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import answer, estimate

_QUANTILE = 1.959963984540054  # of the standard normal distribution at 0.975
_LEAN = math.tan(math.pi / 8.0)
_NEGLIGIBLE = 1e-14


class SurvivalDifferenceAbove(NamedTuple):
    """P(survival of treatment at `month` > survival of control)."""

    cuts: np.ndarray  # (pieces - 1,) months since entry, ascending
    prior_events: np.ndarray  # (arms, pieces) each hazard a month is Gamma(events, rate = months), both > 0
    prior_months: np.ndarray  # (arms, pieces)
    month: float


class SurvivalAbove(NamedTuple):
    """P(survival of one arm at `month` > null), 0 < null < 1."""

    arm: int
    cuts: np.ndarray  # as above
    prior_events: np.ndarray
    prior_months: np.ndarray
    month: float
    null: float


class PiecewiseSurvivalEstimate(NamedTuple):
    """Posterior mean of survival at `month` +- 1.96 standard deviations: treatment less control, or the arm's own."""

    cuts: np.ndarray  # as above
    prior_events: np.ndarray
    prior_months: np.ndarray
    month: float
    arms: int


@kernel
def cumulative_hazard(question, arm, desk, shape, scale, first):
    """Write the terms of the arm's posterior cumulative hazard at the question's month; return where they end.

    It is the sum of scale[i] * Gamma(shape[i], rate 1) over first <= i < end, one term for each piece up to the month.
    An event on a cut belongs to the piece that ends there.
    """
    end = first
    begin = 0.0
    for piece in range(question.prior_events.shape[1]):
        if begin >= question.month:
            break
        cut = question.cuts[piece] if piece < question.cuts.shape[0] else math.inf
        events = question.prior_events[arm, piece]
        months = question.prior_months[arm, piece]
        for patient in range(desk.state[0].enrolled):
            person = desk.patients[patient]
            if person.arm == arm and person.follow > begin:
                months += min(person.follow, cut) - begin
                if person.follow <= cut:
                    events += person.status
        shape[end] = events
        scale[end] = (min(question.month, cut) - begin) / months
        end += 1
        begin = cut
    return end


@kernel
def _saddle(shape, scale, terms, point):
    """Return where on the positive axis |integrand| is least, 1 / sqrt(second derivative of its log), and the way left.

    log |integrand| = p point - sum_j shape_j log(1 + scale_j p) - log p is convex between the poles: Newton's method,
    within brackets. The way left is that to the next singularity on the right.
    """
    total = 1.0
    steepest = 0.0
    for j in range(terms):
        total += shape[j]
        steepest = max(steepest, -scale[j])
    high = 1.0 / steepest if steepest > 0.0 else total / point
    limit = high if steepest > 0.0 else math.inf
    low = 0.0
    p = 0.5 * high
    width = p
    for _ in range(200):
        slope = point - 1.0 / p
        curvature = 1.0 / (p * p)
        for j in range(terms):
            pull = scale[j] / (1.0 + scale[j] * p)
            slope -= shape[j] * pull
            curvature += shape[j] * pull * pull
        width = 1.0 / math.sqrt(curvature)
        if abs(slope) * width < 1e-3:
            break
        if slope > 0.0:
            high = p
        else:
            low = p
        p -= slope / curvature
        if not low < p < high:
            p = 0.5 * (low + high)
    return p, width, limit - p


@kernel
def _along_contour(shape, scale, terms, point, crossing, width, lean, first, step):
    """Return the sum of Im(integrand * dp/du) over u = first, first + step, ... until the rest can be told.

    p(u) = crossing - width lean (cosh u - 1) + i width sinh u. The integrand, exp(p point) / p times the product of
    (1 + scale p)**-shape, is kept as logarithm and argument. Once only a power of p is left of it, the rest of the sum
    is a geometric series: where shapes are small, a straight integral would not end.
    """
    power = 0.0
    remoteness = crossing
    for j in range(terms):
        power += shape[j]
        remoteness += (shape[j] + 1.0) / abs(scale[j])
    total = 0.0
    u = first
    while u < 700.0:
        sinh = math.sinh(u)
        cosh = math.cosh(u)
        real = crossing - width * lean * (cosh - 1.0)
        imaginary = width * sinh
        size = real * point - 0.5 * math.log(real * real + imaginary * imaginary)
        turn = imaginary * point - math.atan2(imaginary, real)
        for j in range(terms):
            x = scale[j] * real
            y = scale[j] * imaginary
            size -= 0.5 * shape[j] * math.log1p(x * (2.0 + x) + y * y)
            turn -= shape[j] * math.atan2(y, 1.0 + x)
        size = width * cosh * math.exp(size)
        value = size * (math.cos(turn) - lean * sinh / cosh * math.sin(turn))
        total += value
        if not size >= _NEGLIGIBLE:
            break
        if point == 0.0 and size * remoteness < _NEGLIGIBLE * imaginary:
            total += value / math.expm1(power * step)
            break
        u += step
    return total


@kernel
def probability_below(shape, scale, terms, point):
    """Return P(sum_j scale_j G_j < point) for independent G_j ~ Gamma(shape_j, rate 1).

    Scales of either sign and point 0, or positive scales and a positive point. The probability is the integral of
    exp(p point) E exp(-p sum) / p dp / (2 pi i) upwards on the right of 0 (Gil-Pelaez 1951, moved off the pole), by the
    trapezoidal rule along a hyperbola through the saddle point (Weideman and Trefethen 2007, Math Comp 76:1341), on
    which the modulus only falls; along the vertical line where there are poles on both sides. The rule converges
    exponentially: its step is halved until two interlaced rules agree to 1e-9, so that their mean errs by far less.
    """
    crossing, width, way_left = _saddle(shape, scale, terms, point)
    width = min(width, way_left)
    lean = _LEAN if point > 0.0 else 0.0
    size = crossing * point - math.log(crossing)
    for j in range(terms):
        size -= shape[j] * math.log1p(scale[j] * crossing)
    total = 0.5 * width * math.exp(size)
    apart = step = 0.25
    below = math.nan
    for _ in range(14):
        total += _along_contour(shape, scale, terms, point, crossing, width, lean, step, apart)
        before = below
        below = total * step / math.pi
        if abs(below - before) < 1e-9:
            break
        apart = step
        step *= 0.5  # The next nodes lie half-way between those before.
    return min(max(below, 0.0), 1.0)


@kernel
def survival_difference_above(question, desk):
    """P(control's cumulative hazard - treatment's > 0), from the tail that is smaller if the sum is about symmetric."""
    room = desk.work.reshape(2, desk.work.size // 2)
    shape = room[0]
    scale = room[1]
    end = 0
    mean = 0.0
    for arm in range(2):
        first = end
        end = cumulative_hazard(question, arm, desk, shape, scale, first)
        for j in range(first, end):
            scale[j] = scale[j] if arm == 0 else -scale[j]
            mean += shape[j] * scale[j]
    if mean <= 0.0:
        for j in range(end):
            scale[j] = -scale[j]
    tail = probability_below(shape, scale, end, 0.0)
    return 1.0 - tail if mean > 0.0 else tail


@kernel
def survival_above(question, desk):
    """P(cumulative hazard < -log null)."""
    room = desk.work.reshape(2, desk.work.size // 2)
    end = cumulative_hazard(question, question.arm, desk, room[0], room[1], 0)
    return probability_below(room[0], room[1], end, -math.log(question.null))


@kernel
def survival_moments(question, arms, desk):
    """Return the posterior mean and variance of survival, treatment less control or a single arm's own.

    E exp(-k scale G) = (1 + k scale)**-shape for k = 1, 2.
    """
    room = desk.work.reshape(2, desk.work.size // 2)
    middle = 0.0
    variance = 0.0
    for arm in range(arms):
        log_mean = 0.0
        log_excess = 0.0  # of the second moment over the square of the mean
        for j in range(cumulative_hazard(question, arm, desk, room[0], room[1], 0)):
            shape = room[0, j]
            scale = room[1, j]
            log_mean -= shape * math.log1p(scale)
            log_excess += shape * math.log1p(scale * scale / (1.0 + 2.0 * scale))
        mean = math.exp(log_mean)
        middle = mean - middle
        variance += mean * mean * math.expm1(log_excess)
    return middle, variance


@answer.case
def answer_survival_difference(question: SurvivalDifferenceAbove, stream, desk, look):
    """Right to 1e-9."""
    return survival_difference_above(question, desk)


@answer.case
def answer_survival_above(question: SurvivalAbove, stream, desk, look):
    """Right to 1e-9."""
    return survival_above(question, desk)


@estimate.case
def estimate_survival(estimator: PiecewiseSurvivalEstimate, desk):
    """Both moments are closed forms; the limits may leave the range of the estimate."""
    middle, variance = survival_moments(estimator, estimator.arms, desk)
    half = _QUANTILE * math.sqrt(variance)
    return middle, middle - half, middle + half

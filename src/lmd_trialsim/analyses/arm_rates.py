"""Response rates of arms under beta priors: each arm's density on a grid, and what follows for all arms together.

With densities f and distribution functions F at the nodes of one quadrature, P(arm k is best) is the sum over nodes of
f_k times the product of the others' F, and P(rate of k > rate of control + d) the sum of f_control times 1 - F_k
shifted by d. Nodes are Gauss-Legendre nodes in the angle of the arcsine transformation, in which a beta distribution
of n patients is about as wide wherever it lies: some 5 sqrt(n) of them are enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, roots_legendre

from lmd_trialsim.analyses.arm_tests import AGAINST_CONTROL
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import runs, takes_part
from lmd_trialsim.kernel.seams import (
    all_alike,
    better_than_control,
    beyond_effect,
    estimate_of_arm,
    fill_row,
    moments_of_arm,
    rank_arms,
    tail_of_arm,
    weigh_arms,
)
from lmd_trialsim.kernel.special import beta_cdf

MOST_TABULATED = 6_000_000
"""Numbers in the table of densities, some 48 MB; larger counts are made when they come up, and remembered."""

MOST_REMEMBERED = 4_000_000
"""Numbers that are remembered, by a thread."""

EDGE = 8.0
"""Standard deviations from its mean, on the scale of the angle, beyond which a density counts as nothing."""

NOTHING = 1e-9
"""A weight of a node that is passed over, where a probability need not be told to more digits."""

Array = NDArray[np.float64]


class ArmRates(NamedTuple):
    """Beta priors of the arms, and the bounds that are asked about. Rates count what is wanted."""

    alpha: np.ndarray  # (arms,)
    beta: np.ndarray  # (arms,)
    kind: np.ndarray  # (arms,) arms of one prior have one number
    lower: int  # 1 where the lower rate is the better one: non-responses are counted
    compares: int  # 1 where arms are compared with their controls
    node: np.ndarray  # (nodes,) rates
    rest: np.ndarray  # (nodes,) 1 - rate, to its own last digit: near a rate of 1 a prior may have much of its weight
    weight: np.ndarray  # (nodes,)
    shift: np.ndarray  # (shifts,) differences at which distribution functions are wanted; the first one 0
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a difference, or a rate
    section: np.ndarray  # (bounds,) the shift of a difference
    truth: np.ndarray  # (arms,) the true effect, NaN where there is none
    truth_section: np.ndarray  # (arms,) the shift of the true effect, where effects are differences
    within: int  # the shift of the margin of equivalence
    tabulated: int  # counts of up to so many patients are tabulated
    table: np.ndarray  # (kinds * counts, nodes * (1 + shifts)) density times weight, then distribution functions


def nodes_for(patients: int, least: float, shifts: Sequence[float] = ()) -> tuple[Array, Array, Array]:
    """Return rates, 1 - rates, and weights, (nodes,), good for beta distributions of up to so many patients.

    least: the smallest parameter of a prior. Below one half the density has a pole at the end, which a power of the
    variable takes away. shifts: where a distribution function shifted by one of them ends, a panel of nodes does too.
    """
    ends = {0.0, 1.0, *(1.0 - shift if shift > 0.0 else -shift for shift in shifts if shift != 0.0)}
    edges = sorted(ends)
    panels = [_panel(low, high, patients, least) for low, high in pairwise(edges)]
    return tuple(np.concatenate(parts) for parts in zip(*panels, strict=True))  # type: ignore[return-value]


def _panel(low: float, high: float, patients: int, least: float) -> tuple[Array, Array, Array]:
    """Return the same for the rates between two ends; nodes are close to both, where there may be corners or poles."""
    power = max(1.0, 0.5 / least)
    part = (math.asin(math.sqrt(high)) - math.asin(math.sqrt(low))) / (0.5 * math.pi)
    count = 8 * math.ceil((16.0 + (8.0 + 5.6 * math.sqrt(patients)) * part**0.8) * power / 8.0)
    x, w = roots_legendre(count)
    t = 0.5 * (1.0 + x)
    # The angle rises as t ** power at 0, and as (1 - t) ** power at the other end: a smooth step between.
    up, down = t**power, (1.0 - t) ** power
    angle = 0.5 * math.pi * up / (up + down)
    slope = 0.5 * math.pi * power * (up * down / (t * (1.0 - t))) / (up + down) ** 2
    other = 0.5 * math.pi * down / (up + down)  # its complement to a right angle
    sine, cosine = np.sin(np.minimum(angle, other)), np.cos(np.minimum(angle, other))
    above, below = np.where(angle < other, sine, cosine) ** 2, np.where(angle < other, cosine, sine) ** 2
    width = high - low
    return low + width * above, (1.0 - high) + width * below, width * w * slope * sine * cosine


def tabulated_upto(kinds: int, patients: int, size: int) -> int:
    """Return up to how many patients counts are tabulated, of so many kinds of priors and rows of that size."""
    upto = 0
    while upto < patients and kinds * (upto + 2) * (upto + 3) // 2 * size <= MOST_TABULATED:
        upto += 1
    return upto


def table_of(
    pairs: list[tuple[float, float]], patients: int, node: Array, rest: Array, weight: Array, shift: Array
) -> tuple[int, Array]:
    """Return (counts up to which densities are tabulated, the table) for beta priors, (kinds,), of pairs (alpha, beta).

    From one patient to the next by the recurrences of the beta distribution function (Abramowitz and Stegun 1964,
    26.5.15 and 26.5.16).
    """
    upto = tabulated_upto(len(pairs), patients, len(node) * (1 + len(shift)))
    points = np.concatenate([node, *(np.clip(node + one, 0.0, 1.0) for one in shift)])
    rests = np.concatenate([rest, *(np.clip(rest - one, 0.0, 1.0) for one in shift)])
    blocks = []
    for alpha, beta in pairs:
        below = np.where(points < 0.5, betainc(alpha, beta, points), 1.0 - betainc(beta, alpha, rests))[None, :]
        for number in range(upto + 1):
            if number:
                below = _one_more(below, alpha, beta, number - 1, points, rests)
            blocks.append(below.copy())
        first = len(blocks) - upto - 1
        for number in range(upto + 1):
            a, b = alpha + np.arange(number + 1), beta + number - np.arange(number + 1)
            density = np.exp(
                (a[:, None] - 1.0) * np.log(node) + (b[:, None] - 1.0) * np.log(rest) - betaln(a, b)[:, None]
            )
            blocks[first + number][:, : len(node)] = weight * density
    return upto, np.concatenate(blocks)


def _one_more(below: Array, alpha: float, beta: float, number: int, points: Array, rests: Array) -> Array:
    """Return the distribution functions of all counts of one patient more, (number + 2, points)."""
    a, b = alpha + np.arange(number + 1), beta + number - np.arange(number + 1)
    with np.errstate(divide="ignore"):
        step = np.exp(a[:, None] * np.log(points) + b[:, None] * np.log(rests) - betaln(a, b)[:, None])
    no_response = below + step / b[:, None]
    a_response = below[-1:] - step[-1:] / a[-1]
    return np.asarray(np.clip(np.concatenate([no_response, a_response]), 0.0, 1.0))


@kernel
def _parameters(analysis, number, patients, responses):
    """Return the beta parameters of an arm with these counts; of the wanted outcome."""
    wanted = patients - responses if analysis.lower else responses
    return analysis.alpha[number] + wanted, analysis.beta[number] + patients - wanted


@kernel
def write_density(analysis, row, a, b):
    """Write density times weight of Beta(a, b) at the nodes."""
    constant = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    low, high = _window(a, b)
    for node in range(analysis.node.shape[0]):
        rate = analysis.node[node]
        row[node] = 0.0
        if low <= rate <= high:
            power = (a - 1.0) * math.log(rate) + (b - 1.0) * math.log(analysis.rest[node])
            row[node] = analysis.weight[node] * math.exp(power - constant)


@kernel
def write_row(analysis, row, a, b):
    """Write density times weight, then the distribution function at each shift, of Beta(a, b) at the nodes."""
    nodes = analysis.node.shape[0]
    write_density(analysis, row, a, b)
    low, high = _window(a, b)
    for shift in range(analysis.shift.shape[0]):
        for node in range(nodes):
            rate = analysis.node[node] + analysis.shift[shift]
            rest = analysis.rest[node] - analysis.shift[shift]
            below = 1.0 if rate > high or rest <= 0.0 else 0.0
            if low < rate <= high and rest > 0.0:
                below = beta_cdf(a, b, rate) if rate < 0.5 else 1.0 - beta_cdf(b, a, rest)
            row[(1 + shift) * nodes + node] = below


@kernel
def _window(a, b):
    """Return the rates between which Beta(a, b) lies, but for 1e-10."""
    middle = math.asin(math.sqrt(a / (a + b)))
    reach = EDGE * 0.5 / math.sqrt(a + b)
    return math.sin(max(middle - reach, 0.0)) ** 2, math.sin(min(middle + reach, 0.5 * math.pi)) ** 2


@fill_row.case
def fill_row_of_rate(analysis: ArmRates, desk, row, number, patients, responses):
    """Of a beta distribution."""
    a, b = _parameters(analysis, number, patients, responses)
    write_row(analysis, row, a, b)


@kernel
def find_row(analysis, desk, number, patients, responses):
    """Return where the densities of an arm with these counts are: a row of the table, or -1 - an entry of the memory.

    An entry that another arm of the same look points to is left alone: the next one is taken.
    """
    kind = analysis.kind[number]
    if patients <= analysis.tabulated:
        counts = (analysis.tabulated + 1) * (analysis.tabulated + 2) // 2
        wanted = patients - responses if analysis.lower else responses
        return kind * counts + patients * (patients + 1) // 2 + wanted
    key = (kind * 1_000_000 + patients) * 1_000_000 + responses
    mixed = (key ^ (key >> 17)) * 1099511628211
    entries = desk.memory.shape[0]
    entry = (mixed ^ (mixed >> 29)) & (entries - 1)
    while desk.memory_key[entry, 0] != key and _in_use(desk, -1 - entry):
        entry = (entry + 1) & (entries - 1)
    if desk.memory_key[entry, 0] != key:
        fill_row(analysis, desk, desk.memory[entry], number, patients, responses)
        desk.memory_key[entry, 0] = key
    return -1 - entry


@kernel
def _in_use(desk, place):
    for number in range(desk.arms.shape[0]):
        if desk.arms[number].own == place or desk.arms[number].other == place:
            return True
    return False


@kernel
def dot(one, other, start, nodes):
    """Return the sum of one[node] * other[start + node], in eight sums side by side; nodes come in eights."""
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for node in range(0, nodes, 8):
        at = start + node
        s0 += one[node] * other[at]
        s1 += one[node + 1] * other[at + 1]
        s2 += one[node + 2] * other[at + 2]
        s3 += one[node + 3] * other[at + 3]
        s4 += one[node + 4] * other[at + 4]
        s5 += one[node + 5] * other[at + 5]
        s6 += one[node + 6] * other[at + 6]
        s7 += one[node + 7] * other[at + 7]
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))


@weigh_arms.case
def weigh_arm_rates(analysis: ArmRates, desk):
    """Find the densities of the arms, and of the patients they are compared with."""
    control = desk.state[0].control
    for number in range(desk.arms.shape[0]):
        desk.arms[number].own = 0
        desk.arms[number].other = 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if takes_part(desk, number):
            arm.own = find_row(analysis, desk, number, arm.patients, arm.responses)
            if analysis.compares and number != control:
                arm.other = find_row(analysis, desk, control, arm.control_patients, arm.control_responses)


@kernel
def beyond(analysis, desk, number, section):
    """Return P(rate of the arm > that of its control + the shift of the section)."""
    place = desk.arms[number].other
    control = analysis.table[place] if place >= 0 else desk.memory[-1 - place]
    return beyond_row(analysis, desk, number, section, control)


@kernel
def beyond_row(analysis, desk, number, section, control):
    """Return P(rate of the arm > the one whose density, (nodes,), is given + the shift of the section)."""
    nodes = analysis.node.shape[0]
    own = desk.arms[number].own
    arm = analysis.table[own] if own >= 0 else desk.memory[-1 - own]
    return min(max(1.0 - dot(control, arm, (1 + section) * nodes, nodes), 0.0), 1.0)


@tail_of_arm.case
def tail_of_arm_rate(analysis: ArmRates, desk, arm, bound):
    """A sum over the nodes, or a beta distribution function."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return beyond(analysis, desk, arm, analysis.section[bound])
    a, b = _parameters(analysis, arm, desk.arms[arm].patients, desk.arms[arm].responses)
    return 1.0 - beta_cdf(a, b, analysis.bound[bound])


@kernel
def _times_others(analysis, desk, product, number, beyond):
    """Multiply the product, (nodes,), by what the other arms have between a node and section `beyond`; 0: below it.

    Between: of the arms that are left. Below: of all that have entered and not been closed.
    """
    nodes = analysis.node.shape[0]
    for other in range(desk.arms.shape[0]):
        left = runs(desk.arms[other]) if beyond else takes_part(desk, other)
        if other == number or not left:
            continue
        place = desk.arms[other].own
        row = analysis.table[place] if place >= 0 else desk.memory[-1 - place]
        if beyond:
            for node in range(nodes):
                product[node] *= row[(1 + beyond) * nodes + node] - row[nodes + node]
        else:
            for node in range(nodes):
                product[node] *= row[nodes + node]


@kernel
def write_best(analysis, desk):
    """Write to arms.best P(each is the best of those that take part): sums over the nodes."""
    nodes = analysis.node.shape[0]
    product = desk.scratch
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.best = 0.0
        if takes_part(desk, number):
            for node in range(nodes):
                product[node] = 1.0
            _times_others(analysis, desk, product, number, 0)
            own = analysis.table[arm.own] if arm.own >= 0 else desk.memory[-1 - arm.own]
            arm.best = min(dot(product, own, 0, nodes), 1.0)


@rank_arms.case
def rank_arm_rates(analysis: ArmRates, desk):
    """Sums over the nodes."""
    write_best(analysis, desk)


@better_than_control.case
def better_rate_than_control(analysis: ArmRates, desk, arm):
    """A sum over the nodes."""
    return beyond(analysis, desk, arm, 0)


@kernel
def sum_alike(analysis, desk):
    """Return the sum over who is the lowest: a rate at a node, and all others between it and the margin above.

    Of the arms that are left, the control among them: who has just been decided on is not.
    """
    nodes = analysis.node.shape[0]
    product = desk.scratch
    alike = 0.0
    for lowest in range(desk.arms.shape[0]):
        if runs(desk.arms[lowest]):
            for node in range(nodes):
                product[node] = 1.0
            _times_others(analysis, desk, product, lowest, analysis.within)
            place = desk.arms[lowest].own
            own = analysis.table[place] if place >= 0 else desk.memory[-1 - place]
            alike += dot(product, own, 0, nodes)
    return min(alike, 1.0)


@all_alike.case
def rates_all_alike(analysis: ArmRates, desk):
    """A sum over the nodes."""
    return sum_alike(analysis, desk)


@estimate_of_arm.case
def estimate_arm_rate(analysis: ArmRates, desk, arm):
    """Posterior mean of the difference to the control, or of the rate where nothing is compared."""
    a, b = _parameters(analysis, arm, desk.arms[arm].patients, desk.arms[arm].responses)
    own = b / (a + b) if analysis.lower else a / (a + b)
    truth = analysis.truth[arm]
    if not analysis.compares:
        if math.isnan(truth):
            return own, math.nan
        return own, 1.0 - beta_cdf(a, b, 1.0 - truth if analysis.lower else truth)
    of = desk.arms[arm]
    c, d = _parameters(analysis, desk.state[0].control, of.control_patients, of.control_responses)
    other = d / (c + d) if analysis.lower else c / (c + d)
    above = math.nan if math.isnan(truth) else beyond(analysis, desk, arm, analysis.truth_section[arm])
    return own - other, above


@beyond_effect.case
def beyond_effect_of_rate(analysis: ArmRates, desk, arm, effect):
    """Of the difference to the control: the sum over the arm's nodes of its density and the control's distribution.

    Right to some 1e-3 only where the control's distribution function has a corner: no panel ends there.
    """
    shift = -effect if analysis.lower else effect
    of = desk.arms[arm]
    a, b = _parameters(analysis, desk.state[0].control, of.control_patients, of.control_responses)
    own = analysis.table[of.own] if of.own >= 0 else desk.memory[-1 - of.own]
    total = 0.0
    for node in range(analysis.node.shape[0]):
        rate = analysis.node[node] - shift
        if own[node] > NOTHING and rate > 0.0:
            total += own[node] * (1.0 if rate >= 1.0 else beta_cdf(a, b, rate))
    return min(total, 1.0)


@kernel
def _beta_moments(a, b):
    mean = a / (a + b)
    return mean, mean * (1.0 - mean) / (a + b + 1.0)


@moments_of_arm.case
def moments_of_arm_rate(analysis: ArmRates, desk, arm):
    """Of the difference of two beta distributions; a new trial has half of its patients in either arm."""
    of = desk.arms[arm]
    own, own_variance = _beta_moments(*_parameters(analysis, arm, of.patients, of.responses))
    control = desk.state[0].control
    other, variance = _beta_moments(*_parameters(analysis, control, of.control_patients, of.control_responses))
    unit = 2.0 * (own * (1.0 - own) + other * (1.0 - other))
    difference = other - own if analysis.lower else own - other
    return difference, own_variance + variance, unit

"""Response rates of arms under beta priors: each arm's density on a grid, and what follows for all arms together.

With densities f and distribution functions F at the nodes of one quadrature, P(arm k is best) is the sum over nodes of
f_k times the product of the others' F, and P(rate of k > rate of control + d) the sum of f_control times 1 - F_k
shifted by d. Nodes are Gauss-Legendre nodes in the angle of the arcsine transformation, in which a beta distribution
of n patients is about as wide wherever it lies: some 5 sqrt(n) of them are enough.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_legendre

from lmd_trialsim.kernel.desk import ENDED, WAITING
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.seams import all_alike, estimate_of_arm, rank_arms, tail_of_arm, weigh_arms
from lmd_trialsim.kernel.special import beta_cdf

ENTRIES = 1 << 13
"""Counts of an arm whose densities are remembered, by a thread."""

AGAINST_CONTROL, ABSOLUTE = 0, 1
EDGE = 8.5
"""Standard deviations from its mean, on the scale of the angle, beyond which a density counts as nothing."""


class ArmRates(NamedTuple):
    """Beta priors of the arms, and the bounds that are asked about. Rates count what is wanted."""

    alpha: np.ndarray  # (arms,)
    beta: np.ndarray  # (arms,)
    kind: np.ndarray  # (arms,) arms of one prior have one number
    lower: int  # 1 where the lower rate is the better one: non-responses are counted
    compares: int  # 1 where arms are compared with their controls
    node: np.ndarray  # (nodes,) rates
    log_node: np.ndarray  # (nodes,)
    log_rest: np.ndarray  # (nodes,) logarithms of 1 - rate
    log_weight: np.ndarray  # (nodes,)
    shift: np.ndarray  # (shifts,) differences at which distribution functions are wanted; the first one 0
    bound_kind: np.ndarray  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: np.ndarray  # (bounds,) a difference, or a rate
    section: np.ndarray  # (bounds,) the shift of a difference
    truth: np.ndarray  # (arms,) the true effect, NaN where there is none
    truth_section: np.ndarray  # (arms,) the shift of the true effect, where effects are differences
    within: int  # the shift of the margin of equivalence


def nodes_for(patients: int, least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates and weights, (nodes,), good for beta distributions of up to so many patients.

    least: the smallest parameter of a prior. Below one half the density has a pole at the end, which a power of the
    variable takes away.
    """
    power = max(1.0, 0.5 / least)
    count = 8 * math.ceil((24.0 + 5.2 * math.sqrt(patients)) * power / 8.0)
    x, w = roots_legendre(count)
    t = 0.5 * (1.0 + x)
    # The angle rises as t ** power at 0, and as (1 - t) ** power at the other end: a smooth step between.
    up, down = t**power, (1.0 - t) ** power
    angle = 0.5 * math.pi * up / (up + down)
    slope = 0.5 * math.pi * power * (up * down / (t * (1.0 - t))) / (up + down) ** 2
    rate = np.sin(angle) ** 2
    return rate, 0.5 * w * slope * np.sin(2.0 * angle)


@kernel
def _parameters(analysis, number, patients, responses):
    """Return the beta parameters of an arm with these counts; of the wanted outcome."""
    wanted = patients - responses if analysis.lower else responses
    return analysis.alpha[number] + wanted, analysis.beta[number] + patients - wanted


@kernel
def _log_beta(a, b):
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@kernel
def _fill(analysis, row, a, b):
    """Write density times weight, then the distribution function at each shift, of Beta(a, b) at the nodes."""
    nodes = analysis.node.shape[0]
    constant = _log_beta(a, b)
    middle = math.asin(math.sqrt(a / (a + b)))
    reach = EDGE * 0.5 / math.sqrt(a + b)
    low = math.sin(max(middle - reach, 0.0)) ** 2
    high = math.sin(min(middle + reach, 0.5 * math.pi)) ** 2
    for node in range(nodes):
        rate = analysis.node[node]
        density = 0.0
        if low <= rate <= high:
            power = (a - 1.0) * analysis.log_node[node] + (b - 1.0) * analysis.log_rest[node]
            density = math.exp(power - constant + analysis.log_weight[node])
        row[node] = density
    for shift in range(analysis.shift.shape[0]):
        for node in range(nodes):
            rate = analysis.node[node] + analysis.shift[shift]
            below = 0.0
            if rate >= high:
                below = 1.0
            elif rate > low:
                below = beta_cdf(a, b, rate)
            row[(1 + shift) * nodes + node] = below


@kernel
def _copy_density(analysis, desk, number, patients, responses, slot):
    """Write to the slot on the scratch what `_fill` says of an arm with these counts, remembered or made."""
    key = (analysis.kind[number] * 1_000_000 + patients) * 1_000_000 + responses
    mixed = (key ^ (key >> 17)) * 1099511628211
    entry = (mixed ^ (mixed >> 29)) & (desk.memory.shape[0] - 1)
    row = desk.memory[entry]
    if desk.memory_key[entry, 0] != key:
        a, b = _parameters(analysis, number, patients, responses)
        _fill(analysis, row, a, b)
        desk.memory_key[entry, 0] = key
    size = row.shape[0]
    for place in range(size):
        desk.scratch[slot * size + place] = row[place]


@kernel
def _taking_part(desk, number):
    """Return whether an arm takes part in comparisons: it has entered and has not been closed."""
    status = desk.arms[number].status
    return status != WAITING and status != ENDED


@weigh_arms.case
def weigh_arm_rates(analysis: ArmRates, desk):
    """Densities of the arms, in the first slots, and of the patients they are compared with, in the others."""
    arms = desk.arms.shape[0]
    for slot in range(2 * arms):
        number = slot if slot < arms else slot - arms
        if not _taking_part(desk, number):
            continue
        arm = desk.arms[number]
        control = desk.state[0].control
        patients, responses, prior = arm.patients, arm.responses, number
        if slot >= arms:
            if not analysis.compares or number == control:
                continue
            patients, responses, prior = arm.control_patients, arm.control_responses, control
        _copy_density(analysis, desk, prior, patients, responses, slot)


@kernel
def _beyond(analysis, desk, number, section):
    """Return P(rate of the arm > that of its control + the shift of the section)."""
    nodes = analysis.node.shape[0]
    size = desk.memory.shape[1]
    arm = desk.scratch[number * size : (number + 1) * size]
    other = number + desk.arms.shape[0]
    control = desk.scratch[other * size : other * size + nodes]
    total = 0.0
    for node in range(nodes):
        total += control[node] * (1.0 - arm[(1 + section) * nodes + node])
    return min(max(total, 0.0), 1.0)


@tail_of_arm.case
def tail_of_arm_rate(analysis: ArmRates, desk, arm, bound):
    """A sum over the nodes, or a beta distribution function."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return _beyond(analysis, desk, arm, analysis.section[bound])
    a, b = _parameters(analysis, arm, desk.arms[arm].patients, desk.arms[arm].responses)
    return 1.0 - beta_cdf(a, b, analysis.bound[bound])


@rank_arms.case
def rank_arm_rates(analysis: ArmRates, desk):
    """Sums over the nodes."""
    arms, nodes, size = desk.arms.shape[0], analysis.node.shape[0], desk.memory.shape[1]
    product = desk.scratch[2 * arms * size : 2 * arms * size + nodes]
    for number in range(arms):
        arm = desk.arms[number]
        arm.best = 0.0
        arm.better = 0.0
        if not _taking_part(desk, number):
            continue
        for node in range(nodes):
            product[node] = desk.scratch[number * size + node]
        for other in range(arms):
            if other != number and _taking_part(desk, other):
                at = other * size + nodes
                for node in range(nodes):
                    product[node] *= desk.scratch[at + node]
        total = 0.0
        for node in range(nodes):
            total += product[node]
        arm.best = min(total, 1.0)
        if analysis.compares and number != desk.state[0].control:
            arm.better = _beyond(analysis, desk, number, 0)


@all_alike.case
def rates_all_alike(analysis: ArmRates, desk):
    """The lowest rate at a node, and all others between it and the margin above: summed over who is the lowest."""
    arms, nodes, size = desk.arms.shape[0], analysis.node.shape[0], desk.memory.shape[1]
    product = desk.scratch[2 * arms * size : 2 * arms * size + nodes]
    alike = 0.0
    for lowest in range(arms):
        if not _taking_part(desk, lowest):
            continue
        for node in range(nodes):
            product[node] = desk.scratch[lowest * size + node]
        for other in range(arms):
            if other != lowest and _taking_part(desk, other):
                at = other * size + nodes
                beyond = other * size + (1 + analysis.within) * nodes
                for node in range(nodes):
                    product[node] *= desk.scratch[beyond + node] - desk.scratch[at + node]
        for node in range(nodes):
            alike += product[node]
    return min(alike, 1.0)


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
    beyond = math.nan if math.isnan(truth) else _beyond(analysis, desk, arm, analysis.truth_section[arm])
    return own - other, beyond


"""Response rates of arms where a prior, or what is known of the control, is a mixture of beta distributions.

A row of densities and distribution functions of a mixture is the mixture of the rows of its components, so what is
tabulated, remembered and summed over the nodes is as of single beta distributions (`arm_rates`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.analyses.arm_mixtures import (
    NOTHING,
    BetaMixtures,
    OwnControls,
    PooledByPower,
    PooledByWeight,
    controls_list,
    given,
    own_list,
    weigh_mixtures,
)
from lmd_trialsim.analyses.arm_rates import NOTHING as PASSED_OVER
from lmd_trialsim.analyses.arm_rates import (
    beyond,
    beyond_row,
    find_row,
    sum_alike,
    table_of,
    tabulated_upto,
    write_best,
    write_density,
    write_row,
)
from lmd_trialsim.analyses.arm_tests import AGAINST_CONTROL
from lmd_trialsim.analyses.beta_mixture import BetaMixture
from lmd_trialsim.kernel.jit import Seam, kernel
from lmd_trialsim.kernel.randomising import takes_part
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

Array = NDArray[np.float64]


class MixedRates(NamedTuple):
    """Mixtures of beta distributions of the rates, and the bounds that are asked about. Rates count what is wanted.

    On the scratch: a product, (nodes,); a row at work; with `PooledByPower` a density of each arm's controls, (arms,
    nodes); then the lists of components.
    """

    prior: BetaMixtures
    borrows: Any  # arm_mixtures: what an arm is compared with
    kind: np.ndarray  # (arms,) arms of one prior have one number
    lower: int  # 1 where the lower rate is the better one: non-responses are counted
    compares: int  # 1 where arms are compared with their controls
    node: np.ndarray  # as in arm_rates.ArmRates, and those that follow
    rest: np.ndarray
    weight: np.ndarray
    shift: np.ndarray
    bound_kind: np.ndarray
    bound: np.ndarray
    section: np.ndarray
    truth: np.ndarray
    truth_section: np.ndarray
    within: int
    tabulated: int
    table: np.ndarray


@Seam
def find_controls(borrows, analysis, desk, number):  # type: ignore[no-untyped-def]
    """Find the densities of what an arm is compared with."""


@Seam
def beyond_controls(borrows, analysis, desk, number, section):  # type: ignore[no-untyped-def]
    """Return P(rate of the arm > that of what it is compared with + the shift of the section)."""


def mixed_table(priors: list[BetaMixture], patients: int, grid: tuple[Array, Array, Array], shift: Array) -> Any:
    """Return (counts up to which rows are tabulated, the table) of kinds of priors, (kinds * counts, ...).

    grid: rates, 1 - rates, and weights at the nodes.
    """
    upto = tabulated_upto(len(priors), patients, len(grid[0]) * (1 + len(shift)))
    n = np.repeat(np.arange(upto + 1), np.arange(1, upto + 2))
    x = np.concatenate([np.arange(count + 1) for count in range(upto + 1)])
    tables = []
    for prior in priors:
        weights = prior.given(n.astype(float), x.astype(float)).weight
        pairs = zip(prior.alpha, prior.beta, strict=True)
        rows = (weights[:, k, None] * table_of([pair], upto, *grid, shift)[1] for k, pair in enumerate(pairs))
        table = next(rows)
        for row in rows:
            table += row
        tables.append(table)
    return upto, np.concatenate(tables)


@kernel
def _density_at(analysis, number):
    """Return where the density of an arm's controls, (nodes,), is on the scratch."""
    return analysis.node.shape[0] * (2 + analysis.shift.shape[0] + number)


@fill_row.case
def fill_row_of_mixed_rate(analysis: MixedRates, desk, row, number, patients, responses):
    """The mixture of the rows of its components."""
    prior, size, nodes = analysis.prior, row.shape[0], analysis.node.shape[0]
    spare = desk.scratch[nodes : nodes + size]
    for place in range(size):
        row[place] = 0.0
    first = prior.first[number]
    wanted = patients - responses if analysis.lower else responses
    highest, total = -math.inf, 0.0
    for component in range(first, prior.first[number + 1]):
        log_integral = given(prior, component, float(patients), float(wanted))[2]
        highest = max(highest, prior.log_weight[component] + log_integral)
    for component in range(first, prior.first[number + 1]):
        a, b, log_integral = given(prior, component, float(patients), float(wanted))
        weight = math.exp(prior.log_weight[component] + log_integral - highest)
        total += weight
        if weight > NOTHING:
            write_row(analysis, spare, a, b)
            for place in range(size):
                row[place] += weight * spare[place]
    for place in range(size):
        row[place] /= total


@weigh_arms.case
def weigh_mixed_rates(analysis: MixedRates, desk):
    """Write the components of all arms, and find the densities of the arms and of what they are compared with."""
    weigh_mixtures(analysis.borrows, analysis.prior, analysis.compares, desk)
    for number in range(desk.arms.shape[0]):
        desk.arms[number].own = 0
        desk.arms[number].other = 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if takes_part(desk, number):
            arm.own = find_row(analysis, desk, number, arm.patients, arm.responses)
            if analysis.compares and number != desk.state[0].control:
                find_controls(analysis.borrows, analysis, desk, number)


@find_controls.case
def find_density_of_controls(borrows: OwnControls | PooledByWeight, analysis, desk, number):
    """A row, of the arm's own controls."""
    arm = desk.arms[number]
    arm.other = find_row(analysis, desk, desk.state[0].control, arm.control_patients, arm.control_responses)


@find_controls.case
def write_density_of_pooled(borrows: PooledByPower, analysis, desk, number):
    """Counts are no whole numbers: the density is made of the components."""
    nodes, at = analysis.node.shape[0], controls_list(analysis.prior, number)
    density, spare = desk.scratch[_density_at(analysis, number) :], desk.scratch[nodes:]
    for node in range(nodes):
        density[node] = 0.0
    for place in range(at + 1, at + 1 + 3 * int(desk.scratch[at]), 3):
        if desk.scratch[place] > NOTHING:
            write_density(analysis, spare, desk.scratch[place + 1], desk.scratch[place + 2])
            for node in range(nodes):
                density[node] += desk.scratch[place] * spare[node]


@beyond_controls.case
def beyond_own_controls(borrows: OwnControls, analysis, desk, number, section):
    """A sum over the nodes."""
    return beyond(analysis, desk, number, section)


@beyond_controls.case
def beyond_weighed(borrows: PooledByWeight, analysis, desk, number, section):
    """By the weights of all control patients and of its own ones."""
    arm, control = desk.arms[number], desk.arms[desk.state[0].control]
    of_all = analysis.table[control.own] if control.own >= 0 else desk.memory[-1 - control.own]
    pooled = beyond_row(analysis, desk, number, section, of_all)
    return arm.pooled * pooled + (1.0 - arm.pooled) * beyond(analysis, desk, number, section)


@beyond_controls.case
def beyond_power(borrows: PooledByPower, analysis, desk, number, section):
    """A sum over the nodes."""
    return beyond_row(analysis, desk, number, section, desk.scratch[_density_at(analysis, number) :])


@kernel
def _above(scratch, at, bound):
    """Return P(rate of a list > bound): a sum of beta distribution functions."""
    total = 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        if scratch[place] > NOTHING:
            total += scratch[place] * beta_cdf(scratch[place + 2], scratch[place + 1], 1.0 - bound)
    return total


@tail_of_arm.case
def tail_of_mixed_rate(analysis: MixedRates, desk, arm, bound):
    """A sum over the nodes, or of beta distribution functions."""
    if analysis.bound_kind[bound] == AGAINST_CONTROL:
        return beyond_controls(analysis.borrows, analysis, desk, arm, analysis.section[bound])
    return _above(desk.scratch, own_list(analysis.prior, arm), analysis.bound[bound])


@rank_arms.case
def rank_mixed_rates(analysis: MixedRates, desk):
    """Sums over the nodes."""
    write_best(analysis, desk)


@better_than_control.case
def better_mixed_rate_than_control(analysis: MixedRates, desk, arm):
    """A sum over the nodes."""
    return beyond_controls(analysis.borrows, analysis, desk, arm, 0)


@all_alike.case
def mixed_rates_all_alike(analysis: MixedRates, desk):
    """A sum over the nodes."""
    return sum_alike(analysis, desk)


@kernel
def _moments(scratch, at):
    """Return mean and variance of the rate of a list."""
    mean, square = 0.0, 0.0
    for place in range(at + 1, at + 1 + 3 * int(scratch[at]), 3):
        a, b = scratch[place + 1], scratch[place + 2]
        mean += scratch[place] * a / (a + b)
        square += scratch[place] * a * (a + 1.0) / ((a + b) * (a + b + 1.0))
    return mean, square - mean * mean


@estimate_of_arm.case
def estimate_mixed_rate(analysis: MixedRates, desk, arm):
    """Posterior mean of the difference to the control, or of the rate where nothing is compared."""
    truth, own = analysis.truth[arm], own_list(analysis.prior, arm)
    mean, known = _moments(desk.scratch, own)[0], not math.isnan(truth)
    if not analysis.compares:
        bound = 1.0 - truth if analysis.lower else truth
        return 1.0 - mean if analysis.lower else mean, _above(desk.scratch, own, bound) if known else math.nan
    other = _moments(desk.scratch, controls_list(analysis.prior, arm))[0]
    section = analysis.truth_section[arm]
    above = beyond_controls(analysis.borrows, analysis, desk, arm, section) if known else math.nan
    return other - mean if analysis.lower else mean - other, above


@beyond_effect.case
def beyond_effect_of_mixed_rate(analysis: MixedRates, desk, arm, effect):
    """Of the difference to the control: a sum over the arm's nodes, as right as that of single distributions."""
    shift = -effect if analysis.lower else effect
    of, others = desk.arms[arm], controls_list(analysis.prior, arm)
    own = analysis.table[of.own] if of.own >= 0 else desk.memory[-1 - of.own]
    total = 0.0
    for node in range(analysis.node.shape[0]):
        rate = analysis.node[node] - shift
        if own[node] > PASSED_OVER and rate > 0.0:
            total += own[node] * (1.0 if rate >= 1.0 else 1.0 - _above(desk.scratch, others, rate))
    return min(total, 1.0)


@moments_of_arm.case
def moments_of_mixed_rate(analysis: MixedRates, desk, arm):
    """Of the difference of two mixtures; a new trial has half of its patients in either arm."""
    own, variance = _moments(desk.scratch, own_list(analysis.prior, arm))
    other, spread = _moments(desk.scratch, controls_list(analysis.prior, arm))
    unit = 2.0 * (own * (1.0 - own) + other * (1.0 - other))
    return other - own if analysis.lower else own - other, variance + spread, unit

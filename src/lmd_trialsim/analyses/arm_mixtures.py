"""Mixtures of conjugate distributions of arms, and of controls: what is known of them, and by whom.

The posterior of an arm, and of the patients that it is compared with, is a list on the scratch: the number of
components, then three numbers of each, its weight and its two parameters. What tells rates, hazards and means apart
is a sample of two numbers, a count and an amount: patients and responses, events and months, patients and their sum.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import Seam, kernel
from lmd_trialsim.kernel.randomising import takes_part

NOTHING = 1e-14
"""A weight of a component that is passed over."""


class BetaMixtures(NamedTuple):
    """Priors of rates of what is wanted, sums of beta distributions."""

    first: np.ndarray  # (arms + 1,) where the components of each arm begin
    log_weight: np.ndarray  # (components,) of the weight over the integral of the component's kernel
    one: np.ndarray  # (components,) alpha
    two: np.ndarray  # (components,) beta
    most: int  # components of an arm
    at: int  # where the lists begin on the scratch
    lower: int  # 1 where non-responses are wanted


class GammaMixtures(NamedTuple):
    """Priors of hazards a month, sums of gamma distributions."""

    first: np.ndarray  # (arms + 1,)
    log_weight: np.ndarray  # (components,)
    one: np.ndarray  # (components,) events, the shape
    two: np.ndarray  # (components,) months, the rate
    most: int
    at: int


class NormalMixtures(NamedTuple):
    """Priors of means, sums of normal distributions; values of known standard deviation."""

    first: np.ndarray  # (arms + 1,)
    log_weight: np.ndarray  # (components,)
    one: np.ndarray  # (components,) mean
    two: np.ndarray  # (components,) precision
    most: int
    at: int
    information: float  # of one value: 1 / variance


class OwnControls(NamedTuple):
    """An arm is compared with its own control patients, as the trial counts them."""

    unused: int  # as a plan has a field


class PooledByWeight(NamedTuple):
    """Control patients of other times are exchangeable with an arm's own ones, or not: both are weighed."""

    weight: float  # prior probability that they are


class PooledByPower(NamedTuple):
    """The likelihood of control patients of other times counts by a power."""

    power: float


@Seam
def given(prior, component, count, amount):  # type: ignore[no-untyped-def]
    """Return the parameters of a component given a sample, and the log of the integral of its kernel."""


@Seam
def sample_of(prior, arm):  # type: ignore[no-untyped-def]
    """Return count and amount of the arm's own patients."""


@Seam
def sample_of_controls(prior, arm):  # type: ignore[no-untyped-def]
    """Return count and amount of the control patients that the arm is compared with."""


@Seam
def write_controls(borrows, prior, desk, number):  # type: ignore[no-untyped-def]
    """Write the posterior of what arm `number` is compared with to its list.

    Return the weight of the components that are of all control patients, which come first.
    """


@given.case
def beta_given(prior: BetaMixtures, component, count, amount):
    """Responses are added to alpha, the others to beta."""
    alpha, beta = prior.one[component] + amount, prior.two[component] + count - amount
    return alpha, beta, math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta)


@given.case
def gamma_given(prior: GammaMixtures, component, count, amount):
    """Events are added to the shape, months to the rate."""
    events, months = prior.one[component] + count, prior.two[component] + amount
    return events, months, math.lgamma(events) - events * math.log(months)


@given.case
def normal_given(prior: NormalMixtures, component, count, amount):
    """Precisions add up; squares of values, which are the same for all components, are left out."""
    precision = prior.two[component] + count * prior.information
    mean = (prior.two[component] * prior.one[component] + amount * prior.information) / precision
    return mean, precision, 0.5 * (mean * mean * precision - math.log(precision))


@sample_of.case
def rates_of_arm(prior: BetaMixtures, arm):
    """Patients, and those among them with what is wanted."""
    return float(arm.patients), float(arm.patients - arm.responses if prior.lower else arm.responses)


@sample_of.case
def times_of_arm(prior: GammaMixtures, arm):
    """Events and patient-months."""
    return float(arm.events), arm.months


@sample_of.case
def values_of_arm(prior: NormalMixtures, arm):
    """Patients, and the sum of their values."""
    return float(arm.patients), arm.total


@sample_of_controls.case
def rates_of_controls(prior: BetaMixtures, arm):
    """Patients, and those among them with what is wanted."""
    responses = arm.control_patients - arm.control_responses if prior.lower else arm.control_responses
    return float(arm.control_patients), float(responses)


@sample_of_controls.case
def times_of_controls(prior: GammaMixtures, arm):
    """Events and patient-months."""
    return float(arm.control_events), arm.control_months


@sample_of_controls.case
def values_of_controls(prior: NormalMixtures, arm):
    """Patients, and the sum of their values."""
    return float(arm.control_patients), arm.control_total


@kernel
def own_list(prior, number):
    """Return where the list of an arm begins."""
    return prior.at + number * (2 + 9 * prior.most)


@kernel
def controls_list(prior, number):
    """Return where the list of what it is compared with begins, which may be twice as long."""
    return own_list(prior, number) + 1 + 3 * prior.most


def room_for(arms: int, most: int) -> int:
    """Return the numbers that the lists of so many arms take up."""
    return arms * (2 + 9 * most)


@kernel
def _write(prior, number, count, amount, scratch, place):
    """Write the components of arm `number` given a sample from `place` on; return the log of the sample's likelihood.

    The likelihood is the mean over the prior, but for factors that are the same for all components and that cancel
    where a sample is taken apart.
    """
    first, components = prior.first[number], prior.first[number + 1] - prior.first[number]
    highest = -math.inf
    for component in range(components):
        at = place + 3 * component
        one, two, log_integral = given(prior, first + component, count, amount)
        scratch[at] = prior.log_weight[first + component] + log_integral
        scratch[at + 1] = one
        scratch[at + 2] = two
        highest = max(highest, scratch[at])
    total = 0.0
    for component in range(components):
        at = place + 3 * component
        scratch[at] = math.exp(scratch[at] - highest)
        total += scratch[at]
    for component in range(components):
        scratch[place + 3 * component] /= total
    return highest + math.log(total)


@kernel
def weigh_mixtures(borrows, prior, compares, desk):
    """Write the lists of all arms that take part."""
    for number in range(desk.arms.shape[0]):
        if takes_part(desk, number):
            at = own_list(prior, number)
            desk.scratch[at] = prior.first[number + 1] - prior.first[number]
            count, amount = sample_of(prior, desk.arms[number])
            _write(prior, number, count, amount, desk.scratch, at + 1)
            if compares and number != desk.state[0].control:
                desk.arms[number].pooled = write_controls(borrows, prior, desk, number)


@write_controls.case
def write_own_controls(borrows: OwnControls, prior, desk, number):
    """The posterior of the control's parameter given them."""
    control, at = desk.state[0].control, controls_list(prior, number)
    desk.scratch[at] = prior.first[control + 1] - prior.first[control]
    count, amount = sample_of_controls(prior, desk.arms[number])
    _write(prior, control, count, amount, desk.scratch, at + 1)
    return 0.0


@write_controls.case
def write_pooled_by_power(borrows: PooledByPower, prior, desk, number):
    """Given them and, to a power, those of other times (Ibrahim and Chen 2000)."""
    control, at = desk.state[0].control, controls_list(prior, number)
    desk.scratch[at] = prior.first[control + 1] - prior.first[control]
    count, amount = sample_of_controls(prior, desk.arms[number])
    in_all, whole = sample_of(prior, desk.arms[control])
    count, amount = count + borrows.power * (in_all - count), amount + borrows.power * (whole - amount)
    _write(prior, control, count, amount, desk.scratch, at + 1)
    return borrows.power


@write_controls.case
def write_pooled_by_weight(borrows: PooledByWeight, prior, desk, number):
    """Given all, and given its own; weights by how likely the two samples are with one parameter, or with two.

    Two sources of Kaizer, Koopmeiners and Hobbs (2018); the same as a prior that is a mixture of the
    posterior given those of other times and of the control's prior (Schmidli et al. 2014).
    """
    scratch, control, at = desk.scratch, desk.state[0].control, controls_list(prior, number)
    components = prior.first[control + 1] - prior.first[control]
    count, amount = sample_of_controls(prior, desk.arms[number])
    in_all, whole = sample_of(prior, desk.arms[control])
    others = _write(prior, control, in_all - count, whole - amount, scratch, at + 1)  # and written over
    together = _write(prior, control, in_all, whole, scratch, at + 1)
    alone = _write(prior, control, count, amount, scratch, at + 1 + 3 * components)
    odds = math.log(borrows.weight / (1.0 - borrows.weight)) + together - alone - others
    pooled = 1.0 / (1.0 + math.exp(min(-odds, 700.0)))
    for component in range(components):
        scratch[at + 1 + 3 * component] *= pooled
        scratch[at + 1 + 3 * (components + component)] *= 1.0 - pooled
    scratch[at] = 2 * components
    return pooled

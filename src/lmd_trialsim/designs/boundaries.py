"""Group-sequential boundaries on the z scale, one-sided, by recursive numerical integration.

Throughout, look k has information I_k (any positive unit: a fraction of the planned information, or events) and
Z_k ~ N(drift * sqrt(I_k), 1), where cov(Z_j, Z_k) = sqrt(I_j / I_k) for j <= k (Jennison and Turnbull 2000,
equation 3.1). The trial stops for efficacy where Z_k >= upper[k], for futility where Z_k < lower[k]. Errors are spent
on the fraction I_k / I_K, where K is the last look, so all of alpha and beta is spent there.

The sub-density of the paths that have not stopped is carried from look to look (Armitage, McPherson and Rowe 1969;
Jennison and Turnbull 2000, chapter 19), here at Gauss-Legendre nodes of the score Z_k * sqrt(I_k).
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Parameter = float | Sequence[float]

# A path is a Gaussian step from its past, so panels of five standard deviations of the narrowest step with twenty
# nodes each integrate to rounding; twelve standard deviations around the mean leave out 4e-33.
PANEL, REACH = 5.0, 12.0
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
BLOCK = 4 * len(NODES)  # nodes reached together from those that lie near enough
ROOT = 1e-13  # tolerance of every root, in z or drift
CLOSE = 1e-6  # looks whose information differs by a smaller part are one look
NEGLIGIBLE = 1e-20  # a smaller probability to spend buys no boundary at all


@dataclass(frozen=True)
class Boundaries:
    """Efficacy and futility boundaries, and the drift at which their power is the wanted one.

    upper, lower: (looks,) on the z scale, inf or -inf where there is none; drift: mean of Z at one unit of information.
    """

    upper: Array
    lower: Array
    drift: float


# Error spent by the time a fraction of the information is in: (looks,) -> (looks,), cumulative.


def lan_demets_obrien_fleming(fraction: Array, error: float) -> Array:
    """Return the spending that resembles O'Brien and Fleming's boundary (Lan and DeMets 1983, alpha_1)."""
    return np.asarray(2.0 * ndtr(ndtri(error / 2.0) / np.sqrt(fraction)))


def lan_demets_pocock(fraction: Array, error: float) -> Array:
    """Return the spending that resembles Pocock's boundary (Lan and DeMets 1983, alpha_2)."""
    return np.asarray(error * np.log1p(np.expm1(1.0) * fraction))


def hwang_shih_decani(fraction: Array, error: float, gamma: float) -> Array:
    """Return error * (1 - exp(-gamma t)) / (1 - exp(-gamma)), late for negative gamma (Hwang, Shih and DeCani 1990)."""
    if gamma == 0.0:
        return error * fraction
    late = np.exp(gamma * (1.0 - fraction)) if gamma < 0.0 else 1.0  # keeps exponents negative: no overflow
    return np.asarray(error * late * np.expm1(-abs(gamma) * fraction) / np.expm1(-abs(gamma)))


def kim_demets(fraction: Array, error: float, rho: float) -> Array:
    """Return error * t^rho (Kim and DeMets 1987)."""
    if not rho > 0.0:
        raise ValueError(f"rho: {rho:g} must be positive; use 3 for late spending, 1 for even spending.")
    return np.asarray(error * fraction**rho)


def user(fraction: Array, error: float, cumulative: ArrayLike) -> Array:
    """Return the cumulative error given for each look."""
    spent = np.array(cumulative, dtype=np.float64)
    if spent.shape != fraction.shape:
        raise ValueError(f"cumulative: {spent.size} values for {fraction.size} looks; give one for each look.")
    if not (spent[0] >= 0.0 and np.all(np.diff(spent) >= 0.0) and abs(spent[-1] - error) <= 1e-12):
        raise ValueError(f"cumulative: {spent.tolist()} must rise from 0 or more to {error:g} at the last look.")
    return spent


SPENDING: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (lan_demets_obrien_fleming, lan_demets_pocock, hwang_shih_decani, kim_demets, user)
}


# Boundaries known up to a constant: the constant is the boundary of the last look.


def obrien_fleming(fraction: Array) -> Array:
    """Return 1 / sqrt(t) (O'Brien and Fleming 1979)."""
    return wang_tsiatis(fraction, 0.0)


def pocock(fraction: Array) -> Array:
    """Return 1 at every look (Pocock 1977)."""
    return wang_tsiatis(fraction, 0.5)


def wang_tsiatis(fraction: Array, delta: float) -> Array:
    """Return t^(delta - 1/2) (Wang and Tsiatis 1987)."""
    if not -1.0 <= delta <= 1.0:
        raise ValueError(f"delta: {delta:g} must lie between -1 and 1; 0 is O'Brien and Fleming's, 0.5 is Pocock's.")
    return np.asarray(fraction ** (delta - 0.5))


UP_TO_A_CONSTANT: dict[str, Callable[..., Array]] = {
    function.__name__: function for function in (obrien_fleming, pocock, wang_tsiatis)
}


def haybittle_peto(fraction: Array, interim: float = 3.0) -> Array:
    """Return the boundaries of the looks before the last: `interim` at each (Haybittle 1971; Peto et al. 1976)."""
    if not interim > 0.0:
        raise ValueError(f"interim: {interim:g} must be positive; 3 is usual.")
    return np.full(len(fraction) - 1, float(interim))


SHAPES: dict[str, Callable[..., Array]] = {**UP_TO_A_CONSTANT, haybittle_peto.__name__: haybittle_peto, **SPENDING}


def crossing_probabilities(
    upper: ArrayLike, lower: ArrayLike, information: ArrayLike, drift: float
) -> tuple[Array, Array]:
    """Return the probabilities to stop for efficacy and for futility at each look, (looks,) each.

    upper, lower: (looks,) on the z scale, inf or -inf for none; information: (looks,) increasing; drift: mean of Z at
    one unit of information. Errors: below 1e-12 in each probability. Jennison and Turnbull (2000), chapter 19.
    """
    units = _increasing(information)
    above, below = _one_a_look("upper", upper, units), _one_a_look("lower", lower, units)
    if not np.isfinite(drift):
        raise ValueError(f"drift: {drift} must be a finite number; 0 is no effect.")
    if np.any(below > above):
        look = int(np.argmax(below > above))
        raise ValueError(f"lower: {below[look]:g} at look {look + 1} is above upper ({above[look]:g}); lower it.")
    return _crossing(above, below, units, drift)


def efficacy_boundary(shape: str, alpha: float, information: ArrayLike, **parameters: Parameter) -> Array:
    """Return the efficacy boundary, (looks,) on the z scale, whose one-sided type I error is alpha without futility.

    shape: a name in SHAPES, with its parameters (delta, interim, gamma, rho or cumulative). information: (looks,).
    Where a look is given nothing to spend its boundary is inf. Errors: below 1e-9 in z.
    """
    units = _increasing(information)
    _check_alpha(alpha)
    form = _choose("shape", shape, SHAPES, parameters)
    fraction = units / units[-1]
    if shape in SPENDING:
        return _spend_upper(np.diff(form(fraction, alpha, **parameters), prepend=0.0), units)
    none = np.full(len(units), -np.inf)

    def excess(upper: Array) -> float:
        return float(_crossing(upper, none, units, 0.0)[0].sum()) - alpha

    def of_constant(constant: float) -> Array:
        if shape in UP_TO_A_CONSTANT:
            return np.asarray(constant * form(fraction, **parameters))
        return np.append(form(fraction, **parameters), constant)

    if excess(of_constant(np.inf)) >= 0.0:
        raise ValueError(
            f"interim: {parameters.get('interim', 3.0)} spends all of alpha ({alpha:g}) before the last look; raise it."
        )
    most = -float(ndtri(alpha / len(units)))  # enough unless a boundary before the last is smaller
    while excess(of_constant(most)) > 0.0:
        most *= 2.0
    return of_constant(root(lambda constant: excess(of_constant(constant)), 0.0, most))


def futility_boundary(
    shape: str, beta: float, information: ArrayLike, upper: ArrayLike, **parameters: Parameter
) -> Boundaries:
    """Return a non-binding futility boundary below the efficacy boundary `upper`, which it leaves as it is.

    shape: a name in SPENDING, with its parameters; it spends beta under the drift, which is solved for, so that the
    boundaries meet at the last look: the power is 1 - beta when futility is obeyed (gsDesign's test.type 4;
    Pampallona, Tsiatis and Kim 2001). information, upper: (looks,). Errors: below 1e-9 in z and drift.
    """
    units = _increasing(information)
    above = _one_a_look("upper", upper, units)
    spent = _beta_spent(shape, beta, units, parameters)
    return _solve_drift(lambda drift: _spend_both(drift, spent, units, upper=above), beta, units)


def binding_boundaries(
    alpha: float,
    beta: float,
    information: ArrayLike,
    efficacy: Mapping[str, Any],
    futility: Mapping[str, Any],
) -> Boundaries:
    """Return boundaries whose type I error is alpha and power 1 - beta when futility is always obeyed.

    efficacy, futility: {"shape": a name in SPENDING, and its parameters}; alpha is spent at drift 0 and beta at the
    drift, which is solved for, with both boundaries in place; they meet at the last look (gsDesign's test.type 3;
    Pampallona, Tsiatis and Kim 2001). information: (looks,). Errors: below 1e-9 in z and drift.
    """
    units = _increasing(information)
    _check_alpha(alpha)
    shape, parameters = _named("efficacy", efficacy)
    if shape in SHAPES and shape not in SPENDING:
        raise ValueError(
            f"efficacy shape: {shape!r} spends no alpha, so futility cannot be binding; use {', '.join(SPENDING)}, "
            "or futility that is not binding."
        )
    form = _choose("efficacy shape", shape, SPENDING, parameters)
    alpha_spent = np.diff(form(units / units[-1], alpha, **parameters), prepend=0.0)
    shape, parameters = _named("futility", futility)
    spent = _beta_spent(shape, beta, units, parameters)
    return _solve_drift(lambda drift: _spend_both(drift, spent, units, alpha_spent=alpha_spent), beta, units)


def drift_for_power(upper: ArrayLike, lower: ArrayLike, information: ArrayLike, power: float) -> float:
    """Return the drift at which the boundaries (looks,) stop for efficacy with probability `power`."""
    units = _increasing(information)
    if not 0.0 < power < 1.0:
        raise ValueError(f"power: {power:g} must lie between 0 and 1; it is usually 0.8 or 0.9.")

    def shortfall(drift: float) -> float:
        return power - float(crossing_probabilities(upper, lower, units, drift)[0].sum())

    if shortfall(0.0) <= 0.0:
        raise ValueError(f"power: {power:g} is not above the type I error; raise it.")
    return _drift_root(shortfall, units)


# The integration.


@dataclass(frozen=True)
class _Paths:
    """Paths that have not stopped: their probability mass by score (nodes,), after so much information."""

    score: Array
    mass: Array
    information: float


_START = _Paths(np.zeros(1), np.ones(1), 0.0)


def _above(paths: _Paths, bound: float, information: float, drift: float) -> float:
    """Return the probability to reach `information` unstopped and to have Z >= bound there."""
    step = information - paths.information
    distance = paths.score + drift * step - bound * np.sqrt(information)
    return float(paths.mass @ ndtr(distance / np.sqrt(step)))


def _mirrored(paths: _Paths) -> _Paths:
    """Return the paths of -Z, which ask of lower boundaries what is known of upper ones."""
    return _Paths(-paths.score, paths.mass, paths.information)


def _continue(
    paths: _Paths, lower: float, upper: float, information: float, *, following: float, drift: float
) -> _Paths:
    """Return the paths with lower <= Z < upper at `information`, at nodes fine enough for the look `following` it."""
    step, root = information - paths.information, np.sqrt(information)
    first = max(lower, drift * root - REACH) * root
    last = min(upper, drift * root + REACH) * root
    if not first < last:
        return _Paths(np.empty(0), np.empty(0), information)
    panels = int(np.ceil((last - first) / (PANEL * np.sqrt(min(step, following - information)))))
    width = (last - first) / panels
    middle = first + width * (np.arange(panels) + 0.5)
    score = (middle[:, None] + 0.5 * width * NODES).ravel()
    weight = np.tile(0.5 * width * WEIGHTS, panels) / np.sqrt(2.0 * np.pi * step)
    mass = np.empty_like(score)
    origin, reach = paths.score + drift * step, REACH * np.sqrt(step)
    for start in range(0, len(score), BLOCK):  # steps far shorter than the whole range reach only near nodes
        reached = score[start : start + BLOCK]
        near = slice(np.searchsorted(origin, reached[0] - reach), np.searchsorted(origin, reached[-1] + reach, "right"))
        density = np.exp((reached[:, None] - origin[near]) ** 2 / (-2.0 * step))
        mass[start : start + BLOCK] = density @ paths.mass[near]
    return _Paths(score, weight * mass, information)


def _crossing(upper: Array, lower: Array, information: Array, drift: float) -> tuple[Array, Array]:
    """Return what `crossing_probabilities` does, unchecked."""
    efficacy, futility = np.empty_like(information), np.empty_like(information)
    paths = _START
    for look, units in enumerate(information):
        efficacy[look] = _above(paths, upper[look], units, drift)
        futility[look] = _above(_mirrored(paths), -lower[look], units, -drift)
        if look + 1 < len(information):
            paths = _continue(paths, lower[look], upper[look], units, following=information[look + 1], drift=drift)
    return efficacy, futility


def root(function: Callable[[float], float], least: float, most: float) -> float:
    """Return the root of a monotone function between two numbers (Chandrupatla, Adv Eng Softw 1997; 28: 145).

    Not by scipy.optimize, whose import takes as long as all else that a second run does before its trials.
    """
    new, end = most, least  # the root lies between these two; `last` is what the newer of them took the place of
    of_new, of_end = function(new), function(end)
    if of_new * of_end > 0.0:
        raise ValueError(f"no root between {least} and {most}")
    share = 0.5
    while True:
        point = new + share * (end - new)
        value = function(point)
        if (value > 0.0) == (of_new > 0.0):
            last, of_last = new, of_new
        else:
            last, end, of_last, of_end = end, new, of_end, of_new
        new, of_new = point, value
        near, of_near = (new, of_new) if abs(of_new) < abs(of_end) else (end, of_end)
        smallest = (2e-16 * abs(near) + ROOT / 2.0) / max(abs(end - new), ROOT)
        if smallest > 0.5 or of_near == 0.0:
            return near
        where, how_high = (new - end) / (last - end), (of_new - of_end) / (of_last - of_end)
        share = 0.5
        if how_high**2 < where and (1.0 - how_high) ** 2 < 1.0 - where:  # a parabola through the three is monotone
            share = of_new / (of_end - of_new) * of_last / (of_end - of_last)
            share += (last - new) / (end - new) * of_new / (of_last - of_new) * of_end / (of_last - of_end)
        share = min(max(share, smallest), 1.0 - smallest)


def _spend(paths: _Paths, probability: float, information: float, drift: float) -> float:
    """Return the z that unstopped paths reach or exceed with this probability; -inf where too few are left."""
    if probability <= NEGLIGIBLE:
        return np.inf
    mean, target = drift * np.sqrt(information), np.log(probability)
    least, most = mean - 4.0 * REACH, mean + 4.0 * REACH
    if probability >= _above(paths, least, information, drift):
        return -np.inf

    def excess(bound: float) -> float:  # logarithms make tails nearly straight
        return float(np.log(max(_above(paths, bound, information, drift), 1e-300)) - target)

    return root(excess, least, most)


def _spend_upper(spent: Array, information: Array) -> Array:
    """Return the upper boundary that spends so much at each look under no drift and with no lower boundary."""
    upper = np.empty_like(information)
    paths = _START
    for look, units in enumerate(information):
        upper[look] = _spend(paths, spent[look], units, 0.0)
        if look + 1 < len(information):
            paths = _continue(paths, -np.inf, upper[look], units, following=information[look + 1], drift=0.0)
    return upper


def _spend_both(
    drift: float, spent: Array, information: Array, *, upper: Array | None = None, alpha_spent: Array | None = None
) -> tuple[Array, Array, float]:
    """Return upper, lower and the type II error when beta is spent at `drift`, but at the last look not solved for.

    upper: the efficacy boundary, or None where it spends alpha_spent under no drift with the lower boundary in place.
    """
    above = np.full(len(information), np.inf) if upper is None else upper.copy()
    lower = np.full(len(information), -np.inf)
    paths, null_paths = _START, _START
    missed = 0.0
    for look, units in enumerate(information):
        if alpha_spent is not None:
            above[look] = _spend(null_paths, alpha_spent[look], units, 0.0)
        most = _above(_mirrored(paths), -above[look], units, -drift)
        if look + 1 == len(information) or most <= spent[look]:  # a drift so large that there is less beta to spend
            lower[look] = above[look]
            return above, lower, missed + most
        lower[look] = -_spend(_mirrored(paths), spent[look], units, -drift)
        missed += spent[look]
        following = information[look + 1]
        paths = _continue(paths, lower[look], above[look], units, following=following, drift=drift)
        if alpha_spent is not None:
            null_paths = _continue(null_paths, lower[look], above[look], units, following=following, drift=0.0)
    raise AssertionError("a trial has at least one look")


def _solve_drift(spend: Callable[[float], tuple[Array, Array, float]], beta: float, information: Array) -> Boundaries:
    """Return the boundaries at the drift where the type II error is beta."""
    excess = spend(0.0)[2] - beta
    if not excess > 0.0:
        raise ValueError(f"beta: {beta:g} must be below 1 - alpha; lower it.")
    drift = _drift_root(lambda drift: spend(drift)[2] - beta, information)
    upper, lower, _ = spend(drift)
    return Boundaries(upper, lower, drift)


def _drift_root(excess: Callable[[float], float], information: Array) -> float:
    """Return the drift where a decreasing function that is positive at 0 crosses 0."""
    scale = 1.0 / float(np.sqrt(information[-1]))
    most = 2.0
    while excess(most * scale) > 0.0:
        most *= 2.0
        if most > 1000.0:
            raise ValueError("upper: no drift reaches the wanted power; give a finite boundary at the last look.")
    return scale * root(lambda standardized: excess(standardized * scale), 0.0, most)


# The door.


def _increasing(information: ArrayLike) -> Array:
    """Return the information as (looks,) numbers, positive and increasing."""
    units = np.atleast_1d(np.array(information, dtype=np.float64))
    if units.ndim != 1 or not (units.size and np.all(np.isfinite(units)) and units[0] > 0.0):
        raise ValueError(f"information: {units.tolist()} must be positive numbers, one a look, such as [0.5, 1].")
    if np.any(np.diff(units) <= CLOSE * units[1:]):
        raise ValueError(f"information: {units.tolist()} must increase from look to look, such as [0.5, 1].")
    return units


def _one_a_look(name: str, bound: ArrayLike, information: Array) -> Array:
    """Return a boundary as (looks,) numbers."""
    bounds = np.atleast_1d(np.array(bound, dtype=np.float64))
    if bounds.shape != information.shape or np.any(np.isnan(bounds)):
        raise ValueError(f"{name}: {bounds.tolist()} for {information.size} looks; give one number for each look.")
    return bounds


def _check_alpha(alpha: float) -> None:
    """Refuse an error rate that is not one-sided and usual."""
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"alpha: {alpha:g} must lie between 0 and 0.5; it is one-sided, usually 0.025.")


def _named(where: str, choice: Mapping[str, Any]) -> tuple[str, dict[str, Parameter]]:
    """Return the shape's name and its parameters."""
    if "shape" not in choice:
        raise ValueError(f"{where}: no shape is given; use shape: one of {', '.join(SPENDING)}.")
    return choice["shape"], {name: value for name, value in choice.items() if name != "shape"}


def _beta_spent(shape: str, beta: float, information: Array, parameters: Mapping[str, Parameter]) -> Array:
    """Return the beta to spend at each look, (looks,)."""
    if not 0.0 < beta < 1.0:
        raise ValueError(f"beta: {beta:g} must lie between 0 and 1; it is 1 - power, usually 0.1 or 0.2.")
    form = _choose("futility shape", shape, SPENDING, parameters)
    return np.diff(form(information / information[-1], beta, **parameters), prepend=0.0)


def _choose(
    where: str, shape: str, known: Mapping[str, Callable[..., Array]], parameters: Mapping[str, Parameter]
) -> Callable[..., Array]:
    """Return the function of that name, once its parameters are seen to be the ones it needs."""
    if shape not in known:
        close = difflib.get_close_matches(shape, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}."
        raise ValueError(f"{where}: {shape!r} is not known; {hint}")
    signature = inspect.signature(known[shape]).parameters
    wanted = {name: entry.default for name, entry in signature.items() if name not in ("fraction", "error")}
    for name in parameters:
        if name not in wanted:
            raise ValueError(f"{where}: {shape} takes no {name!r}; it takes {', '.join(wanted) or 'no parameters'}.")
        if not np.all(np.isfinite(parameters[name])):
            raise ValueError(f"{where}: {name} of {shape} is {parameters[name]}; give finite numbers.")
    for name, default in wanted.items():
        if name not in parameters and default is inspect.Parameter.empty:
            raise ValueError(f"{where}: {shape} needs {name!r}; give it a value.")
    return known[shape]

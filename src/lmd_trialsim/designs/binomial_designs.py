"""Single-arm designs for a response rate, found by exhaustive search over exact binomial probabilities."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, ndtri

Array = NDArray[np.float64]

ROUNDING = 1e-12  # an error rate that equals its limit but for rounding keeps it
CRITERIA = ("optimal", "minimax", "admissible")
METHODS = ("exact", "normal")


@dataclass(frozen=True)
class SimonDesign:
    """A two-stage design and its exact operating characteristics.

    The trial stops after n1 patients if at most r1 responded; the drug is rejected if at most r of all n did.
    early_stop_null: probability of that stop at the null rate; expected_*: patients expected at either rate.
    """

    n1: int
    r1: int
    n: int
    r: int
    type_i_error: float
    power: float
    early_stop_null: float
    expected_null: float
    expected_target: float


@dataclass(frozen=True)
class SingleStageDesign:
    """A single-stage design, a success from `least_responses` of n patients on, and its exact error rates."""

    n: int
    least_responses: int
    type_i_error: float
    power: float


def simon_two_stage(
    null_rate: float,
    target_rate: float,
    alpha: float,
    beta: float,
    criterion: str,
    *,
    max_patients: int = 120,
    weight: float | None = None,
) -> SimonDesign:
    """Return the best two-stage design of at most max_patients with type I error <= alpha and power >= 1 - beta.

    criterion: "optimal" has the fewest patients expected at the null rate, "minimax" the smallest n and then the fewest
    expected (Simon 1989); "admissible" the least weight * n + (1 - weight) * expected, 0 <= weight <= 1 (Jung et al.
    2004). r is the largest that keeps the power, as in Simon (1989), so the type I error is the least.
    """
    _check_rates(null_rate, target_rate, alpha, beta)
    _check_choice("criterion", criterion, CRITERIA)
    if (criterion == "admissible") != (weight is not None):
        raise ValueError(f"weight: {weight} with criterion {criterion}; give it, from 0 to 1, for admissible alone.")
    if weight is not None and not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight: {weight:g} must lie between 0 and 1; 0 is optimal, 1 is minimax.")
    share = {"optimal": 0.0, "minimax": 1.0}.get(criterion, weight)
    assert share is not None
    # Each design of the list is larger than the one before and expects fewer patients; no other can be best.
    designs = _undominated(null_rate, target_rate, alpha, beta, max_patients, first_only=share == 1.0)
    if not designs:
        raise ValueError(
            f"max_patients: no two-stage design of up to {max_patients} patients tells {target_rate:g} from "
            f"{null_rate:g} with alpha {alpha:g} and beta {beta:g}; raise max_patients, alpha or beta."
        )
    best = min(
        designs, key=lambda design: (share * design[2] + (1.0 - share) * _expected(design, null_rate), design[2])
    )
    return evaluate_two_stage(*best, null_rate=null_rate, target_rate=target_rate)


def evaluate_two_stage(n1: int, r1: int, n: int, r: int, *, null_rate: float, target_rate: float) -> SimonDesign:
    """Return a given two-stage design with its exact operating characteristics (Simon 1989, equation 1)."""
    if not (0 <= r1 < n1 < n and r1 <= r < n):
        raise ValueError(f"design: {r1}/{n1} then {r}/{n}; r1 must be below n1, n1 below n, and r from r1 up to n - 1.")
    if not 0.0 < null_rate < target_rate < 1.0:
        raise ValueError(f"target_rate: {target_rate:g} must lie between null_rate ({null_rate:g}) and 1; raise it.")
    design = (n1, r1, n, r)
    continuing = np.arange(r1 + 1, n1 + 1)
    success = [
        float(_probabilities(n1, rate)[continuing] @ _more_than(r - continuing, n - n1, rate))
        for rate in (null_rate, target_rate)
    ]
    return SimonDesign(
        *design,
        type_i_error=success[0],
        power=success[1],
        early_stop_null=1.0 - float(bdtrc(r1, n1, null_rate)),
        expected_null=_expected(design, null_rate),
        expected_target=_expected(design, target_rate),
    )


def single_stage(
    null_rate: float, target_rate: float, alpha: float, beta: float, method: str, *, max_patients: int = 2000
) -> SingleStageDesign:
    """Return the single-stage design that tells target_rate from null_rate.

    method: "exact" is the smallest n at which some cut-off keeps both errors, with the smallest such cut-off, even if a
    larger n would not keep them again (A'Hern 2001; a few cells of his table let a rounded error pass, this does not).
    "normal" is Fleming (1982, one stage): n by the normal approximation, rounded up, and the integer nearest to
    n p0 + z_alpha sqrt(n p0 (1 - p0)), plus one; its exact errors, which are returned, may exceed alpha and beta.
    """
    _check_rates(null_rate, target_rate, alpha, beta)
    _check_choice("method", method, METHODS)
    if method == "normal":
        n, least = _fleming(null_rate, target_rate, alpha, beta)
        if least > n:
            raise ValueError(f"method: normal asks for {least} responses of {n} patients; use method exact.")
        return _single(n, least, null_rate, target_rate)
    least = 1
    for n in range(1, max_patients + 1):
        while bdtrc(least - 1, n, null_rate) > alpha + ROUNDING:  # the cut-off never falls as n rises
            least += 1
        if least <= n and bdtrc(least - 1, n, target_rate) >= 1.0 - beta - ROUNDING:
            return _single(n, least, null_rate, target_rate)
    raise ValueError(
        f"max_patients: no single-stage design of up to {max_patients} patients tells {target_rate:g} from "
        f"{null_rate:g} with alpha {alpha:g} and beta {beta:g}; raise max_patients, alpha or beta."
    )


def _fleming(null_rate: float, target_rate: float, alpha: float, beta: float) -> tuple[int, int]:
    """Return n and the least number of responses for success (Fleming 1982, one stage)."""
    z_alpha, z_beta = -float(ndtri(alpha)), -float(ndtri(beta))
    null_sd, target_sd = (math.sqrt(rate * (1.0 - rate)) for rate in (null_rate, target_rate))
    n = math.ceil(((z_alpha * null_sd + z_beta * target_sd) / (target_rate - null_rate)) ** 2 - ROUNDING)
    return n, math.floor(n * null_rate + z_alpha * math.sqrt(n) * null_sd + 0.5) + 1


def _single(n: int, least_responses: int, null_rate: float, target_rate: float) -> SingleStageDesign:
    """Return a single-stage design with its exact error rates."""
    type_i_error, power = (float(bdtrc(least_responses - 1, n, rate)) for rate in (null_rate, target_rate))
    return SingleStageDesign(n, least_responses, type_i_error, power)


# The search.


def _undominated(
    null_rate: float, target_rate: float, alpha: float, beta: float, max_patients: int, *, first_only: bool
) -> list[tuple[int, int, int, int]]:
    """Return for each n the design (n1, r1, n, r) that expects fewest patients, if fewer than any smaller n does."""
    power = 1.0 - beta - ROUNDING
    # (patients, responses): the probability of exactly so many, and of more than so many less `max_patients`
    null, target = (_table(max_patients, rate) for rate in (null_rate, target_rate))
    null_tail, target_tail = _tails(null), _tails(target)
    designs: list[tuple[int, int, int, int]] = []
    fewest = math.inf
    for n in range(2, max_patients + 1):
        best = None
        # Two stages have no more power than the second alone, nor than the first.
        cut_offs = np.arange(np.count_nonzero(target_tail[n, max_patients:] >= power))
        for n1 in range(1, n):
            if n1 >= fewest or not len(cut_offs):
                break
            stops = np.arange(np.count_nonzero(target_tail[n1, max_patients : max_patients + n1] >= power))
            expected = n1 + null_tail[n1, max_patients + stops] * (n - n1)
            stops = stops[expected < fewest]
            if not len(stops):
                continue
            responses = np.arange(stops[0] + 1, n1 + 1)
            later = max_patients + cut_offs - responses[:, None]
            powers = _beyond(target[n1, responses], target_tail[n - n1, later])[: len(stops)]
            largest = np.count_nonzero(powers >= power, axis=1) - 1  # power falls as the cut-off rises
            errors = _beyond(null[n1, responses], null_tail[n - n1, later])[: len(stops)]
            kept = (largest >= 0) & (errors[np.arange(len(stops)), largest] <= alpha + ROUNDING)
            if kept.any():
                stop = int(np.flatnonzero(kept)[-1])  # the more stop, the fewer are expected
                r1 = int(stops[stop])
                fewest = n1 + float(null_tail[n1, max_patients + r1]) * (n - n1)
                best = (n1, r1, n, int(cut_offs[largest[stop]]))
        if best is not None:
            designs.append(best)
            if first_only:
                break
    return designs


def _beyond(probabilities: Array, success: Array) -> Array:
    """Return P(success and more than r1 responses) for rising r1, from the chances of each number of responses."""
    return np.cumsum((probabilities[:, None] * success)[::-1], axis=0)[::-1]


def _table(patients: int, rate: float) -> Array:
    """Return the binomial probabilities, (patients + 1, patients + 1) by patients and responses."""
    table = np.zeros((patients + 1, patients + 1))
    table[0, 0] = 1.0
    for n in range(1, patients + 1):
        table[n] = (1.0 - rate) * table[n - 1]
        table[n, 1:] += rate * table[n - 1, :-1]
    return table


def _tails(table: Array) -> Array:
    """Return P(responses > k) for k from -patients to patients, (patients + 1, 2 patients + 1)."""
    patients = len(table) - 1
    more = np.cumsum(table[:, ::-1], axis=1)[:, ::-1]
    return np.hstack([np.ones((patients + 1, patients)), more[:, 1:], np.zeros((patients + 1, 1))])


def _probabilities(n: int, rate: float) -> Array:
    """Return the binomial probabilities of 0 to n responses, (n + 1,)."""
    return np.asarray(_table(n, rate)[n])


def _more_than(responses: NDArray[np.int64], n: int, rate: float) -> Array:
    """Return P(more than so many of n respond), 1 below zero and 0 from n on."""
    inside = np.asarray(bdtrc(np.clip(responses, 0, n), n, rate))
    return np.asarray(np.where(responses < 0, 1.0, inside))


def _expected(design: tuple[int, int, int, int], rate: float) -> float:
    """Return the number of patients expected of (n1, r1, n, r) at this response rate."""
    n1, r1, n, _ = design
    return n1 + float(bdtrc(r1, n1, rate)) * (n - n1)


# The door.


def _check_rates(null_rate: float, target_rate: float, alpha: float, beta: float) -> None:
    """Refuse rates and errors that define no design."""
    if not 0.0 < null_rate < target_rate < 1.0:
        raise ValueError(f"target_rate: {target_rate:g} must lie between null_rate ({null_rate:g}) and 1; raise it.")
    for name, error in (("alpha", alpha), ("beta", beta)):
        if not 0.0 < error < 0.5:
            raise ValueError(f"{name}: {error:g} must lie between 0 and 0.5; 0.05 to 0.2 is usual.")


def _check_choice(where: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not known."""
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}."
        raise ValueError(f"{where}: {name!r} is not known; {hint}")

"""Two arms, event times: five looks with gamma-exponential posteriors, and two event-driven log-rank looks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.measuring import Figure, trials_a_second
from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.jit import door, kernel
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.sorting import kth_smallest, sort_by
from lmd_trialsim.kernel.special import beta_cdf, beta_quantile, digamma

GAMMA: dict[str, Any] = {
    "schema": 1,
    "title": "Two arms, survival, five looks, gamma-exponential",
    "population": {"accrual": {"patients_per_month": 4}},
    "endpoints": {"survival": {"kind": "time_to_event"}},
    "arms": {"control": {"control": True}, "treatment": {}},
    "truths": {"better": {"survival": {"control": {"median_months": 3}, "treatment": {"median_months": 5}}}},
    "designs": {
        "bayesian": {
            "kind": "two_arm",
            "endpoint": "survival",
            "allocation": {"block": 4},
            "max_patients": 120,
            "looks": {"events": [20, 40, 60, 80, 100]},
            "analysis": {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 1}},
            "rules": [
                {"stop_for": "efficacy", "when": {"probability_that": "hazard_ratio", "below": 1, "exceeds": 0.99}},
                {"stop_for": "futility", "when": {"probability_that": "hazard_ratio", "below": 1, "is_below": 0.1}},
            ],
        }
    },
}

LOG_RANK: dict[str, Any] = {
    "schema": 1,
    "title": "Two arms, survival, two looks, log-rank",
    "population": {"accrual": {"arrivals": "equally_spaced", "patients_per_month": 3}},
    "endpoints": {"survival": {"kind": "time_to_event"}},
    "arms": {"control": {"control": True}, "treatment": {}},
    "truths": {
        "better": {
            "survival": {"control": {"median_months": 3}, "treatment": {"median_months": 6}},
            "drop_out": {"proportion": 0.05, "by_month": 12},
        }
    },
    "designs": {
        "group_sequential": {
            "kind": "two_arm",
            "endpoint": "survival",
            "allocation": {"method": "fixed_order", "order": ["treatment", "treatment", "control"]},
            "max_patients": 90,
            "looks": {"events": [35, 70]},
            "analysis": {"kind": "log_rank"},
            "rules": [{"stop_for": "efficacy", "spending": "obrien_fleming", "alpha": 0.025}],
        }
    },
}


@kernel
def _observe_gamma(arrival, event, arm, month):
    events_t, events_c, months_t, months_c, enrolled = 0, 0, 0.0, 0.0, 0
    for patient in range(120):
        if arrival[patient] > month:
            break
        seen = int(arrival[patient] + event[patient] <= month)
        follow = event[patient] if seen else month - arrival[patient]
        events_t += seen * arm[patient]
        events_c += seen * (1 - arm[patient])
        months_t += follow * arm[patient]
        months_c += follow * (1 - arm[patient])
        enrolled += 1
    return events_t + 0.5, events_c + 0.5, months_t + 1.0, months_c + 1.0, enrolled


@kernel
def _enrol_gamma(stream, arrival, event, arm):
    """Arrivals, blocks of four, exponential times."""
    months = 0.0
    left_t, left = 0, 0
    rate_t, rate_c = math.log(2.0) / 5.0, math.log(2.0) / 3.0
    for block in range(15):
        g = random.eight_uniforms(stream, block, random.ARRIVAL, 0)
        a = random.eight_uniforms(stream, block, random.ALLOCATION, 0)
        first = random.four_uniforms(stream, 2 * block, random.EVENT, 0)
        second = random.four_uniforms(stream, 2 * block + 1, random.EVENT, 0)
        for i in range(8):
            patient = 8 * block + i
            months -= math.log(g[i]) / 4.0
            arrival[patient] = months
            if left == 0:
                left_t, left = 2, 4
            arm[patient] = int(a[i] * left < left_t)
            left_t -= arm[patient]
            left -= 1
            u = first[i] if i < 4 else second[i - 4]
            event[patient] = -math.log(u) / (rate_t if arm[patient] else rate_c)


@door
def _play_gamma(seed, start, stop, arrival, event, arm, due, outcomes):  # type: ignore[no-untyped-def]
    """The same trials, with complete follow-up of those that stop early."""
    for replicate in range(start, stop):
        _enrol_gamma(Stream(seed, replicate), arrival, event, arm)
        look, verdict, month, enrolled = 0, 0, 0.0, 0
        a_t = a_c = b_t = b_c = 1.0
        while True:
            for patient in range(120):
                due[patient] = arrival[patient] + event[patient]
            month = kth_smallest(due, 120, 20 * look + 19)
            a_t, a_c, b_t, b_c, enrolled = _observe_gamma(arrival, event, arm, month)
            p = beta_cdf(a_t, a_c, b_t / (b_t + b_c))
            verdict = 1 if p > 0.99 else (2 if p < 0.1 else 0)
            if verdict or look == 4:
                break
            look += 1
        scale = math.log(b_c / b_t)
        low, high = beta_quantile(a_t, a_c, 0.025), beta_quantile(a_c, a_t, 0.025)
        row = outcomes[replicate - start]
        row[0], row[1], row[2], row[3] = verdict, look, enrolled, month
        row[4] = digamma(a_t) - digamma(a_c) + scale
        row[5] = math.log(low / (1.0 - low)) + scale
        row[6] = math.log((1.0 - high) / high) + scale
        if look < 4:
            a_t, a_c, b_t, b_c, enrolled = _observe_gamma(arrival, event, arm, month + 60.0)
            row[7] = beta_cdf(a_t, a_c, b_t / (b_t + b_c))


@kernel
def _risk_sets(follow, seen, arm, enrolled, sorted_, order, at_risk):
    """Write the numbers at risk of each event; return events and those of the treatment."""
    of_t = 0
    for patient in range(enrolled):
        sorted_[patient] = follow[patient]
        of_t += arm[patient]
    sort_by(sorted_, enrolled, order)
    of_c = enrolled - of_t
    events, treated = 0, 0
    for place in range(enrolled):
        patient = order[place]
        at_risk[0, events] = of_t
        at_risk[1, events] = of_c
        events += seen[patient]
        treated += seen[patient] * arm[patient]
        of_t -= arm[patient]
        of_c -= 1 - arm[patient]
    return events, treated


@kernel
def _look(arrival, event, censor, arm, month, follow, seen, sorted_, order, at_risk):
    """Return the log-rank statistic at `month`, the patients enrolled, the events and those of the treatment."""
    enrolled = 0
    for patient in range(90):
        if arrival[patient] > month:
            break
        seen[patient] = int(event[patient] <= censor[patient] and arrival[patient] + event[patient] <= month)
        follow[patient] = event[patient] if seen[patient] else min(censor[patient], month - arrival[patient])
        enrolled += 1
    events, treated = _risk_sets(follow, seen, arm, enrolled, sorted_, order, at_risk)
    expected, variance = 0.0, 0.0
    for k in range(events):
        share = at_risk[0, k] / (at_risk[0, k] + at_risk[1, k])
        expected += share
        variance += share * (1.0 - share)
    return (expected - treated) / math.sqrt(variance), enrolled, events, treated


@kernel
def _cox(at_risk, events, treated):
    """Return the log hazard ratio and its standard error by Newton's method."""
    b, information = 0.0, 1.0
    for _ in range(30):
        ratio = math.exp(b)
        score, information = float(treated), 0.0
        for k in range(events):
            weighted = at_risk[0, k] * ratio
            share = weighted / (weighted + at_risk[1, k])
            score -= share
            information += share * (1.0 - share)
        step = score / information
        b += step
        if abs(step) < 1e-9:
            break
    return b, 1.0 / math.sqrt(information)


@door
def _play_log_rank(seed, start, stop, work, arm, seen, order, at_risk, outcomes):  # type: ignore[no-untyped-def]
    """The same trials, with the Cox estimate of each and complete follow-up of those that stop early."""
    arrival, event, censor, follow, sorted_ = work[0], work[1], work[2], work[3], work[4]
    rate_t, rate_c, rate_lost = math.log(2.0) / 6.0, math.log(2.0) / 3.0, -math.log(0.95) / 12.0
    for replicate in range(start, stop):
        stream = Stream(seed, replicate)
        for block in range(23):
            e = random.four_uniforms(stream, block, random.EVENT, 0)
            d = random.four_uniforms(stream, block, random.DROPOUT, 0)
            for i in range(4):
                patient = 4 * block + i
                arrival[patient] = (patient + 1) / 3.0
                arm[patient] = int(patient % 3 < 2)
                event[patient] = -math.log(e[i]) / (rate_t if arm[patient] else rate_c)
                censor[patient] = -math.log(d[i]) / rate_lost
        look, month, z, enrolled, events, treated = 0, 0.0, 0.0, 0, 0, 0
        while True:
            due = 0
            for patient in range(90):
                sorted_[due] = arrival[patient] + event[patient]
                due += int(event[patient] <= censor[patient])
            month = kth_smallest(sorted_, due, min(34 if look == 0 else 69, due - 1))
            z, enrolled, events, treated = _look(
                arrival, event, censor, arm, month, follow, seen, sorted_, order, at_risk
            )
            if z > (2.79651 if look == 0 else 1.97743) or look == 1:
                break
            look = 1
        b, error = _cox(at_risk, events, treated)
        row = outcomes[replicate - start]
        row[0], row[1], row[2], row[3] = z, look, enrolled, month
        row[4], row[5], row[6] = b, b - 1.96 * error, b + 1.96 * error
        if look == 0:
            z, enrolled, events, treated = _look(
                arrival, event, censor, arm, month + 60.0, follow, seen, sorted_, order, at_risk
            )
            row[7] = z


def measure() -> list[Figure]:
    """Return the two figures."""

    def limit_gamma(seed: int, start: int, stop: int) -> None:
        arrays = np.zeros(128), np.zeros(128), np.zeros(128, np.int64), np.zeros(128), np.zeros((16_384, 8))
        for first in range(start, stop, 16_384):
            _play_gamma(seed, first, min(first + 16_384, stop), *arrays)

    def limit_log_rank(seed: int, start: int, stop: int) -> None:
        integers = [np.zeros(96, np.int64) for _ in range(3)]
        for first in range(start, stop, 16_384):
            last = min(first + 16_384, stop)
            _play_log_rank(seed, first, last, np.zeros((5, 128)), *integers, np.zeros((2, 96)), np.zeros((16_384, 8)))

    return [
        trials_a_second("two_arm_survival_five_gamma_looks", GAMMA, 200_000, 120_000, limit_gamma),
        trials_a_second("two_arm_survival_two_log_rank_looks", LOG_RANK, 200_000, 120_000, limit_log_rank),
    ]

"""Operating characteristics without Monte Carlo error: every outcome of a binary design with fixed looks.

Not given: quantiles of months, and early verdicts contradicted where patients who are enrolled while a look waits for
its data would have a say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmd_trialsim.basket_exact import exact_baskets, why_not_baskets
from lmd_trialsim.characteristics import Characteristic, Facts, is_proportion
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import TwoArm
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.effects import is_null, true_effect
from lmd_trialsim.lowering import Setting
from lmd_trialsim.patients.course import curve_in
from lmd_trialsim.reference.exact_decisions import CLOSE_FOR_EFFICACY, EFFICACY, FUTILITY, VERDICT_OF, Judge
from lmd_trialsim.reference.exact_months import Arrivals
from lmd_trialsim.reference.exact_rates import Array
from lmd_trialsim.reference.exact_walk import Ended, Turns, arm_sizes, walk
from lmd_trialsim.scenario import Scenario, Truth
from lmd_trialsim.simulation import Results, Row, available_threads

MOST_OUTCOMES = 30_000_000
VERDICTS = {number: word for word, number in (("success", 1), ("futility", 2), ("harm", 3))}


def why_not(scenario: Scenario, design: str, truth: str) -> str | None:
    """Return in a sentence why the design cannot be enumerated under the truth; None where it can."""
    if isinstance(scenario.designs[design], Basket):
        return why_not_baskets(scenario, design, truth)
    if isinstance(scenario.designs[design], Platform):
        return "Arms that share a control, come and go have too many outcomes to be listed: use run."
    setting = Setting.of(scenario, design)
    general, delay = setting.design, setting.delay
    endpoint, looks = scenario.endpoints[general.endpoint], general.looks
    if endpoint.kind == "time_to_event":
        return "The endpoint is a time to an event, and times cannot be enumerated."
    if looks.unit == "months":
        return "Looks by calendar months find a random number of patients."
    if looks.unit == "patients" and delay > 0.0:
        return "Looks by patients enrolled find a random number of them assessed: say evaluable instead of patients."
    if looks.final is not None and looks.final.follow_up_months < delay:
        return "The final look comes before the last patients are assessed, so their number is random."
    if general.max_months is not None:
        return "The trial closes as it stands at max_months, with a random number of patients."
    if scenario.population.accrual.dries_up:
        return "The accrual dries up, so the number of patients is random."
    if looks.numbers() and looks.numbers()[-1] > setting.max_patients:
        return f"A look comes after more patients than the enrolment cap of {setting.max_patients} lets come."
    closing = any(rule.stop_accrual_for is not None for rule in general.rules)
    if closing and (delay > 0.0 or general.months_to_decide > 0.0):
        return "A random number of patients is enrolled before stop_accrual_for takes effect."
    waiting = delay > 0.0 and general.accrual_at_looks == "continues"
    if waiting and any(condition.at == "present" for rule in general.rules for condition in rule.conditions):
        return "The predictive probability at present depends on a random number of patients not yet assessed."
    return _losses(setting, scenario.truths[truth]) or _too_many(setting)


def _losses(setting: Setting, truth: Truth) -> str | None:
    endpoint: Any = setting.scenario.endpoints[setting.design.endpoint]
    for what, happens, stands_for in (
        ("death", bool(truth.death) and endpoint.kind == "binary", "death_before_assessment"),
        ("drop-out", truth.drop_out is not None, "drop_out_before_assessment"),
    ):
        if happens and setting.delay > 0.0 and getattr(endpoint, stands_for) != "failure":
            word = getattr(endpoint, stands_for).replace("_", " ")
            return f"A {what} before the assessment counts as {word}, so the number of analysed patients is random."
    return None


def _too_many(setting: Setting) -> str | None:
    design = setting.design
    if isinstance(design, TwoArm) and design.allocation.stratify_by and len(setting.strata) > 1:
        return "Blocks within strata leave the arms with random numbers of patients that depend on all the strata."
    looks = setting.design.looks
    numbers = [int(n) for n in looks.numbers()]
    numbers += [setting.max_patients] * (looks.count - len(numbers))
    sizes = arm_sizes(numbers, Turns(design, setting.arms))
    outcomes = sum((n_t + 1) * (n - n_t + 1) for n, of_treatment in sizes for n_t in of_treatment)
    if outcomes > MOST_OUTCOMES:
        return f"There are {outcomes:,} outcomes at the looks; up to {MOST_OUTCOMES:,} are enumerated."
    return None


def exact(scenario: Scenario, designs: Sequence[str] | None = None, truths: Sequence[str] | None = None) -> Results:
    """Return the operating characteristics of designs x truths, each exact: mcse 0, and limits equal to the estimate.

    KeyError for a design or truth that the scenario lacks, ValueError where `why_not` has a reason,
    TooManyStatesError (one of them) where the baskets turn out to have too many states.
    """
    rows = []
    for design in designs or scenario.designs:
        judge = None
        for truth in truths or scenario.truths:
            scenario.designs[design], scenario.truths[truth]
            reason = why_not(scenario, design, truth)
            if reason is not None:
                raise ValueError(f"{design} under {truth} cannot be enumerated. {reason}")
            if isinstance(scenario.designs[design], Basket):
                rows.append(Row(design, truth, exact_baskets(scenario, design, truth, available_threads())))
                continue
            judge = judge or Judge(Setting.of(scenario, design))
            rows.append(Row(design, truth, tuple(_characteristics(scenario, design, truth, judge))))
    return Results(scenario.title, scenario.digest(), None, None, "exact", tuple(rows))


def seen_rates(setting: Setting, truth: Truth) -> tuple[float, float]:
    """Return the probability that a patient of control and of treatment is seen to respond, over all strata."""
    lossless = setting.delay == 0.0
    endpoint, control = setting.scenario.endpoints[setting.design.endpoint], setting.scenario.control

    def still_there(arm: str, stratum: str) -> float:
        if lossless:
            return 1.0
        alive = 1.0
        if truth.death and endpoint.kind == "binary":
            alive = curve_in(truth.death, arm, stratum, control).survival(setting.delay)
        leaves = truth.drop_out
        if leaves is None:
            return alive
        if leaves.per_month is not None:
            return alive * math.exp(-leaves.per_month.value * setting.delay)
        assert leaves.proportion is not None
        assert leaves.by_month is not None
        return float(alive * (1.0 - leaves.proportion.value) ** (setting.delay / leaves.by_month.value))

    def seen(arm: str, row: list[float]) -> float:
        of_strata = zip(setting.strata, setting.shares, row, strict=True)
        return math.fsum(share * rate * still_there(arm, stratum) for stratum, share, rate in of_strata)

    rates = [seen(arm, row) for arm, row in zip(setting.arms, setting.rates(truth), strict=True)]
    return rates[0], rates[-1]


@dataclass
class _Sums:
    """What is added up over all the ways to end; arrays by verdict have 0 for inconclusive."""

    looks: int
    effect: float
    verdicts: Array = field(init=False)  # (verdicts, looks)
    contradicted: Array = field(default_factory=lambda: np.zeros(4))
    not_analysable: float = 0.0
    closed_for: Array = field(default_factory=lambda: np.zeros(2))
    ends: dict[tuple[int, bool], dict[int, float]] = field(default_factory=dict)  # (look, closed): by n of treatment
    estimable: Array = field(default_factory=lambda: np.zeros(4))
    estimates: float = 0.0
    errors: Array = field(default_factory=lambda: np.zeros((4, 2)))  # sums of errors and of their squares
    covered: Array = field(default_factory=lambda: np.zeros((4, 2)))  # intervals that hold the truth, intervals

    def __post_init__(self) -> None:
        self.verdicts = np.zeros((4, self.looks))

    def add(self, end: Ended, judge: Judge) -> None:
        """Add the trials that ended with one pair of arm sizes."""
        limits = judge.limits(end.n_treatment, end.n_control)
        for verdict in range(4):
            mass = np.where(end.verdict == verdict, end.mass, 0.0)
            total = float(mass.sum())
            if total == 0.0:
                continue
            self.verdicts[verdict, end.by_look] += total
            if end.by_look < judge.last and verdict in (EFFICACY, FUTILITY):
                final = judge.at(judge.last, end.n_treatment, end.n_control).verdict == EFFICACY
                self.contradicted[verdict] += mass[final != (verdict == EFFICACY)].sum()
            exists = np.isfinite(limits.middle) & (mass > 0.0)
            known, estimate = mass[exists], limits.middle[exists]
            self.estimable[verdict] += known.sum()
            self.estimates += float(known @ estimate)
            if not math.isfinite(self.effect):
                continue
            error = estimate - self.effect
            self.errors[verdict] += known @ error, known @ error**2
            low, high = limits.low[exists], limits.high[exists]
            bounded = np.isfinite(low) | np.isfinite(high)
            holds = bounded & (low <= self.effect) & (self.effect <= high)
            self.covered[verdict] += known[holds].sum(), known[bounded].sum()
        self.not_analysable += float(end.unanswered.sum())
        if end.closed_for:
            self.closed_for[end.closed_for - CLOSE_FOR_EFFICACY] += float(end.mass.sum())
        sizes = self.ends.setdefault((end.look, end.closed_for > 0), {})
        sizes[end.n_treatment] = sizes.get(end.n_treatment, 0.0) + float(end.mass.sum())


def _one(name: str, value: float, cell: str | None = None) -> Characteristic:
    if is_proportion(name):  # by rounding, probabilities may sum to a little more than 1
        value = min(max(value, 0.0), 1.0)
    return Characteristic(name, cell, float(value), 0.0, float(value), float(value))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


def _characteristics(scenario: Scenario, design: str, truth: str, judge: Judge) -> Iterator[Characteristic]:
    setting, world = judge.setting, scenario.truths[truth]
    turns, rates = Turns(setting.design, setting.arms), seen_rates(setting, world)
    sums = _Sums(len(judge.numbers), true_effect(scenario, design, truth))
    for end in walk(judge, turns, rates):
        sums.add(end, judge)
    facts = _facts(scenario, design, truth, setting)
    ignoring = math.nan
    if facts.non_binding:
        ignoring = sum(end.mass[end.verdict == EFFICACY].sum() for end in walk(judge, turns, rates, ignoring=True))
    yield from _verdicts(sums, facts, ignoring)
    yield from _sizes(sums, judge, turns)
    yield from _estimates(sums, facts)


def _facts(scenario: Scenario, design: str, truth: str, setting: Setting) -> Facts:
    rules = setting.design.rules
    words = ("efficacy", "futility")
    return Facts(
        arms=tuple(setting.arms),
        null=is_null(scenario, design, truth),
        verdicts=tuple(sorted({VERDICT_OF[rule.stop_for] for rule in rules if rule.stop_for is not None})),
        non_binding=any(rule.binding is False for rule in rules),
        closes_accrual=tuple(k for k in range(2) if any(rule.stop_accrual_for == words[k] for rule in rules)),
        may_close=False,
        has_events=False,
        tried_later=tuple(VERDICT_OF[word] for word in setting.design.tried_later if _nothing_more(setting)),
    )


def _nothing_more(setting: Setting) -> bool:
    """Whether an early verdict's data are all there will ever be."""
    at_once = setting.delay == 0.0 and setting.design.months_to_decide == 0.0
    return at_once or setting.design.accrual_at_looks == "pauses"


def _verdicts(sums: _Sums, facts: Facts, ignoring: float) -> Iterator[Characteristic]:
    totals = sums.verdicts.sum(axis=1)
    yield _one("probability_of_success", totals[EFFICACY])
    if facts.null is not None:
        yield _one("type_i_error" if facts.null else "power", totals[EFFICACY])
    if facts.non_binding:
        yield _one("success_ignoring_non_binding_rules", ignoring)
    for verdict in (2, 3):
        if verdict in facts.verdicts:
            yield _one(f"probability_of_{VERDICTS[verdict]}", totals[verdict])
    yield _one("probability_inconclusive", totals[0])
    yield _one("not_analysable", sums.not_analysable)
    for k, word in enumerate(("efficacy", "futility")):
        if k in facts.closes_accrual:
            yield _one(f"accrual_stopped_for_{word}", sums.closed_for[k])
    for look in range(sums.looks):
        yield _one(f"stopped_at_look_{look + 1}", sums.verdicts[:, look].sum())
    for verdict, word in VERDICTS.items():
        if verdict in facts.verdicts:
            for look in range(sums.looks):
                yield _one(f"{word}_at_look_{look + 1}", sums.verdicts[verdict, look])
    for verdict in facts.tried_later:
        yield _one(f"early_{VERDICTS[verdict]}_contradicted", sums.contradicted[verdict])


def _sizes(sums: _Sums, judge: Judge, turns: Turns) -> Iterator[Characteristic]:
    setting, design = judge.setting, judge.design
    arrivals, most = Arrivals(setting.scenario.population.accrual), setting.max_patients
    follow_up = design.looks.final.follow_up_months if design.looks.final is not None else None
    pauses, decide = design.accrual_at_looks == "pauses", design.months_to_decide
    patients, treated, evaluable, months = np.zeros(most + 1), 0.0, 0.0, 0.0
    for (look, closed), by_size in sums.ends.items():
        n, mass, last = judge.numbers[look], math.fsum(by_size.values()), look == judge.last
        evaluable += mass * n
        after = follow_up if follow_up is not None and (closed or last) else setting.delay
        pause = look * (setting.delay + decide) if pauses else 0.0
        months += mass * (arrivals.mean_month(n) + pause + after + decide)
        waits = not (pauses or closed or (last and follow_up is not None))
        more = arrivals.enrolled_meanwhile(n, setting.delay, 0.0 if last else decide, most - n if waits else 0)
        patients[n : n + len(more)] += mass * more
        for n_t, chance in by_size.items():
            treated += chance * float(more @ turns.treated(n, n_t, len(more)))
    expected = float(patients @ np.arange(most + 1.0))
    yield _one("expected_patients", expected)
    reached = np.cumsum(patients)
    for p in (0.1, 0.5, 0.9):
        yield _one(f"patients_quantile_{round(100 * p)}", int(np.argmax(reached >= p - 1e-12)))
    if len(setting.arms) > 1:
        yield _one("expected_patients", expected - treated, setting.arms[0])
    yield _one("expected_patients", treated, setting.arms[-1])
    yield _one("expected_evaluable_patients", evaluable)
    yield _one("expected_months", months)


def _estimates(sums: _Sums, facts: Facts) -> Iterator[Characteristic]:
    known = float(sums.estimable.sum())
    yield _one("not_estimable", max(0.0, 1.0 - known))
    yield _one("mean_estimate", _share(sums.estimates, known))
    if not math.isfinite(sums.effect) or known == 0.0:
        return
    error, square = sums.errors.sum(axis=0)
    covered, intervals = sums.covered.sum(axis=0)
    yield _one("bias", error / known)
    yield _one("root_mean_square_error", math.sqrt(square / known))
    yield _one("coverage", _share(covered, intervals))
    for verdict, word in VERDICTS.items():
        if verdict in facts.verdicts and sums.estimable[verdict] > 0.0:
            yield _one(f"bias_given_{word}", sums.errors[verdict, 0] / sums.estimable[verdict])
            yield _one(f"coverage_given_{word}", _share(*sums.covered[verdict]))

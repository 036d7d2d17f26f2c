"""The questions that a design's rules ask, and the table of its rules: the design-dependent part of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from lmd_trialsim.analyses import binary
from lmd_trialsim.analyses.cox import CoxEstimate, CoxPosterior, CoxPrior, CoxZ
from lmd_trialsim.analyses.gamma_exponential import (
    GammaPrior,
    HazardBelow,
    HazardRatioBelow,
    HazardRatioEstimate,
    LogHazardEstimate,
)
from lmd_trialsim.analyses.kaplan_meier import (
    MilestoneSurvivalEstimate,
    MilestoneSurvivalZ,
    RestrictedMeanEstimate,
    RestrictedMeanZ,
    SurvivalAboveZ,
)
from lmd_trialsim.analyses.log_rank import LogRank, WeightedLogRank
from lmd_trialsim.analyses.piecewise_exponential import (
    PiecewiseSurvivalEstimate,
    SurvivalAbove,
    SurvivalDifferenceAbove,
)
from lmd_trialsim.analyses.predictive_survival import Ending, PredictiveOfTimes
from lmd_trialsim.analyses.questions import Complement, EstimateOf, PValue, ask
from lmd_trialsim.designs.boundaries import SPENDING, binding_boundaries, efficacy_boundary, futility_boundary
from lmd_trialsim.designs.count_asking import CountAsker
from lmd_trialsim.designs.generic import TwoArm
from lmd_trialsim.designs.rules import PARAMETERS, Condition, PowerCutOff, Rule
from lmd_trialsim.kernel import rules as verdicts
from lmd_trialsim.kernel.rules import CONDITION, RULE, Rules

VERDICTS = {
    ("stop_for", "efficacy"): verdicts.EFFICACY,
    ("stop_for", "futility"): verdicts.FUTILITY,
    ("stop_for", "harm"): verdicts.HARM,
    ("stop_accrual_for", "efficacy"): verdicts.CLOSE_FOR_EFFICACY,
    ("stop_accrual_for", "futility"): verdicts.CLOSE_FOR_FUTILITY,
}


TIE = 1e-11
"""A number that is closer to a threshold than this is equal to it: what is off is rounding."""


class Asker:
    """Collects the questions of a design's rules, each asked once, and fills in the table of rules."""

    def __init__(self, setting: Any, truth: Any, only_final: bool = False) -> None:
        self.setting, self.design, self.truth, self.only_final = setting, setting.design, truth, only_final
        self.two = isinstance(self.design, TwoArm)
        self.looks = list(range(self.design.looks.count))
        self._asked: dict[Hashable, int] = {}
        self._questions: list[Any] = []
        self.labels: list[str] = []
        times = setting.scenario.endpoints[self.design.endpoint].kind == "time_to_event"
        self.counts = None if times else CountAsker(setting, truth)

    def questions(self) -> Any:
        """Return what kernels answer: tables where all can be answered beforehand, else a nest of questions."""
        stacked = None if self.counts is None else self.counts.stacked(self._questions, len(self.looks))
        return ask(self._questions) if stacked is None else stacked

    def _index(self, key: Hashable, label: str, build: Callable[[], Any]) -> int:
        if key not in self._asked:
            self._asked[key] = len(self._questions)
            self._questions.append(build())
            self.labels.append(label)
        return self._asked[key]

    def rules(self) -> Rules:
        """Return the table of rules; asks all the questions."""
        table: list[Any] = []
        conditions: list[Any] = []
        thresholds: list[Any] = []
        boundaries = self.boundaries()
        for number, rule in enumerate(self.design.rules):
            speaks = rule.looks(len(self.looks))
            if self.only_final:
                speaks = [look for look in speaks if look == self.looks[-1]]
                if not speaks or any(c.subject == "predictive_probability_of" for c in rule.conditions):
                    continue
            first = len(conditions)
            if rule.spending is not None:
                index = self._statistic(rule)
                conditions.append((index, 1.0 if rule.stop_for == "efficacy" else -1.0))
                thresholds.append(boundaries[number] - TIE)  # at or beyond it for efficacy, below it for futility
            for condition in rule.conditions:
                sign, cuts = self._cuts(condition, rule.looks(len(self.looks)))
                cuts = np.where(np.isin(self.looks, speaks), cuts, math.nan)
                conditions.append((self._question(rule, condition), sign))
                thresholds.append(cuts)
            kind = "stop_for" if rule.stop_for is not None else "stop_accrual_for"
            verdict = VERDICTS[kind, str(getattr(rule, kind))]
            table.append((verdict, rule.from_patients, int(rule.binding is not False), first, len(conditions)))
        threshold = np.array(thresholds).reshape(len(conditions), len(self.looks))
        needed = np.zeros((max(len(self._questions), 1), len(self.looks)), np.int64)
        for (question, _), cuts in zip(conditions, threshold, strict=True):
            needed[question] |= ~np.isnan(cuts)
        if self.only_final:
            threshold, needed = threshold[:, -1:], needed[:, -1:]
        return Rules(np.array(table, RULE), np.array(conditions, CONDITION), threshold, needed)

    def _cuts(self, condition: Condition, speaks: list[int]) -> tuple[float, np.ndarray]:
        """Return the sign and the threshold at each look, moved by TIE so that rounding decides no comparison."""
        cut = condition.cut
        cuts = np.full(len(self.looks), math.nan)
        if isinstance(cut, PowerCutOff):
            cuts[speaks] = cut.scale * self.information()[speaks] ** cut.power
        else:
            cuts[speaks] = cut
        cuts += TIE if condition.comparison in ("exceeds", "at_most") else -TIE
        return (1.0 if condition.comparison in ("exceeds", "at_least") else -1.0), cuts

    def information(self, rule: Rule | None = None) -> np.ndarray:
        """Return the share of the planned information at each look."""
        if rule is not None and rule.information is not None:
            numbers = list(rule.information)
        else:
            numbers = self.design.looks.numbers()
            if len(numbers) < len(self.looks):
                numbers = [*numbers, self.design.max_patients]
        return np.array(numbers, float) / numbers[-1]

    def boundaries(self) -> dict[int, np.ndarray]:
        """Return the z boundary of each rule that spends error."""
        spending = [(i, rule) for i, rule in enumerate(self.design.rules) if rule.spending is not None]
        upper = next(((i, rule) for i, rule in spending if rule.stop_for == "efficacy"), None)
        lower = next(((i, rule) for i, rule in spending if rule.stop_for == "futility"), None)
        if upper is None:
            return {}
        at, rule = upper
        information = self.information(rule)
        if lower is None:
            return {at: efficacy_boundary(rule.spending, rule.alpha, information, **_parameters(rule))}
        if lower[1].binding is False or rule.spending not in SPENDING:
            above = efficacy_boundary(rule.spending, rule.alpha, information, **_parameters(rule))
            both = futility_boundary(lower[1].spending, lower[1].beta, information, above, **_parameters(lower[1]))
        else:
            both = binding_boundaries(
                rule.alpha,
                lower[1].beta,
                information,
                {"shape": rule.spending, **_parameters(rule)},
                {"shape": lower[1].spending, **_parameters(lower[1])},
            )
        below = np.array(both.lower, float)
        below[-1] = math.nan  # At the end, what does not succeed has not: no verdict of futility is needed.
        return {at: both.upper, lower[0]: below}

    # ---- one question each -------------------------------------------------------------------------------------

    def _question(self, rule: Rule, condition: Condition) -> int:
        subject = condition.subject
        if subject == "statistic":
            return self._statistic(rule)
        if subject == "p_value":
            return self._p_value(rule, 1 if condition.p_value == "one_sided" else 2)
        if subject == "estimate_of":
            analysis = rule.analysis or self.design.analysis
            return self._index(("estimate", repr(analysis)), "estimate", lambda: EstimateOf(self.estimator(analysis)))
        if subject == "predictive_probability_of":
            return self._predictive(rule, condition)
        if self.counts is not None:
            if subject == "number_of":
                planned = np.array(self.setting.planned)
                return self._index("responses", "responses", lambda: binary.PlannedCount(planned))
            key, label, build = self.counts.posterior(rule.analysis or self.design.analysis, condition)
            return self._index(key, label, lambda: self.counts.at_looks(build()))  # type: ignore[union-attr]
        return self._posterior_of_times(rule.analysis or self.design.analysis, condition)

    def _statistic(self, rule: Rule) -> int:
        analysis = rule.analysis or self.design.analysis
        if self.counts is not None:
            key, build = self.counts.statistic(analysis)
            return self._index(key, "z", lambda: self.counts.at_looks(build()))  # type: ignore[union-attr]
        return self._index(("z", repr(analysis)), "z", lambda: self._z_of_times(analysis))

    def _p_value(self, rule: Rule, sides: int) -> int:
        analysis = rule.analysis or self.design.analysis
        if self.counts is not None:
            key, build = self.counts.p_value(analysis, sides)
            return self._index(key, "p-value", lambda: self.counts.at_looks(build()))  # type: ignore[union-attr]
        return self._index(("p", sides, repr(analysis)), "p-value", lambda: PValue(self._z_of_times(analysis), sides))

    def _z_of_times(self, analysis: Any) -> Any:
        if analysis.kind == "log_rank":
            if analysis.rho or analysis.gamma:
                return WeightedLogRank(analysis.rho, analysis.gamma, int(analysis.stratified))
            return LogRank(int(analysis.stratified))
        if analysis.kind == "cox":
            return CoxZ(cox_prior(analysis))
        if analysis.kind == "milestone_survival":
            if self.two:
                return MilestoneSurvivalZ(analysis.month, analysis.margin)
            return SurvivalAboveZ(analysis.month, analysis.null_survival)
        return RestrictedMeanZ(analysis.month, analysis.margin)

    def _posterior_of_times(self, analysis: Any, condition: Condition) -> int:
        below = condition.below is not None
        bound = condition.below if condition.below is not None else condition.above
        assert bound is not None
        quantity = condition.probability_that
        arms = self.setting.arms
        arm = arms.index(condition.arm) if condition.arm else len(arms) - 1
        month = condition.month or math.nan  # where the quantity has one
        key = (repr(analysis), quantity, bound, below, condition.month, arm)
        label = f"P({quantity} {'<' if below else '>'} {bound:g})"

        def build() -> Any:
            question: Any
            if quantity == "hazard_ratio" and analysis.kind == "cox":
                question, is_below = CoxPosterior(cox_prior(analysis), math.log(bound)), True
            elif quantity == "hazard_ratio":
                question, is_below = HazardRatioBelow(gamma_prior(analysis, arms), bound), True
            elif quantity == "survival_difference":
                question, is_below = SurvivalDifferenceAbove(*self._piecewise(analysis), month), False
            elif analysis.kind == "piecewise_gamma_exponential":
                question, is_below = SurvivalAbove(arm, *self._piecewise(analysis), month, bound), False
            else:
                # A low hazard is a long median and a high survival.
                hazard = {
                    "hazard_per_month": lambda: bound,
                    "median_months": lambda: math.log(2.0) / bound,
                    "survival": lambda: -math.log(bound) / month,
                }[str(quantity)]()
                question = HazardBelow(gamma_prior(analysis, arms), arm, hazard)
                is_below = quantity == "hazard_per_month"
            return question if is_below == below else Complement(question)

        return self._index(key, label, build)

    def _piecewise(self, analysis: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pieces = len(analysis.cuts) + 1
        priors = [analysis.of_arm(arm) for arm in self.setting.arms]
        events = np.array([[prior.events] * pieces for prior in priors])
        months = np.array([[prior.months] * pieces for prior in priors])
        return np.array(analysis.cuts), events, months

    def _predictive(self, rule: Rule, condition: Condition) -> int:
        at_present = condition.at == "present"
        analysis = rule.analysis or self.design.analysis
        key = ("predictive", at_present, repr(analysis), repr(condition.model), condition.imputations)
        label = f"predictive probability at {'present' if at_present else 'maximum'}"
        final = Asker(self.setting, self.truth, only_final=True)
        if self.counts is not None:
            model = analysis if analysis.kind == "beta_binomial" else self.design.analysis
            return self._index(key, label, lambda: self.counts.predictive(final, model, at_present))  # type: ignore[union-attr]
        candidates = (condition.model, analysis, self.design.analysis)
        times = next(m for m in candidates if m is not None and m.kind == "gamma_exponential")

        def build() -> PredictiveOfTimes:
            rules = final.rules()
            looks, endpoint = self.design.looks, self.setting.scenario.endpoints[self.design.endpoint]
            by_month = looks.numbers()[-1] if looks.unit == "months" and looks.final is None else math.inf
            ending = Ending(
                looks.final.follow_up_months if looks.final else (0.0 if looks.unit == "patients" else -1.0),
                int(looks.numbers()[-1]) if looks.unit == "events" else 0,
                min(by_month, self.design.max_months or math.inf),
                endpoint.followed_for_months or math.inf,
                self.setting.max_patients,
            )
            shares = self.design.allocation.shares(self.setting.arms)
            return PredictiveOfTimes(
                final.questions(), rules, gamma_prior(times, self.setting.arms), ending, np.array(_turns(shares)),
                int(at_present), condition.imputations or 100,
            )  # fmt: skip

        return self._index(key, label, build)

    def estimator(self, analysis: Any = None) -> Any:
        """Return what estimates the effect: the design's analysis, if no other is named."""
        analysis = analysis or self.design.analysis
        if self.counts is not None:
            return self.counts.estimator(analysis)
        arms = self.setting.arms
        if analysis.kind == "log_rank":
            return CoxEstimate(CoxPrior(0.0, 0.0, int(analysis.stratified)))
        if analysis.kind == "cox":
            return CoxEstimate(cox_prior(analysis))
        if analysis.kind == "gamma_exponential":
            return (HazardRatioEstimate if self.two else LogHazardEstimate)(gamma_prior(analysis, arms))
        if analysis.kind == "piecewise_gamma_exponential":
            return PiecewiseSurvivalEstimate(*self._piecewise(analysis), analysis.month, len(arms))
        if analysis.kind == "milestone_survival":
            return MilestoneSurvivalEstimate(analysis.month, len(arms))
        return RestrictedMeanEstimate(analysis.month, len(arms))


def _turns(shares: list[int]) -> list[int]:
    """Return the arms of one round of allocation, spread evenly: each goes to the arm furthest behind its share."""
    given = [0] * len(shares)
    order = []
    for turn in range(1, sum(shares) + 1):
        behind = [share * turn / sum(shares) - got for share, got in zip(shares, given, strict=True)]
        arm = behind.index(max(behind))
        given[arm] += 1
        order.append(arm)
    return order


def _parameters(rule: Rule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in PARAMETERS if getattr(rule, name) is not None}


def cox_prior(analysis: Any) -> CoxPrior:
    """Return the normal prior of the log hazard ratio, of precision 0 where none is given."""
    prior = analysis.prior
    return CoxPrior(prior.mean if prior else 0.0, 1.0 / prior.sd**2 if prior else 0.0, int(analysis.stratified))


def gamma_prior(analysis: Any, arms: list[str]) -> GammaPrior:
    """Return the gamma priors by arm."""
    priors = [analysis.of_arm(arm) for arm in arms]
    return GammaPrior(np.array([p.events for p in priors]), np.array([p.months for p in priors]))

"""What a design's rules say of every outcome at a look."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom

from lmd_trialsim.designs.boundaries import SPENDING, binding_boundaries, efficacy_boundary, futility_boundary
from lmd_trialsim.designs.generic import TwoArm
from lmd_trialsim.designs.rules import Condition, PowerCutOff, Rule
from lmd_trialsim.lowering import Setting
from lmd_trialsim.reference import exact_rates as rates
from lmd_trialsim.reference.exact_rates import Array, Contrast, Limits, Prior

GO_ON, EFFICACY, FUTILITY, HARM, CLOSE_FOR_EFFICACY, CLOSE_FOR_FUTILITY = range(6)
VERDICT_OF = {"efficacy": EFFICACY, "futility": FUTILITY, "harm": HARM}
CLOSING = {"efficacy": CLOSE_FOR_EFFICACY, "futility": CLOSE_FOR_FUTILITY}
TIE = 1e-11
"""Numbers that differ by less are one number: what is off is rounding."""

Codes = NDArray[np.int8]
Answer = Callable[[int, int], Array]


class Judged(NamedTuple):
    """A table of verdicts, and of whether all that the rules ask at the look could be answered."""

    verdict: Codes
    answered: NDArray[np.bool_]


class Asked(NamedTuple):
    """A condition, ready to be asked."""

    key: Hashable
    answer: Answer
    comparison: str
    cuts: Array  # (looks,) NaN where it is silent
    predicts: bool


class Heard(NamedTuple):
    """A rule, ready to be heard."""

    verdict: int
    from_patients: int
    binding: bool
    conditions: list[Asked]


def prior_of(analysis: Any, arm: str) -> Prior:
    """Return the prior of an arm."""
    prior = analysis.priors.get(arm, analysis.prior)
    given = prior if isinstance(prior, list) else [prior]
    return Prior.of((getattr(c, "weight", 1.0), c.alpha, c.beta) for c in given)


class Judge:
    """Hears the rules of one binary design with fixed looks."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.design = setting, setting.design
        self.two = isinstance(self.design, TwoArm)
        endpoint: Any = setting.scenario.endpoints[self.design.endpoint]
        self.higher = endpoint.better == "higher"
        listed = [int(number) for number in self.design.looks.numbers()]
        self.numbers = listed + [setting.max_patients] * (self.design.looks.count - len(listed))
        self.last = len(self.numbers) - 1
        self.rules = self._rules()
        self._judged: dict[tuple[int, int, int, bool], Judged] = {}
        self._answers: dict[Hashable, Array] = {}
        self._pair = (-1, -1)
        self._successes: dict[tuple[int, int], Array] = {}
        self._limits: dict[tuple[str, str, int], Limits] = {}

    def at(self, look: int, n_treatment: int, n_control: int, ignoring: bool = False) -> Judged:
        """Return what the rules of a look say of these numbers of patients; `ignoring` those that are not binding."""
        key = look, n_treatment, n_control, ignoring
        if key not in self._judged:
            heard = [rule for rule in self.rules if rule.binding or not ignoring]
            self._judged[key] = self._hear(heard, look, n_treatment, n_control)
        return self._judged[key]

    def _hear(self, rules: Sequence[Heard], look: int, n_t: int, n_c: int) -> Judged:
        verdict = np.zeros((n_t + 1, n_c + 1), np.int8)
        answered = np.ones((n_t + 1, n_c + 1), bool)
        for rule in reversed(rules):  # The first that speaks is heard: it overwrites the later ones.
            holds = np.full(verdict.shape, n_t + n_c >= rule.from_patients)
            for asked in rule.conditions:
                cut = asked.cuts[look]
                if math.isnan(cut):
                    holds[:] = False
                    continue
                answer = self._answered(asked, look, n_t, n_c)
                answered &= ~np.isnan(answer)
                holds &= _compare(answer, asked.comparison, cut)
            verdict[holds] = rule.verdict
        return Judged(verdict, answered)

    def _answered(self, asked: Asked, look: int, n_t: int, n_c: int) -> Array:
        if self._pair != (n_t, n_c):
            self._answers.clear()
            self._pair = n_t, n_c
        if asked.key == "responses":
            return self._responses(look, n_t, n_c)
        if asked.key not in self._answers:
            answer = asked.answer(n_t, n_c)
            if self._pair != (n_t, n_c):  # A prediction has asked of other numbers meanwhile.
                self._answers.clear()
                self._pair = n_t, n_c
            self._answers[asked.key] = answer
        return self._answers[asked.key]

    def _responses(self, look: int, n_t: int, n_c: int) -> Array:
        planned = n_t + n_c == self.numbers[look]
        return np.repeat(np.arange(n_t + 1.0)[:, None] if planned else np.full((n_t + 1, 1), np.nan), n_c + 1, axis=1)

    # ---- the rules ----------------------------------------------------------------------------------------------

    def _rules(self) -> list[Heard]:
        boundaries = self._boundaries()
        heard = []
        for number, rule in enumerate(self.design.rules):
            verdict = VERDICT_OF[rule.stop_for] if rule.stop_for is not None else CLOSING[str(rule.stop_accrual_for)]
            conditions = [self._asked(rule, condition) for condition in rule.conditions]
            if rule.spending is not None:
                key, answer = self._statistic(rule)
                comparison = "at_least" if rule.stop_for == "efficacy" else "is_below"
                conditions.append(Asked(key, answer, comparison, boundaries[number], False))
            heard.append(Heard(verdict, rule.from_patients, rule.binding is not False, conditions))
        return heard

    def _information(self, given: Sequence[float] | None = None) -> Array:
        numbers = self.design.looks.numbers()
        planned = [*numbers, self.design.max_patients] if len(numbers) < len(self.numbers) else numbers
        units = np.array(given or planned, float)
        return np.asarray(units / units[-1])

    def _boundaries(self) -> dict[int, Array]:
        spending = {rule.stop_for: i for i, rule in enumerate(self.design.rules) if rule.spending is not None}
        if not spending:
            return {}

        def parameters(rule: Rule) -> dict[str, Any]:
            given = {name: getattr(rule, name) for name in ("gamma", "delta", "rho", "interim", "cumulative")}
            return {name: value for name, value in given.items() if value is not None}

        efficacy = self.design.rules[spending["efficacy"]]
        shape, alpha = str(efficacy.spending), float(efficacy.alpha or math.nan)
        information = self._information(efficacy.information)
        if "futility" not in spending:
            return {spending["efficacy"]: efficacy_boundary(shape, alpha, information, **parameters(efficacy))}
        futility = self.design.rules[spending["futility"]]
        lower_shape, beta = str(futility.spending), float(futility.beta or math.nan)
        if futility.binding is False or shape not in SPENDING:
            upper = efficacy_boundary(shape, alpha, information, **parameters(efficacy))
            both = futility_boundary(lower_shape, beta, information, upper, **parameters(futility))
        else:
            spend = {"shape": shape, **parameters(efficacy)}, {"shape": lower_shape, **parameters(futility)}
            both = binding_boundaries(alpha, beta, information, *spend)
        interim = np.append(both.lower[:-1], math.nan)  # At the last look who does not succeed is not futile as well.
        return {spending["efficacy"]: both.upper, spending["futility"]: interim}

    def _asked(self, rule: Rule, condition: Condition) -> Asked:
        cuts = np.full(len(self.numbers), math.nan)
        looks, cut = rule.looks(len(self.numbers)), condition.cut
        if isinstance(cut, PowerCutOff):
            cuts[looks] = cut.scale * self._information()[looks] ** cut.power
        else:
            cuts[looks] = cut
        key, answer = self._question(rule, condition)
        predicts = condition.predictive_probability_of is not None
        return Asked(key, answer, condition.comparison, cuts, predicts)

    # ---- what they ask ------------------------------------------------------------------------------------------

    def _question(self, rule: Rule, condition: Condition) -> tuple[Hashable, Answer]:
        analysis = rule.analysis or self.design.analysis
        if condition.number_of is not None:
            return "responses", lambda n_t, n_c: self._responses(0, n_t, n_c)
        if condition.statistic is not None:
            return self._statistic(rule)
        if condition.p_value is not None:
            return ("p", condition.p_value, repr(analysis)), self._p_value(rule, condition.p_value == "two_sided")
        if condition.estimate_of is not None:
            return ("estimate", repr(analysis)), lambda n_t, n_c: self.limits(n_t, n_c, analysis).middle
        if condition.predictive_probability_of is not None:
            return self._predictive(rule, condition)
        return self._posterior(analysis, condition)

    def _posterior(self, analysis: Any, condition: Condition) -> tuple[Hashable, Answer]:
        control, treatment = self.setting.arms[0], self.setting.arms[-1]
        below, quantity = condition.below is not None, str(condition.probability_that)
        bound = float(condition.below if condition.below is not None else condition.above or 0.0)
        arm = condition.arm or treatment
        key = ("posterior", repr(analysis), quantity, bound, below, arm)

        def of_literal(above: Array) -> Array:
            return 1.0 - above if below else above

        if quantity == "rate":
            prior = prior_of(analysis, arm)

            def of_rate(n_t: int, n_c: int) -> Array:
                if self.two and arm == control:
                    return of_literal(np.repeat(prior.after(n_c).above(bound)[None, :], n_t + 1, axis=0))
                return of_literal(np.repeat(prior.after(n_t).above(bound)[:, None], n_c + 1, axis=1))

            return key, of_rate
        priors = prior_of(analysis, treatment), prior_of(analysis, control)
        contrast = Contrast(*priors, quantity, bound, self.setting.max_patients)
        return key, lambda n_t, n_c: of_literal(contrast.above(n_t, n_c))

    def _statistic(self, rule: Rule) -> tuple[Hashable, Answer]:
        analysis: Any = rule.analysis or self.design.analysis
        margin, pooled = analysis.margin, analysis.pooled
        return ("z", margin, pooled), lambda n_t, n_c: rates.z_of_difference(n_t, n_c, margin, pooled, self.higher)

    def _p_value(self, rule: Rule, two_sided: bool) -> Answer:
        analysis: Any = rule.analysis or self.design.analysis
        if analysis.kind == "exact_binomial":

            def of_binomial(n_t: int, n_c: int) -> Array:
                x = np.arange(n_t + 1)
                null = binom(n_t, analysis.null_rate)
                return np.repeat((null.sf(x - 1) if self.higher else null.cdf(x))[:, None], n_c + 1, axis=1)

            return of_binomial
        if analysis.kind == "fisher_exact":
            return lambda n_t, n_c: rates.fisher_p(n_t, n_c, self.higher)
        _, z = self._statistic(rule)
        if two_sided:
            return lambda n_t, n_c: np.asarray(2.0 * ndtr(-np.abs(z(n_t, n_c))))
        return lambda n_t, n_c: np.asarray(ndtr(-z(n_t, n_c)))

    def _predictive(self, rule: Rule, condition: Condition) -> tuple[Hashable, Answer]:
        """Return the probability that the final look will conclude efficacy, from there or from here.

        The trial goes on to its planned total; an arm that is beyond its share of it gets no more, the other one less.
        """
        analysis: Any = rule.analysis or self.design.analysis
        model = analysis if analysis.kind == "beta_binomial" else self.design.analysis
        control, treatment = prior_of(model, self.setting.arms[0]), prior_of(model, self.setting.arms[-1])
        total = self.numbers[-1]

        def at_present(n_t: int, n_c: int) -> Array:
            return self._success(n_t, n_c)

        def at_maximum(n_t: int, n_c: int) -> Array:
            final_t = total
            if isinstance(self.design, TwoArm):
                share_c, share_t = shares_of(self.design, self.setting.arms)
                planned = round(total * share_t / (share_c + share_t))
                final_t = min(max(planned, n_t), max(total - n_c, n_t))
            final_c = max(total - final_t, n_c)
            final_t = max(final_t, n_t)
            success = self._success(final_t, final_c)
            return np.asarray(treatment.futures(n_t, final_t) @ success @ control.futures(n_c, final_c).T)

        key = ("predictive", condition.at, repr(model))
        return key, at_present if condition.at == "present" else at_maximum

    def _success(self, n_t: int, n_c: int) -> Array:
        """Return 1 where the final look would conclude efficacy, by the rules that predict nothing themselves."""
        if (n_t, n_c) not in self._successes:
            plain = [rule for rule in self.rules if not any(asked.predicts for asked in rule.conditions)]
            verdict = self._hear(plain, self.last, n_t, n_c).verdict
            self._successes[n_t, n_c] = (verdict == EFFICACY).astype(float)
        return self._successes[n_t, n_c]

    # ---- the estimate -------------------------------------------------------------------------------------------

    def limits(self, n_t: int, n_c: int, analysis: Any = None) -> Limits:
        """Return tables of the estimate and its 95 % limits, NaN where there is none."""
        chosen: Any = analysis or self.design.analysis

        def of_arm(arm: str, n: int) -> Limits:
            key = repr(chosen), arm, n
            if key not in self._limits:
                if chosen.kind == "beta_binomial":
                    self._limits[key] = rates.credible(prior_of(chosen, arm), n)
                else:
                    self._limits[key] = rates.wilson(n) if self.two else rates.clopper_pearson(n)
            return self._limits[key]

        if not self.two:
            return Limits(*(column[:, None] for column in of_arm(self.setting.arms[0], n_t)))
        if 0 in (n_t, n_c) and chosen.kind != "beta_binomial":  # whose prior would tell an empty arm's rate
            return Limits(*np.full((3, n_t + 1, n_c + 1), np.nan))
        control, treatment = self.setting.arms
        scale = getattr(chosen, "effect", "difference")
        return rates.contrast_limits(of_arm(treatment, n_t), of_arm(control, n_c), scale)


def _compare(answer: Array, comparison: str, cut: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        tied = np.abs(answer - cut) <= TIE
        beyond = answer > cut if comparison in ("exceeds", "at_least") else answer < cut
    return beyond | tied if comparison in ("at_least", "at_most") else beyond & ~tied


def shares_of(design: TwoArm, arms: Sequence[str]) -> list[int]:
    """Return the arms' shares in whole numbers, control first."""
    if design.allocation.order is not None:
        return [design.allocation.order.count(arm) for arm in arms]
    return [(design.allocation.ratio or {}).get(arm, 1) for arm in arms]

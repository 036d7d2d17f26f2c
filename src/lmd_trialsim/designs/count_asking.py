"""Questions of binary designs: tables over the numbers of patients that can occur, built once a plan."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from lmd_trialsim.analyses import binary, binary_tables
from lmd_trialsim.analyses.binary import CountQuestion, NoAnswer, PairTable, answer_counts
from lmd_trialsim.analyses.predictive_binary import (
    CountQuestions,
    NoCounts,
    PredictiveAtPresent,
    PredictiveOfCounts,
    concludes_efficacy,
)
from lmd_trialsim.analyses.questions import Complement, EstimateOf, PValue, TabulatedQuestions
from lmd_trialsim.designs.generic import TwoArm
from lmd_trialsim.designs.rules import Condition
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.rules import EFFICACY

LARGEST_TABLE = 6_000_000
"""Entries of a table over pairs of counts; beyond it the answers are computed as they are needed."""

Built = tuple[Hashable, Callable[[], Any]]


@door
def _fill_pairs(question, desk, offset, values):  # type: ignore[no-untyped-def]
    for n_t in range(offset.shape[0]):
        for n_c in range(offset.shape[1]):
            if offset[n_t, n_c] >= 0:
                for x_t in range(n_t + 1):
                    for x_c in range(n_c + 1):
                        place = offset[n_t, n_c] + x_t * (n_c + 1) + x_c
                        values[place] = answer_counts(question, desk, n_t, x_t, n_c, x_c)


@door
def _fill_success(question, desk, n_t, n_c, success):  # type: ignore[no-untyped-def]
    for x_t in range(n_t + 1):
        for x_c in range(n_c + 1):
            success[x_t, x_c] = 1.0 if concludes_efficacy(question, desk, n_t, x_t, n_c, x_c) else 0.0


class CountAsker:
    """Builds the questions of one binary design."""

    def __init__(self, setting: Any, truth: Any) -> None:
        self.setting, self.design, self.truth = setting, setting.design, truth
        self.two = isinstance(self.design, TwoArm)
        self.direction = 1.0 if setting.scenario.endpoints[self.design.endpoint].better == "higher" else -1.0
        self.largest = setting.max_patients
        self.pairs = self._pairs()
        self.closed = self._closed()

    def _fixed(self) -> bool:
        """Whether each look comes at a known number of evaluable patients."""
        looks, scenario = self.design.looks, self.setting.scenario
        return bool(
            looks.unit in ("patients", "evaluable")
            and looks.final is None
            and (looks.unit == "evaluable" or self.setting.delay == 0.0)
            and self.setting.lossless(self.truth)
            and self.largest == self.design.max_patients
            and self.design.max_months is None
            and not scenario.population.accrual.dries_up
        )

    def _closed(self) -> bool:
        """Whether nothing but the looks' own numbers can ever be analysed, complete follow-up included."""
        at_once = self.setting.delay == 0.0 and self.design.months_to_decide == 0.0
        return self._fixed() and (at_once or self.design.accrual_at_looks == "pauses")

    def _pairs(self) -> set[tuple[int, int]]:
        """Return the pairs (treatment n, control n) that looks come at, where they are known and not too many."""
        if not self.two:
            return {(n, 0) for n in range(self.largest + 1)}
        if not self._fixed():
            return set()
        arms, strata = self.setting.arms, len(self.setting.strata)
        pairs = set()
        entries = 0
        for n in self.design.looks.numbers():
            for n_t in self.design.allocation.range_of_treatment(arms, int(n), strata):
                pairs.add((n_t, int(n) - n_t))
                entries += (n_t + 1) * (int(n) - n_t + 1)
                if entries > LARGEST_TABLE:
                    return set()
        return pairs

    def numbers(self) -> tuple[list[int], list[int]]:
        """Return the numbers of treatment and control patients that rows are needed for."""
        if not self.two:
            return list(range(self.largest + 1)), [0]
        if self.closed and self.pairs:
            return sorted({n for n, _ in self.pairs}), sorted({n for _, n in self.pairs})
        every = list(range(self.largest + 1))
        return every, every

    def _largest_pair(self) -> tuple[int, int]:
        return (self.largest, self.largest if self.two else 0)

    def at_looks(self, question: Any) -> Any:
        """Return the question as looks ask it: tabulated for the numbers that they come at."""
        if isinstance(question, binary.RateTable) or not self.pairs:
            return CountQuestion(question)
        return CountQuestion(self._tabulated(question))

    def _tabulated(self, question: Any) -> PairTable:
        offset, total = self._offsets()
        values = np.zeros(total)
        _fill_pairs(canonical(question), self._scratch(), offset, values)
        return PairTable(offset, values, NoAnswer(0) if self.closed or not self.two else question)

    def stacked(self, questions: list[Any], looks: int) -> TabulatedQuestions | None:
        """Return all questions as one table; None where one of them needs more than the counts at planned looks."""
        if self.two and not (self.closed and self.pairs):
            return None
        offset, total = self._offsets()
        values = np.full((max(len(questions), 1), total), np.nan)
        only_at = np.full((max(len(questions), 1), looks), -1, np.int64)
        for number, question in enumerate(questions):
            if isinstance(question, binary.PlannedCount):
                only_at[number] = question.planned
                values[number] = self._spread(
                    offset, total, np.tile(np.arange(self.largest + 1.0), (self.largest + 1, 1)), False
                )
            elif not isinstance(question, CountQuestion):
                return None
            elif isinstance(question.question, binary.RateTable):
                table = question.question
                values[number] = self._spread(offset, total, table.values, bool(table.of_control))
            elif isinstance(question.question, PairTable):
                values[number] = question.question.values
            else:
                return None
        return TabulatedQuestions(offset, values, only_at)

    def _spread(self, offset: Any, total: int, table: Any, of_control: bool) -> Any:
        """Return one arm's table (n, x) at the places of all pairs."""
        values = np.full(total, np.nan)
        for n_t, n_c in sorted(self.pairs):
            x_t, x_c = np.meshgrid(np.arange(n_t + 1), np.arange(n_c + 1), indexing="ij")
            start = offset[n_t, n_c]
            own = table[n_c, x_c] if of_control else table[n_t, x_t]
            values[start : start + own.size] = own.ravel()
        return values

    def _offsets(self) -> tuple[Any, int]:
        """Return where the table of each pair of numbers begins, -1 for other pairs, and the entries in all."""
        most_t, most_c = self._largest_pair()
        offset = np.full((most_t + 1, most_c + 1), -1, np.int64)
        total = 0
        for n_t, n_c in sorted(self.pairs):
            offset[n_t, n_c] = total
            total += (n_t + 1) * (n_c + 1)
        return offset, total

    def _scratch(self) -> Any:
        return new_desk(self.largest, 2, 1, 50)

    # ---- the questions ------------------------------------------------------------------------------------------

    def posterior(self, analysis: Any, condition: Condition) -> tuple[Hashable, str, Callable[[], Any]]:
        """Return key, label and builder of P(rate or contrast above or below the bound)."""
        below = condition.below is not None
        bound = condition.below if condition.below is not None else condition.above
        assert bound is not None
        quantity, arms = str(condition.probability_that), self.setting.arms
        arm = condition.arm or arms[-1]
        label = f"P({quantity} {'<' if below else '>'} {bound:g})"

        def build() -> Any:
            if quantity == "rate":
                question: Any = binary_tables.rate_above(
                    analysis.of_arm(arm), bound, self.largest, of_control=self.two and arm == arms[0]
                )
                return question._replace(values=1.0 - question.values) if below else question
            treatment, control = analysis.of_arm(arms[1]), analysis.of_arm(arms[0])
            question = binary_tables.posterior_contrast(
                treatment, control, self.numbers(), binary_tables.SCALES[quantity], bound
            )
            return Complement(question) if below else question

        return (repr(analysis), quantity, bound, below, arm), label, build

    def statistic(self, analysis: Any) -> Built:
        """Return key and builder of the z statistic."""
        return ("z", repr(analysis)), lambda: binary.ZProportions(analysis.margin, int(analysis.pooled), self.direction)

    def p_value(self, analysis: Any, sides: int) -> Built:
        """Return key and builder of the p-value."""

        def build() -> Any:
            if analysis.kind == "exact_binomial":
                return binary_tables.binomial_tail(analysis.null_rate, self.largest, self.direction > 0.0)
            if analysis.kind == "fisher_exact":
                return binary_tables.fisher(self.largest, self.direction)
            return PValue(self.statistic(analysis)[1](), sides)

        return ("p", sides, repr(analysis)), build

    def of_final(self, final: Any) -> tuple[Any, Any]:
        """Return the nest of count questions that the rules of the final look ask, and those rules."""
        rules = final.rules()
        nest: Any = NoCounts(0)
        for question in reversed(final._questions):
            if isinstance(question, binary.PlannedCount):
                plain: Any = binary.TotalResponses(int(question.planned[-1]))
            else:
                plain = question.question
                plain = plain.otherwise if isinstance(plain, PairTable) else plain
            nest = CountQuestions(plain, nest)
        return nest, rules

    def predictive(self, final: Any, model: Any, at_present: bool) -> Any:
        """Return the question of the predictive probability."""
        final.counts.pairs = set()  # Its questions are asked of imagined numbers too: none is tabulated.
        final.counts.closed = False
        if not self.two and not at_present:
            return CountQuestion(self._predictive_of_one_arm(final, model))
        nest, rules = self.of_final(final)
        numbers = self.design.looks.numbers()
        total = int(numbers[-1]) if numbers and self.design.looks.final is None else self.largest
        total = min(total, self.largest)  # no more patients may exist than the last look was planned for
        arms = self.setting.arms
        shares = self.design.allocation.shares(arms) if self.two else [1]
        planned_t = round(total * shares[-1] / sum(shares)) if self.two else total
        question = PredictiveOfCounts(
            nest,
            rules,
            0,
            planned_t,
            total - planned_t,
            binary_tables.kernel_prior(model.of_arm(arms[-1])),
            binary_tables.kernel_prior(model.of_arm(arms[0])),
            np.zeros((planned_t + 1, total - planned_t + 1)),
        )
        success = np.zeros_like(question.success)
        _fill_success(canonical(question), self._scratch(), planned_t, total - planned_t, success)
        question = question._replace(success=success)
        return PredictiveAtPresent(question) if at_present else self.at_looks(question)

    def _predictive_of_one_arm(self, final: Any, model: Any) -> binary.RateTable:
        """Return P(the final look concludes efficacy | x of n) for all (n, x), in NumPy (Lee and Liu 2008)."""
        numbers = self.design.looks.numbers()
        total = min(int(numbers[-1]) if numbers and self.design.looks.final is None else self.largest, self.largest)
        success = self._concludes_efficacy(final, total)
        prior = model.of_arm(self.setting.arms[-1])
        values = np.full((self.largest + 1, self.largest + 1), np.nan)
        for n in range(total + 1):
            x = np.arange(n + 1)
            chances = prior.given(np.full(n + 1, float(n)), x.astype(float)).predictive(total - n)
            futures = success[x[:, None] + np.arange(total - n + 1)]
            values[n, : n + 1] = np.minimum((chances * futures).sum(axis=1), 1.0)
        return binary.RateTable(values, 0)

    def _concludes_efficacy(self, final: Any, total: int) -> Any:
        """Return 1 for each x of `total` responses from which the rules of the final look conclude efficacy, else 0."""
        rules = final.rules()
        answers = [self._answers_at(question, total) for question in final._questions]
        verdict = np.zeros(total + 1, np.int64)
        for rule in rules.rules[::-1]:
            if total < rule["from_patients"]:
                continue
            holds = np.ones(total + 1, bool)
            for condition in range(rule["first"], rule["end"]):
                row = rules.conditions[condition]
                holds &= row["sign"] * (answers[row["question"]] - rules.threshold[condition, 0]) > 0.0
            verdict[holds] = rule["verdict"]
        return (verdict == EFFICACY).astype(float)

    def _answers_at(self, question: Any, total: int) -> Any:
        """Return the answers at (total, x) for all x."""
        if isinstance(question, binary.PlannedCount):
            x = np.arange(total + 1.0)
            return x if question.planned[-1] == total else np.full(total + 1, np.nan)
        if isinstance(question, EstimateOf):
            rows = question.estimator.rows.start[total] + np.arange(total + 1)
            return question.estimator.middle[rows]
        return question.question.values[total, : total + 1]

    def estimator(self, analysis: Any) -> Any:
        """Return the estimator of the rate, or of the contrast."""
        numbers = self.numbers()
        arms = self.setting.arms

        def of_arm(i: int) -> Any:
            if analysis.kind == "beta_binomial":
                return binary_tables.bayesian_estimate(analysis.of_arm(arms[i]), numbers[1 - i if self.two else 0])
            if self.two:
                return binary_tables.wilson_estimate(numbers[1 - i])
            return binary_tables.exact_estimate(numbers[0])

        if not self.two:
            return of_arm(0)
        scale = binary_tables.SCALES[getattr(analysis, "effect", "difference")]
        return binary.ContrastEstimate(of_arm(1), of_arm(0), scale)

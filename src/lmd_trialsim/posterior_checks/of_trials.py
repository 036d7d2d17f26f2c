"""Designs of one or two arms on trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lmd_trialsim.designs.analyses import BetaBinomial, Cox
from lmd_trialsim.designs.rules import Condition, Rule
from lmd_trialsim.lowering import Setting
from lmd_trialsim.posterior_checks.cases import (
    MEAN,
    PROBABILITY,
    QUANTILE,
    Array,
    Asked,
    Case,
    Collector,
    Data,
    Decision,
    NoTwin,
    Subject,
    probability_label,
)
from lmd_trialsim.posterior_checks.fast_trials import FastTrial, Known, People
from lmd_trialsim.replay import Look, Replay, replay
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion.cox import partial_likelihood_data
from lmd_trialsim.second_opinion.sampling import Twin
from lmd_trialsim.second_opinion.trials import twin_of_trial

LIMITS = ((MEAN, 0.0, "mean"), (QUANTILE, 0.025, "2.5%"), (QUANTILE, 0.975, "97.5%"))


class _Trial:
    """A design, its analyses that have a posterior, and their models."""

    def __init__(self, scenario: Scenario, design: str) -> None:
        self.scenario, self.design = scenario, design
        self.setting = Setting.of(scenario, design)
        self.general = self.setting.design
        self.times = scenario.endpoints[self.general.endpoint].kind == "time_to_event"
        self.analyses: list[Any] = []
        self.twins: list[Twin] = []
        for analysis in self._with_posterior():
            twin = twin_of_trial(analysis, self.setting.arms, self.setting.max_patients)
            if twin is not None and analysis not in self.analyses:
                self.analyses.append(analysis)
                self.twins.append(twin)

    def _with_posterior(self) -> Iterator[Any]:
        """Yield the analyses that some rule asks a posterior probability of, and the design's own."""
        yield self.general.analysis
        for rule in self.general.rules:
            if any(condition.probability_that for condition in rule.conditions):
                yield rule.analysis or self.general.analysis

    def conditions(self) -> list[tuple[Rule, Condition]]:
        """Return the probabilities that have a model, each once, with the rule of one condition that asks for it."""
        found: dict[str, tuple[Rule, Condition]] = {}
        for rule in self.general.rules:
            for condition in rule.conditions:
                analysis = rule.analysis or self.general.analysis
                if condition.probability_that and analysis in self.analyses:
                    bare = _bare(condition)
                    alone = Rule.model_validate(
                        {"stop_for": "futility", "when": bare, "analysis": analysis.model_dump()}
                    )
                    found.setdefault(repr((bare, analysis)), (alone, condition))
        return list(found.values())

    def asked(self, rule: Rule, condition: Condition, fast: float) -> Asked:
        """Return the probability that a condition looks at, and the answer."""
        quantity, below = str(condition.probability_that), condition.below is not None
        bound = condition.below if condition.below is not None else condition.above
        assert bound is not None
        arm = self.setting.arms.index(condition.arm) if condition.arm else len(self.setting.arms) - 1
        words = quantity + (f" at month {condition.month:g}" if condition.month else "")
        words += f" of {condition.arm}" if condition.arm else ""
        twin = self.analyses.index(rule.analysis or self.general.analysis)
        label = probability_label(words, f"{bound:g}", below=below) + self._by(twin)
        return Asked(label, PROBABILITY, quantity, arm, fast, bound, below, condition.month or 0.0, twin)

    def _by(self, twin: int) -> str:
        return f", {self.analyses[twin].kind.replace('_', ' ')}" if len(self.analyses) > 1 else ""

    def estimates(self, found: Array) -> Iterator[Asked]:
        """Yield the estimate and its limits, (3,), where the design's own analysis has a model."""
        analysis = self.general.analysis
        if analysis not in self.analyses:
            return
        two, why = len(self.setting.arms) > 1, ""
        if isinstance(analysis, BetaBinomial):
            if two and analysis.effect != "difference":
                return  # the contrast of the posterior means of two rates is not the mean of a contrast
            quantity = "difference" if two else "rate"
            why = "limits by recovery of variance estimates" if two else ""
        elif isinstance(analysis, Cox):
            quantity, why = "log_hazard_ratio", "mode and normal limits"
        else:
            quantity = "log_hazard_ratio" if two else "log_hazard"
        twin = self.analyses.index(analysis)
        for (kind, share, words), value in zip(LIMITS, found.tolist(), strict=True):
            approximate = "" if kind == MEAN and not isinstance(analysis, Cox) else why
            label = f"{quantity.replace('_', ' ')}, {words}"
            yield Asked(label, kind, quantity, 0, value, share, False, 0.0, twin, approximate)

    def data(self, known: Known) -> tuple[Data, ...]:
        """Return what each model is given."""
        return tuple(self._data(analysis, known) for analysis in self.analyses)

    def _data(self, analysis: Any, known: Known) -> Data:
        if isinstance(analysis, BetaBinomial):
            return {"patients": known.patients, "responses": known.responses}
        if isinstance(analysis, Cox):
            people = known.people
            stratum = people.stratum if analysis.stratified else np.zeros_like(people.stratum)
            return partial_likelihood_data(people.arm, stratum, people.follow, people.status, self.setting.max_patients)
        return {"events": known.events.astype(float), "months": known.months}

    def known(self, trial: Replay, look: Look) -> Known:
        """Return what is known at a look."""
        if not self.times:
            return Known.of_counts([one.patients for one in look.by_arm], [one.hits for one in look.by_arm])
        people = [person for person in trial.patients if person.number <= look.enrolled]
        followed = [min(p.event, p.censor, look.month - p.month) for p in people]
        seen = [p.event <= p.censor and p.month + p.event <= look.month + 1e-9 for p in people]
        return Known.of_people(
            People(
                np.array([self.setting.arms.index(p.arm) for p in people], np.int64),
                np.array([self.setting.strata.index(p.stratum) for p in people], np.int64),
                np.array(followed, float),
                np.array(seen, np.int64),
            ),
            len(self.setting.arms),
        )


def _bare(condition: Condition) -> dict[str, Any]:
    """Return a condition on the same probability, with a cut-off that does not matter."""
    names = ("probability_that", "above", "below", "month", "arm")
    said = {name: getattr(condition, name) for name in names if getattr(condition, name) is not None}
    return said | {"exceeds": 0.5}


def subject_of_trial(
    scenario: Scenario, design: str, truths: Sequence[str], number: int, seed: int
) -> tuple[Subject | None, list[NoTwin]]:
    """Return the design with `number` data sets at looks and the hard ones; and which analyses have no model.

    The looks are those of replicates 0, 1, ... under each truth in turn, the first, the second, ... in turn.
    """
    trial = _Trial(scenario, design)
    missing = list(_missing(trial))
    if not trial.twins:
        return None, missing
    asked = trial.conditions()
    fast = FastTrial(scenario, design, truths[0], [rule for rule, _ in asked] or trial.general.rules[:1])
    cases, seen = [], []
    for i in range(number):
        truth = truths[i % len(truths)]
        one = replay(scenario, design, truth, seed, i)
        look = one.looks[(i // len(truths)) % len(one.looks)]
        known = trial.known(one, look)
        seen.append(known)
        label = f"{truth}, replicate {i}, look {look.number}"
        cases.append(_at_look(trial, label, look, known, fast.estimates([known])[0]))
    return Subject(design, tuple(trial.twins), (*cases, *_hard(trial, fast, asked, seen))), missing


def _missing(trial: _Trial) -> Iterator[NoTwin]:
    told = set()
    for rule in trial.general.rules:
        analysis = rule.analysis or trial.general.analysis
        asks = any(condition.probability_that for condition in rule.conditions)
        if asks and analysis not in trial.analyses and analysis.kind not in told:
            told.add(analysis.kind)
            yield NoTwin(trial.design, f"no PyMC model of {analysis.kind}")
    if not told and not trial.twins:
        yield NoTwin(trial.design, f"{trial.general.analysis.kind} has no posterior")


def _at_look(trial: _Trial, label: str, look: Look, known: Known, estimates: Array) -> Case:
    """Return a look of a simulated trial, with the answers that its rules saw."""
    numbers = Collector()
    rules = []
    for judged in look.rules:
        analysis = judged.rule.analysis or trial.general.analysis
        held = []
        for answer, condition in zip(judged.answers, judged.rule.conditions, strict=False):
            place = None
            if condition.probability_that and analysis in trial.analyses:
                place = numbers.add(trial.asked(judged.rule, condition, answer.value))
            held.append((answer, place))
        if not judged.rule.conditions:  # a boundary
            held = [(answer, None) for answer in judged.answers]
        rules.append(() if judged.silent or judged.waits else tuple(held))
    for one in trial.estimates(estimates):
        numbers.add(one)
    return Case(label, trial.data(known), numbers.all(), (Decision(tuple(rules)),))


def _hard(
    trial: _Trial, fast: FastTrial, asked: Sequence[tuple[Rule, Condition]], seen: Sequence[Known]
) -> Iterator[Case]:
    """Yield data sets that simulation seldom meets; without the numbers that the design can't tell of them."""
    usual = max(seen, key=lambda known: int(known.patients.sum()))
    least = min(seen, key=lambda known: int(known.patients.sum()))
    named = dict(_of_times(usual) if trial.times else _of_counts(usual, least))
    answers, estimates = fast.answers(list(named.values())), fast.estimates(list(named.values()))
    for (label, known), row, found in zip(named.items(), answers, estimates, strict=True):
        numbers = Collector()
        for (rule, condition), value in zip(asked, row.tolist(), strict=False):
            numbers.add(trial.asked(rule, condition, value))
        for one in trial.estimates(found):
            numbers.add(one)
        if numbers.all():
            yield Case(label, trial.data(known), numbers.all(), hard=True)


def _of_counts(usual: Known, least: Known) -> Iterator[tuple[str, Known]]:
    arms = len(usual.patients)
    for words, n in (("as few patients as seen", least.patients), ("as many", usual.patients)):
        yield f"no responses, {words}", Known.of_counts(n, np.zeros_like(n))
        yield f"all respond, {words}", Known.of_counts(n, n)
        if arms == 2:
            yield f"the treated respond, no controls, {words}", Known.of_counts(n, n * np.array([0, 1]))
            yield f"the controls respond, no treated, {words}", Known.of_counts(n, n * np.array([1, 0]))
    one = np.zeros(arms, np.int64)
    one[-1] = 1
    yield "one patient, who responds", Known.of_counts(one, one)
    yield "nobody", Known.of_counts(0 * one, 0 * one)


def _of_times(usual: Known) -> Iterator[tuple[str, Known]]:
    people, arms = usual.people, len(usual.patients)

    def changed(status: Any, keep: Any = slice(None)) -> Known:
        there = people._replace(status=np.broadcast_to(status, people.status.shape).astype(np.int64))
        return Known.of_people(People(*(column[keep] for column in there)), arms)

    yield "no events", changed(0)
    yield "everybody has the event", changed(1)
    if arms == 2:
        yield "events of the treated only", changed(people.arm == 1)
        yield "events of controls only", changed(people.arm == 0)
        yield "no control patients", changed(people.status, people.arm == 1)
    yield "one patient, who has the event", changed(1, slice(len(people.arm) - 1, None))

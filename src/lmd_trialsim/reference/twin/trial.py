"""The trial loop: look, ask the rules, decide; from the documentation alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from lmd_trialsim.reference.twin import numbers
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.looks import Due, Enrolment
from lmd_trialsim.reference.twin.people import context_of, people
from lmd_trialsim.reference.twin.rules import Judge, Sight
from lmd_trialsim.scenario import Scenario

Verdict = Literal["inconclusive", "efficacy", "futility", "harm"]

MORE_MONTHS = 60.0
"""Follow-up after an early verdict, until it is looked at once more: five years."""


@dataclass(frozen=True)
class Played:
    """How one trial went."""

    verdict: Verdict
    look: int
    """From 0; a trial whose patients ran out ends at the final look."""
    rule: int | None
    """Number of the rule that spoke, from 0."""
    patients: int
    by_arm: tuple[int, ...]
    """Patients of each arm, control first."""
    evaluable: int
    events: int
    months: float
    closed: bool
    """Whether the trial closed at max_months as it stood."""
    accrual_closed: Literal["efficacy", "futility"] | None
    """What a stop_accrual_for rule said that ended the accrual."""
    contradicted: bool
    """Whether complete follow-up contradicts an early verdict."""
    success_ignoring: bool
    """Whether efficacy is concluded if non-binding rules are overruled."""
    analysable: bool
    estimate: float
    low: float
    high: float
    closest: float
    """How close a rule has come to another verdict: below a rounding error, two programs may disagree."""


class Twin:
    """One design under one truth, prepared for any number of replicates."""

    def __init__(self, scenario: Scenario, design: str, truth: str) -> None:
        self.scenario, self.truth = scenario, scenario.truths[truth]
        self.context = context_of(scenario, design)
        self.design = self.context.design
        self.judge = Judge(self.context)

    def play(self, draws: Draws) -> Played:
        """Return how the trial goes with these draws."""
        self.judge.closest = math.inf
        played = self._play(draws, overruled=False)
        if any(rule.binding is False for rule in self.design.rules):
            goes_on = self._play(draws, overruled=True)
            played = replace(played, success_ignoring=goes_on.verdict == "efficacy")
        return replace(played, closest=self.judge.closest)

    def _play(self, draws: Draws, overruled: bool) -> Played:
        enrolment = Enrolment(people(self.scenario, self.context, self.truth, draws), self.context)
        look, month = 0, 0.0
        accrual_closed = None
        while True:
            due = enrolment.next_look(look, not_before=month)
            month = due.month
            look = self.judge.last if due.final else look
            sight = Sight(enrolment.seen(due.enrolled, due.month), look, due.month, draws)
            spoken = self.judge.first(sight, overruled)
            rule = None if spoken is None else self.design.rules[spoken]
            decided = due.month + self.design.months_to_decide
            if due.final or (rule is not None and rule.stop_for is not None):
                played = self._ended(enrolment, due, sight, spoken)
                return replace(played, accrual_closed=accrual_closed)
            if rule is not None:
                accrual_closed = rule.stop_accrual_for
                enrolment.stop(decided)
                look = self.judge.last
                continue
            if enrolment.pauses:
                enrolment.pause(due, decided)
            look += 1

    def _ended(self, enrolment: Enrolment, due: Due, sight: Sight, spoken: int | None) -> Played:
        verdict: Verdict = "inconclusive"
        if spoken is not None:
            verdict = self.design.rules[spoken].stop_for or "inconclusive"
        decided = due.month + self.design.months_to_decide
        # Overrun: who comes until an early decision is a patient too.
        enrolled = due.enrolled if due.final or enrolment.pauses else enrolment.by(decided)
        estimate, low, high = numbers.estimate(self.design.analysis, self.context, sight.seen)
        arms = [person.arm for person in enrolment.people[:enrolled]]
        return Played(
            verdict,
            sight.look,
            spoken,
            enrolled,
            tuple(arms.count(arm) for arm in range(len(self.context.arms))),
            self.judge.evaluable(sight.seen),
            sum(patient.event for patient in sight.seen),
            decided,
            due.closed,
            None,
            not due.final and self._contradicted(enrolment, verdict, enrolled, sight),
            verdict == "efficacy",
            spoken is not None or self.judge.analysable(sight),
            estimate,
            low,
            high,
            math.inf,
        )

    def _contradicted(self, enrolment: Enrolment, verdict: Verdict, enrolled: int, sight: Sight) -> bool:
        """Return whether an early verdict is another one after complete follow-up of the same patients."""
        if verdict not in ("efficacy", "futility"):
            return False
        month = sight.month + MORE_MONTHS
        spoken = self.judge.first(Sight(enrolment.seen(enrolled, month), self.judge.last, month, sight.draws))
        success = spoken is not None and self.design.rules[spoken].stop_for == "efficacy"
        return success != (verdict == "efficacy")


def play(scenario: Scenario, design_name: str, truth_name: str, draws: Draws) -> Played:
    """Return how one trial of a design goes under a truth; `Twin` prepares many replicates once."""
    return Twin(scenario, design_name, truth_name).play(draws)

"""Predictive probability of success: that the final look will conclude efficacy, given the data at hand.

Sources: docs/scenario.md, "Predictive probabilities"; Lee and Liu (2008) for binary endpoints, a sum over all futures;
Broglio, Connor and Berry (2014) for event times, futures drawn one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scipy.stats import betabinom, gamma

from lmd_trialsim.designs.analyses import Analysis, BetaBinomial, GammaExponential
from lmd_trialsim.designs.generic import TwoArm
from lmd_trialsim.designs.rules import Condition
from lmd_trialsim.patients.endpoints import TimeToEventEndpoint
from lmd_trialsim.reference.twin.counts import Mixture, counted, posteriors
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.hazards import hazard_of
from lmd_trialsim.reference.twin.looks import numbers_of
from lmd_trialsim.reference.twin.seen import Context, Seen

Concludes = Callable[[Sequence[Seen], int], bool]
"""Whether the rules of the final look conclude efficacy from these patients, of whom so many are enrolled."""


def predictive(
    condition: Condition,
    analysis: Analysis,
    context: Context,
    seen: Sequence[Seen],
    concludes: Concludes,
    draws: Draws,
    look: int,
    month: float,
) -> float:
    """Return the predictive probability of success at a look, counted from 0, in a calendar month.

    analysis: the rule's, or else the design's. seen: everybody enrolled, in order of arrival.
    """
    at_present = condition.at == "present"
    models = [model for model in (condition.model, analysis, context.design.analysis) if model is not None]
    if isinstance(context.endpoint, TimeToEventEndpoint):
        exponential = next(model for model in models if isinstance(model, GammaExponential))
        imputations = condition.imputations or 100
        future = Future(exponential, context, seen, at_present, month)
        numbers = range(look * imputations, (look + 1) * imputations)
        return future.successes(concludes, draws, numbers) / imputations if seen else math.nan
    binomial = next(model for model in models if isinstance(model, BetaBinomial))
    return of_counts(binomial, context, seen, concludes, at_present)


# ---- binary endpoints ------------------------------------------------------------------------------------------------


def of_counts(
    model: BetaBinomial, context: Context, seen: Sequence[Seen], concludes: Concludes, at_present: bool
) -> float:
    """Return the sum, over the responses of those to come in each arm, of their chance where efficacy is concluded."""
    known = counted(context, seen)
    if at_present:
        to_come = [sum(patient.pending and patient.arm == arm for patient in seen) for arm in range(len(known))]
    else:
        to_come = still_to_come(context, [count.patients for count in known])
    after = posteriors(model, context, known)
    evaluable = [patient for patient in seen if patient.outcome is not None]
    total = 0.0
    for outcomes in _futures(to_come):
        chance = math.prod(_chance(m, n, x) for m, n, x in zip(after, to_come, outcomes, strict=True))
        imagined = evaluable + [
            Seen(arm, 0, int(i < outcomes[arm]), False, math.nan, False, math.nan, math.inf)
            for arm in range(len(known))
            for i in range(to_come[arm])
        ]
        if concludes(imagined, len(imagined)):
            total += chance
    return min(total, 1.0)


def _futures(to_come: Sequence[int]) -> list[tuple[int, ...]]:
    """Return every way in which those to come may respond, by arm."""
    if len(to_come) == 1:
        return [(x,) for x in range(to_come[0] + 1)]
    return [(x_c, x_t) for x_c in range(to_come[0] + 1) for x_t in range(to_come[1] + 1)]


def _chance(mixture: Mixture, patients: int, responses: int) -> float:
    """Return the beta-binomial probability of so many responses."""
    return math.fsum(part.weight * betabinom.pmf(responses, patients, part.alpha, part.beta) for part in mixture)


def still_to_come(context: Context, evaluable: Sequence[int]) -> list[int]:
    """Return how many more there will be in each arm, up to the planned number of the last look.

    That number is shared by the allocation's ratio. An arm that is beyond its share gets no more, and the other one so
    many fewer that the total is as planned.
    """
    design = context.design
    listed = numbers_of(design.looks)
    total = context.max_patients
    if listed and design.looks.final is None:
        total = min(total, int(listed[-1]))
    if not isinstance(design, TwoArm):
        return [max(0, total - evaluable[0])]
    ratio = shares(context)
    treatment = round(total * ratio[1] / sum(ratio))
    lacking = [max(0, total - treatment - evaluable[0]), max(0, treatment - evaluable[1])]
    places = max(0, total - sum(evaluable))
    return [min(number, places) for number in lacking]


def shares(context: Context) -> list[int]:
    """Return the whole shares of the allocation's ratio, control first."""
    design = context.design
    assert isinstance(design, TwoArm)
    if design.allocation.order is not None:
        return [design.allocation.order.count(arm) for arm in context.arms]
    return [(design.allocation.ratio or {}).get(arm, 1) for arm in context.arms]


# ---- event times -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Future:
    """What may become of the patients at hand and of those to come."""

    model: GammaExponential
    context: Context
    seen: Sequence[Seen]
    at_present: bool
    month: float

    def successes(self, concludes: Concludes, draws: Draws, numbers: Sequence[int]) -> int:
        """Return in how many of these imputations the final look concludes efficacy."""
        wins = 0
        for number in numbers:
            hazards = [self._hazard(arm, draws, number) for arm in (0, 1)]
            everybody = [*self.seen, *self._to_come()]
            events = [self._event(i, patient, hazards, draws, number) for i, patient in enumerate(everybody)]
            month = self._final_month(everybody, events)
            imagined = [
                self._followed(patient, event, month) if i >= len(self.seen) or in_follow_up(patient) else patient
                for i, (patient, event) in enumerate(zip(everybody, events, strict=True))
                if patient.arrival <= month
            ]
            wins += concludes(imagined, len(imagined))
        return wins

    @property
    def _limit(self) -> float:
        """Months that each patient is followed at most."""
        assert isinstance(self.context.endpoint, TimeToEventEndpoint)
        return self.context.endpoint.followed_for_months or math.inf

    def _hazard(self, arm: int, draws: Draws, number: int) -> float:
        """Return a hazard from its posterior, by inversion; the arm stands for the patient in the draw's address."""
        shape, rate = hazard_of(self.model, self.context, self.seen, arm)
        return float(gamma.ppf(draws.uniform(arm, "imputed_hazard", number), shape)) / rate

    def _to_come(self) -> list[Seen]:
        """Return those to come, at the mean pace so far, in the allocation's ratio, of the strata enrolled, in turn."""
        enrolled = len(self.seen)
        wanted = enrolled if self.at_present else max(self.context.max_patients, enrolled)
        gap = self.month / enrolled
        arms = turns(shares(self.context))
        strata = [self.seen[i % enrolled].stratum for i in range(wanted - enrolled)]
        return [
            Seen(
                arms[(enrolled + i) % len(arms)],
                strata[i],
                None,
                False,
                0.0,
                False,
                self.month + gap * (i + 1),
                self._limit,
            )
            for i in range(wanted - enrolled)
        ]

    def _event(self, i: int, patient: Seen, hazards: Sequence[float], draws: Draws, number: int) -> float:
        """Return the month of the event, from entry; infinite for those whose follow-up has ended without one."""
        if patient.event:
            return patient.months
        if not in_follow_up(patient):
            return math.inf
        further = -math.log(draws.uniform(i, "imputed_time", number)) / hazards[patient.arm]
        return patient.months + further if patient.months + further <= self._limit else math.inf

    def _final_month(self, everybody: Sequence[Seen], events: Sequence[float]) -> float:
        """Return when the final look takes place; what has been seen by now cannot be unseen."""
        looks = self.context.design.looks
        last = everybody[-1].arrival
        month = last + looks.final.follow_up_months if looks.final is not None else math.inf
        if looks.events is not None:
            wanted = int(numbers_of(looks)[-1])
            due = sorted(patient.arrival + event for patient, event in zip(everybody, events, strict=True))
            occurring = [when for when in due if when < math.inf]
            if wanted <= len(occurring):
                month = min(month, occurring[wanted - 1])
            elif looks.final is None:
                month = max([last, *occurring])
        elif looks.final is None:
            month = last if looks.patients is not None else numbers_of(looks)[-1]
        return max(min(month, self.context.design.max_months or math.inf), self.month)

    def _followed(self, patient: Seen, event: float, month: float) -> Seen:
        """Return the patient as seen at the final look."""
        if patient.arrival + event <= month:
            return replace(patient, months=event, event=True)
        return replace(patient, months=max(min(self._limit, month - patient.arrival), patient.months))


def in_follow_up(patient: Seen) -> bool:
    """Whether more will be seen of the patient: no event so far, and neither drop-out nor the end of follow-up."""
    return not patient.event and patient.months < patient.censor


def turns(ratio: Sequence[int]) -> list[int]:
    """Return one round of allocation, as even as can be: each place goes to the arm furthest behind its share."""
    given = [0] * len(ratio)
    order = []
    for place in range(1, sum(ratio) + 1):
        behind = [share * place - got * sum(ratio) for share, got in zip(ratio, given, strict=True)]
        order.append(behind.index(max(behind)))
        given[order[-1]] += 1
    return order

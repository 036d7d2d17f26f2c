"""When each look is due, who is enrolled by then, and what is seen of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmd_trialsim.designs.looks import Every, LooksSpec
from lmd_trialsim.patients.endpoints import TimeToEventEndpoint
from lmd_trialsim.reference.twin.people import Person
from lmd_trialsim.reference.twin.seen import Context, Seen

A_MOMENT = 1e-9
"""Months: what is closer than this happens at the same time."""


def numbers_of(looks: LooksSpec) -> list[float]:
    """Return the listed looks, in whatever they are counted."""
    for given in (looks.patients, looks.evaluable, looks.events):
        if given is not None:
            return list(range(given.first, given.to + 1, given.every)) if isinstance(given, Every) else list(given)
    return list(looks.months or [])


def count_of(looks: LooksSpec) -> int:
    """Return how many looks there are: a final look by follow-up is one more, but not where events are counted."""
    return len(numbers_of(looks)) + (1 if looks.final is not None and looks.events is None else 0)


@dataclass(frozen=True)
class Due:
    """A look: its month, the patients enrolled by then, whether it is the final one and closes the trial early."""

    month: float
    enrolled: int
    final: bool
    closed: bool = False


class Enrolment:
    """Who comes when, as pauses and the end of the accrual leave it."""

    def __init__(self, people: Sequence[Person], context: Context) -> None:
        self.people = people
        self.context = context
        self.delay = float(getattr(context.endpoint, "assessed_after_months", 0.0))
        self.pauses = context.design.accrual_at_looks == "pauses"
        self.months = [person.comes for person in people if person.comes < math.inf]
        """Calendar months of arrival of all who can still come, or have come."""

    def by(self, month: float) -> int:
        """Return how many have come by a month."""
        return sum(arrival <= month + A_MOMENT for arrival in self.months)

    def stop(self, month: float) -> None:
        """Nobody comes after this month."""
        self.months = self.months[: self.by(month)]

    def pause(self, due: Due, decided: float) -> None:
        """Enrol nobody from the last patient of a look to its decision: all who come later are put off by as much."""
        paused = decided - (self.months[due.enrolled - 1] if due.enrolled else due.month)
        self.months[due.enrolled :] = [month + paused for month in self.months[due.enrolled :]]

    def next_look(self, look: int, not_before: float) -> Due:
        """Return the look that comes as number `look` (from 0), or the final one if there is not so much to see.

        not_before: the month of the look that led to it, even if everybody had been followed long enough by then.
        """
        due = self._planned(look)
        due = replace(due, month=max(due.month, not_before))
        closes = self.context.design.max_months
        if closes is not None and due.month > closes:
            return Due(closes, min(due.enrolled, self.by(closes)), final=True, closed=True)
        return due

    def _planned(self, look: int) -> Due:
        looks = self.context.design.looks
        numbers, last = numbers_of(looks), look == count_of(looks) - 1
        if look >= len(numbers):
            return self._after_follow_up()
        if looks.patients is not None:
            return self._at_patients(int(numbers[look]), last)
        if looks.evaluable is not None:
            return self._at_evaluable(int(numbers[look]), last)
        if looks.events is not None:
            return self._at_events(int(numbers[look]), last)
        followed = self._after_follow_up()
        if looks.final is not None and followed.month <= numbers[look]:
            return followed  # nothing more can be learnt
        return Due(numbers[look], self.by(numbers[look]), last)

    def _after_follow_up(self) -> Due:
        """Return the look so long after the last patient's entry."""
        final = self.context.design.looks.final
        return Due(self._last_entry() + (final.follow_up_months if final else 0.0), len(self.months), final=True)

    def _last_entry(self) -> float:
        return self.months[-1] if self.months else 0.0

    def _at_patients(self, number: int, last: bool) -> Due:
        if number > len(self.months):
            return self._after_follow_up()
        return Due(self.months[number - 1], number, last)

    def _at_evaluable(self, number: int, last: bool) -> Due:
        needed = 0  # patients until so many keep a place
        for person in self.people[: len(self.months)]:
            if number == 0:
                break
            number -= person.keeps_place
            needed += 1
        if number > 0:  # they run out: the last one is waited for
            return Due(self._last_entry() + self.delay, len(self.months), final=True)
        month = self.months[needed - 1] + self.delay
        return Due(month, needed if self.pauses else self.by(month), last)

    def _at_events(self, number: int, last: bool) -> Due:
        everybody = list(zip(self.people, self.months, strict=False))
        events = sorted(entry + person.event for person, entry in everybody if person.event <= person.censor)
        final = self.context.design.looks.final
        if number <= len(events):
            month = events[number - 1]
        else:
            month, last = max([self._last_entry(), *(event for event in events if event < math.inf)]), True
            month = month if final is None else math.inf
        if final is not None and month > self._last_entry() + final.follow_up_months:
            month, last = self._last_entry() + final.follow_up_months, True
        return Due(month, self.by(month), last)

    def seen(self, enrolled: int, month: float) -> list[Seen]:
        """Return what is known in a month of the first so many patients."""
        times = isinstance(self.context.endpoint, TimeToEventEndpoint)
        see = self._seen_of_times if times else self._seen_of_outcomes
        return [see(person, entry, month) for person, entry in zip(self.people[:enrolled], self.months, strict=False)]

    def _seen_of_outcomes(self, person: Person, entry: float, month: float) -> Seen:
        pending = entry + self.delay > month + A_MOMENT
        evaluable = not pending and person.outcome in ("yes", "no")
        outcome = int(person.outcome == "yes") if evaluable else None
        return Seen(person.arm, person.stratum, outcome, pending, math.nan, False, entry, math.inf)

    def _seen_of_times(self, person: Person, entry: float, month: float) -> Seen:
        event = person.event <= person.censor and entry + person.event <= month
        months = person.event if event else max(0.0, min(person.censor, month - entry))
        return Seen(person.arm, person.stratum, None, False, months, event, entry, person.censor)

"""Risk sets: for each event, how many of either arm were still followed, from one sort of the follow-up times."""

from __future__ import annotations

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.sorting import sort_by

# Rows of desk.work after `tabulate_risk_sets`: one entry an event.
AT_RISK_TREATMENT, AT_RISK_CONTROL, OF_TREATMENT, EVENT_MONTH, EVENT_STRATUM = 1, 2, 3, 4, 5


@kernel
def _count_all(desk, stratified):
    """Put everybody at risk, and the follow-up times where they can be sorted."""
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].at_risk = 0
    for patient in range(desk.state[0].enrolled):
        person = desk.patients[patient]
        desk.work[0, patient] = person.follow
        desk.cells[person.arm, person.stratum if stratified else 0].at_risk += 1


@kernel
def tabulate_risk_sets(desk, stratified):
    """Write arm, month, stratum and the numbers at risk of each event to desk.work; return the number of events.

    Events are written in the order of their months, those of one month by stratum. At risk are the patients of the
    event's own stratum where `stratified`, else all.
    """
    _count_all(desk, stratified)
    follow = desk.work[0]
    order = desk.order
    enrolled = desk.state[0].enrolled
    sort_by(follow, enrolled, order)
    strata = desk.cells.shape[1] if stratified else 1
    events = 0
    place = 0
    while place < enrolled:
        month = follow[order[place]]
        end = place + 1
        while end < enrolled and follow[order[end]] == month:
            end += 1
        alone = end == place + 1
        for stratum in range(1 if alone else strata):
            for position in range(place, end):
                person = desk.patients[order[position]]
                own = person.stratum if stratified else 0
                if person.status and (alone or own == stratum):
                    desk.work[EVENT_MONTH, events] = month
                    desk.work[OF_TREATMENT, events] = person.arm
                    desk.work[EVENT_STRATUM, events] = own
                    desk.work[AT_RISK_TREATMENT, events] = desk.cells[1, own].at_risk
                    desk.work[AT_RISK_CONTROL, events] = desk.cells[0, own].at_risk
                    events += 1
        for position in range(place, end):
            person = desk.patients[order[position]]
            desk.cells[person.arm, person.stratum if stratified else 0].at_risk -= 1
        place = end
    return events

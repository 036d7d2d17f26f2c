"""Risk sets: for each event, how many of either arm were still followed, from one sort of the follow-up times."""

from __future__ import annotations

from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.sorting import sort_by

# Rows of desk.work after `tabulate_risk_sets`: one entry an event.
AT_RISK_TREATMENT, AT_RISK_CONTROL, OF_TREATMENT, EVENT_MONTH, EVENT_STRATUM = 1, 2, 3, 4, 5


@kernel
def _in_one_stratum(desk, enrolled):
    """The risk sets of all patients together: whoever is not an event is overwritten by the next, without a branch."""
    at_risk_t = 0
    for patient in range(enrolled):
        at_risk_t += desk.patients[patient].arm
    at_risk_c = enrolled - at_risk_t
    events = 0
    before = -1.0
    tied_t, tied_c = at_risk_t, at_risk_c
    for place in range(enrolled):
        person = desk.patients[desk.order[place]]
        if person.follow != before:
            tied_t, tied_c = at_risk_t, at_risk_c
            before = person.follow
        desk.work[EVENT_MONTH, events] = person.follow
        desk.work[OF_TREATMENT, events] = person.arm
        desk.work[EVENT_STRATUM, events] = 0.0
        desk.work[AT_RISK_TREATMENT, events] = tied_t
        desk.work[AT_RISK_CONTROL, events] = tied_c
        events += person.status
        at_risk_t -= person.arm
        at_risk_c -= 1 - person.arm
    return events


@kernel
def _by_stratum(desk, enrolled):
    """The risk sets of each stratum; events of one month are written stratum by stratum."""
    arms, strata = desk.cells.shape
    for arm in range(arms):
        for stratum in range(strata):
            desk.cells[arm, stratum].at_risk = 0
    for patient in range(enrolled):
        person = desk.patients[patient]
        desk.cells[person.arm, person.stratum].at_risk += 1
    events = 0
    place = 0
    while place < enrolled:
        month = desk.patients[desk.order[place]].follow
        end = place + 1
        while end < enrolled and desk.patients[desk.order[end]].follow == month:
            end += 1
        alone = end == place + 1
        for stratum in range(1 if alone else strata):
            for position in range(place, end):
                person = desk.patients[desk.order[position]]
                own = person.stratum
                if person.status and (alone or own == stratum):
                    desk.work[EVENT_MONTH, events] = month
                    desk.work[OF_TREATMENT, events] = person.arm
                    desk.work[EVENT_STRATUM, events] = own
                    desk.work[AT_RISK_TREATMENT, events] = desk.cells[1, own].at_risk
                    desk.work[AT_RISK_CONTROL, events] = desk.cells[0, own].at_risk
                    events += 1
        for position in range(place, end):
            person = desk.patients[desk.order[position]]
            desk.cells[person.arm, person.stratum].at_risk -= 1
        place = end
    return events


@kernel
def tabulate_risk_sets(desk, stratified):
    """Write arm, month, stratum and the numbers at risk of each event to desk.work; return the number of events.

    Events are written in the order of their months, those of one month by stratum. At risk are the patients of the
    event's own stratum where `stratified`, else all.
    """
    enrolled = desk.state[0].enrolled
    for patient in range(enrolled):
        desk.work[0, patient] = desk.patients[patient].follow
    sort_by(desk.work[0], enrolled, desk.order)
    return _by_stratum(desk, enrolled) if stratified else _in_one_stratum(desk, enrolled)

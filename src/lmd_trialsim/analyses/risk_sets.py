"""Risk sets by counting: for each event, how many of either arm were still followed. No sorting is needed.

Counting follow-up times >= t is a loop that vectorises; at the sizes of these trials it beats a sort. Event times are
continuous: ties do not occur among simulated patients.
"""

from __future__ import annotations

from lmd_trialsim.kernel.jit import kernel

# Rows of desk.work after `tabulate_risk_sets`: one entry an event.
AT_RISK_TREATMENT, AT_RISK_CONTROL, OF_TREATMENT, EVENT_MONTH, EVENT_STRATUM = 1, 2, 3, 4, 5


@kernel
def _count_at_least(values, start, stop, month):
    count = 0
    for i in range(start, stop):
        count += 1 if values[i] >= month else 0
    return count


@kernel
def tabulate_risk_sets(desk, stratified):
    """Write arm, month, stratum and the numbers at risk of each event to desk.work; return the number of events.

    At risk are the patients of the event's own stratum where `stratified`, else all.
    """
    enrolled = desk.state[0].enrolled
    strata = desk.cells.shape[1] if stratified else 1
    grouped = desk.work[0]
    events = 0
    end = 0
    for stratum in range(strata):
        start = end
        middle = start
        first_event = events
        for patient in range(enrolled):
            person = desk.patients[patient]
            if person.arm == 1 and (strata == 1 or person.stratum == stratum):
                grouped[middle] = person.follow
                middle += 1
                if person.status:
                    desk.work[EVENT_MONTH, events] = person.follow
                    desk.work[OF_TREATMENT, events] = 1.0
                    events += 1
        end = middle
        for patient in range(enrolled):
            person = desk.patients[patient]
            if person.arm == 0 and (strata == 1 or person.stratum == stratum):
                grouped[end] = person.follow
                end += 1
                if person.status:
                    desk.work[EVENT_MONTH, events] = person.follow
                    desk.work[OF_TREATMENT, events] = 0.0
                    events += 1
        for event in range(first_event, events):
            month = desk.work[EVENT_MONTH, event]
            desk.work[AT_RISK_TREATMENT, event] = _count_at_least(grouped, start, middle, month)
            desk.work[AT_RISK_CONTROL, event] = _count_at_least(grouped, middle, end, month)
            desk.work[EVENT_STRATUM, event] = stratum
    return events

"""Operating characteristics of trials that are judged arm by arm: of each arm, and of the whole platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lmd_trialsim.characteristics import VERDICTS, Characteristic, lengths, mean, proportion, root_mean_square, sizes
from lmd_trialsim.engine.arm_tally import ArmTally


class ArmFacts(NamedTuple):
    """What must be known of a design under a truth to speak of its tally."""

    arms: tuple[str, ...]  # the control first
    can_be_false: tuple[bool, ...]  # whether success of the arm can be a type I error
    can_be_true: tuple[bool, ...]  # and whether it need not be
    control: bool  # whether the first arm is the control
    verdicts: tuple[int, ...]  # the verdicts that its rules can reach
    may_close: bool  # whether the trial may close as it stands
    may_wait: bool  # whether arms may wait for a place, or never enter
    may_be_alike: bool
    may_be_left: bool  # whether the trial may end as one arm is left, and the control is an arm like others
    differ: bool  # whether the arms differ in how good they are
    sizes_differ: bool  # whether those do whose sizes can be compared


def of_arms(tally: ArmTally, facts: ArmFacts) -> list[Characteristic]:
    """Return the operating characteristics of a tally."""
    found = [*of_trial(tally, facts)]
    for number in range(len(facts.arms)):
        found += of_one(tally, facts, number)
    return found


def of_one(tally: ArmTally, facts: ArmFacts, number: int) -> Iterator[Characteristic]:
    """Yield those of one arm."""
    arm = facts.arms[number]
    return _of_control(tally, facts, arm) if facts.control and number == 0 else _of_arm(tally, facts, number, arm)


def of_trial(tally: ArmTally, facts: ArmFacts) -> Iterator[Characteristic]:
    """Yield those of the whole trial."""
    replicates, first = tally.replicates, int(facts.control)
    yield proportion("probability_of_success", tally.succeeded, replicates)
    if any(facts.can_be_false[first:]):
        yield proportion("family_wise_error", tally.any_false, replicates)
    if any(facts.can_be_true[first:]):
        yield proportion("disjunctive_power", tally.any_true, replicates)
        yield proportion("conjunctive_power", tally.all_true, replicates)
    yield mean("expected_true_successes", tally.true_successes)
    yield mean("expected_false_successes", tally.false_successes)
    yield mean("false_discovery_proportion", tally.false_share)
    if facts.differ:
        yield proportion("best_arm_selected", tally.best_selected, replicates)
        yield mean("ideal_design_proportion", tally.ideal)
        yield mean("patients_on_inferior_arms", tally.on_inferior)
    if facts.sizes_differ:
        yield proportion("imbalance_the_wrong_way", tally.wrong_way, replicates)
    yield mean("bias_of_selected_arm", tally.errors_of_selected)
    yield root_mean_square("root_mean_square_error_of_selected_arm", tally.errors_of_selected)
    yield proportion("no_arm_selected", int(tally.selected[-1]), replicates)
    if facts.may_be_alike:
        yield proportion("stopped_as_alike", tally.alike, replicates)
    if facts.may_close:
        yield proportion("closed_as_it_stood", tally.closed, replicates)
    yield from sizes(tally.patients)
    yield mean("expected_patients_turned_away", tally.turned_away)
    yield from lengths(tally.duration, tally.months)


def _of_control(tally: ArmTally, facts: ArmFacts, arm: str) -> Iterator[Characteristic]:
    if facts.may_be_left:
        yield proportion("probability_of_futility", int(tally.verdicts[0, 2].sum()), tally.replicates, arm)
        yield proportion("last_arm_left", int(tally.last_left[0]), tally.replicates, arm)
    yield proportion("probability_of_selection", int(tally.selected[0]), tally.replicates, arm)
    yield mean("expected_patients", tally.taken[0], arm)


def _of_arm(tally: ArmTally, facts: ArmFacts, number: int, arm: str) -> Iterator[Characteristic]:
    replicates, verdicts = tally.replicates, tally.verdicts[number]
    totals, looks = verdicts.sum(axis=1), verdicts.shape[1]
    entered, judged = int(tally.entered[number]), int(tally.judged[number])
    yield proportion("probability_of_success", int(totals[1]), replicates, arm)
    false = int(tally.false_of[number])
    if facts.can_be_false[number]:
        yield proportion("type_i_error", false, replicates, arm)
    if facts.can_be_true[number]:
        yield proportion("power", int(totals[1]) - false, replicates, arm)
    for verdict in (2, 3):
        if verdict in facts.verdicts:
            yield proportion(f"probability_of_{VERDICTS[verdict]}", int(totals[verdict]), replicates, arm)
    yield proportion("probability_inconclusive", int(totals[0]), replicates, arm)
    yield proportion("never_judged", replicates - judged, replicates, arm)
    yield proportion("probability_of_selection", int(tally.selected[number]), replicates, arm)
    if facts.may_be_left:
        yield proportion("last_arm_left", int(tally.last_left[number]), replicates, arm)
    if facts.may_wait:
        yield proportion("entered", entered, replicates, arm)
        yield proportion("success_if_entered", int(totals[1]), entered, arm)
        yield mean("expected_months_in_queue", tally.queued[number], arm)
    for look in range(looks):
        yield proportion(f"stopped_at_look_{look + 1}", int(verdicts[:, look].sum()), replicates, arm)
    yield mean("expected_patients", tally.taken[number], arm)
    yield mean("expected_evaluable_patients", tally.evaluable[number], arm)
    if facts.control:
        yield mean("expected_control_patients", tally.controls[number], arm)
    yield mean("expected_months_to_decision", tally.decided[number], arm)
    yield mean("mean_estimate", tally.estimates[number], arm)
    yield mean("bias", tally.errors[number], arm)
    yield mean("bias_given_success", tally.errors_of_successes[number], arm)
    yield root_mean_square("root_mean_square_error", tally.errors[number], arm)
    yield root_mean_square("root_mean_square_error_given_success", tally.errors_of_successes[number], arm)
    yield proportion("coverage", int(tally.covered[number]), int(tally.intervals[number]), arm)

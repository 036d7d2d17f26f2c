"""One platform trial for people: its patients, each look with what the rules saw of each arm, and the ending."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.answers import Answer
from lmd_trialsim.designs.platform import ArmCondition, ArmRule, ByArm
from lmd_trialsim.kernel.desk import FULL, MISSING, NOT_EVALUABLE, WAITING
from lmd_trialsim.kernel.rules import GO_ON
from lmd_trialsim.platform_replay import Known, Look, Patient, PlatformReplay, Seen, SeenStratum
from lmd_trialsim.report import page
from lmd_trialsim.report.spoken import SIGNS, VERDICTS, course, describe_of_each, needed, outcome, plain, tell

if TYPE_CHECKING:
    from rich.console import RenderableType


def parts(trial: PlatformReplay, name: str) -> Iterator[RenderableType]:
    """Yield the page. name: of the design."""
    scenario = trial.setting.scenario
    yield page.heading(scenario.title)
    yield page.prose(
        f"replicate {trial.replicate} of design {name} under truth {trial.truth}, seed {trial.seed}, "
        f"scenario {scenario.digest()}"
    )
    of_strata = trial.setting.closes_strata
    before = "first of its strata, then of the arm itself" if of_strata else ""
    yield page.heading(f"\nRules, in order, asked of every arm that is judged{', ' if before else ''}{before}")
    for number, rule in _numbered(trial, "each_stratum") + _numbered(trial, "arm"):
        yield page.inset(f"{number}. {'of each stratum: ' if rule.of == 'each_stratum' else ''}{describe(rule)}")
    yield page.heading("\nPatients")
    yield _patients(trial)
    for look in trial.looks:
        yield from _look(look, trial)
    yield page.heading("\nEnding")
    yield from map(page.inset, _ending(trial))


def _numbered(trial: PlatformReplay, of: str) -> list[tuple[int, ArmRule]]:
    """Return the rules of arms, or of strata, with their places in the design, from 1."""
    return [(number, rule) for number, rule in enumerate(trial.setting.design.rules, 1) if rule.of == of]


def describe(rule: ArmRule) -> str:
    """Return the rule in English."""
    said = " and ".join(f"{subject(c)} {SIGNS[c.comparison]} {_needed(c)}" for c in rule.conditions)
    if rule.boundary is not None:
        side = ">=" if rule.stop_for == "efficacy" else "<"
        said = f"z {side} the {rule.boundary.replace('_', ' ')} boundary of all arms together (alpha {rule.alpha:g})"
    return describe_of_each(rule, said, "the arm's last look")


def subject(condition: ArmCondition) -> str:
    """Return what a condition looks at, as in `P(difference > 0)`."""
    if condition.predictive_probability_of is not None:
        return "predictive probability of success in the confirmatory trial"
    if condition.probability_that is None:
        return "z" if condition.statistic else "the estimate" if condition.estimate_of else str(condition.number_of)
    if condition.probability_that == "best":
        return "P(best)"
    below = condition.below is not None
    bound = condition.below if condition.below is not None else condition.above
    return f"P({condition.probability_that.replace('_', ' ')} {'<' if below else '>'} {bound:g})"


def _needed(condition: ArmCondition) -> str:
    return "a number by arm" if isinstance(condition.cut, ByArm) else needed(condition.cut)


def _patients(trial: PlatformReplay) -> RenderableType:
    strata = len(trial.setting.scenario.population.stratum_names()) > 1
    header = ["patient", "month", *(["stratum"] if strata else []), "arm", "what happens"]
    rows = [
        [str(p.number), f"{p.month:.2f}", *([p.stratum] if strata else []), p.arm, _course(p, trial)]
        for p in trial.patients
    ]
    return page.grid(header, rows, left=len(header))


def _course(patient: Patient, trial: PlatformReplay) -> str:
    """Return what happens to a patient, without regard to the end of the trial."""
    kind = trial.setting.endpoint.kind
    if kind == "time_to_event":
        return course(patient.month, patient.event, patient.censor)
    if kind == "continuous" and patient.outcome not in (MISSING, NOT_EVALUABLE):
        return f"{patient.value:.3f}, known in month {patient.month + trial.setting.delay:.2f}"
    return f"{outcome(patient.outcome, kind)}, known in month {patient.month + trial.setting.delay:.2f}"


def _look(look: Look, trial: PlatformReplay) -> Iterator[RenderableType]:
    yield page.heading(f"\nLook {look.number}, month {look.month:.2f}: {look.enrolled} enrolled")
    total = sum(seen.share for seen in look.arms)
    for number, seen in enumerate(look.arms):
        if number == 0 and trial.setting.control is not None:
            yield page.inset(f"{seen.arm}, the control: {_counts(seen.own, trial)}")
        elif seen.status == WAITING:
            yield page.inset(f"{seen.arm}: not open yet")
        elif seen.look is not None or seen.status <= FULL:
            judged = "" if seen.look is not None or seen.verdict != GO_ON else ": not judged at this look"
            against = f", against {_counts(seen.controls, trial)}" if trial.setting.control is not None else ""
            share = f", share {seen.share / total:.3f} until now" if total > 0.0 else ""
            yield page.inset(f"{seen.arm}: {_counts(seen.own, trial)}{against}{share}{judged}")
            for stratum in seen.strata:
                yield page.inset(f"  {stratum.stratum}: {_counts(stratum.own, trial)}, {_against(stratum, trial)}")
                yield from (page.inset(f"    {line}") for line in _of_strata(stratum, trial))
            for line in _of_rules(seen, trial):
                yield page.inset(f"  {line}")
    if not math.isnan(look.alike):
        yield page.inset(f"P(all arms left are alike) = {plain(look.alike)}")


def _counts(known: Known, trial: PlatformReplay) -> str:
    if trial.setting.endpoint.kind == "time_to_event":
        return f"{known.counted} events of {known.patients} in {known.months:.1f} months"
    if trial.setting.endpoint.kind == "continuous":
        return f"mean {known.months / known.patients:.3f} of {known.patients}" if known.patients else "nobody"
    return f"{known.counted} of {known.patients}"


def _against(stratum: SeenStratum, trial: PlatformReplay) -> str:
    asked = "" if stratum.answers is not None else ": its rules are not asked"
    return f"against {_counts(stratum.controls, trial)}{asked}"


def _of_strata(stratum: SeenStratum, trial: PlatformReplay) -> Iterator[str]:
    if stratum.answers is not None:
        yield from _told(_numbered(trial, "each_stratum"), stratum.answers)
    if stratum.verdict != GO_ON:
        yield f"{VERDICTS[stratum.verdict]}: the arm closes to the stratum"


def _told(rules: list[tuple[int, ArmRule]], found: tuple[tuple[Answer, ...], ...]) -> Iterator[str]:
    """Yield what the rules saw, against what they needed."""
    for (number, rule), answers in zip(rules, found, strict=True):
        if not answers:
            yield f"rule {number}: silent"
        names = [subject(condition) for condition in rule.conditions] or ["z"]
        for answer, name in zip(answers, names, strict=False):
            yield f"rule {number}: {tell(answer, name)}"


def _of_rules(seen: Seen, trial: PlatformReplay) -> Iterator[str]:
    if seen.look is None:
        if seen.verdict != GO_ON:
            yield f"no stratum is left, {VERDICTS[seen.verdict]}: the arm closes"
        return
    yield from _told(_numbered(trial, "arm"), seen.answers)
    if seen.verdict != GO_ON:
        yield f"{VERDICTS[seen.verdict]}: the arm closes"
    else:
        last = seen.look == trial.setting.design.look_count
        yield "no rule speaks: inconclusive" if last else "no rule speaks"


def _ending(trial: PlatformReplay) -> Iterator[str]:
    rows = zip(trial.setting.arms, trial.verdicts, trial.estimates, trial.effects, trial.left, strict=True)
    for number, (arm, verdict, estimate, effect, left) in enumerate(rows):
        if number == 0 and trial.setting.control is not None:
            continue
        told = "never judged" if verdict is None else f"{VERDICTS[verdict]}, estimate {plain(estimate)}"
        where = f" in {', '.join(left)}" if left else ""
        yield f"{arm}: {told}; true {trial.setting.scale}{where} {plain(effect)}."
    selected = "no arm is selected" if trial.selected is None else f"{trial.selected} is selected"
    how = ", closed as it stood" if trial.closed else ", stopped as all arms left are alike" if trial.alike else ""
    away = trial.arrived - len(trial.patients)
    yield (
        f"Decided in month {trial.months:.2f} with {page.count(len(trial.patients), 'patient')}, {away} turned away"
        f"{how}: {selected}."
    )

"""One trial for people: its patients, each look with what the rules saw, and the ending."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.kernel.rules import EFFICACY
from lmd_trialsim.replay import Judged, Look, Patient, Replay
from lmd_trialsim.report import page
from lmd_trialsim.report.spoken import VERDICTS, describe, outcome, plain, subjects_of, tell

if TYPE_CHECKING:
    from rich.console import RenderableType


def parts(trial: Replay, name: str, scale: str) -> Iterator[RenderableType]:
    """Yield the page. name: of the design; scale: what its estimate is an estimate of."""
    yield page.heading(trial.setting.scenario.title)
    yield page.prose(
        f"replicate {trial.replicate} of design {name} under truth {trial.truth}, seed {trial.seed}, "
        f"scenario {trial.setting.scenario.digest()}"
    )
    yield page.heading("\nRules, in order")
    for number, rule in enumerate(trial.setting.design.rules):
        yield page.inset(f"{number + 1}. {describe(rule)}")
    yield page.heading("\nPatients")
    yield _patients(trial)
    for look in trial.looks:
        yield from _look(look, f"\nLook {look.number} of {trial.setting.design.looks.count}", trial)
    yield page.heading("\nEnding")
    yield from map(page.inset, _ending(trial, scale))
    if trial.review is not None:
        yield from _look(trial.review, "\nWith complete follow-up of these patients", trial)
        yield page.inset(_reviewed(trial))
    if trial.overruled:
        yield page.heading("\nIf the rule, which does not bind, were overruled")
        for look in trial.overruled:
            yield from _look(look, f"Look {look.number}", trial)
        success = trial.integer(column.SUCCESS_IGNORING)
        yield page.inset(f"The trial would {'succeed' if success else 'not succeed'}.")


def _patients(trial: Replay) -> RenderableType:
    strata = len(trial.setting.strata) > 1
    header = ["patient", "month", *(["stratum"] if strata else []), "arm", "what happens"]
    rows = [
        [str(p.number), f"{p.month:.2f}", *([p.stratum] if strata else []), p.arm, _course(trial, p)]
        for p in trial.patients
    ]
    return page.grid(header, rows, left=len(header))


def _course(trial: Replay, patient: Patient) -> str:
    """Return what happens to a patient, and whether the trial still saw it."""
    end = trial.looks[-1].month
    endpoint = trial.setting.scenario.endpoints[trial.setting.design.endpoint]
    if patient.outcome is not None:
        known = patient.month + trial.setting.delay
        return f"{outcome(patient.outcome, endpoint.kind)}, known in month {known:.2f}{_unseen(known, end)}"
    if patient.event <= patient.censor:
        if math.isinf(patient.event):
            return "no event ever"
        what, months = "event", patient.event
    else:
        months = patient.censor
        what = (
            "end of follow-up" if months == (getattr(endpoint, "followed_for_months", None) or math.inf) else "drop-out"
        )
    month = patient.month + months
    return f"{what} after {months:.2f}, in month {month:.2f}{_unseen(month, end)}"


def _unseen(month: float, end: float) -> str:
    return " (not seen)" if month > end + 1e-9 else ""


def _look(look: Look, title: str, trial: Replay) -> Iterator[RenderableType]:
    kind = trial.setting.scenario.endpoints[trial.setting.design.endpoint].kind
    seen = page.count(look.events, "event") if kind == "time_to_event" else f"{look.evaluable} evaluable"
    yield page.heading(f"{title}, month {look.month:.2f}: {look.enrolled} enrolled, {seen}")
    for count in look.by_arm:
        if count.months is None:
            shown = "event-free" if kind == "survival_at_month" else "responded"
            yield page.inset(f"{count.arm}: {count.hits} of {count.patients} {shown}")
        else:
            yield page.inset(
                f"{count.arm}: {page.count(count.patients, 'patient')}, {page.count(count.hits, 'event')} "
                f"in {count.months:.1f} patient-months"
            )
    for judged in look.rules:
        for line in _judged(judged, look):
            yield page.inset(line)
    if look.spoke is not None:
        yield page.inset(f"Rule {look.spoke} speaks: {describe(look.rules[look.spoke - 1].rule)}.")
    else:
        yield page.inset("No rule speaks.")


def _judged(judged: Judged, look: Look) -> Iterable[str]:
    if judged.silent:
        return [f"rule {judged.number}: silent at this look"]
    if judged.overruled:
        return [f"rule {judged.number}: overruled"]
    waits = f"; waits for {judged.rule.from_patients} evaluable patients, there are {look.evaluable}"
    return [
        f"rule {judged.number}: {tell(answer, name)}{waits if judged.waits else ''}"
        for answer, name in zip(judged.answers, subjects_of(judged.rule), strict=True)
    ]


def _ending(trial: Replay, scale: str) -> Iterator[str]:
    verdict, look = trial.integer(column.VERDICT), trial.integer(column.LOOK) + 1
    last = trial.looks[-1]
    by = f", by rule {last.spoke}" if last.spoke is not None else ""
    yield (
        f"Verdict: {VERDICTS[verdict]}, at look {look} of {trial.setting.design.looks.count}{by}; decided in month "
        f"{trial.number(column.MONTHS):.2f} with {page.count(trial.integer(column.PATIENTS), 'patient')} enrolled."
    )
    if trial.integer(column.CLOSED):
        yield f"The trial closed as it stood, in month {last.month:.2f}."
    if not trial.integer(column.ANALYSABLE):
        yield "The last look could not be analysed: an answer that a rule needs cannot be told."
    estimate, low, high = (trial.number(c) for c in (column.ESTIMATE, column.LOW, column.HIGH))
    truth = f"true value {plain(trial.effect)}" if math.isfinite(trial.effect) else "there is no single true value"
    if math.isfinite(estimate):
        limits = f" (95% interval {plain(low)} to {plain(high)})" if math.isfinite(low) or math.isfinite(high) else ""
        yield f"Estimate, {scale}: {plain(estimate)}{limits}; {truth}."
    else:
        yield f"There is no estimate ({scale})."


def _reviewed(trial: Replay) -> str:
    """Return what complete follow-up says of the early verdict."""
    assert trial.review is not None
    spoke = trial.review.spoke
    would = spoke is not None and trial.review.rules[spoke - 1].rule.stop_for == "efficacy"
    early = VERDICTS[trial.integer(column.VERDICT)]
    contradicted = trial.integer(column.CONTRADICTED)
    assert contradicted == (would != (trial.integer(column.VERDICT) == EFFICACY))
    if trial.setting.design.succeeds_by_counts:
        return "The last look's bounds are for the planned number of patients, and say nothing of the early verdict."
    says = "the last look would conclude efficacy" if would else "the last look would not conclude efficacy"
    upheld = "contradicted" if contradicted else "upheld"
    return f"With complete follow-up {says}: the early verdict of {early} is {upheld}."

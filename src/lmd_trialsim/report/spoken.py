"""Rules in English."""

from __future__ import annotations

import math

from lmd_trialsim.answers import Answer
from lmd_trialsim.designs.basket import BasketRule
from lmd_trialsim.designs.platform import ArmRule
from lmd_trialsim.designs.rules import Condition, PowerCutOff, Rule
from lmd_trialsim.kernel.desk import MISSING, NOT_EVALUABLE, RESPONSE

SIGNS = {"exceeds": ">", "at_least": ">=", "is_below": "<", "at_most": "<="}
VERDICTS = {0: "inconclusive", 1: "success", 2: "futility", 3: "harm"}
BOUNDARIES = {
    "obrien_fleming": "O'Brien and Fleming's boundary", "pocock": "Pocock's boundary",
    "wang_tsiatis": "Wang and Tsiatis's boundary", "haybittle_peto": "Haybittle and Peto's boundary",
    "lan_demets_obrien_fleming": "the Lan-DeMets boundary like O'Brien and Fleming's",
    "lan_demets_pocock": "the Lan-DeMets boundary like Pocock's",
    "hwang_shih_decani": "the boundary of Hwang, Shih and DeCani", "kim_demets": "the boundary of Kim and DeMets",
    "user": "the boundary that spends what is said",
}  # fmt: skip


def describe(rule: Rule) -> str:
    """Return the rule in English, as in `stop for efficacy if P(hazard ratio < 1) > 0.99, at interim looks`."""
    does = f"stop for {rule.stop_for}" if rule.stop_for else f"stop the accrual for {rule.stop_accrual_for}"
    if rule.spending is not None:
        error = f"alpha {rule.alpha:g}" if rule.alpha is not None else f"beta {rule.beta:g}"
        side = "above" if rule.stop_for == "efficacy" else "below"
        when = f"if z is {side} {BOUNDARIES[rule.spending]} ({error})"
    else:
        when = "if " + " and ".join(
            f"{subject(condition)} {SIGNS[condition.comparison]} {needed(condition.cut)}"
            for condition in rule.conditions
        )
    parts = [f"{does} {when}"]
    if rule.at in ("interim", "final"):
        parts.append("at interim looks" if rule.at == "interim" else "at the final look")
    elif isinstance(rule.at, list):
        parts.append(f"at look{'s' if len(rule.at) > 1 else ''} {', '.join(map(str, rule.at))}")
    if rule.from_patients:
        parts.append(f"from {rule.from_patients} evaluable patients on")
    if rule.binding is False:
        parts.append("not binding")
    if rule.analysis is not None:
        parts.append(f"by {rule.analysis.kind.replace('_', ' ')}")
    return ", ".join(parts)


def subject(condition: Condition) -> str:
    """Return what a condition looks at, as in `P(hazard ratio < 1)`."""
    if condition.probability_that is not None:
        what = condition.probability_that.replace("_", " ")
        what += f" at month {condition.month:g}" if condition.month is not None else ""
        what += f" of {condition.arm}" if condition.arm is not None else ""
        below = condition.below is not None
        bound = condition.below if condition.below is not None else condition.above
        return f"P({what} {'<' if below else '>'} {bound:g})"
    if condition.predictive_probability_of is not None:
        ending = ", the accrual stopped now" if condition.at == "present" else ""
        return f"predictive probability of success{ending}"
    if condition.p_value is not None:
        return f"{condition.p_value.replace('_', '-')} p-value"
    return "z" if condition.statistic else "the estimate" if condition.estimate_of else "responses"


def subjects_of(rule: Rule) -> list[str]:
    """Return what each condition of the rule looks at; a boundary looks at z."""
    return ["z"] if rule.spending is not None else [subject(condition) for condition in rule.conditions]


def describe_of_each(rule: BasketRule | ArmRule, said: str, final: str) -> str:
    """Return a rule that is asked of each basket or arm in English. said: its conditions; final: the last look."""
    named = {"all": "", "interim": ", at interim looks", "final": f", at {final}"}
    when = f", at looks {', '.join(map(str, rule.at))}" if isinstance(rule.at, list) else named[rule.at]
    waits = f", from {rule.from_patients} evaluable patients on" if rule.from_patients else ""
    return f"stop for {rule.stop_for} if {said}{when}{waits}"


def course(month: float, event: float, censor: float) -> str:
    """Return what happens to a patient who is followed from the month, without regard to the end of the trial."""
    if event <= censor:
        return f"event in month {month + event:.2f}"
    return "no event" if math.isinf(censor) else f"lost in month {month + censor:.2f}"


def outcome(number: int, kind: str) -> str:
    """Return an outcome (kernel.desk) of an endpoint of this kind in English."""
    good, bad = ("event-free", "event") if kind == "survival_at_month" else ("response", "no response")
    return {RESPONSE: good, MISSING: "missing", NOT_EVALUABLE: "not evaluable"}.get(number, bad)


def tell(answer: Answer, name: str) -> str:
    """Return an answer against its threshold, as in `P(rate > 0.2) = 0.981, needs > 0.99: 0.009 short`."""
    sign = SIGNS[answer.comparison]
    if math.isinf(answer.threshold):
        return f"{name} = {plain(answer.value)}, and no value is enough at this look"
    threshold = round(answer.threshold, 9) + 0.0  # comparisons are moved by less, so that rounding decides none
    needs = f"needs {sign} {threshold:.6g}"
    if math.isnan(answer.value):
        return f"{name} cannot be told, {needs}"
    if math.isinf(answer.value):
        return f"{name} = {plain(answer.value)}, {needs}"
    gap = round(abs(answer.value - answer.threshold), 9)  # "at least 6" is stored as above the number next below 6
    places = 0 if gap == round(gap) else 3 if gap >= 0.001 else min(1 - math.floor(math.log10(gap)), 9)
    said = f"{gap:.{places}f}"
    shown = f"{name} = {plain(answer.value, max(places, 3))}, {needs}"
    if answer.distance > 0.0:
        return f"{shown}: met, by {said}" if float(said) > 0.0 else f"{shown}: met"
    return f"{shown}: {said} {'short' if '>' in sign else 'too high'}"


def plain(value: float, places: int = 4) -> str:
    """Return a number with so many decimals at most."""
    if math.isnan(value):
        return "n/a"
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def needed(cut: float | list[float] | PowerCutOff) -> str:
    """Return what a number is compared with: one number, one a look, or one that grows."""
    if isinstance(cut, PowerCutOff):
        return f"{cut.scale:g} (n/N)^{cut.power:g}"
    if isinstance(cut, list):
        return ", ".join(f"{one:g}" for one in cut) + " look by look"
    return f"{cut:g}"

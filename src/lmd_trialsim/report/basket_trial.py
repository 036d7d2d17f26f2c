"""One basket trial for people: its patients, each look with what the rules saw of each basket, and the ending."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim.basket_replay import BasketReplay, Look, OfArm, Seen
from lmd_trialsim.designs.basket import BasketCondition, BasketRule, ByBasket
from lmd_trialsim.designs.measures import MEDIAN, RATIOS
from lmd_trialsim.kernel.rules import GO_ON
from lmd_trialsim.report import page
from lmd_trialsim.report.spoken import SIGNS, VERDICTS, course, describe_of_each, needed, outcome, plain, tell

if TYPE_CHECKING:
    from rich.console import RenderableType


def parts(trial: BasketReplay, name: str) -> Iterator[RenderableType]:
    """Yield the page. name: of the design."""
    scenario = trial.setting.scenario
    yield page.heading(scenario.title)
    yield page.prose(
        f"replicate {trial.replicate} of design {name} under truth {trial.truth}, seed {trial.seed}, "
        f"scenario {scenario.digest()}"
    )
    yield page.heading("\nRules, in order, asked of every open basket")
    for number, rule in enumerate(trial.setting.design.rules):
        yield page.inset(f"{number + 1}. {describe(rule)}")
    yield page.heading("\nPatients")
    yield _patients(trial)
    for look in trial.looks:
        yield from _look(look, trial)
    yield page.heading("\nEnding")
    yield from map(page.inset, _ending(trial))


def describe(rule: BasketRule) -> str:
    """Return the rule in English."""
    said = " and ".join(f"{subject(c)} {SIGNS[c.comparison]} {_needed(c)}" for c in rule.conditions)
    told = describe_of_each(rule, said, "the final look")
    return f"of the pool: {told}" if rule.of == "pool" else told


def subject(condition: BasketCondition) -> str:
    """Return what a condition looks at, as in `P(rate > null rate)`."""
    if condition.predictive_probability_of is not None:
        return "predictive probability of success"
    if condition.p_value is not None:
        return "Bonferroni's p-value" if condition.p_value == "bonferroni" else "one-sided p-value"
    if condition.probability_that is None:
        return "the estimate" if condition.estimate_of else str(condition.number_of)
    below = condition.below is not None
    bound = condition.below if condition.below is not None else condition.above
    what = "its bound" if isinstance(bound, ByBasket) else str(bound).replace("_", " ")
    return f"P({condition.probability_that.replace('_', ' ')} {'<' if below else '>'} {what})"


def _needed(condition: BasketCondition) -> str:
    return "a number by basket" if isinstance(condition.cut, ByBasket) else needed(condition.cut)


def _patients(trial: BasketReplay) -> RenderableType:
    arms, two = trial.setting.arms, len(trial.setting.arms) > 1
    header = ["patient", "month", "basket", *(["arm"] if two else []), "what happens"]
    where = [[str(p.number), f"{p.month:.2f}", p.basket, *([arms[p.arm]] if two else [])] for p in trial.patients]
    if trial.setting.endpoint.kind == "time_to_event":
        told = [course(p.month, p.event, p.censor) for p in trial.patients]
    else:
        kind, delay = trial.setting.endpoint.kind, trial.setting.delay
        told = [f"{outcome(p.outcome, kind)}, known in month {p.month + delay:.2f}" for p in trial.patients]
    rows = [[*at, what] for at, what in zip(where, told, strict=True)]
    return page.grid(header, rows, left=len(header))


def _look(look: Look, trial: BasketReplay) -> Iterator[RenderableType]:
    yield page.heading(f"\nLook {look.number}, month {look.month:.2f}: {look.enrolled} enrolled")
    yield from map(page.inset, _of_pool(look, trial))
    for seen in look.baskets:
        judged = "" if seen.look is not None else ": not judged at this look"
        yield page.inset(f"{seen.basket}: {_known(seen, trial)}{judged}")
        for line in _of_rules(seen, trial):
            yield page.inset(f"  {line}")


def _of_pool(look: Look, trial: BasketReplay) -> Iterator[str]:
    """Yield whether the baskets are judged as one, and why."""
    pooling = trial.setting.design.pooling
    if pooling is None or look.pooled < 0:
        return
    if pooling.when is not None and not math.isnan(look.homogeneity):
        side = "above" if look.pooled == 1 else "not above"
        yield (
            f"settled at look {_settled(trial)} by the p-value of homogeneity: {plain(look.homogeneity)}, {side} "
            f"{pooling.when.exceeds:g}"
        )
    judged = [seen for seen in look.baskets if seen.look is not None]
    if look.pooled == 1 and judged:
        patients, responses = judged[0].asked
        yield f"{len(judged)} baskets judged as one: {responses} of {patients} responded"
    else:
        yield "each basket judged by itself"


def _settled(trial: BasketReplay) -> int:
    """Return the look at which it was settled whether baskets are judged as one."""
    return next(look.number for look in trial.looks if look.pooled >= 0)


def _known(seen: Seen, trial: BasketReplay) -> str:
    """Return what is known of a basket at a look, in English."""
    times, measure = trial.setting.endpoint.kind == "time_to_event", trial.setting.measure
    if measure in RATIOS:
        counts = zip(trial.setting.arms, (seen.of_control, seen.of_treatment), strict=True)
        told = "; ".join(f"{arm} {_of_arm(of, times=times)}" for arm, of in counts)
        return f"{told}; {measure.spoken} {plain(measure.unscaled(seen.mean))}"
    told, estimate = _of_arm(seen.of_control, times=times), plain(measure.unscaled(seen.mean))
    return f"{told}, median {estimate} months" if measure is MEDIAN else f"{told}, posterior mean {estimate}"


def _of_arm(of: OfArm, *, times: bool) -> str:
    if times:
        return f"{of.counted} events of {of.patients} in {of.months:.1f} months"
    return f"{of.counted} of {of.patients} responded"


def _of_rules(seen: Seen, trial: BasketReplay) -> Iterator[str]:
    if seen.look is None:
        return
    for number, (rule, answers) in enumerate(zip(trial.setting.design.rules, seen.answers, strict=True), 1):
        if not answers:
            yield f"rule {number}: silent"
        for answer, condition in zip(answers, rule.conditions, strict=False):
            yield f"rule {number}: {tell(answer, subject(condition))}"
    last = seen.look == trial.setting.looks
    if seen.verdict != GO_ON:
        yield f"{VERDICTS[seen.verdict]}: the basket closes"
    else:
        yield "no rule speaks: inconclusive" if last else "no rule speaks"


def _ending(trial: BasketReplay) -> Iterator[str]:
    measure = trial.setting.measure
    for name, value in zip(trial.setting.baskets, trial.values, strict=True):
        judged = [
            seen for look in trial.looks for seen in look.baskets if seen.basket == name and seen.look is not None
        ]
        if not judged:
            yield f"{name}: never judged; true {measure.spoken} {plain(value)}."
            continue
        end = judged[-1]
        estimate = plain(measure.unscaled(end.mean))
        yield (
            f"{name}: {VERDICTS[end.verdict]} at its look {end.look} with {end.counted} of {end.patients}; "
            f"estimate {estimate}, true {measure.spoken} {plain(value)}."
        )
    how = "a success" if trial.succeeded else "no success"
    closed = ", closed as it stood" if trial.closed else ""
    yield f"The trial is {how}, decided in month {trial.months:.2f} with {len(trial.patients)} patients{closed}."

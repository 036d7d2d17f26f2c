"""What must hold between the parts of a scenario; each complaint names its place and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.designs.analyses import OF_BINARY, OF_TIMES, POSTERIOR_OF, Z_OF
from lmd_trialsim.designs.generic import General, SingleArm, TwoArm
from lmd_trialsim.designs.looks import Every
from lmd_trialsim.designs.rules import SUBJECTS, Condition, Rule
from lmd_trialsim.patients.course import OF_RATES, OF_TIMES as COURSES_OF_TIMES, RELATIVE, Course, rate_in
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario, Truth

Place = tuple[str | int, ...]


def unknown(place: Place, name: str, known: Iterable[str], what: str, key: bool = False) -> At:
    """Return the complaint about a name that is not among the known ones, with the likeliest one."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    return At(
        place,
        f"unknown {what}",
        got=name,
        allowed=", ".join(names),
        way_out=f"Did you mean {near[0]}?" if near else "",
        key=key,
    )


def complaints(scenario: Scenario) -> Iterator[At]:
    """Yield what is wrong between the parts."""
    controls = [name for name, arm in scenario.arms.items() if arm.control]
    for name in controls[1:]:
        yield At(("arms", name, "control"), f"a second control beside {controls[0]}. Leave one.")
    for name in ("all",):
        if name in scenario.population.strata:
            yield At(("population", "strata", name), "is a reserved name. Choose another", key=True)
    for name, truth in scenario.truths.items():
        yield from _of_truth(scenario, ("truths", name), truth)
    for name, design in scenario.designs.items():
        yield from _of_design(scenario, ("designs", name), design)


def _of_truth(scenario: Scenario, at: Place, truth: Truth) -> Iterator[At]:
    for endpoint, courses in truth.courses.items():
        if endpoint not in scenario.endpoints:
            yield unknown((*at, endpoint), endpoint, scenario.endpoints, "endpoint", key=True)
            continue
        kind = scenario.endpoints[endpoint].kind
        ways = {
            "binary": OF_RATES,
            "time_to_event": COURSES_OF_TIMES,
            "survival_at_month": (*OF_RATES, *COURSES_OF_TIMES),
        }[kind]
        yield from _of_courses(scenario, (*at, endpoint), courses, ways)
    yield from _of_courses(scenario, (*at, "death"), truth.death, COURSES_OF_TIMES)
    if not truth.courses:
        yield At(at, "says nothing of any endpoint", allowed=", ".join(scenario.endpoints), key=True)


def _of_courses(scenario: Scenario, at: Place, courses: dict[str, Course], ways: tuple[str, ...]) -> Iterator[At]:
    wrong = False
    for arm, course in courses.items():
        if arm not in scenario.arms:
            yield unknown((*at, arm), arm, scenario.arms, "arm", key=True)
            wrong = True
            continue
        for found in _of_course(scenario, (*at, arm), arm, course, courses, ways):
            wrong = True
            yield found
    if wrong:
        return
    for arm, course in courses.items():
        for stratum in scenario.population.stratum_names():
            own = course.by_stratum[stratum] if course.by_stratum else course
            if own.difference is not None or own.risk_ratio is not None:
                rate = rate_in(courses, arm, stratum, scenario.control)
                if not 0.0 <= rate <= 1.0:
                    way = "difference" if own.difference is not None else "risk_ratio"
                    place = (*at, arm, "by_stratum", stratum, way) if course.by_stratum else (*at, arm, way)
                    yield At(place, "takes the rate outside 0 to 1", got=f"a rate of {rate:g}")


def _of_course(
    scenario: Scenario, at: Place, arm: str, course: Course, courses: dict[str, Course], ways: tuple[str, ...]
) -> Iterator[At]:
    strata = scenario.population.strata
    if course.by_stratum is not None:
        if not strata:
            yield At((*at, "by_stratum"), "the population has no strata. Say population: strata:", key=True)
            return
        for stratum in course.by_stratum:
            if stratum not in strata:
                yield unknown((*at, "by_stratum", stratum), stratum, strata, "stratum", key=True)
        for stratum in strata:
            if stratum not in course.by_stratum:
                yield At((*at, "by_stratum"), f"lacks the stratum {stratum}. Give it a course.", key=True)
            elif course.by_stratum[stratum].by_stratum is not None:
                yield At((*at, "by_stratum", stratum, "by_stratum"), "stands within by_stratum. Take it out", key=True)
            else:
                yield from _of_course(
                    scenario, (*at, "by_stratum", stratum), arm, course.by_stratum[stratum], courses, ways
                )
        return
    said = next(way for way in (*COURSES_OF_TIMES, *OF_RATES, "same_as") if getattr(course, way) is not None)
    if said not in ways and said != "same_as":
        yield At((*at, said), "does not describe this endpoint", allowed=", ".join((*ways, "same_as")), key=True)
    if said in RELATIVE and said != "same_as":
        control = scenario.control
        if control is None:
            yield At(
                (*at, said), "refers to the control arm, and there is none. Mark one with control: true.", key=True
            )
        elif control == arm:
            yield At((*at, said), "refers to the control arm, which this is. State its course on its own.", key=True)
        elif control not in courses:
            yield At(
                (*at, said), f"refers to the control arm {control}, which has no course here. Give it one.", key=True
            )
        else:
            base = courses[control]
            for own in base.by_stratum.values() if base.by_stratum else [base]:
                if any(getattr(own, way) is not None for way in RELATIVE):
                    yield At(
                        (*at, said),
                        f"refers to {control}, whose own course is relative. State that one on its own.",
                        key=True,
                    )
                    break
                if (said == "hazard_ratio") != any(getattr(own, w) is not None for w in COURSES_OF_TIMES):
                    yield At(
                        (*at, said),
                        f"does not go with the course of {control}: one is a rate, the other an event time.",
                        key=True,
                    )
                    break
    if course.same_as is not None:
        seen, other = [arm], course.same_as
        while other not in seen and other in courses and courses[other].same_as is not None:
            seen.append(other)
            other = str(courses[other].same_as)
        if other in seen:
            yield At((*at, "same_as"), "goes round in a circle. State one of the courses on its own.")
        elif other not in scenario.arms:
            yield unknown((*at, "same_as"), other, scenario.arms, "arm")
        elif other not in courses:
            yield At((*at, "same_as"), f"{other} has no course here. Give it one.")


def _of_design(scenario: Scenario, at: Place, design: Any) -> Iterator[At]:
    if design.endpoint not in scenario.endpoints:
        yield unknown((*at, "endpoint"), design.endpoint, scenario.endpoints, "endpoint")
        return
    endpoint = scenario.endpoints[design.endpoint]
    if not isinstance(design, General) and endpoint.kind == "time_to_event":
        yield At(
            (*at, "endpoint"),
            "this design is for binary endpoints",
            got="time_to_event",
            allowed="binary, survival_at_month",
        )
        return
    general = design.general()
    trouble = list(_of_arms(scenario, at, general))
    if not trouble:
        trouble += _of_truths_covered(scenario, at, general)
    yield from trouble
    if isinstance(design, General):
        yield from _of_looks(scenario, at, general)
        yield from _of_analysis(scenario, (*at, "analysis"), general, general.analysis)
        yield from _of_rules(scenario, at, general)
    if design.accrual_at_looks == "pauses" and endpoint.kind == "time_to_event":
        yield At((*at, "accrual_at_looks"), "accrual pauses for binary endpoints only. Say continues.")
    if scenario.population.accrual.dries_up and design.max_months is None:
        yield At(
            (*at, "endpoint"),
            "the accrual dries up, so the trial may never fill. Add max_months, when it closes as it stands.",
            key=True,
        )
    if isinstance(general, SingleArm) and endpoint.kind == "time_to_event" and general.null_rate is not None:
        yield At((*at, "null_rate"), "goes with binary endpoints. Remove it", key=True)


def arms_of(scenario: Scenario, design: General) -> list[str]:
    """Return the arms of a design, control first; empty where they can't be told."""
    if isinstance(design, TwoArm):
        if design.arms is not None:
            return [design.arms.control, design.arms.treatment]
        control = scenario.control
        others = [name for name in scenario.arms if name != control]
        return [control, others[0]] if control is not None and len(others) == 1 else []
    assert isinstance(design, SingleArm)
    if design.arm is not None:
        return [design.arm]
    others = [name for name, arm in scenario.arms.items() if not arm.control]
    return others if len(others) == 1 else []


def _of_arms(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    if isinstance(design, TwoArm):
        if design.arms is None and scenario.control is None:
            yield At((*at, "kind"), "two arms need a control, and no arm is one. Mark one with control: true.")
        elif design.arms is None and not arms_of(scenario, design):
            yield At((*at, "kind"), "which arm is the treatment? Add arms: {control: ..., treatment: ...}.")
        elif design.arms is not None:
            for role in ("control", "treatment"):
                name = getattr(design.arms, role)
                if name not in scenario.arms:
                    yield unknown((*at, "arms", role), name, scenario.arms, "arm")
            if design.arms.control == design.arms.treatment:
                yield At((*at, "arms", "treatment"), "is the control too. Name another arm.")
        arms = arms_of(scenario, design)
        if arms and all(arm in scenario.arms for arm in arms):
            yield from _of_allocation(scenario, (*at, "allocation"), design, arms)
        return
    arms = arms_of(scenario, design)
    if not arms:
        yield At((*at, "kind"), "which arm is it? Add arm:", allowed=", ".join(scenario.arms))
    elif arms[0] not in scenario.arms:
        yield unknown((*at, "arm"), arms[0], scenario.arms, "arm")


def _of_allocation(scenario: Scenario, at: Place, design: TwoArm, arms: list[str]) -> Iterator[At]:
    allocation = design.allocation
    for arm in allocation.ratio or {}:
        if arm not in arms:
            yield unknown((*at, "ratio", arm), arm, arms, "arm of this design", key=True)
    if allocation.ratio is not None and arms[0] not in allocation.ratio:
        yield At((*at, "ratio"), f"leaves out the control {arms[0]}. Give its share.", key=True)
    elif allocation.ratio is not None and arms[1] not in allocation.ratio:
        yield At((*at, "ratio"), f"leaves out the treatment {arms[1]}. Give its share.", key=True)
    for i, arm in enumerate(allocation.order or []):
        if arm not in arms:
            yield unknown((*at, "order", i), arm, arms, "arm of this design")
    if allocation.order is not None:
        for arm in arms:
            if arm not in allocation.order:
                role = "the control" if arm == arms[0] else "the treatment"
                yield At((*at, "order"), f"leaves out {role} {arm}. Add it.", key=True)
        return
    total = sum(allocation.shares(arms))
    if allocation.block is not None and allocation.block % total:
        below = allocation.block // total * total
        allowed = f"{below} or {below + total}" if below else str(total)
        yield At(
            (*at, "block"),
            f"must be a multiple of {total}, the sum of the ratio",
            got=str(allocation.block),
            allowed=allowed,
        )
    if allocation.stratify_by and not scenario.population.strata:
        yield At((*at, "stratify_by"), "the population has no strata. Say population: strata:, or remove it", key=True)


def _of_truths_covered(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    arms = arms_of(scenario, design)
    for name, truth in scenario.truths.items():
        courses = truth.courses.get(design.endpoint)
        if courses is None:
            yield At(
                ("truths", name),
                f"says nothing of the endpoint {design.endpoint} that design {at[-1]} is about. Add it.",
                key=True,
            )
            continue
        for arm in arms:
            if arm not in courses:
                yield At(
                    ("truths", name, design.endpoint),
                    f"lacks the arm {arm} that design {at[-1]} has. Add it.",
                    key=True,
                )
            elif truth.death and arm not in truth.death and scenario.endpoints[design.endpoint].kind == "binary":
                yield At(("truths", name, "death"), f"lacks the arm {arm} that design {at[-1]} has. Add it.", key=True)


def _of_looks(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    looks, kind = design.looks, scenario.endpoints[design.endpoint].kind
    if looks.unit == "evaluable" and kind == "time_to_event":
        yield At((*at, "looks", "evaluable"), "goes with binary endpoints. Use patients, events or months", key=True)
    if looks.unit == "events" and kind != "time_to_event":
        yield At(
            (*at, "looks", "events"), "goes with time_to_event endpoints. Use patients, evaluable or months", key=True
        )
    if looks.unit in ("patients", "evaluable", "events"):
        given = getattr(looks, looks.unit)
        for i, number in enumerate(looks.numbers()):
            if number > design.max_patients:
                place: Place = (*at, "looks", looks.unit, *(("to",) if isinstance(given, Every) else (i,)))
                yield At(
                    place, f"a look after the last patient (max_patients is {design.max_patients})", got=str(number),
                    way_out=f"Use looks up to {design.max_patients}, or raise max_patients.",
                )  # fmt: skip
                break
    if looks.unit == "months" and design.max_months is not None and looks.numbers()[-1] > design.max_months:
        yield At(
            (*at, "max_months"), f"the trial closes before its last look at month {looks.numbers()[-1]:g}. Raise it."
        )
    if (
        kind == "time_to_event"
        and looks.unit == "patients"
        and looks.final is None
        and len(looks.numbers()) == 1
        and looks.numbers()[0] <= 1
    ):
        yield At(
            (*at, "looks", "patients"),
            "nothing can be seen at the first patient's entry. Add final: {follow_up_months: ...}.",
            key=True,
        )


def _of_analysis(scenario: Scenario, at: Place, design: General, analysis: Any) -> Iterator[At]:
    kind = scenario.endpoints[design.endpoint].kind
    allowed = OF_TIMES if kind == "time_to_event" else OF_BINARY
    two = isinstance(design, TwoArm)
    if analysis.kind not in allowed:
        yield At((*at, "kind"), f"does not go with a {kind} endpoint", got=analysis.kind, allowed=", ".join(allowed))
        return
    only_two = ("difference_of_proportions", "fisher_exact", "log_rank", "cox", "restricted_mean")
    if not two and analysis.kind in only_two:
        singles = [name for name in allowed if name not in only_two]
        yield At(
            (*at, "kind"), "compares two arms, and this design has one", got=analysis.kind, allowed=", ".join(singles)
        )
    if two and analysis.kind == "exact_binomial":
        yield At(
            (*at, "kind"),
            "is for a single arm",
            got=analysis.kind,
            allowed=", ".join(n for n in allowed if n != "exact_binomial"),
        )
    if two and getattr(analysis, "null_survival", None) is not None:
        yield At((*at, "null_survival"), "is for a single arm. Use margin", key=True)
    if not two and analysis.kind == "milestone_survival" and analysis.null_survival is None:
        yield At((*at, "kind"), "needs null_survival in a single arm. Add it.")
    if getattr(analysis, "stratified", False) and not scenario.population.strata:
        yield At((*at, "stratified"), "the population has no strata. Say population: strata:, or remove it", key=True)
    arms = arms_of(scenario, design)
    for arm in getattr(analysis, "priors", {}):
        if arms and arm not in arms:
            yield unknown((*at, "priors", arm), arm, arms, "arm of this design", key=True)
    if arms and getattr(analysis, "prior", None) is None:
        for arm in arms:
            if getattr(analysis, "priors", None) and arm not in analysis.priors:
                yield At((*at, "priors"), f"leaves out the arm {arm}. Add it, or prior: for the rest.", key=True)


def _of_rules(scenario: Scenario, at: Place, design: General) -> Iterator[At]:
    successes = 0
    for i, rule in enumerate(design.rules):
        place = (*at, "rules", i)
        successes += rule.stop_for == "efficacy"
        if isinstance(rule.at, list):
            for j, look in enumerate(rule.at):
                if look > design.looks.count:
                    yield At(
                        (*place, "at", j),
                        f"there are {design.looks.count} looks",
                        got=str(look),
                        allowed=f"1 to {design.looks.count}",
                    )
        if rule.stop_accrual_for is not None and design.looks.final is None:
            yield At(
                (*place, "stop_accrual_for"),
                "needs a final look by follow-up. Add looks: final: {follow_up_months: ...}.",
                key=True,
            )
        if rule.analysis is not None:
            yield from _of_analysis(scenario, (*place, "analysis"), design, rule.analysis)
        if rule.spending is not None:
            yield from _of_spending(place, design, rule)
        for j, condition in enumerate(rule.conditions):
            here = (*place, "when", j) if isinstance(rule.when, list) else (*place, "when")
            yield from _of_condition(scenario, here, design, rule, condition)
    if not successes:
        yield At(
            (*at, "rules"),
            "no rule can conclude efficacy, so the trial can't succeed. Add one with stop_for: efficacy.",
            key=True,
        )
    yield from _contradictions(at, design)


def _of_spending(at: Place, design: General, rule: Rule) -> Iterator[At]:
    analysis = rule.analysis or design.analysis
    group = "two" if isinstance(design, TwoArm) else "single"
    if analysis.kind not in Z_OF[group]:
        yield At(
            (*at, "spending"),
            f"needs a test statistic, and {analysis.kind} has none",
            allowed=", ".join(Z_OF[group]),
            key=True,
        )
    looks = design.looks
    if rule.information is None and (
        looks.unit in ("months", "final") or (looks.final is not None and looks.unit != "events")
    ):
        yield At(
            (*at, "spending"),
            "the information at each look is not known here. Add information: [...], one for each look.",
            key=True,
        )
    for name in ("information", "cumulative"):
        given = getattr(rule, name)
        if given is not None and len(given) != looks.count:
            yield At((*at, name), f"has {len(given)} numbers for {looks.count} looks. Give one for each.", key=True)
        elif given is not None and any(b <= a for a, b in zip(given, given[1:], strict=False)):
            yield At((*at, name), "must increase from look to look.", key=True)
    if rule.stop_for == "futility":
        efficacy = [r for r in design.rules if r.spending is not None and r.stop_for == "efficacy"]
        if len(efficacy) != 1:
            yield At((*at, "spending"), "a futility boundary needs one efficacy boundary beside it. Add it.", key=True)
    elif sum(r.spending is not None and r.stop_for == "efficacy" for r in design.rules) > 1:
        yield At((*at, "spending"), "there are two efficacy boundaries. Leave one.", key=True)


def _of_condition(scenario: Scenario, at: Place, design: General, rule: Rule, condition: Condition) -> Iterator[At]:
    analysis = rule.analysis or design.analysis
    group = "two" if isinstance(design, TwoArm) else "single"
    subject = condition.subject
    if isinstance(condition.cut, list):
        speaks = rule.looks(design.looks.count)
        if len(condition.cut) != len(speaks):
            yield At(
                (*at, condition.comparison),
                f"has {len(condition.cut)} numbers, and the rule speaks at {len(speaks)} looks. Give one for each.",
                key=True,
            )
    if subject == "probability_that":
        known = POSTERIOR_OF[group].get(analysis.kind, ())
        if not known:
            with_one = ", ".join(sorted(POSTERIOR_OF[group]))
            yield At(
                (*at, subject), f"{analysis.kind} has no posterior", allowed=f"an analysis of kind {with_one}", key=True
            )
        elif condition.probability_that not in known:
            yield At(
                (*at, subject),
                f"{analysis.kind} has no posterior of it",
                got=str(condition.probability_that),
                allowed=", ".join(known),
            )
        else:
            yield from _of_bound(scenario, at, design, analysis, condition)
    elif subject == "statistic" and analysis.kind not in Z_OF[group]:
        yield At(
            (*at, subject),
            f"{analysis.kind} has no test statistic",
            allowed=f"an analysis of kind {', '.join(Z_OF[group])}",
            key=True,
        )
    elif subject == "p_value":
        exact = {"single": ("exact_binomial",), "two": ("fisher_exact",)}[group]
        if analysis.kind not in (*Z_OF[group], *exact):
            yield At(
                (*at, subject),
                f"{analysis.kind} has no p-value",
                allowed=f"an analysis of kind {', '.join((*Z_OF[group], *exact))}",
                key=True,
            )
        elif analysis.kind in exact and condition.p_value == "two_sided":
            yield At((*at, subject), "this test is one-sided. Say one_sided.")
    elif subject == "number_of" and (
        group == "two"
        or scenario.endpoints[design.endpoint].kind == "time_to_event"
        or design.looks.unit != "evaluable"
        and design.looks.unit != "patients"
    ):
        yield At((*at, subject), "is for single-arm binary designs with looks by patients or evaluable.", key=True)
    elif subject == "predictive_probability_of":
        yield from _of_predictive(scenario, at, design, rule, analysis, condition)


def _of_bound(scenario: Scenario, at: Place, design: General, analysis: Any, condition: Condition) -> Iterator[At]:
    name = "above" if condition.above is not None else "below"
    bound = condition.above if condition.above is not None else condition.below
    assert bound is not None
    quantity = str(condition.probability_that)
    if quantity in ("rate", "survival") and not 0 < bound < 1:
        yield At((*at, name), "a probability lies between 0 and 1", got=f"{bound:g}")
    elif quantity == "difference" and not -1 < bound < 1:
        yield At((*at, name), "a difference of probabilities lies between -1 and 1", got=f"{bound:g}")
    elif quantity in ("ratio", "odds_ratio", "hazard_ratio", "hazard_per_month", "median_months") and bound <= 0:
        yield At((*at, name), "must be positive", got=f"{bound:g}")
    elif quantity == "survival_difference" and bound != 0:
        yield At((*at, name), "only a difference above or below 0 is computed", got=f"{bound:g}", allowed="0")
    arms = arms_of(scenario, design)
    if condition.arm is not None and quantity not in ("rate", "hazard_per_month", "median_months", "survival"):
        yield At((*at, "arm"), f"{quantity} speaks of both arms. Remove it", key=True)
    elif condition.arm is not None and arms and condition.arm not in arms:
        yield unknown((*at, "arm"), condition.arm, arms, "arm of this design")


def _of_predictive(
    scenario: Scenario, at: Place, design: General, rule: Rule, analysis: Any, condition: Condition
) -> Iterator[At]:
    times = scenario.endpoints[design.endpoint].kind == "time_to_event"
    last = design.looks.count - 1
    if last in rule.looks(design.looks.count) and design.looks.count == 1:
        yield At((*at, "predictive_probability_of"), "there is no later look to predict. Add looks.", key=True)
    ends = [
        r for r in design.rules if r is not rule and r.stop_for == "efficacy" and last in r.looks(design.looks.count)
    ]
    if not any(all(c.subject != "predictive_probability_of" for c in r.conditions) for r in ends):
        yield At(
            (*at, "predictive_probability_of"),
            "success at the final look is not defined. Add a rule with stop_for: efficacy, at: final.",
            key=True,
        )
    if times and not isinstance(design, TwoArm):
        yield At((*at, "predictive_probability_of"), "is computed for event times in two arms only.", key=True)
    if not times:
        for name in ("model", "imputations"):
            if getattr(condition, name) is not None:
                yield At((*at, name), "goes with time_to_event endpoints. Remove it", key=True)
        if design.analysis.kind != "beta_binomial" and analysis.kind != "beta_binomial":
            yield At(
                (*at, "predictive_probability_of"),
                "needs a model of the future. Use analysis: {kind: beta_binomial, prior: ...} in the design or the rule.",
                key=True,
            )
    elif (
        condition.model is None and analysis.kind != "gamma_exponential" and design.analysis.kind != "gamma_exponential"
    ):
        yield At(
            (*at, "predictive_probability_of"),
            "needs a model of the future. Add model: {kind: gamma_exponential, prior: {events: 0.1, months: 0.1}}.",
            key=True,
        )


def _contradictions(at: Place, design: General) -> Iterator[At]:
    """Two rules on the same number that would both speak: the later one could never be heard, or success is futile."""
    simple: list[tuple[int, Rule, Condition]] = [
        (i, rule, rule.conditions[0])
        for i, rule in enumerate(design.rules)
        if len(rule.conditions) == 1 and isinstance(rule.conditions[0].cut, float | int)
    ]
    for k, (_, first, a) in enumerate(simple):
        for i, second, b in simple[k + 1 :]:
            if first.stop_for == second.stop_for or first.analysis != second.analysis:
                continue
            shared = set(first.looks(design.looks.count)) & set(second.looks(design.looks.count))
            same = all(getattr(a, n) == getattr(b, n) for n in (*SUBJECTS, "above", "below", "month", "arm", "at"))
            if not shared or not same:
                continue
            up = {"exceeds", "at_least"}
            cut_a, cut_b = float(a.cut), float(b.cut)  # type: ignore[arg-type]
            if (a.comparison in up) != (b.comparison in up):
                low, high = (cut_b, cut_a) if a.comparison in up else (cut_a, cut_b)
                if low > high:
                    yield At(
                        (*at, "rules", i, "when"),
                        f"contradicts an earlier rule: between {high:g} and {low:g} both would speak. Move one of the thresholds.",
                        key=True,
                    )
            else:
                yield At(
                    (*at, "rules", i, "when"),
                    "contradicts an earlier rule that speaks on the same side of the same number with another verdict.",
                    key=True,
                )

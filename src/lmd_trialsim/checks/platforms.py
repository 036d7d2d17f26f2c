"""What must hold between a platform design and the rest of the scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.checks.rules import looks_beyond
from lmd_trialsim.checks.sides import complaints_of_sides
from lmd_trialsim.designs.arm_allocation import FixedAllocation, Follows
from lmd_trialsim.designs.arm_analyses import TESTS, ArmPeriodRegression
from lmd_trialsim.designs.arm_regression import MOST_BUCKETS, ArmRegression
from lmd_trialsim.designs.platform import MOST_ARMS, ArmCondition, ArmRule, ByArm, Platform
from lmd_trialsim.designs.platform import Place as ArmPlace
from lmd_trialsim.designs.strata_hierarchy import StrataHierarchical
from lmd_trialsim.patients.endpoints import lower_is_better
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

OF_TIMES = ("gamma_exponential", "log_rank", "regression")
OF_RATES = ("beta_binomial", "difference_of_proportions", "period_regression", "regression")
ANALYSES = {
    "binary": OF_RATES,
    "survival_at_month": OF_RATES,
    "time_to_event": OF_TIMES,
    "continuous": ("normal", "difference_of_means", "period_regression", "regression"),
}
"""The analyses that go with an endpoint."""

WORDS = {
    "beta_binomial": (("best", "difference", "rate"), "responses"),
    "gamma_exponential": (("best", "hazard_ratio", "median"), "events"),
    "log_rank": (("hazard_ratio",), "events"),
    "normal": (("best", "difference", "mean"), ""),
    "difference_of_means": (("difference",), ""),
    "difference_of_proportions": (("difference",), "responses"),
    "period_regression": (("difference",), "responses"),
}
"""What probability_that and number_of may say under an analysis."""

MOST_CELLS = 120_000
"""Of a regression, at all times of entry."""

RARE = 1e-3
"""A share of patients that is waited for only where the trial has an end."""

OF_CONTROL = ("difference", "odds_ratio", "hazard_ratio")

OF_REGRESSION = {
    "binary": ("odds_ratio", "responses"),
    "survival_at_month": ("odds_ratio", "responses"),
    "time_to_event": ("hazard_ratio", "events"),
    "continuous": ("difference", ""),
}
"""The same under a regression, by endpoint."""


def control_of(scenario: Scenario, design: Platform) -> str | None:
    """Return the control of a design, None where it has none."""
    if design.without_control:
        return None
    return design.control if design.control is not None else scenario.control


def followed_by(design: Platform) -> Follows | None:
    """Return the early endpoint that shares follow, None where there is none."""
    return getattr(design.allocation, "follows", None)


def arms_of_platform(scenario: Scenario, design: Platform) -> list[str]:
    """Return all arms, the control first."""
    control = control_of(scenario, design)
    names = [place.name for place in design.places(list(scenario.arms), control)]
    return names if control is None else [control, *names]


def complaints_of_platform(scenario: Scenario, at: Place, design: Platform) -> Iterator[At]:
    """Yield what is wrong with a platform design."""
    strange = list(_of_names(scenario, at, design))
    yield from strange
    if strange:
        return
    places = design.places(list(scenario.arms), control_of(scenario, design))
    for place in places:
        yield from _of_arm(scenario, at, design, place)
    yield from _of_entries(at, design, places)
    yield from _of_idle(at, design, places)
    yield from _of_allocation(scenario, at, design, places)
    yield from _of_looks(at, design, places)
    wrong = list(_of_analysis(scenario, at, design))
    yield from wrong
    yield from _of_rules(scenario, at, design, places, words=not wrong)
    yield from _of_strata(scenario, at, design, places)
    yield from _of_pooling(at, design)
    if design.accrual_at_looks == "pauses":
        yield At((*at, "accrual_at_looks"), "accrual goes on where arms come and go. Say continues.")


def _of_pooling(at: Place, design: Platform) -> Iterator[At]:
    """Yield what is wrong with what is made of control patients of other times."""
    for key, kind in (("pool_level", "test_then_pool"), ("pool_weight", "robust_mixture"), ("pool_power", "power")):
        if getattr(design, key) is not None and design.controls != kind:
            yield At((*at, key), f"goes with controls: {kind}. Remove it.", key=True)
    if design.controls == "test_then_pool" and (design.without_control or design.analysis.kind == "log_rank"):
        text = "pools sums over control patients; the log-rank test has none, and without a control there is nothing"
        yield At((*at, "controls"), text, way_out="Say concurrent.")
    if design.controls not in ("robust_mixture", "power"):
        return
    if design.without_control:
        yield At((*at, "controls"), "there is no control. Remove it.", got=design.controls, key=True)
    elif isinstance(design.analysis, TESTS) and not isinstance(design.analysis, ArmPeriodRegression):
        text = "weighs posteriors, and a test has none. Use an analysis with priors, or say concurrent."
        yield At((*at, "controls"), text, got=design.controls)
    if isinstance(design.analysis, (*TESTS, ArmRegression)):
        return
    if design.controls == "power" and design.pool_power is None:
        way_out = "Add pool_power: 0.5, above 0 and below 1."
        yield At((*at, "controls"), "needs a power of the likelihood of other times", got="power", way_out=way_out)


def _of_names(scenario: Scenario, at: Place, design: Platform) -> Iterator[At]:
    if design.control is not None and design.without_control:
        yield At((*at, "control"), "contradicts without_control. Remove one", key=True)
    elif design.control is not None and design.control not in scenario.arms:
        yield unknown((*at, "control"), design.control, scenario.arms, "arm")
    elif control_of(scenario, design) is None and not design.without_control:
        way_out = "Mark one with control: true, name it with control:, or say without_control: true."
        yield At((*at, "kind"), "which arm is the control?", allowed=", ".join(scenario.arms), way_out=way_out)
    if design.replace_control and design.without_control:
        yield At((*at, "replace_control"), "contradicts without_control. Remove one", key=True)
    elif design.replace_control and design.controls != "all":
        text = "compares arms by all their patients: another arm may become the control. Say controls: all."
        yield At((*at, "controls"), text, got=design.controls, key=True)
    for name in design.arms:
        if name not in scenario.arms:
            yield unknown((*at, "arms", name), name, scenario.arms, "arm", key=True)
        elif name == control_of(scenario, design):
            yield At((*at, "arms", name), "is the control, which is always there. Leave it out.", key=True)
    count = len(design.places(list(scenario.arms), control_of(scenario, design)))
    least = 2 if design.without_control else 1
    if not least <= count <= MOST_ARMS:
        text = "has too few arms under trial" if count < least else "has too many arms under trial"
        yield At((*at, "kind"), text, got=str(count), allowed=f"{least} to {MOST_ARMS}")


def _of_arm(scenario: Scenario, at: Place, design: Platform, place: ArmPlace) -> Iterator[At]:
    here, spec = (*at, "arms", place.name), place.spec
    strata = scenario.population.strata
    for i, name in enumerate(spec.strata or []):
        if not strata:
            yield At(
                (*here, "strata"), "the population has no strata. Say population: strata:, or remove it.", key=True
            )
            return
        if name not in strata:
            yield unknown((*here, "strata", i), name, strata, "stratum")
        elif name in (spec.strata or [])[:i]:
            yield At((*here, "strata", i), "is named twice. Remove one", got=name)
    known = [name for name in spec.strata or strata if name in strata]
    if known and not any(strata[name].value > 0.0 for name in known):
        yield At((*here, "strata"), "no patient of these strata ever comes: their shares are 0. Open it to others.")
    total = sum(strata[name].value for name in known)
    if known and 0.0 < total < RARE and design.max_months is None:
        text = f"so few patients are of these strata, {total:g} of all, that the arm may never fill"
        yield At((*here, "strata"), text, way_out="Add max_months, when the trial closes as it stands.")
    if isinstance(spec.enters_at_month, float):
        if design.max_months is not None and spec.enters_at_month >= design.max_months:
            text = f"comes when the trial has closed, at month {design.max_months:g}: the arm can never enter"
            yield At((*here, "enters_at_month"), text, got=f"{spec.enters_at_month:g}", way_out="Lower it.")
    elif design.new_arms_per_year is None:
        text = "the arm can never enter: nothing says how many arms come in a year. Add new_arms_per_year."
        yield At((*here, "enters_at_month"), text)
    if spec.enters_at_patients >= design.max_patients:
        text = f"the arm can never enter: there are {design.max_patients} patients in all at most"
        yield At((*here, "enters_at_patients"), text, got=str(spec.enters_at_patients), way_out="Lower it.")


def _of_idle(at: Place, design: Platform, places: list[ArmPlace]) -> Iterator[At]:
    """Yield what would never be heard of, or says two things."""
    if design.arms_at_once is not None and design.arms_at_once > len(places):
        yield At((*at, "arms_at_once"), "is more than there are arms under trial", got=str(design.arms_at_once),
                 allowed=f"1 to {len(places)}")  # fmt: skip
    for i in range(1, len(design.keep_best)):
        if design.keep_best[i] > design.keep_best[i - 1]:
            text = "arms that are closed do not come back: numbers must not rise"
            yield At((*at, "keep_best", i), text, got=str(design.keep_best[i]), way_out="Lower it.")
    asked = any(one.predictive_probability_of for rule in design.rules for one in rule.conditions)
    if design.confirmatory_trial is not None and not asked:
        text = "no rule asks for it. Say predictive_probability_of: confirmatory_trial in one, or remove it."
        yield At((*at, "confirmatory_trial"), text, key=True)
    first: ArmRule | None = None
    for i, rule in enumerate(design.rules):
        if rule.boundary is None:
            continue
        if first is not None and (rule.boundary, rule.alpha, rule.information) != (
            first.boundary,
            first.alpha,
            first.information,
        ):
            text = "is another boundary than that of an earlier rule: one error is held by one boundary"
            yield At((*at, "rules", i, "boundary"), text, way_out="Say the same boundary, alpha and information.")
        first = first or rule


def _of_strata(scenario: Scenario, at: Place, design: Platform, places: list[ArmPlace]) -> Iterator[At]:
    """Yield why no strata of arms can be closed."""
    first = next((i for i, rule in enumerate(design.rules) if rule.of == "each_stratum"), None)
    if first is None:
        for key in ("closed_strata", "strata_analysis"):
            if getattr(design, key) is not None:
                text = "no rule closes strata. Say of: each_stratum in one, or remove it."
                yield At((*at, key), text, key=True)
        return
    here = (*at, "rules", first, "of")
    strata = scenario.population.strata
    if not strata:
        yield At(here, "the population has no strata. Say population: strata:, or remove it.", key=True)
    for key, way_out in (("without_control", "Compare with a control"), ("replace_control", "Say false")):
        if getattr(design, key):
            text = "a stratum of an arm is compared with the control patients of the stratum, of one control throughout"
            yield At((*at, key), text, way_out=f"{way_out}, or remove the rules of strata.", key=True)
    if design.controls in ("test_then_pool", "robust_mixture", "power"):
        text = "pools all strata at once, and rules of strata speak of one. Say concurrently_eligible."
        yield At((*at, "controls"), text, got=design.controls)
    kind = scenario.endpoints[design.endpoint].kind
    if design.strata_analysis is not None:
        yield from _of_known_sd((*at, "strata_analysis"), design.strata_analysis, kind)
    if isinstance(design.analysis, ArmPeriodRegression | ArmRegression):
        text = "speaks of all patients together, and rules of strata of one stratum"
        way_out = f"Use {ANALYSES[kind][0]}."
        yield At((*at, "analysis", "kind"), text, got=design.analysis.kind, way_out=way_out)
    if followed_by(design) is not None and design.closed_strata != "counted":
        text = "sees the patients of closed strata too. Say closed_strata: counted, or remove it."
        yield At((*at, "allocation", "follows"), text, key=True)
    for place in places:
        rare = [name for name in place.spec.strata or strata if 0.0 < getattr(strata.get(name), "value", 0.0) < RARE]
        if rare and design.max_months is None:
            text = f"may be all that is left of {place.name}, and is so rare that the arm may never fill"
            way_out = "Add max_months, when the trial closes as it stands."
            yield At(here, text, got=rare[0], way_out=way_out)


def _of_entries(at: Place, design: Platform, places: list[ArmPlace]) -> Iterator[At]:
    at_random = [place.name for place in places if place.spec.enters_at_month == "random"]
    if design.new_arms_per_year is not None and not at_random:
        text = "no arm enters at random. Say enters_at_month: random of those that do, or remove it."
        yield At((*at, "new_arms_per_year"), text, key=True)
    if all(place.spec.enters_at_patients > 0 for place in places):
        text = "no arm can ever enter: each waits for patients, and there is none to take them"
        way_out = "Let one enter at 0 patients."
        yield At((*at, "arms", places[0].name, "enters_at_patients"), text, way_out=way_out)
    places_at_once = design.arms_at_once
    full = all(place.max_patients >= design.max_patients for place in places)
    if places_at_once is not None and places_at_once < len(places) and full and design.looks is None:
        text = f"is fewer than the {len(places)} arms, and no place is ever free again: no arm is full, and none judged"
        way_out = "Add looks or max_per_arm, or raise it."
        yield At((*at, "arms_at_once"), text, got=str(places_at_once), way_out=way_out)


def _of_allocation(scenario: Scenario, at: Place, design: Platform, places: list[ArmPlace]) -> Iterator[At]:
    allocation: Any = design.allocation
    here, control = (*at, "allocation"), control_of(scenario, design)
    if isinstance(allocation, FixedAllocation):
        arms = arms_of_platform(scenario, design)
        for arm in allocation.ratio:
            if arm not in arms:
                yield unknown((*here, "ratio", arm), arm, arms, "arm of this design", key=True)
        if allocation.control == "square_root" and control is None:
            yield At((*here, "control"), "there is no control. Remove it.", key=True)
        if allocation.stratify_by and not scenario.population.strata:
            text = "the population has no strata. Say population: strata:, or remove it."
            yield At((*here, "stratify_by"), text, key=True)
        return
    followed = allocation.follows.analysis if allocation.follows is not None else design.analysis
    if allocation.kind == "doubly_adaptive" and followed.kind != "beta_binomial":
        text = "follows response rates; use it with analysis: {kind: beta_binomial}, or let it follow such an endpoint"
        yield At((*here, "kind"), text, got="doubly_adaptive", way_out="Or use thall_wathen.")
    if allocation.follows is not None:
        yield from _of_early(scenario, here, design, allocation.follows)
    if design.looks is None:
        text = "shares follow what looks find, and there is no interim look: nothing would ever be known. Add looks."
        yield At((*here, "kind"), text)
    if control is None:
        if allocation.kind == "trippa":
            yield At((*here, "kind"), "compares with a control, and there is none. Use thall_wathen.", got="trippa")
        if allocation.control_share is not None:
            yield At((*here, "control_share"), "there is no control. Remove it.", key=True)
    if allocation.control_share is not None and not 0.0 < allocation.control_share < 1.0:
        text = "leaves nothing for the control or for the other arms"
        yield At((*here, "control_share"), text, got=f"{allocation.control_share:g}", allowed="above 0 and below 1")
    running = min(design.arms_at_once or len(places), len(places)) + int(
        control is not None and allocation.control_share is None
    )
    rest = 1.0 - (allocation.control_share or 0.0)
    if allocation.floor * running > rest + 1e-12:
        text = f"{running} arms with such shares have more than there is"
        yield At((*here, "floor"), text, got=f"{allocation.floor:g}", allowed=f"up to {rest / running:.4g}")
    if allocation.cap * running < rest - 1e-12:
        text = f"{running} arms with such shares have less than there is"
        yield At((*here, "cap"), text, got=f"{allocation.cap:g}", allowed=f"{rest / running:.4g} or more")
    if allocation.floor > allocation.cap:
        yield At((*here, "floor"), f"is above the cap, {allocation.cap:g}", got=f"{allocation.floor:g}")


def _of_early(scenario: Scenario, at: Place, design: Platform, follows: Follows) -> Iterator[At]:
    """Yield what is wrong with the early endpoint that shares follow."""
    here = (*at, "follows")
    if follows.endpoint not in scenario.endpoints:
        yield unknown((*here, "endpoint"), follows.endpoint, scenario.endpoints, "endpoint")
        return
    kind, place = scenario.endpoints[follows.endpoint].kind, (*here, "analysis", "kind")
    if follows.analysis.kind not in ANALYSES[kind]:
        text = f"does not go with the endpoint {follows.endpoint}, of kind {kind}"
        yield At(place, text, got=follows.analysis.kind, allowed=", ".join(ANALYSES[kind]))
    elif isinstance(follows.analysis, ArmRegression):
        yield At(
            place, "is no analysis that these shares can follow. Use one with priors of each arm.", got="regression"
        )
    elif not isinstance(follows.analysis, TESTS):
        yield from _of_knowledge(scenario, (*here, "analysis"), design, follows.analysis)
    elif design.allocation.kind != "trippa" or isinstance(follows.analysis, ArmPeriodRegression):
        yield At(place, "is no analysis that these shares can follow. Use one with priors.", got=follows.analysis.kind)


def _of_looks(at: Place, design: Platform, places: list[ArmPlace]) -> Iterator[At]:
    if design.looks is None:
        if design.keep_best:
            yield At((*at, "keep_best"), "speaks after interim looks, and there is none. Add looks.", key=True)
        return
    unit, listed = design.looks.unit, design.looks.listed()
    here = (*at, "looks", unit)
    for i, item in enumerate(listed):
        place = (*here, i) if isinstance(getattr(design.looks, unit), list) else here
        if unit in ("patients", "evaluable") and item > design.max_patients:
            text = f"is after the last patient (max_patients: {design.max_patients})"
            yield At(place, text, got=str(item), way_out="Lower it, or raise max_patients.")
        elif unit == "in_each" and item > max(one.max_patients for one in places):
            most = max(one.max_patients for one in places)
            yield At(place, f"is after the last patient of every arm ({most})", got=str(item), way_out="Lower it.")
        elif unit == "months" and design.max_months is not None and item >= design.max_months:
            text = f"is not before the trial closes, at month {design.max_months:g}"
            yield At(place, text, got=f"{item:g}", way_out="Lower it, or raise max_months.")
    if design.keep_best and unit == "in_each":
        text = "compares arms at the same look, and these come one by one. Use looks: evaluable."
        yield At((*at, "keep_best"), text, key=True)
    elif len(design.keep_best) > len(listed):
        text = "has a number for each interim look"
        yield At((*at, "keep_best"), text, got=f"{len(design.keep_best)} numbers", allowed=f"{len(listed)}", key=True)


def _of_analysis(scenario: Scenario, at: Place, design: Platform) -> Iterator[At]:
    endpoint, analysis = scenario.endpoints[design.endpoint], design.analysis
    allowed = ANALYSES[endpoint.kind]
    if analysis.kind not in allowed:
        text = f"does not go with the endpoint {design.endpoint}, of kind {endpoint.kind}"
        yield At((*at, "analysis", "kind"), text, got=analysis.kind, allowed=", ".join(allowed))
        return
    if isinstance(analysis, TESTS):
        yield from _of_test(scenario, at, design)
    elif isinstance(analysis, ArmRegression):
        yield from _of_regression(scenario, at, design, analysis)
    else:
        yield from _of_knowledge(scenario, (*at, "analysis"), design, analysis)
    yield from _of_endpoint(at, design, endpoint.kind)


def _of_knowledge(scenario: Scenario, at: Place, design: Platform, analysis: Any) -> Iterator[At]:
    """Yield what is wrong with what is known before the trial, of each arm by itself."""
    yield from _of_priors(arms_of_platform(scenario, design), (*at, "priors"), analysis)
    if analysis.external_controls is not None and control_of(scenario, design) is None:
        yield At((*at, "external_controls"), "there is no control. Remove it.", key=True)


def _of_priors(arms: list[str], at: Place, analysis: Any) -> Iterator[At]:
    for arm in analysis.priors:
        if arm not in arms:
            yield unknown((*at, arm), arm, arms, "arm of this design", key=True)
    missing = [arm for arm in arms if arm not in analysis.priors]
    if analysis.prior is None and missing:
        yield At(at, f"says no prior of {missing[0]}. Add it, or prior: for all.", key=True)


def _of_endpoint(at: Place, design: Platform, kind: str) -> Iterator[At]:
    """Yield the keys that are of another kind of endpoint."""
    times, alike = kind == "time_to_event", design.ends_if_alike
    following = design.confirmatory_trial
    if following is not None and (following.events is None) == times:
        place = (*at, "confirmatory_trial", "patients" if times else "events")
        text = f"is no size of a trial of {'times to an event' if times else 'this endpoint'}"
        yield At(place, text, way_out=f"Say {'events' if times else 'patients'}.", key=True)
    if design.looks is not None and design.looks.events is not None and not times:
        yield At((*at, "looks", "events"), "are of a time to an event; the endpoint is none. Use evaluable.", key=True)
    if design.follow_up_months and not times:
        text = "goes with times to an event; here looks count whom has been assessed. Remove it."
        yield At((*at, "follow_up_months"), text, key=True)
    if alike is None:
        return
    if times or isinstance(design.analysis, (*TESTS, ArmRegression)):
        text = "needs an analysis of rates or means with priors of each arm. Remove it."
        yield At((*at, "ends_if_alike"), text, key=True)
    elif kind != "continuous" and alike.within >= 1.0:
        text = "rates lie between 0 and 1"
        yield At((*at, "ends_if_alike", "within"), text, got=f"{alike.within:g}", allowed="below 1")


def _of_test(scenario: Scenario, at: Place, design: Platform) -> Iterator[At]:
    """Yield what a test of arms against their controls cannot do."""
    here = (*at, "analysis", "kind")
    if control_of(scenario, design) is None:
        way_out = f"Use {ANALYSES[scenario.endpoints[design.endpoint].kind][0]}."
        yield At(here, "tests against a control, and there is none", got=design.analysis.kind, way_out=way_out)
    if design.replace_control:
        text = "says nothing of the probability to be best, by which the control is replaced"
        yield At(here, text, got=design.analysis.kind, way_out="Use an analysis with priors.")
    if isinstance(design.analysis, ArmPeriodRegression) and design.controls != "all":
        text = "takes control patients of all times, adjusted for the time. Say controls: all."
        yield At((*at, "controls"), text, got=design.controls, key=True)
    if design.allocation.kind in ("thall_wathen", "top_two") and followed_by(design) is None:
        text = "says nothing of the probability to be best, which the allocation follows"
        way_out = "Use allocation: trippa, or an analysis with priors."
        yield At(here, text, got=design.analysis.kind, way_out=way_out)


def _of_regression(scenario: Scenario, at: Place, design: Platform, analysis: ArmRegression) -> Iterator[At]:
    """Yield what a regression of all arms cannot do."""
    here, kind = (*at, "analysis"), scenario.endpoints[design.endpoint].kind
    if control_of(scenario, design) is None:
        text = "tells effects against a control, and there is none"
        yield At((*here, "kind"), text, got="regression", way_out=f"Use {ANALYSES[kind][0]}.")
        return
    if design.replace_control:
        text = "tells effects against one control, which cannot be replaced"
        yield At((*here, "kind"), text, got="regression", way_out=f"Use {ANALYSES[kind][0]}.")
    arms = [arm for arm in arms_of_platform(scenario, design) if arm != control_of(scenario, design)]
    yield from _of_priors(arms, (*here, "priors"), analysis)
    if design.controls != "all":
        text = "takes control patients of all times, adjusted for the time. Say controls: all."
        yield At((*at, "controls"), text, got=design.controls, key=True)
    if analysis.strata is not None and not scenario.population.strata:
        text = "the population has no strata. Say population: strata:, or remove it."
        yield At((*here, "strata"), text, key=True)
    if analysis.hazard is not None and kind != "time_to_event":
        yield At((*here, "hazard"), "goes with times to an event. Remove it.", key=True)
    yield from _of_known_sd(here, analysis, kind)
    if analysis.time is not None and analysis.time.months is not None and design.max_months is None:
        text = "there is no last time of entry. Add max_months to the design, or say each: period, or patients."
        yield At((*here, "time", "months"), text, key=True)
    yield from _of_size(scenario, here, arms, analysis)
    if analysis.time is not None and analysis.time.count(design.max_patients, design.max_months) > MOST_BUCKETS:
        unit = "patients" if analysis.time.patients is not None else "months"
        text = f"makes more than {MOST_BUCKETS} times of entry"
        yield At((*here, "time", unit), text, way_out="Raise it.")
    if design.allocation.kind in ("thall_wathen", "top_two") and followed_by(design) is None:
        text = "says nothing of the probability to be best, which the allocation follows"
        way_out = "Use allocation: trippa, or an analysis with priors of each arm."
        yield At((*here, "kind"), text, got="regression", way_out=way_out)


def _of_known_sd(at: Place, analysis: ArmRegression | StrataHierarchical, kind: str) -> Iterator[At]:
    """Yield that a standard deviation is missing, or is one of an endpoint without."""
    if analysis.sd is not None and kind != "continuous":
        yield At((*at, "sd"), "goes with a continuous endpoint. Remove it.", key=True)
    elif analysis.sd is None and kind == "continuous":
        yield At((*at, "kind"), "says no sd. Add sd: 1.")


def _of_size(scenario: Scenario, at: Place, arms: list[str], analysis: ArmRegression) -> Iterator[At]:
    """Yield that a regression has more cells than trials should carry about."""
    strata = len(scenario.population.strata) if analysis.strata is not None else 1
    intervals = 1 + len(analysis.hazard.from_months) if analysis.hazard is not None else 1
    cells = (len(arms) + 1) * strata * intervals
    if analysis.time is not None and cells * MOST_BUCKETS > MOST_CELLS:
        text = f"arms, strata and intervals make {cells} cells at each time of entry"
        way_out = "Leave out strata or hazard."
        yield At((*at, "kind"), text, allowed=f"{MOST_CELLS // MOST_BUCKETS}", way_out=way_out)


def _of_rules(scenario: Scenario, at: Place, design: Platform, places: list[ArmPlace], *, words: bool) -> Iterator[At]:
    count = design.look_count
    for i, rule in enumerate(design.rules):
        here = (*at, "rules", i)
        yield from _of_boundary(here, design, rule)
        yield from looks_beyond(here, rule.at if isinstance(rule.at, list) else [], count)
        if not rule.looks(count):
            text = "the only look is the last one, so this rule would never speak. Add looks, or remove the rule."
            yield At((*here, "at"), text)
        most = max(place.max_patients for place in places)
        if rule.from_patients > most:
            text = f"the rule would never speak: an arm has {most} patients at most"
            yield At((*here, "from_patients"), text, got=str(rule.from_patients), way_out="Lower it.")
        for j, condition in enumerate(rule.conditions):
            place = (*here, "when") if isinstance(rule.when, ArmCondition) else (*here, "when", j)
            if words:
                yield from _of_words(scenario, place, design, rule, condition)
            yield from _of_cut(place, design, rule, condition, [one.name for one in places])
    if words:
        yield from complaints_of_sides((*at, "rules"), design.rules, lambda one: _favours(scenario, design, one))
    if not any(rule.stop_for == "efficacy" for rule in design.rules_of_arms) and not design.without_control:
        yield At((*at, "rules"), "no rule can conclude efficacy. Add one with stop_for: efficacy.", key=True)


def _favours(scenario: Scenario, design: Platform, condition: ArmCondition) -> int:
    """Return 1 where a large number of the condition speaks for the arm, -1 against it, 0 neither."""
    if condition.statistic or condition.predictive_probability_of or condition.probability_that == "best":
        return 1
    lower = lower_is_better(scenario.endpoints[design.endpoint])
    if condition.number_of is not None:
        return 0 if condition.number_of == "events" else (-1 if lower else 1)
    if condition.probability_that is None:
        return 0
    lower = condition.probability_that == "hazard_ratio" or (lower and condition.probability_that != "median")
    return 1 if (condition.below is not None) == lower else -1


def _of_boundary(at: Place, design: Platform, rule: ArmRule) -> Iterator[At]:
    """Yield why a rule can have no boundary."""
    if rule.boundary is None:
        return
    if not isinstance(design.analysis, TESTS):
        text = "is of a test statistic, and this analysis has none. Use an analysis that tests."
        yield At((*at, "boundary"), text, got=design.analysis.kind)
    allocation: Any = design.allocation
    if not isinstance(allocation, FixedAllocation) or allocation.control == "square_root":
        yield At((*at, "boundary"), "is computed for fixed whole shares. Use allocation: {kind: fixed}.")
    if rule.information is None and design.looks is not None and design.looks.unit in ("months", "events"):
        text = f"looks by {design.looks.unit} do not tell the information at them. Add information: to the rule."
        yield At((*at, "boundary"), text)
    if rule.information is not None and len(rule.information) != design.look_count:
        text = "has one number for each look, the last one included"
        got = f"{len(rule.information)} numbers"
        yield At((*at, "information"), text, got=got, allowed=str(design.look_count), key=True)


def _words(scenario: Scenario, design: Platform, rule: ArmRule) -> tuple[tuple[str, ...], str]:
    """Return the quantities of the analysis that the rule is asked of, and what it counts."""
    if isinstance(_asked_of(design, rule), ArmRegression | StrataHierarchical):
        quantity, counted = OF_REGRESSION[scenario.endpoints[design.endpoint].kind]
        return (quantity,), counted
    return WORDS[design.analysis.kind]


def _asked_of(design: Platform, rule: ArmRule) -> Any:
    """Return the analysis that the rule is asked of."""
    apart = rule.of == "each_stratum" and design.strata_analysis is not None
    return design.strata_analysis if apart else design.analysis


def _of_words(scenario: Scenario, at: Place, design: Platform, rule: ArmRule, condition: ArmCondition) -> Iterator[At]:
    quantities, counted = _words(scenario, design, rule)
    analysis = _asked_of(design, rule)
    word = condition.probability_that
    if word is not None and word not in quantities:
        text = f"is no quantity of the analysis {analysis.kind}"
        yield At((*at, "probability_that"), text, got=word, allowed=", ".join(quantities))
    elif word in OF_CONTROL and control_of(scenario, design) is None:
        text = "compares with a control, and there is none. Use best or rate."
        yield At((*at, "probability_that"), text, got=str(word))
    yield from _of_next(scenario, at, design, condition)
    if condition.statistic is not None and not isinstance(analysis, TESTS):
        text = "has no test statistic. Use probability_that."
        yield At((*at, "statistic"), text, got=analysis.kind)
    if condition.number_of is not None and condition.number_of != counted:
        yield At((*at, "number_of"), "is not counted here", got=condition.number_of, allowed=counted)
    for side in ("above", "below"):
        bound = getattr(condition, side)
        low, high = (0.0, 1.0) if word == "rate" else (-1.0, 1.0)
        binary = scenario.endpoints[design.endpoint].kind in ("binary", "survival_at_month")
        if bound is not None and word in ("odds_ratio", "hazard_ratio", "median") and bound <= 0.0:
            yield At(
                (*at, side),
                f"{'an' if word == 'odds_ratio' else 'a'} {word.replace('_', ' ')} lies above 0",
                got=f"{bound:g}",
            )
        if bound is not None and binary and word in ("rate", "difference") and not low < bound < high:
            text = f"a {word} lies between {low:g} and {high:g}"
            yield At((*at, side), text, got=f"{bound:g}")


def _of_next(scenario: Scenario, at: Place, design: Platform, condition: ArmCondition) -> Iterator[At]:
    """Yield why nothing can be predicted of a confirmatory trial."""
    if condition.predictive_probability_of is None:
        return
    place, following = (*at, "predictive_probability_of"), design.confirmatory_trial
    if following is None:
        way_out = "Add confirmatory_trial: {patients: ..., alpha: 0.025} to the design."
        yield At(place, "nothing says what the next trial is", way_out=way_out)
    if control_of(scenario, design) is None:
        yield At(place, "the next trial compares with the control, and there is none. Use probability_that: best.")


def _of_cut(at: Place, design: Platform, rule: ArmRule, condition: ArmCondition, arms: list[str]) -> Iterator[At]:
    cut, place = condition.cut, (*at, condition.comparison)
    if isinstance(cut, ByArm):
        if not cut.by_arm:
            yield At((*place, "by_arm"), "names no arm, so the rule would never speak. Name one.", key=True)
        for arm in cut.by_arm:
            if arm not in arms:
                yield unknown((*place, "by_arm", arm), arm, arms, "arm under trial", key=True)
    elif isinstance(cut, list) and len(cut) != len(rule.looks(design.look_count)):
        speaks = len(rule.looks(design.look_count))
        text = "has one number for each look at which the rule speaks"
        yield At(place, text, got=f"{len(cut)} numbers", allowed=str(speaks), key=True)

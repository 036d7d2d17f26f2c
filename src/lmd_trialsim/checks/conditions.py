"""What must hold of a condition: its number exists in this design, and the thresholds are possible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.analyses import complaints_of_priors, kinds
from lmd_trialsim.checks.arms import arms_of
from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.designs.analyses import POSTERIOR_OF, Z_OF
from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.designs.rules import Condition, PowerCutOff, Rule
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

EXACT = {"single": ("exact_binomial",), "two": ("fisher_exact",)}
OF_ONE_ARM = ("rate", "hazard_per_month", "median_months", "survival")
POSITIVE = ("ratio", "odds_ratio", "hazard_ratio", "hazard_per_month", "median_months")


def complaints_of_condition(
    scenario: Scenario, at: Place, design: General, rule: Rule, condition: Condition
) -> Iterator[At]:
    """Yield what is wrong with a condition of a rule."""
    analysis = rule.analysis or design.analysis
    group = "two" if isinstance(design, TwoArm) else "single"
    subject = condition.subject
    place = (*at, subject)
    yield from _of_cut(at, design, rule, condition)
    if subject == "probability_that":
        yield from _of_posterior(scenario, at, design, analysis, condition)
    elif subject == "statistic" and analysis.kind not in Z_OF[group]:
        allowed = kinds(scenario, design, Z_OF[group])
        yield At(place, f"{analysis.kind} has no test statistic", allowed=allowed, key=True)
    elif subject == "p_value":
        known = (*Z_OF[group], *EXACT[group])
        if analysis.kind not in known:
            allowed = kinds(scenario, design, known)
            yield At(place, f"{analysis.kind} has no p-value", allowed=allowed, key=True)
        elif analysis.kind in EXACT[group] and condition.p_value == "two_sided":
            yield At(place, "this test is one-sided. Say one_sided.")
    elif subject == "number_of":
        times = scenario.endpoints[design.endpoint].kind == "time_to_event"
        if group == "two" or times or design.looks.unit not in ("evaluable", "patients"):
            text = "is for single-arm binary designs with looks by patients or evaluable"
            yield At(place, text, way_out="Ask for a probability, a statistic or a p-value.", key=True)
    elif subject == "predictive_probability_of":
        yield from _of_predictive(scenario, at, design, rule, condition)


def _of_cut(at: Place, design: General, rule: Rule, condition: Condition) -> Iterator[At]:
    place = (*at, condition.comparison)
    if isinstance(condition.cut, list):
        given, speaks = len(condition.cut), len(rule.looks(design.looks.count))
        if given != speaks:
            numbers = "1 number" if given == 1 else f"{given} numbers"
            looks = "1 look" if speaks == 1 else f"{speaks} looks"
            yield At(place, f"has {numbers}, and the rule speaks at {looks}. Give one for each.", key=True)
    elif isinstance(condition.cut, PowerCutOff):
        if condition.subject not in ("probability_that", "predictive_probability_of", "p_value"):
            text = "a cut-off {lambda, gamma} is for probabilities. Give a number, or one for each look."
            yield At(place, text, key=True)
        if design.looks.unit == "months":
            text = "looks by months have no planned share of patients. Give a number, or one for each look."
            yield At(place, text, key=True)


def _of_posterior(scenario: Scenario, at: Place, design: General, analysis: Any, condition: Condition) -> Iterator[At]:
    group = "two" if isinstance(design, TwoArm) else "single"
    place, quantity = (*at, "probability_that"), str(condition.probability_that)
    known = POSTERIOR_OF[group].get(analysis.kind, ())
    if not known:
        allowed = kinds(scenario, design, POSTERIOR_OF[group])
        yield At(place, f"{analysis.kind} has no posterior", allowed=allowed, key=True)
        return
    if quantity not in known:
        yield At(place, f"{analysis.kind} has no posterior of it", got=quantity, allowed=", ".join(known))
        return
    yield from _of_bound(at, quantity, condition)
    arms = arms_of(scenario, design)
    if condition.arm is not None and quantity not in OF_ONE_ARM:
        yield At((*at, "arm"), f"{quantity} speaks of both arms. Remove it.", key=True)
    elif condition.arm is not None and arms and condition.arm not in arms:
        yield unknown((*at, "arm"), condition.arm, arms, "arm of this design")


def _of_bound(at: Place, quantity: str, condition: Condition) -> Iterator[At]:
    name = "above" if condition.above is not None else "below"
    bound = getattr(condition, name)
    place, got = (*at, name), f"{bound:g}"
    if quantity in ("rate", "survival") and not 0 < bound < 1:
        yield At(place, "a probability lies between 0 and 1", got=got)
    elif quantity == "difference" and not -1 < bound < 1:
        yield At(place, "a difference of probabilities lies between -1 and 1", got=got)
    elif quantity in POSITIVE and bound <= 0:
        yield At(place, "must be positive", got=got)
    elif quantity == "survival_difference" and bound != 0:
        yield At(place, "only a difference above or below 0 is computed", got=got, allowed="0")


def _of_predictive(scenario: Scenario, at: Place, design: General, rule: Rule, condition: Condition) -> Iterator[At]:
    place = (*at, "predictive_probability_of")
    count = design.looks.count
    if count == 1:
        yield At(place, "there is no later look to predict. Add looks.", key=True)
    if not any(_ends(other, count - 1) for other in design.rules):
        text = "success at the final look is not defined. Add a rule with stop_for: efficacy, at: final."
        yield At(place, text, key=True)
    analyses = (rule.analysis or design.analysis, design.analysis)
    if scenario.endpoints[design.endpoint].kind == "time_to_event":
        yield from _of_predicted_times(scenario, at, design, condition, analyses)
        return
    for name in ("model", "imputations"):
        if getattr(condition, name) is not None:
            yield At((*at, name), "goes with time_to_event endpoints. Remove it.", key=True)
    if all(analysis.kind != "beta_binomial" for analysis in analyses):
        text = "needs a model of the future"
        way_out = "Use analysis: {kind: beta_binomial, prior: ...} in the design or the rule."
        yield At(place, text, way_out=way_out, key=True)
    if design.looks.unit == "months" and design.looks.final is None:
        text = "needs to know how many patients there will be. Look by patients or evaluable, or add looks: final:."
        yield At(place, text, key=True)


def _of_predicted_times(
    scenario: Scenario, at: Place, design: General, condition: Condition, analyses: tuple[Any, ...]
) -> Iterator[At]:
    place = (*at, "predictive_probability_of")
    if not isinstance(design, TwoArm):
        way_out = "Use probability_that, or a survival_at_month endpoint."
        yield At(place, "is computed for event times in two arms only", way_out=way_out, key=True)
    if condition.model is not None:
        yield from complaints_of_priors((*at, "model"), condition.model, arms_of(scenario, design))
    elif all(analysis.kind != "gamma_exponential" for analysis in analyses):
        way_out = "Add model: {kind: gamma_exponential, prior: {events: 0.1, months: 0.1}}."
        yield At(place, "needs a model of the future", way_out=way_out, key=True)


def _ends(rule: Rule, last: int) -> bool:
    """Whether the rule can conclude efficacy at the last look from the data then."""
    predicts = any(c.subject == "predictive_probability_of" for c in rule.conditions)
    return rule.stop_for == "efficacy" and last in rule.looks(last + 1) and not predicts

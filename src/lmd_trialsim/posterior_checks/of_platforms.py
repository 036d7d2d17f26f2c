"""Platform designs on trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lmd_trialsim.designs.platform import ArmCondition
from lmd_trialsim.lowering_platforms import PlatformSetting
from lmd_trialsim.platform_replay import Known, Look, replay_platform
from lmd_trialsim.posterior_checks.cases import (
    MEAN,
    PROBABILITY,
    Asked,
    Case,
    Collector,
    Data,
    Decision,
    NoTwin,
    Subject,
    probability_label,
)
from lmd_trialsim.posterior_checks.fast_arms import FastArms
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion.platforms import QUANTITIES, twin_of_arms

CONTROLS = ("concurrent", "concurrently_eligible", "all")
"""Which control patients count, where they count like the others."""


def subject_of_platform(
    scenario: Scenario, design: str, truths: Sequence[str], number: int, seed: int
) -> tuple[Subject | None, list[NoTwin]]:
    """Return the design with `number` data sets at looks; and which of its posteriors have no model.

    The looks are those of replicates 0, 1, ... under each truth in turn, the first, the second, ... in turn.
    """
    setting = PlatformSetting.of(scenario, design)
    twin = twin_of_arms(setting.design.analysis, setting.arms)
    why_not = _why_not(setting)
    if twin is None or why_not:
        return None, [NoTwin(design, why_not or f"no PyMC model of {setting.design.analysis.kind} on platforms")]
    cases, seen = [], []
    for i in range(number):
        truth = truths[i % len(truths)]
        trial = replay_platform(scenario, design, truth, seed, i)
        judged = [look for look in trial.looks if any(seen.look is not None for seen in look.arms)]
        if judged:
            look = judged[(i // len(truths)) % len(judged)]
            cases.append(_at_look(setting, f"{truth}, replicate {i}, look {look.number}", look))
            seen.append(look)
    hard = _hard(setting, design, truths[0], seen) if seen else ()
    return Subject(design, (twin,), (*cases, *hard)), list(_missing(setting, design))


def _why_not(setting: PlatformSetting) -> str:
    """Return why the design as a whole has no model here."""
    if setting.closes_strata:
        return "no PyMC model of arms whose strata may close"
    if setting.design.controls not in CONTROLS and setting.control is not None:
        return f"no PyMC model of controls: {setting.design.controls}"
    return "no PyMC model of a control that is replaced" if setting.design.replace_control else ""


def _missing(setting: PlatformSetting, design: str) -> Iterator[NoTwin]:
    """Yield what rules look at and no model tells."""
    asked = {c.probability_that for rule in setting.design.rules for c in rule.conditions if c.probability_that}
    for quantity in sorted(asked - set(QUANTITIES)):
        yield NoTwin(design, f"no PyMC model of P({quantity})")


def _data(setting: PlatformSetting, known: Sequence[Known]) -> Data:
    """Return what the model is given. known: of the arms, then of each arm's controls."""
    patients, counted, months = (np.array(column) for column in zip(*known, strict=True))
    kind = setting.endpoint.kind
    if kind == "time_to_event":
        return {"events": counted.astype(float), "months": months.astype(float)}
    if kind == "continuous":
        return {"patients": patients.astype(float), "total": months.astype(float)}
    return {"patients": patients, "responses": counted}


def _probability(condition: ArmCondition, arm: str, place: int, fast: float) -> Asked:
    quantity, below = str(condition.probability_that), condition.below is not None
    bound = condition.below if condition.below is not None else condition.above
    assert bound is not None
    label = probability_label(quantity, f"{bound:g}", below=below)
    return Asked(label, PROBABILITY, quantity, place, fast, bound, below, where=arm)


def _estimate(setting: PlatformSetting, arm: str, place: int, fast: float) -> Asked:
    if setting.endpoint.kind == "time_to_event":
        quantity = "log_hazard_ratio" if setting.control is not None else "log_median"
    elif setting.control is not None:
        quantity = "difference"
    else:
        quantity = "mean" if setting.endpoint.kind == "continuous" else "rate"
    return Asked(f"{quantity.replace('_', ' ')}, mean", MEAN, quantity, place, fast, where=arm)


def _at_look(setting: PlatformSetting, label: str, look: Look) -> Case:
    """Return a look of a simulated trial, with the answers that the rules saw of the arms that are judged."""
    numbers, decisions = Collector(), []
    for place, seen in enumerate(look.arms):
        if seen.look is None:
            continue
        rules = []
        for rule, answers in zip(setting.design.rules_of_arms, seen.answers, strict=True):
            held = []
            conditions: list[ArmCondition | None] = [*rule.conditions]
            conditions += [None] * (len(answers) - len(conditions))  # a boundary has none
            for answer, condition in zip(answers, conditions, strict=False):
                found = None
                if condition is not None and condition.probability_that in QUANTITIES:
                    found = numbers.add(_probability(condition, seen.arm, place, answer.value))
                held.append((answer, found))
            rules.append(tuple(held))
        decisions.append(Decision(tuple(rules), seen.arm))
        numbers.add(_estimate(setting, seen.arm, place, seen.estimate))
    return Case(
        label,
        (_data(setting, [*(seen.own for seen in look.arms), *(seen.controls for seen in look.arms)]),),
        numbers.all(),
        tuple(decisions),
    )


def _hard(setting: PlatformSetting, design: str, truth: str, seen: Sequence[Look]) -> Iterator[Case]:
    """Yield data sets that simulation seldom meets, with all arms open, and all that is asked of each arm."""
    usual = max(seen, key=lambda look: sum(one.own.patients for one in look.arms))
    compares = setting.control is not None
    fast = FastArms(setting.scenario, design, truth, compares=compares)
    for label, own, controls in _data_sets(setting, usual):
        tails, estimates = fast.answers(own, controls, setting.endpoint.kind)
        numbers = Collector()
        for place in range(int(compares), len(setting.arms)):
            arm = setting.arms[place]
            for number, rule in enumerate(setting.design.rules_of_arms):
                for i, condition in enumerate(rule.conditions):
                    quantity = condition.probability_that
                    if quantity not in QUANTITIES:
                        continue
                    better = float(tails[fast.bound_of(number, i), place])
                    other = (condition.below is not None) != setting.lower_is_better_of(str(quantity))
                    numbers.add(_probability(condition, arm, place, 1.0 - better if other else better))
            numbers.add(_estimate(setting, arm, place, float(estimates[place])))
        yield Case(label, (_data(setting, [*own, *controls]),), numbers.all(), hard=True)


def _data_sets(setting: PlatformSetting, usual: Look) -> Iterator[tuple[str, list[Known], list[Known]]]:
    """Yield name, samples of the arms, and those of their controls: each arm's are all patients of the control."""
    arms = [seen.own for seen in usual.arms]
    if setting.endpoint.kind == "continuous":
        named = {
            "values of 0": [one._replace(months=0.0) for one in arms],
            "one patient an arm": [Known(1, 0, one.months / max(one.patients, 1)) for one in arms],
        }
    else:
        what = "events" if setting.endpoint.kind == "time_to_event" else "responses"
        named = {
            f"no {what}": [one._replace(counted=0) for one in arms],
            f"{what} of everybody": [one._replace(counted=one.patients) for one in arms],
            f"{what} of everybody in the first arm only": [
                one._replace(counted=one.patients * (place == 0)) for place, one in enumerate(arms)
            ],
            f"one patient an arm, {what} of each": [Known(1, 1, one.months / max(one.patients, 1)) for one in arms],
        }
    for name, own in (named | {"nobody": [Known(0, 0, 0.0)] * len(arms)}).items():
        controls = [own[0] if setting.control is not None else Known(0, 0, 0.0)] * len(own)
        yield name, own, controls

"""Platform designs in a run: what is played of them, and what is told of the sums."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from lmd_trialsim.arm_characteristics import ArmFacts, of_arms
from lmd_trialsim.characteristics import Characteristic
from lmd_trialsim.designs.asking import VERDICTS
from lmd_trialsim.engine import arm_outcomes as column
from lmd_trialsim.engine.arm_tally import ArmTally, OfTruth
from lmd_trialsim.engine.backends import Job
from lmd_trialsim.engine.strata_tally import OfTruthByStratum, StrataTally
from lmd_trialsim.lowering_platforms import PlatformSetting, lower_platform, may_be_false, null_arms, null_strata
from lmd_trialsim.strata_characteristics import StrataFacts, of_strata

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

MOST_LOOKS_LOGGED = 3000


def platform_job(scenario: Scenario, design: str, truth: str, replicates: int) -> Job:
    """Return the job of playing a platform design under one truth."""
    setting = PlatformSetting.of(scenario, design)
    plan, room = lower_platform(scenario, design, truth)
    arms = len(setting.arms)
    strata = setting.takes.size if setting.closes_strata else 0
    logged = column.LOG_HEAD + (arms + strata) * (column.LOG_ANSWERS + room.answers)
    tally = functools.partial(
        (StrataTally if setting.closes_strata else ArmTally).of,
        looks=plan.limits.looks,
        most_patients=setting.in_all,
        truth=truth_of(setting, truth),
    )
    return Job(
        plan,
        room,
        (column.HEAD + arms * column.OF_ARM + strata * column.OF_STRATUM, 1 + arms * column.NUMBERS_OF_ARM),
        (min(plan.limits.looks * arms + 1, MOST_LOOKS_LOGGED), logged),
        tally,
        replicates,
    )


def truth_of(setting: PlatformSetting, truth: str) -> OfTruth:
    """Return what the tally needs to know of a truth."""
    values = (-1.0 if setting.lower_is_better else 1.0) * setting.values(truth)
    whole = OfTruth(setting.estimand(truth), values, null_arms(setting, truth), setting.control is not None)
    if not setting.closes_strata:
        return whole
    left = functools.partial(setting.effects_left, truth)
    return OfTruthByStratum(whole, null_strata(setting, truth), setting.comes > 0, left)


def platform_characteristics(scenario: Scenario, design: str, truth: str, tally: ArmTally) -> list[Characteristic]:
    """Return the operating characteristics of a platform design under one truth."""
    setting = PlatformSetting.of(scenario, design)
    spec = setting.design
    specs = [place.spec for place in setting.places]
    true = truth_of(setting, truth)
    facts = ArmFacts(
        tuple(setting.arms),
        *_may_be(setting, truth),
        setting.control is not None,
        tuple(sorted({VERDICTS["stop_for", rule.stop_for] for rule in spec.rules})),
        spec.max_months is not None,
        spec.arms_at_once is not None or any(s.enters_at_month != 0.0 or s.enters_at_patients for s in specs),
        spec.ends_if_alike is not None,
        spec.without_control or spec.replace_control,
        bool(np.ptp(true.values) > 1e-12),
        bool(np.ptp(true.values[true.alike]) > 1e-12),
    )
    if not isinstance(tally, StrataTally):
        return of_arms(tally, facts)
    of = StrataFacts(tuple(scenario.population.stratum_names()), null_strata(setting, truth), setting.comes > 0)
    return of_strata(tally, facts, of)


def _may_be(setting: PlatformSetting, truth: str) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Return whether success of each arm can be false, and whether it can be true, (arms,) each.

    Where strata may close either is possible of an arm that is better in some of them only.
    """
    null = null_arms(setting, truth)
    can_be_false = may_be_false(setting, truth)
    return can_be_false, tuple(not one for one in null)

"""What a scenario asks for that cannot be had: boundaries that do not exist, tables that do not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.analyses.binary_tables import nodes_needed
from lmd_trialsim.designs.asking import Asker
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.count_asking import CountAsker
from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import RATE
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.lowering import Setting
from lmd_trialsim.lowering_baskets import BasketSetting, frame_of
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

Place = tuple[str | int, ...]

MOST_ROWS = 2_000_000
"""Rows (n, x) of a table of one arm's posteriors: some seconds, and a few hundred megabytes."""

MOST_ENTRIES = 20_000_000
"""Rows times quadrature nodes of the table of a contrast."""

MOST_TABULATED = 120_000_000
"""Rows times nodes times baskets of a hierarchical model: about a gigabyte if no two baskets are alike."""

NODES_OF_A_COMPONENT = 2_000  # or so

MOST_OF_SEVERAL = 10
"""Baskets under several exchangeable components."""

MOST_FUTURES = 2_000_000_000
"""Pairs of data and futures that a table of predictive probabilities sums over: half a minute."""


def obstacles(scenario: Scenario) -> Iterator[At]:
    """Yield what cannot be computed; of a scenario that has no other mistakes."""
    for name, design in scenario.designs.items():
        if isinstance(design, Basket):
            yield from _of_baskets(scenario, name)
            continue
        if isinstance(design, Platform):
            continue
        setting = Setting.of(scenario, name)
        place = ("designs", name)
        if scenario.endpoints[setting.design.endpoint].kind != "time_to_event":
            yield from _of_tables(scenario, place, setting)
        yield from _of_boundaries(scenario, place, setting)


def _of_baskets(scenario: Scenario, name: str) -> Iterator[At]:
    """Yield what keeps the model of a basket design from being built."""
    setting = BasketSetting.of(scenario, name)
    analysis, at = setting.design.analysis, ("designs", name)
    truth = next(iter(scenario.truths))
    hierarchical = isinstance(analysis, HierarchicalSpec | CalibratedHierarchicalSpec | Exnex)
    if hierarchical and setting.measure is not RATE:
        return
    if hierarchical:
        rows = sum(n + 1 for n in setting.occurring(truth))
        components = len(analysis.exchangeable) if isinstance(analysis, Exnex) else 1
        size = rows * NODES_OF_A_COMPONENT * components * len(setting.places)
        if size > MOST_TABULATED:
            text = "the tables of the baskets' posteriors would be too large (rows, nodes and baskets)"
            way_out = "Plan fewer patients, or let looks come at known numbers: in_each, accrual_at_looks: pauses."
            yield At((*at, "max_patients"), text, got=f"{size:,}", allowed=f"up to {MOST_TABULATED:,}", way_out=way_out)
        elif components > 1 and len(setting.places) > MOST_OF_SEVERAL:
            text = f"several exchangeable components are summed over all sets of baskets, of {MOST_OF_SEVERAL} at most"
            yield At((*at, "analysis", "exchangeable"), text, got=f"{len(setting.places)} baskets", key=True)
        return
    try:
        analysis.model(frame_of(setting, truth))
    except At as found:
        yield At((*at, "analysis", *found.loc), found.message, got=found.got, allowed=found.allowed,
                 way_out=found.way_out, key=found.key)  # fmt: skip


def _of_boundaries(scenario: Scenario, at: Place, setting: Setting) -> Iterator[At]:
    spending = [i for i, rule in enumerate(setting.design.rules) if rule.spending is not None]
    if spending:
        asker = Asker(setting, next(iter(scenario.truths.values())))
        try:
            asker.boundaries()
        except ValueError as error:
            yield At((*at, "rules", spending[0], "spending"), f"no such boundary exists: {error}", key=True)


def _of_tables(scenario: Scenario, at: Place, setting: Setting) -> Iterator[At]:
    """Yield the first table of a design that is too large under one of the truths."""
    key = (*at, "max_patients") if "max_patients" in type(scenario.designs[str(at[-1])]).model_fields else at
    seen = set()
    for truth in scenario.truths.values():
        if setting.lossless(truth) in seen:
            continue
        seen.add(setting.lossless(truth))
        counts = CountAsker(setting, truth)
        for what, size, most in _sizes(setting, counts):
            if size > most:
                text = f"the tables of {what} would be too large"
                yield At(key, text, got=f"{size:,}", allowed=f"up to {most:,}", way_out=_way_out(setting))
                return


def _way_out(setting: Setting) -> str:
    if isinstance(setting.design, TwoArm):
        return (
            "Plan fewer patients or looks, or let looks come at known numbers: permuted blocks, looks by patients or "
            "evaluable, accrual_at_looks: pauses where the assessment takes time, nobody lost before it."
        )
    return "Plan fewer patients, or a prior of fewer components."


def _sizes(setting: Setting, counts: CountAsker) -> Iterator[tuple[str, int, int]]:
    """Yield what is tabulated, how large it is, and how large it may be."""
    design = setting.design
    of_treatment, of_control = counts.numbers()
    rows = [sum(n + 1 for n in numbers) for numbers in ((of_treatment, of_control) if counts.two else (of_treatment,))]
    analyses = [design.analysis, *(rule.analysis for rule in design.rules if rule.analysis is not None)]
    yield "rates (numbers of patients and responses)", max(rows) * _components(setting, analyses), MOST_ROWS
    for rule in design.rules:
        analysis: Any = rule.analysis or design.analysis
        for condition in rule.conditions:
            if condition.probability_that == "rate" or (condition.p_value is not None and not counts.two):
                size = (setting.max_patients + 1) * (setting.max_patients + 2) // 2
                yield "rates (numbers of patients and responses)", size * _components(setting, [analysis]), MOST_ROWS
            elif condition.probability_that is not None:
                priors = [analysis.of_arm(arm) for arm in setting.arms]
                least = min(float(x.min()) for prior in priors for x in (prior.alpha, prior.beta))
                nodes = nodes_needed(max(of_treatment[-1], of_control[-1]), least)
                yield "a contrast (rows and quadrature nodes)", max(rows) * nodes, MOST_ENTRIES
            elif condition.predictive_probability_of is not None:
                yield "predictive probabilities (data and futures)", _futures(setting, counts), MOST_FUTURES


def _components(setting: Setting, analyses: list[Any]) -> int:
    """Return the components of the largest mixture."""
    priors = [a.of_arm(arm) for a in analyses if a.kind == "beta_binomial" for arm in setting.arms]
    return max((len(prior.weight) for prior in priors), default=1)


def _futures(setting: Setting, counts: CountAsker) -> int:
    """Return the terms of all sums over futures that are tabulated, or of one where they are computed as needed."""
    design: General = setting.design
    shares = design.allocation.shares(setting.arms) if isinstance(design, TwoArm) else [0, 1]
    most_t = math.ceil(setting.max_patients * shares[-1] / sum(shares))
    most_c = setting.max_patients - most_t
    if not counts.pairs:
        return (most_t + 1) * (most_c + 1) * 1000
    return sum(
        (n_t + 1) * (n_c + 1) * (max(most_t - n_t, 0) + 1) * (max(most_c - n_c, 0) + 1) for n_t, n_c in counts.pairs
    )

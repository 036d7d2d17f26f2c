"""Simulation-based calibration of fast posteriors: no chains, thousands of ranks a second.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788. A parameter is drawn from the prior of
the design, data from the model; the posterior probability of lying below the parameter is then uniform. Posteriors are
asked of fixed bounds, as rules ask them: the rank is drawn evenly between the posterior's values at the two bounds that
the parameter lies between, which is uniform just as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.designs.analyses import BetaBinomial, GammaExponential
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.borrowing import Independent, Pooled
from lmd_trialsim.designs.gamma_cells import GammaCellsSpec
from lmd_trialsim.designs.hierarchical import Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import HAZARD_RATIO, MEDIAN, ODDS_RATIO, RATE
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.lowering import Setting
from lmd_trialsim.lowering_baskets import BasketSetting
from lmd_trialsim.posterior_checks.cases import NoTwin
from lmd_trialsim.posterior_checks.fast_baskets import FastBaskets
from lmd_trialsim.posterior_checks.fast_trials import FastTrial
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion.baskets import hierarchy_of
from lmd_trialsim.second_opinion.prior_draws import draw_effects, draw_mixture
from lmd_trialsim.second_opinion.trials import parts_of, priors_by_name
from lmd_trialsim.second_opinion.uniformity import LEVEL, Uniformity, uniformity_of

Array = NDArray[np.float64]

BOUNDS = 19
BOUNDS_OF_HIERARCHIES = 5
"""Tables of rates are graded about each bound of each basket, and take a second to build for one."""
FOLLOWED = 12.0
"""Months that patients of a time to an event are followed for at most, each by a uniform share of it."""


class Ranked(NamedTuple):
    """The ranks of one number of a design, (ranks,), each from 0 to 1."""

    design: str
    number: str
    ranks: Array
    uniformity: Uniformity


@dataclass(frozen=True)
class Calibrated:
    """All numbers of all designs."""

    numbers: tuple[Ranked, ...]
    without: tuple[NoTwin, ...]

    @property
    def level(self) -> float:
        """The p-value below which one test of one number fails."""
        return LEVEL / (3.0 * max(len(self.numbers), 1))

    @property
    def agrees(self) -> bool:
        """Whether all posteriors are calibrated, as far as the ranks tell."""
        return all(one.uniformity.least >= self.level for one in self.numbers)


def calibrated(
    scenario: Scenario, designs: Sequence[str], truth: str, *, ranks: int, seed: int,
    told: Callable[[int], None] = lambda _: None,
) -> Calibrated:  # fmt: skip
    """Return so many ranks of each number. truth: any, which no number depends on; told: called with 1 a design."""
    found: list[Ranked] = []
    without: list[NoTwin] = []
    for number, design in enumerate(designs):
        draw = np.random.default_rng([seed, number])
        spec = scenario.designs[design]
        ranked: Any
        if isinstance(spec, Platform):
            ranked = NoTwin(design, f"no calibration of {spec.analysis.kind} on platforms")
        elif isinstance(spec, Basket):
            ranked = _of_baskets(scenario, design, truth, ranks, draw)
        else:
            ranked = _of_trial(scenario, design, truth, ranks, draw)
        if isinstance(ranked, NoTwin):
            without.append(ranked)
        else:
            found += [Ranked(design, label, values, uniformity_of(values)) for label, values in ranked]
        told(1)
    return Calibrated(tuple(found), tuple(without))


Ranks = Iterator[tuple[str, Array]]


def ranks_between(draw: np.random.Generator, truths: Array, bounds: Array, above: Array) -> Array:
    """Return the ranks, (ranks,). bounds: (bounds,), increasing; above: P(parameter > bound), (ranks, bounds)."""
    below = np.concatenate([np.zeros((len(truths), 1)), 1.0 - above, np.ones((len(truths), 1))], axis=1)
    place = np.searchsorted(bounds, truths)
    low, high = (np.take_along_axis(below, (place + i)[:, None], axis=1)[:, 0] for i in (0, 1))
    return np.asarray(np.clip(low + draw.uniform(size=len(truths)) * (high - low), 0.0, 1.0))


def bounds_from(draws: Array) -> Array:
    """Return BOUNDS quantiles of draws of a parameter, those that differ."""
    return np.unique(np.quantile(draws, np.arange(1, BOUNDS + 1) / (BOUNDS + 1)))


# ---- one and two arms ------------------------------------------------------------------------------------------------


def _of_trial(scenario: Scenario, design: str, truth: str, ranks: int, draw: np.random.Generator) -> NoTwin | Ranks:
    setting = Setting.of(scenario, design)
    analysis: Any = setting.design.analysis
    if not isinstance(analysis, BetaBinomial | GammaExponential):
        return NoTwin(design, f"no calibration of {analysis.kind}")
    return _ranks_of_trial(scenario, design, truth, setting, ranks, draw)


def _ranks_of_trial(
    scenario: Scenario, design: str, truth: str, setting: Setting, ranks: int, draw: np.random.Generator
) -> Ranks:
    analysis: Any = setting.design.analysis
    times = isinstance(analysis, GammaExponential)
    priors = priors_by_name(analysis, setting.arms)
    family = "gamma" if times else "beta"
    parameters = np.stack([draw_mixture(draw, parts, family, 2 * ranks) for parts in priors], axis=1)
    for quantity, arm, month in _quantities(setting):
        values = _value(quantity, parameters, arm, month)
        bounds = bounds_from(values[ranks:])
        said: dict[str, Any] = {"probability_that": quantity, "exceeds": 0.5} | ({"month": month} if month else {})
        said |= {"arm": setting.arms[arm]} if quantity in ONE_ARM and len(setting.arms) > 1 else {}
        rules = [
            Rule.model_validate({"stop_for": "futility", "when": said | {"above": bound}}) for bound in bounds.tolist()
        ]
        fast = FastTrial(scenario, design, truth, rules)
        seen = parameters[:ranks]
        counts = _times_of(draw, seen, setting.max_patients) if times else _responses_of(draw, seen, fast, setting)
        above = fast.answers_of_arrays(*counts)
        words = quantity.replace("_", " ") + (f" at month {month:g}" if month else "")
        words += f" of {setting.arms[arm]}" if quantity in ONE_ARM and len(setting.arms) > 1 else ""
        yield words, ranks_between(draw, values[:ranks], bounds, above)


ONE_ARM = ("rate", "hazard_per_month", "median_months", "survival")


def _quantities(setting: Setting) -> list[tuple[str, int, float]]:
    """Return what the design's own analysis is asked of, with arm and month; the usual where nothing is asked."""
    last = len(setting.arms) - 1
    found = [
        (str(c.probability_that), setting.arms.index(c.arm) if c.arm else last, c.month or 0.0)
        for rule in setting.design.rules
        for c in rule.conditions
        if c.probability_that and rule.analysis in (None, setting.design.analysis)
    ]
    times = isinstance(setting.design.analysis, GammaExponential)
    usual = ("hazard_per_month", "hazard_ratio") if times else ("rate", "difference")
    return list(dict.fromkeys(found)) or [(usual[last], last, 0.0)]


def _value(quantity: str, parameters: Array, arm: int, month: float) -> Array:
    """Return a quantity of rates, or hazards, (draws, arms)."""
    own, control = parameters[:, arm], parameters[:, 0]
    with np.errstate(divide="ignore", over="ignore"):
        match quantity:
            case "rate" | "hazard_per_month":
                return own
            case "difference":
                return own - control
            case "ratio" | "hazard_ratio":
                return own / control
            case "odds_ratio":
                return own / (1.0 - own) * (1.0 - control) / control
            case "median_months":
                return math.log(2.0) / own
            case _:
                assert quantity == "survival", quantity
                return np.exp(-own * month)


def _responses_of(draw: np.random.Generator, rates: Array, fast: FastTrial, setting: Setting) -> tuple[Any, Any]:
    """Return counts, (ranks, arms, 3), and months: of numbers of patients that the design's looks may come at."""
    size, arms = rates.shape
    pairs = fast.pairs
    if arms == 1:
        patients = draw.integers(0, setting.max_patients + 1, (size, 1))
    elif pairs is not None:
        patients = pairs[draw.integers(0, len(pairs), size)][:, ::-1]  # control first
    else:
        patients = draw.integers(0, setting.max_patients // 2 + 1, (size, 2))
    responses = draw.binomial(patients, rates)
    return np.stack([patients, responses, np.zeros_like(patients)], axis=2), np.zeros((size, arms))


def _times_of(draw: np.random.Generator, hazards: Array, most: int) -> tuple[Any, Any]:
    """Return counts, (ranks, arms, 3), and months: all patients in equal shares, each followed for a while."""
    size, arms = hazards.shape
    each = max(most // arms, 1)
    events, months = followed(draw, hazards[:, :, None], (size, arms, each))
    counts = np.stack([np.full((size, arms), each), np.zeros((size, arms)), events.sum(axis=2)], axis=2)
    return counts.astype(np.int64), months.sum(axis=2)


def followed(draw: np.random.Generator, hazards: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return whether the event was seen, and months followed, of patients of this shape."""
    censor = FOLLOWED * draw.uniform(size=shape)
    with np.errstate(divide="ignore", over="ignore"):
        event = draw.exponential(size=shape) / hazards
    return (event <= censor).astype(float), np.minimum(event, censor)


# ---- baskets ---------------------------------------------------------------------------------------------------------


def _of_baskets(scenario: Scenario, design: str, truth: str, ranks: int, draw: np.random.Generator) -> NoTwin | Ranks:
    setting = BasketSetting.of(scenario, design)
    analysis: Any = setting.design.analysis
    if not isinstance(analysis, Independent | Pooled | GammaCellsSpec | HierarchicalSpec | Exnex):
        return NoTwin(design, f"no calibration of {analysis.kind} in baskets")
    if isinstance(analysis, HierarchicalSpec | Exnex) and setting.measure is not RATE:
        # Their tables are graded about each bound too, and take minutes for a few of these.
        return NoTwin(design, f"no calibration of {analysis.kind} with {setting.measure.spoken}s in baskets")
    return _ranks_of_baskets(setting, truth, ranks, draw)


def _ranks_of_baskets(setting: BasketSetting, truth: str, ranks: int, draw: np.random.Generator) -> Ranks:
    values = _values_of_baskets(setting, 2 * ranks, draw)
    values, of_bounds = values[:ranks], values[ranks:]
    hierarchical = isinstance(setting.design.analysis, HierarchicalSpec | Exnex)
    number = BOUNDS_OF_HIERARCHIES if hierarchical else BOUNDS
    quantiles = np.arange(1, number + 1) / (number + 1)
    least, most = (1e-9, 1.0 - 1e-9) if setting.measure is RATE else (1e-9, 1e6)
    bounds = np.clip(np.quantile(of_bounds, quantiles, axis=0), least, most)  # (bounds, baskets)
    data = _data_of_baskets(setting, values, draw)
    patients = {int(n) for n in np.unique(data[0][:, 0])}
    tails, _ = FastBaskets(setting, truth, bounds, sorted(patients)).answers_of_arrays(
        *data
    )  # (ranks, bounds, baskets)
    for basket, name in enumerate(setting.baskets):
        own = bounds[:, basket]
        yield f"{setting.measure.spoken}, {name}", ranks_between(draw, values[:, basket], own, tails[:, :, basket])


def _values_of_baskets(setting: BasketSetting, size: int, draw: np.random.Generator) -> Array:
    """Return rates, medians or ratios from the prior, (size, baskets)."""
    analysis: Any = setting.design.analysis
    baskets = setting.baskets
    match analysis:
        case Independent():
            priors = priors_by_name(analysis, baskets)
            return np.stack([draw_mixture(draw, parts, "beta", size) for parts in priors], axis=1)
        case Pooled():
            return np.tile(draw_mixture(draw, parts_of(analysis.prior), "beta", size)[:, None], (1, len(baskets)))
        case GammaCellsSpec(pooled=True):
            hazard = draw_mixture(draw, parts_of(analysis.prior), "gamma", size)[:, None]
            return np.tile(math.log(2.0) / hazard, (1, len(baskets)))
        case GammaCellsSpec():
            priors = priors_by_name(analysis, baskets)
            hazards = np.stack([draw_mixture(draw, parts, "gamma", size) for parts in priors], axis=1)
            return np.asarray(math.log(2.0) / hazards)
    effects = draw_effects(draw, hierarchy_of(analysis, setting.places, setting.measure), size)
    return 1.0 / (1.0 + np.exp(-effects)) if setting.measure is RATE else np.exp(effects)


def _data_of_baskets(setting: BasketSetting, values: Array, draw: np.random.Generator) -> tuple[Any, Any]:
    """Return counts (ranks, 3, arms, baskets) and months (ranks, arms, baskets) by basket."""
    size, baskets = values.shape
    arms, most = len(setting.arms), np.array(setting.most)
    # Full baskets, and now and then an empty one.
    patients = np.broadcast_to(most // arms, (size, arms, baskets)) * (draw.uniform(size=(size, 1, baskets)) > 0.1)
    analysis: Any = setting.design.analysis
    nothing = np.zeros_like(patients)
    if setting.measure in (RATE, ODDS_RATIO):
        rates = values[:, None]
        if setting.measure is ODDS_RATIO:
            control = draw.beta(analysis.control_rate.alpha, analysis.control_rate.beta, values.shape)
            odds = values * control / (1.0 - control)
            rates = np.stack([control, odds / (1.0 + odds)], axis=1)
        return np.stack([patients, draw.binomial(patients, rates), nothing], axis=1), np.zeros(patients.shape)
    hazards = math.log(2.0) / values[:, None]
    if setting.measure is HAZARD_RATIO:
        prior = analysis.control_hazard
        control = draw.gamma(prior.events, size=values.shape) / prior.months
        hazards = np.stack([control, control * values], axis=1)
    assert setting.measure in (MEDIAN, HAZARD_RATIO)
    events, months = followed(draw, hazards[..., None], (*patients.shape, int(most.max())))
    there = np.arange(int(most.max())) < patients[..., None]
    seen = (events * there).sum(axis=-1).astype(np.int64)
    return np.stack([patients, nothing, seen], axis=1), (months * there).sum(axis=-1)

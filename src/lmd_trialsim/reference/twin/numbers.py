"""Every number that a rule can look at but counts and predictions, and every estimate with its 95 % limits.

Sources: docs/scenario.md, "analysis" and "rules". NaN stands for what cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import norm

from lmd_trialsim.designs.analyses import (
    Analysis,
    BetaBinomial,
    Cox,
    DifferenceOfProportions,
    ExactBinomial,
    FisherExact,
    GammaExponential,
    LogRank,
    MilestoneSurvival,
    PiecewiseGammaExponential,
    RestrictedMean,
)
from lmd_trialsim.designs.rules import Condition
from lmd_trialsim.reference.twin import counts, hazards, times
from lmd_trialsim.reference.twin.seen import Context, Seen


def number(condition: Condition, analysis: Analysis, context: Context, seen: Sequence[Seen]) -> float:
    """Return the number that the condition compares with its threshold, from what is seen of all enrolled patients.

    Not number_of, which depends on the look, nor predictive_probability_of, which has a module of its own.
    """
    if condition.subject == "statistic":
        return z(analysis, context, seen)
    if condition.subject == "p_value":
        return p_value(analysis, context, seen, str(condition.p_value))
    if condition.subject == "estimate_of":
        return estimate(analysis, context, seen)[0]
    assert condition.subject == "probability_that", condition.subject
    return probability(condition, analysis, context, seen)


def z(analysis: Analysis, context: Context, seen: Sequence[Seen]) -> float:
    """Return the test statistic, positive where the treatment is better."""
    if isinstance(analysis, DifferenceOfProportions):
        return counts.z_of_proportions(analysis, context, counts.counted(context, seen))
    if isinstance(analysis, LogRank):
        return times.z_of_log_rank(analysis, seen)
    if isinstance(analysis, Cox):
        mode, error = times.cox_of(analysis, seen)
        return -mode / error
    assert isinstance(analysis, MilestoneSurvival | RestrictedMean), analysis.kind
    return times.z_of_curves(analysis, context, seen)


def p_value(analysis: Analysis, context: Context, seen: Sequence[Seen], sides: str) -> float:
    """Return the upper tail of z, or twice that of |z|; of the exact tests, their own one-sided value."""
    if isinstance(analysis, ExactBinomial):
        return counts.p_of_binomial(analysis, context, counts.counted(context, seen))
    if isinstance(analysis, FisherExact):
        return counts.p_of_fisher(context, counts.counted(context, seen))
    value = z(analysis, context, seen)
    return float(norm.sf(value)) if sides == "one_sided" else 2.0 * float(norm.sf(abs(value)))


def probability(condition: Condition, analysis: Analysis, context: Context, seen: Sequence[Seen]) -> float:
    """Return the posterior probability that the quantity lies above, or below, the bound."""
    bound = condition.above if condition.above is not None else condition.below
    assert bound is not None
    arm = context.arms.index(condition.arm) if condition.arm is not None else len(context.arms) - 1
    quantity, month = str(condition.probability_that), condition.month
    if isinstance(analysis, BetaBinomial):
        known = counts.counted(context, seen)
        above = counts.probability_above(analysis, context, known, quantity, bound, arm)
    elif isinstance(analysis, Cox):
        above = float(norm.sf(math.log(bound), *times.cox_of(analysis, seen)))
    elif isinstance(analysis, PiecewiseGammaExponential):
        assert month is not None
        pieces = [hazards.pieces_of(analysis, context, seen, i, month) for i in range(len(context.arms))]
        if quantity == "survival":
            above = hazards.survival_above(pieces[arm], bound)
        else:
            above = hazards.survival_better(control=pieces[0], treatment=pieces[1])
    else:
        assert isinstance(analysis, GammaExponential), analysis.kind
        above = probability_above_of_hazard(analysis, context, seen, quantity, bound, arm, month)
    return above if condition.above is not None else 1.0 - above


def probability_above_of_hazard(
    analysis: GammaExponential,
    context: Context,
    seen: Sequence[Seen],
    quantity: str,
    bound: float,
    arm: int,
    month: float | None,
) -> float:
    """Return P(quantity > bound) where hazards are constant: medians and survival are long where the hazard is low."""
    if quantity == "hazard_ratio":
        return float(hazards.hazard_ratio(analysis, context, seen).sf(bound))
    shape, rate = hazards.hazard_of(analysis, context, seen, arm)
    if quantity == "hazard_per_month":
        return 1.0 - hazards.hazard_below(shape, rate, bound)
    if quantity == "median_months":
        return hazards.hazard_below(shape, rate, math.log(2.0) / bound)
    assert month is not None
    return hazards.hazard_below(shape, rate, -math.log(bound) / month)


def estimate(analysis: Analysis, context: Context, seen: Sequence[Seen]) -> tuple[float, float, float]:
    """Return the estimate of the effect and its lower and upper limit, on the scale of the analysis."""
    if isinstance(analysis, BetaBinomial | DifferenceOfProportions | FisherExact | ExactBinomial):
        return counts.estimate_of_counts(analysis, context, counts.counted(context, seen))
    if isinstance(analysis, LogRank | Cox):
        return times.wald(*times.cox_of(analysis, seen))
    if isinstance(analysis, GammaExponential):
        return hazards.estimate_of_hazards(analysis, context, seen)
    if isinstance(analysis, PiecewiseGammaExponential):
        return hazards.estimate_of_survival(analysis, context, seen)
    return times.estimate_of_curves(analysis, context, seen)

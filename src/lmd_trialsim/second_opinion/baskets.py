"""Models of baskets in PyMC: one rate for all, and hierarchical models with and without baskets on their own.

Sources: Berry, Broglio, Groshen and Berry (2013), Clinical Trials 10:720; EXNEX, Neuenschwander et al. (2016),
Pharmaceutical Statistics 15:123; Chu and Yuan (2018), Clinical Trials 15:149, whose tau is a function of the data.
An effect is the logit of a rate, the log of a median, or the log of an odds or hazard ratio.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.designs.basket import Place
from lmd_trialsim.designs.borrowing import Independent, Pooled
from lmd_trialsim.designs.gamma_cells import GammaCellsSpec
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import HAZARD_RATIO, MEDIAN, ODDS_RATIO, RATE, Measure
from lmd_trialsim.designs.scale_priors import FixedSd, HalfNormal, HalfT, InverseGammaVariance, UniformSd
from lmd_trialsim.second_opinion.arms import Parts, beta_binomial, gamma_exponential, mixed
from lmd_trialsim.second_opinion.sampling import Draws, Twin, Weighted
from lmd_trialsim.second_opinion.trials import parts_of, priors_by_name

Array = NDArray[np.float64]


class Exchangeable(NamedTuple):
    """Baskets whose effects are N(mu, tau^2): weight, mean and sd of mu, prior of tau as written; None: tau is data."""

    weight: float
    mean: float
    sd: float
    between: Any


class Hierarchy(NamedTuple):
    """All that a hierarchical model says: kinds of baskets, the own priors (mean, sd) and their weight, the offsets."""

    kinds: Sequence[Exchangeable]
    own: Sequence[tuple[float, float]]
    own_weight: float
    offsets: Array  # (baskets,)


def twin_of_baskets(analysis: Any, places: Sequence[Place], measure: Measure) -> Twin | None:
    """Return the model of the baskets; None where there is none.

    Data: of rates patients and responses, of times events and months; (baskets,) of one arm, (2, baskets) of two.
    """
    names = [place.name for place in places]
    match analysis:
        case Independent():
            return beta_binomial(priors_by_name(analysis, names))
        case Pooled():
            return pooled(parts_of(analysis.prior), len(names))
        case GammaCellsSpec(pooled=False):
            twin = gamma_exponential(priors_by_name(analysis, names))
            return Twin(twin.name, twin.build, _of_medians)
        case GammaCellsSpec():
            return pooled_hazard(parts_of(analysis.prior), len(names))
        case HierarchicalSpec() | CalibratedHierarchicalSpec() | Exnex():
            hierarchy = hierarchy_of(analysis, places, measure)
            return Twin(
                analysis.kind,
                functools.partial(_build, hierarchy, _likelihood(analysis, measure, len(names))),
                functools.partial(_of_effects, measure),
            )
        case _:
            return None


def hierarchy_of(analysis: Any, places: Sequence[Place], measure: Measure) -> Hierarchy:
    """Return a hierarchical analysis as numbers."""
    offsets = _offsets(analysis.offset, places, measure)
    if isinstance(analysis, Exnex):
        kinds = [Exchangeable(k.weight, k.mean.mean, k.mean.sd, k.sd) for k in analysis.exchangeable if k.weight > 0.0]
        own = [analysis.own.get(place.name, analysis.non_exchangeable) for place in places]
        return Hierarchy(kinds, [(one.mean, one.sd) for one in own], analysis.non_exchangeable.weight, offsets)
    between = None if isinstance(analysis, CalibratedHierarchicalSpec) else analysis.sd
    return Hierarchy([Exchangeable(1.0, analysis.mean.mean, analysis.mean.sd, between)], [], 0.0, offsets)


def _offsets(offset: Any, places: Sequence[Place], measure: Measure) -> Array:
    if offset is None:
        return np.zeros(len(places))
    said = {measure.null: [p.null for p in places], measure.target: [p.target for p in places]}
    values = np.array(said.get(offset, [offset] * len(places)), float)
    return np.log(values / (1.0 - values)) if measure is RATE else np.log(values)


# ---- likelihoods: called inside a model, each returns the log likelihood of each basket given its effect -------------

LogLikelihood = Callable[[Any], Any]


def _likelihood(analysis: Any, measure: Measure, baskets: int) -> Callable[[], LogLikelihood]:
    if measure is RATE:
        return functools.partial(_one_rate, baskets)
    if measure is MEDIAN:
        return functools.partial(_one_hazard, baskets)
    if measure is ODDS_RATIO:
        prior = analysis.control_rate
        return functools.partial(_two_rates, baskets, prior.alpha, prior.beta)
    assert measure is HAZARD_RATIO
    prior = analysis.control_hazard
    return functools.partial(_two_hazards, baskets, prior.events, prior.months)


def _binomial(patients: Any, responses: Any, logit: Any) -> Any:
    import pymc as pm

    return pm.logp(pm.Binomial.dist(n=patients, logit_p=logit), responses)


def _poisson(events: Any, months: Any, log_hazard: Any) -> Any:
    import pymc as pm

    return events * log_hazard - months * pm.math.exp(log_hazard)


def _one_rate(baskets: int) -> LogLikelihood:
    import pymc as pm

    patients, responses = pm.Data("patients", np.full(baskets, 5)), pm.Data("responses", np.full(baskets, 2))
    return lambda effect: _binomial(patients, responses, effect)


def _one_hazard(baskets: int) -> LogLikelihood:
    import pymc as pm

    events, months = pm.Data("events", np.full(baskets, 3.0)), pm.Data("months", np.full(baskets, 9.0))
    return lambda effect: _poisson(events, months, math.log(math.log(2.0)) - effect)


def _two_rates(baskets: int, alpha: float, beta: float) -> LogLikelihood:
    import pymc as pm

    shape = (2, baskets)
    patients, responses = pm.Data("patients", np.full(shape, 5)), pm.Data("responses", np.full(shape, 2))
    control = pm.math.logit(pm.Beta("control", alpha, beta, shape=baskets))
    pm.Potential("of_control", _binomial(patients[0], responses[0], control).sum())
    return lambda effect: _binomial(patients[1], responses[1], control + effect)


def _two_hazards(baskets: int, prior_events: float, prior_months: float) -> LogLikelihood:
    import pymc as pm

    shape = (2, baskets)
    events, months = pm.Data("events", np.full(shape, 3.0)), pm.Data("months", np.full(shape, 9.0))
    control = pm.math.log(pm.Gamma("control", prior_events, prior_months, shape=baskets))
    pm.Potential("of_control", _poisson(events[0], months[0], control).sum())
    return lambda effect: _poisson(events[1], months[1], control + effect)


# ---- the models ------------------------------------------------------------------------------------------------------


def between_baskets(name: str, prior: Any) -> Any:
    """Return tau as a variable of the model, by its prior as written."""
    import pymc as pm

    match prior:
        case HalfNormal(scale=scale):
            return pm.HalfNormal(name, scale)
        case HalfT(scale=scale, degrees_of_freedom=nu):
            return pm.HalfStudentT(name, nu=nu, sigma=scale)
        case UniformSd(low=low, high=high):
            return pm.Uniform(name, low, high)
        case InverseGammaVariance(shape=shape, rate=rate, least=least, most=most):
            if not least and most is None:
                return pm.math.sqrt(pm.InverseGamma(f"{name}_squared", alpha=shape, beta=rate))
            free = pm.InverseGamma.dist(alpha=shape, beta=rate)
            return pm.math.sqrt(pm.Truncated(f"{name}_squared", free, lower=least or None, upper=most))
        case FixedSd(value=value):
            return value
    return pm.Data(name, 1.0)


def _build(hierarchy: Hierarchy, likelihood: Callable[[], LogLikelihood]) -> Any:
    """Return the model by its non-centred parameters, who is exchangeable and how summed out."""
    import pymc as pm

    baskets = len(hierarchy.offsets)
    with pm.Model() as model:
        log_likelihood = likelihood()
        effects, weights = [], []
        for number, kind in enumerate(hierarchy.kinds):
            mu = pm.Normal(f"mu_{number}", kind.mean, kind.sd)
            tau = between_baskets("tau" if kind.between is None else f"tau_{number}", kind.between)
            effects.append(hierarchy.offsets + mu + tau * pm.Normal(f"z_{number}", shape=baskets))
            weights.append(kind.weight)
        if hierarchy.own_weight > 0.0:
            mean, sd = np.array(hierarchy.own).T
            effects.append(hierarchy.offsets + mean + sd * pm.Normal("own", shape=baskets))
            weights.append(hierarchy.own_weight)
        given = pm.math.stack(
            [math.log(weight) + log_likelihood(effect) for weight, effect in zip(weights, effects, strict=True)]
        )
        both = pm.math.logsumexp(given, axis=0, keepdims=True)
        pm.Potential("seen", both.sum())
        pm.Deterministic("effect", pm.math.stack(effects))
        pm.Deterministic("share", pm.math.exp(given - both))
    return model


def _of_effects(measure: Measure, draws: Draws, quantity: str, basket: int, month: float) -> Weighted:
    del month
    effect, share = (np.moveaxis(draws[name][..., basket], 2, 0) for name in ("effect", "share"))
    if quantity.startswith("log_"):
        return Weighted(effect, share)
    return Weighted(1.0 / (1.0 + np.exp(-effect)) if measure is RATE else np.exp(effect), share)


def pooled(parts: Parts, baskets: int) -> Twin:
    """Return one rate for all baskets, beta or a mixture of such."""

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            patients, responses = pm.Data("patients", np.full(baskets, 5)), pm.Data("responses", np.full(baskets, 2))
            rate = mixed("rate", parts, pm.Beta)
            pm.Binomial("seen", n=patients, p=rate, observed=responses)
        return model

    return Twin("pooled", build, _of_the_one_rate)


def _of_the_one_rate(draws: Draws, quantity: str, basket: int, month: float) -> Weighted:
    del quantity, basket, month
    return Weighted.of(draws["rate"])


def pooled_hazard(parts: Parts, baskets: int) -> Twin:
    """Return one hazard for all baskets, gamma."""

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            events, months = pm.Data("events", np.full(baskets, 3.0)), pm.Data("months", np.full(baskets, 9.0))
            hazard = mixed("hazard_0", parts, pm.Gamma)
            pm.Potential("times", _poisson(events, months, pm.math.log(hazard)).sum())
        return model

    return Twin("pooled", build, lambda draws, quantity, _basket, month: _of_medians(draws, quantity, 0, month))


def _of_medians(draws: Draws, quantity: str, basket: int, month: float) -> Weighted:
    del month
    median = math.log(2.0) / draws[f"hazard_{basket}"]
    return Weighted.of(np.log(median) if quantity.startswith("log_") else median)


def tau_of_counts(analysis: Any, patients: Array, responses: Array) -> Mapping[str, Array]:
    """Return tau by Pearson's statistic over the baskets with patients, tau^2 = exp(a + b log T); else nothing."""
    if not isinstance(analysis, CalibratedHierarchicalSpec):
        return {}
    there = patients > 0
    pooled_rate = responses.sum() / max(patients.sum(), 1)
    expected = np.stack([patients * pooled_rate, patients * (1.0 - pooled_rate)])[:, there]
    observed = np.stack([responses, patients - responses])[:, there]
    ratio = np.divide((observed - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
    statistic = float(ratio.sum())
    tau = math.exp(0.5 * (analysis.a + analysis.b * math.log(statistic))) if statistic > 0.0 else 0.0
    return {"tau": np.array(tau)}

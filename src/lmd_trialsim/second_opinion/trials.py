"""Which model in PyMC belongs to an analysis of one or two arms, as a person wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmd_trialsim.designs.analyses import BetaBinomial, BetaPrior, Cox, GammaExponential, GammaPrior
from lmd_trialsim.second_opinion.arms import Parts, beta_binomial, gamma_exponential
from lmd_trialsim.second_opinion.cox import cox
from lmd_trialsim.second_opinion.sampling import Twin


def parts_of(prior: Any) -> Parts:
    """Return weight and two parameters of each component of a prior: alpha and beta, events and months, mean and sd."""
    written = prior if isinstance(prior, list) else [prior]
    return [(getattr(one, "weight", 1.0), *_parameters(one)) for one in written]


def _parameters(one: Any) -> tuple[float, float]:
    if isinstance(one, BetaPrior):
        return one.alpha, one.beta
    return (one.events, one.months) if isinstance(one, GammaPrior) else (one.mean, one.sd)


def priors_by_name(analysis: Any, names: Sequence[str]) -> list[Parts]:
    """Return the prior of each arm, or basket."""
    return [parts_of(analysis.priors.get(name, analysis.prior)) for name in names]


def twin_of_trial(analysis: Any, arms: Sequence[str], most: int) -> Twin | None:
    """Return the model of a trial of these arms, the control first, and `most` patients; None where there is none."""
    match analysis:
        case BetaBinomial():
            return beta_binomial(priors_by_name(analysis, arms))
        case GammaExponential():
            return gamma_exponential(priors_by_name(analysis, arms))
        case Cox(prior=prior) if prior is not None:
            return cox(prior.mean, prior.sd, most)
        case _:
            return None

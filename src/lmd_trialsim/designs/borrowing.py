"""Borrowing between baskets without a hierarchy, as a person writes it, and the models that it lowers to.

Each has `model(frame)`, which returns what kernels read and the scratch that they work on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lmd_trialsim.analyses import partitions, power_priors, set_mixtures, similarity
from lmd_trialsim.analyses.beta_mixture import BetaMixture
from lmd_trialsim.designs.analyses import BetaPrior, RatePrior, mixture_of
from lmd_trialsim.designs.frame import Frame
from lmd_trialsim.evidence.quantities import PlainProbability, Spec
from lmd_trialsim.reading import At
from lmd_trialsim.reading.mistakes import listing, quoted, suggestion

Array = NDArray[np.float64]
Built = tuple[Any, int]


class _OwnPriors(Spec):
    prior: RatePrior | None = Field(
        None, description="of every basket's rate: {alpha, beta}, or a list of {weight, alpha, beta}"
    )
    priors: dict[str, RatePrior] = Field(default_factory=dict, description="by basket, where they differ")

    @model_validator(mode="after")
    def _proper(self) -> _OwnPriors:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {alpha: 1, beta: 1}.")
        _weights_sum_to_one(self.prior, ("prior",))
        for basket, prior in self.priors.items():
            _weights_sum_to_one(prior, ("priors", basket))
        return self

    def mixtures(self, baskets: list[str]) -> list[BetaMixture]:
        """Return the prior of each basket."""
        return [mixture_of(prior) for prior in priors_of(baskets, self.prior, self.priors)]


class Independent(_OwnPriors):
    """Each basket on its own."""

    kind: Literal["independent"]

    def model(self, frame: Frame) -> Built:
        """Return the model that kernels read, and its scratch."""
        baskets, numbers, bounds = frame.baskets, frame.numbers, frame.bounds
        priors = self.mixtures(baskets)
        return _built(lambda: set_mixtures.independent(priors, numbers, bounds))


class Pooled(Spec):
    """All baskets as one."""

    kind: Literal["pooled"]
    prior: RatePrior = Field(description="of the one rate: {alpha, beta}, or a list of {weight, alpha, beta}")

    @model_validator(mode="after")
    def _proper(self) -> Pooled:
        _weights_sum_to_one(self.prior, ("prior",))
        return self

    def model(self, frame: Frame) -> Built:
        """Return the model that kernels read, and its scratch."""
        baskets, numbers, bounds = frame.baskets, frame.numbers, frame.bounds
        return _built(lambda: set_mixtures.pooled([mixture_of(self.prior)] * len(baskets), numbers, bounds))


class SourceExchangeability(_OwnPriors):
    """Multi-source exchangeability models: any two baskets have one rate with a prior probability."""

    kind: Literal["multi_source_exchangeability"]
    models: Literal["local", "matrices", "partitions"] = Field(
        description="local: for each basket, all sets of others (Kaizer et al. 2018); "
        "matrices: all symmetric matrices at once (Hobbs and Landin 2018); partitions: the transitive ones among them"
    )
    exchangeability: PlainProbability = Field(description="prior probability that two baskets have one rate")

    @model_validator(mode="after")
    def _summable(self) -> SourceExchangeability:
        if partitions.NEAREST_ONE < self.exchangeability < 1.0:
            allowed = f"0 to {partitions.NEAREST_ONE:g}, or 1"
            what, way_out = "is too near to 1 for exact sums", "Use 1 to pool all."
            raise At(("exchangeability",), what, got=repr(self.exchangeability), allowed=allowed, way_out=way_out)
        if self.models == "partitions" and self.priors:
            what = "differ by basket, but baskets of one block have one rate and so one prior"
            raise At(("priors",), what, way_out="Use prior: for all, or models: local or matrices.", key=True)
        return self

    def model(self, frame: Frame) -> Built:
        """Return the model that kernels read, and its scratch."""
        baskets, numbers, bounds = frame.baskets, frame.numbers, frame.bounds
        _few_enough(self.models, len(baskets), ("models",))
        priors = self.mixtures(baskets)
        if self.models == "partitions":
            log_prior = partitions.exchangeable_blocks(len(baskets), self.exchangeability)
            return _built(lambda: partitions.partition_averaging(priors, numbers, bounds, log_prior))
        build = partitions.local_exchangeability if self.models == "local" else partitions.matrix_exchangeability
        return _built(lambda: build(priors, numbers, bounds, self.exchangeability))


class PartitionAveraging(Spec):
    """Bayesian model averaging over partitions of the baskets into blocks of one rate each (Psioda et al. 2021)."""

    kind: Literal["partition_averaging"]
    prior: RatePrior = Field(description="of the rate of each block: {alpha, beta}, or a list of {weight, alpha, beta}")
    strength: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = Field(
        description="prior of a partition ~ exp(strength * number of blocks); 0: all partitions alike"
    )

    @model_validator(mode="after")
    def _proper(self) -> PartitionAveraging:
        _weights_sum_to_one(self.prior, ("prior",))
        return self

    def model(self, frame: Frame) -> Built:
        """Return the model that kernels read, and its scratch."""
        baskets, numbers, bounds = frame.baskets, frame.numbers, frame.bounds
        _few_enough("partitions", len(baskets), ("kind",))
        priors = [mixture_of(self.prior)] * len(baskets)
        log_prior = partitions.psioda_blocks(len(baskets), self.strength)
        return _built(lambda: partitions.partition_averaging(priors, numbers, bounds, log_prior))


Finite = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Power = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


class JensenShannon(Spec):
    """Weights by the divergence of posteriors: (1 - D)^epsilon where that exceeds tau (Fujikawa et al. 2020)."""

    kind: Literal["jensen_shannon"]
    epsilon: Power = Field(description="the larger, the less is borrowed from unlike baskets")
    tau: PlainProbability = Field(description="weights up to tau are 0")
    logarithm: Literal["natural", "binary"] = Field("natural", description="its base in D; with binary, D reaches 1")


class Calibrated(Spec):
    """Weights by the difference of observed rates: the calibrated power prior (Pan, Yuan and Xia 2017)."""

    kind: Literal["calibrated"]
    a: Finite = Field(description="in 1 / (1 + exp(a + b log s)), s = n^(1/4) * difference of the rates")
    b: Power = Field(description="in the same; above 0, so that like baskets weigh more")


class MaximumMarginalLikelihood(Spec):
    """Weights by empirical Bayes (Gravestock and Held 2017), the mean of both directions."""

    kind: Literal["maximum_marginal_likelihood"]


class FixedWeight(Spec):
    """The same weight always."""

    kind: Literal["fixed"]
    weight: PlainProbability = Field(description="0: independent, 1: pooled")


class DifferencesWeight(Spec):
    """A factor that falls with the differences between all observed rates (Baumann et al. 2024)."""

    kind: Literal["differences"]
    epsilon: Power = Field(description="the larger, the less is borrowed where rates differ")
    weight: PlainProbability = Field(1.0, description="the factor where all rates agree")


class PowerPrior(Spec):
    """Power priors: each basket counts the others' responses with a weight for how alike the two are."""

    kind: Literal["power_prior"]
    weights: Annotated[
        JensenShannon | Calibrated | MaximumMarginalLikelihood | FixedWeight, Field(discriminator="kind")
    ] = Field(description="weight of the pair")
    global_weight: Annotated[FixedWeight | DifferencesWeight, Field(discriminator="kind")] | None = Field(
        None, description="a factor of all weights; 1 where not said"
    )
    prior: BetaPrior | None = Field(None, description="of every basket's rate: {alpha, beta}")
    priors: dict[str, BetaPrior] = Field(default_factory=dict, description="by basket, where they differ")
    shared_prior: bool | None = Field(
        None, description="share priors as well as counts; where not said, as published: with jensen_shannon only"
    )

    @model_validator(mode="after")
    def _proper(self) -> PowerPrior:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {alpha: 1, beta: 1}.")
        return self

    def model(self, frame: Frame) -> Built:
        """Return the model that kernels read, and its scratch."""
        baskets, numbers, bounds = frame.baskets, frame.numbers, frame.bounds
        priors = [(prior.alpha, prior.beta) for prior in priors_of(baskets, self.prior, self.priors)]
        shared = isinstance(self.weights, JensenShannon) if self.shared_prior is None else self.shared_prior

        def build() -> Built:
            outcomes, row_at = similarity.outcomes_of(priors, numbers)
            of_pair, overall = self._similarity(outcomes), self._overall()
            return power_priors.shared_counts(priors, row_at, bounds, of_pair, overall, float(shared))

        return _built(build)

    def _similarity(self, outcomes: similarity.Outcomes) -> Any:
        match self.weights:
            case JensenShannon(epsilon=epsilon, tau=tau, logarithm=logarithm):
                return similarity.jensen_shannon(outcomes, epsilon, tau, math.e if logarithm == "natural" else 2.0)
            case Calibrated(a=a, b=b):
                return similarity.calibrated(outcomes, a, b)
            case FixedWeight(weight=weight):
                return similarity.Fixed(weight)
            case _:
                return similarity.marginal_likelihood(outcomes)

    def _overall(self) -> Any:
        match self.global_weight:
            case DifferencesWeight(epsilon=epsilon, weight=weight):
                return similarity.Differences(epsilon, weight)
            case FixedWeight(weight=weight):
                return similarity.Fixed(weight)
            case _:
                return similarity.Fixed(1.0)


Borrowing = Annotated[
    Independent | Pooled | SourceExchangeability | PartitionAveraging | PowerPrior, Field(discriminator="kind")
]


def _weights_sum_to_one(prior: Any, loc: tuple[str, ...]) -> None:
    if isinstance(prior, list) and abs(sum(component.weight for component in prior) - 1.0) > 1e-6:
        total = sum(component.weight for component in prior)
        raise At(loc, "the weights of a mixture must sum to 1", got=f"{total:g}", way_out="Raise or lower one.")


def priors_of(baskets: list[str], prior: Any, priors: dict[str, Any]) -> Iterable[Any]:
    """Return the prior of each basket, or refuse names that are no baskets and baskets that are left out."""
    for name in priors:
        if name not in baskets:
            near = suggestion(name, baskets)
            way_out = f"Did you mean {near}?" if near else ""
            at = ("priors", name)
            raise At(at, "unknown basket", got=quoted(name), allowed=listing(baskets), way_out=way_out, key=True)
    for basket in baskets:
        if prior is None and basket not in priors:
            raise At(("priors",), f"leaves out the basket {basket}. Add it, or prior: for the rest.", key=True)
    return [priors.get(basket, prior) for basket in baskets]


def _few_enough(models: str, baskets: int, loc: tuple[str, ...]) -> None:
    most = partitions.MOST_BASKETS[models]
    if baskets > most:
        what = f"of {baskets} baskets are too many to be summed exactly"
        count = f"{partitions.models_of(models, baskets):,} models"
        others = [f"models: {name}" for name, number in partitions.MOST_BASKETS.items() if number >= baskets]
        way_out = f"Use {' or '.join(others)}." if others else "Use a hierarchical model or power_prior."
        raise At(loc, what, got=count, allowed=f"up to {most} baskets", way_out=way_out)


def _built(build: Callable[[], Built]) -> Built:
    """Return what `build` does; what can't be tabulated is told at the analysis."""
    try:
        return build()
    except ValueError as error:
        raise At(("kind",), str(error)) from None

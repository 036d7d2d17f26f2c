"""Analyses as a person writes them. What each is made of stands in `analyses/`; how it is asked, in `asking`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lmd_trialsim.analyses.beta_mixture import BetaMixture
from lmd_trialsim.evidence.quantities import PlainPositiveMonths, Spec
from lmd_trialsim.reading import At

Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Margin = Annotated[float, Field(gt=-1, lt=1, allow_inf_nan=False)]


class BetaPrior(Spec):
    """A beta prior of a response rate."""

    alpha: Positive = Field(description="prior responses")
    beta: Positive = Field(description="prior non-responses")


class BetaComponent(BetaPrior):
    """A component of a mixture."""

    weight: Annotated[float, Field(gt=0, le=1)] = Field(description="weight of the component")


RatePrior = BetaPrior | Annotated[list[BetaComponent], Field(min_length=1, max_length=20)]


def mixture_of(prior: BetaPrior | list[BetaComponent]) -> BetaMixture:
    """Return the prior in the form that tables are built from."""
    if isinstance(prior, list):
        return BetaMixture.of(*((c.weight, c.alpha, c.beta) for c in prior))
    return BetaMixture.of((1.0, prior.alpha, prior.beta))


def check_weights(prior: object, loc: tuple[str, ...]) -> None:
    """Raise where the weights of a mixture do not sum to 1."""
    if isinstance(prior, list) and abs(sum(c.weight for c in prior) - 1.0) > 1e-6:
        raise At(loc, "the weights of a mixture must sum to 1", got=f"{sum(c.weight for c in prior):g}")


class BetaBinomial(Spec):
    """Independent beta priors, or mixtures of them, on the response rates."""

    kind: Literal["beta_binomial"]
    prior: RatePrior | None = Field(None, description="of every arm: {alpha, beta}, or a list of {weight, alpha, beta}")
    priors: dict[str, RatePrior] = Field(default_factory=dict, description="by arm, where they differ")
    effect: Literal["difference", "ratio", "odds_ratio"] = Field(
        "difference", description="scale of the estimated effect; ratios are estimated on the log scale"
    )

    @model_validator(mode="after")
    def _proper(self) -> BetaBinomial:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {alpha: 1, beta: 1}.")
        check_weights(self.prior, ("prior",))
        for arm, prior in self.priors.items():
            check_weights(prior, ("priors", arm))
        return self

    def of_arm(self, arm: str) -> BetaMixture:
        """Return the prior of `arm`."""
        prior = self.priors.get(arm, self.prior)
        assert prior is not None
        return mixture_of(prior)


class DifferenceOfProportions(Spec):
    """The normal test of a difference of proportions."""

    kind: Literal["difference_of_proportions"]
    pooled: bool = Field(True, description="variance pooled over the arms (under the null), or by arm")
    margin: Margin = Field(0.0, description="the difference under the null hypothesis")


class FisherExact(Spec):
    """Fisher's exact test, one-sided."""

    kind: Literal["fisher_exact"]


class ExactBinomial(Spec):
    """The exact binomial test of a single arm."""

    kind: Literal["exact_binomial"]
    null_rate: Annotated[float, Field(gt=0, lt=1)] = Field(description="the rate under the null hypothesis")


class LogRank(Spec):
    """The log-rank test; with rho or gamma, weighted after Fleming and Harrington."""

    kind: Literal["log_rank"]
    stratified: bool = Field(False, description="by the population's strata")
    rho: Annotated[float, Field(ge=0, le=5)] = Field(0.0, description="weight S^rho (1 - S)^gamma")
    gamma: Annotated[float, Field(ge=0, le=5)] = Field(0.0, description="weight S^rho (1 - S)^gamma")


class NormalPrior(Spec):
    """A normal prior of the log hazard ratio."""

    mean: Annotated[float, Field(ge=-10, le=10)] = Field(0.0, description="of the log hazard ratio")
    sd: Annotated[float, Field(gt=0, le=1000)] = Field(description="of the log hazard ratio")


class Cox(Spec):
    """The Cox log hazard ratio, with a normal prior if one is given (Laplace approximation)."""

    kind: Literal["cox"]
    prior: NormalPrior | None = Field(None, description="a normal prior of the log hazard ratio")
    stratified: bool = Field(False, description="by the population's strata")


class GammaPrior(Spec):
    """A gamma prior of a hazard: so many events in so many patient-months."""

    events: Positive = Field(description="prior events (shape)")
    months: Positive = Field(description="prior patient-months (rate)")


class _Exponential(Spec):
    prior: GammaPrior | None = Field(None, description="of every arm (and piece)")
    priors: dict[str, GammaPrior] = Field(default_factory=dict, description="by arm, where they differ")

    @model_validator(mode="after")
    def _proper(self) -> _Exponential:
        if self.prior is None and not self.priors:
            raise At(("kind",), "needs a prior. Add prior: {events: 0.5, months: 1}.")
        return self

    def of_arm(self, arm: str) -> GammaPrior:
        """Return the prior of `arm`."""
        prior = self.priors.get(arm, self.prior)
        assert prior is not None
        return prior


class GammaExponential(_Exponential):
    """Exponential times, gamma priors on the hazards."""

    kind: Literal["gamma_exponential"]


ExponentialModel = GammaExponential


class PiecewiseGammaExponential(_Exponential):
    """Piecewise constant hazards, a gamma prior on each."""

    kind: Literal["piecewise_gamma_exponential"]
    cuts: Annotated[list[PlainPositiveMonths], Field(min_length=1, max_length=19)] = Field(
        description="months since entry at which the hazard may change"
    )
    month: PlainPositiveMonths = Field(description="the month whose survival is the effect")

    @model_validator(mode="after")
    def _cuts_increase(self) -> PiecewiseGammaExponential:
        for i in range(1, len(self.cuts)):
            if self.cuts[i] <= self.cuts[i - 1]:
                raise At(("cuts", i), "cuts must increase. Sort them.")
        return self


class MilestoneSurvival(Spec):
    """The Kaplan-Meier difference at a month (Greenwood's variance); of a single arm, its survival against a null."""

    kind: Literal["milestone_survival"]
    month: PlainPositiveMonths = Field(description="months since entry")
    margin: Margin = Field(0.0, description="the difference under the null hypothesis")
    null_survival: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="single arm: survival at the month under the null hypothesis"
    )


class RestrictedMean(Spec):
    """The difference of restricted mean survival times."""

    kind: Literal["restricted_mean"]
    month: PlainPositiveMonths = Field(description="the month that the mean is restricted to")
    margin: Annotated[float, Field(ge=-1000, le=1000)] = Field(0.0, description="months, under the null hypothesis")


Analysis = Annotated[
    BetaBinomial
    | DifferenceOfProportions
    | FisherExact
    | ExactBinomial
    | LogRank
    | Cox
    | GammaExponential
    | PiecewiseGammaExponential
    | MilestoneSurvival
    | RestrictedMean,
    Field(discriminator="kind"),
]

OF_BINARY = ("beta_binomial", "difference_of_proportions", "fisher_exact", "exact_binomial")
OF_TIMES = (
    "log_rank",
    "cox",
    "gamma_exponential",
    "piecewise_gamma_exponential",
    "milestone_survival",
    "restricted_mean",
)

POSTERIOR_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "single": {
        "beta_binomial": ("rate",),
        "gamma_exponential": ("hazard_per_month", "median_months", "survival"),
        "piecewise_gamma_exponential": ("survival",),
    },
    "two": {
        "beta_binomial": ("rate", "difference", "ratio", "odds_ratio"),
        "cox": ("hazard_ratio",),
        "gamma_exponential": ("hazard_ratio", "hazard_per_month", "median_months", "survival"),
        "piecewise_gamma_exponential": ("survival_difference", "survival"),
    },
}
"""What each analysis has a posterior of, in trials of one and of two arms."""

Z_OF: dict[str, tuple[str, ...]] = {
    "single": ("milestone_survival",),
    "two": ("difference_of_proportions", "log_rank", "cox", "milestone_survival", "restricted_mean"),
}
"""Analyses with a test statistic; p-values exist for these and for the exact tests."""

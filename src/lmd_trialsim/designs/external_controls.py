"""Controls from elsewhere, as a person writes them, and the prior of the control that they become: a mixture."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from scipy.special import roots_jacobi

from lmd_trialsim.designs.arm_priors import Component, components_of
from lmd_trialsim.designs.conjugates import Family, Mixture, distance, given
from lmd_trialsim.evidence.quantities import PositiveMonths, Sourced, Spec
from lmd_trialsim.patients.course import Level, Spread
from lmd_trialsim.reading import At

Shape = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
MOST_BETWEEN = 3.0
"""Standard deviation between sources of a logit or a log hazard: what is wider than that is vague."""

Between = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

NEGLIGIBLE = 1e-9
"""A weight of a component that is left out."""

QUADRATURE = 1e-4
"""How far two rules for the power, one of twice as many nodes as the other, may lie apart, relative to the density."""


class Count(Sourced):
    """A number of patients, responses or events, 0 or more: a whole number, or a mapping with its origin."""

    value: Annotated[int, Field(strict=True, ge=0, le=100_000, description="A whole number, 0 or more.")]


class Power(Spec):
    """The likelihood of the external patients to a power: each counts as that much of a patient."""

    kind: Literal["power"]
    power: Annotated[float, Field(gt=0, le=1)] = Field(description="above 0, up to 1")

    def prior(self, family: Family, prior: Mixture, count: float, amount: float) -> Mixture:
        """Return the prior of the control (Ibrahim and Chen 2000)."""
        return given(family, prior, self.power * count, self.power * amount)


class NormalisedPower(Spec):
    """The same, and the power has a beta prior that the data of the trial update."""

    kind: Literal["normalised_power"]
    alpha: Shape = Field(1.0, description="of the beta prior of the power")
    beta: Shape = Field(1.0, description="of the beta prior of the power")

    def prior(self, family: Family, prior: Mixture, count: float, amount: float) -> Mixture:
        """Return the prior of the control (Duan, Ye and Smith 2006): a mean over the power by a Gauss-Jacobi rule.

        The likelihood to a power is divided by its integral over the prior: that is what each component is.
        """

        def rule(nodes: int) -> Mixture:
            x, w = roots_jacobi(nodes, self.beta - 1.0, self.alpha - 1.0)
            return [
                Component(share * c.weight, c.one, c.two)
                for power, share in zip(0.5 * (1.0 + x), w / w.sum(), strict=True)
                for c in given(family, prior, power * count, power * amount)
            ]

        nodes, found, finer = 8, rule(8), rule(16)
        while distance(family, found, finer) > QUADRATURE and nodes < 64:
            nodes, found, finer = 2 * nodes, finer, rule(4 * nodes)
        return found


class HalfNormal(Spec):
    """A half-normal distribution."""

    half_normal: Between = Field(description="its scale")


class Commensurate(Spec):
    """The control's logit, log hazard or mean is normal about that of the external patients."""

    kind: Literal["commensurate"]
    sd: Between | HalfNormal = Field(
        description="between sources, of the logit of a rate, the log hazard, or the mean: a number, or {half_normal: "
        "scale}"
    )

    @property
    def scale(self) -> float:
        """The standard deviation, or the scale of it."""
        return self.sd.half_normal if isinstance(self.sd, HalfNormal) else self.sd

    def prior(self, family: Family, prior: Mixture, count: float, amount: float) -> Mixture:
        """Return the prior of the control (Hobbs et al. 2011)."""
        half_normal = isinstance(self.sd, HalfNormal)
        return family.about(given(family, prior, count, amount), self.scale, half_normal=half_normal)


class RobustMixture(Spec):
    """The posterior of the external patients with some weight, and the control's own prior with the rest."""

    kind: Literal["robust_mixture"]
    weight: Annotated[float, Field(gt=0, lt=1)] = Field(description="of the external patients, above 0 and below 1")

    def prior(self, family: Family, prior: Mixture, count: float, amount: float) -> Mixture:
        """Return the prior of the control (Schmidli et al. 2014)."""
        parts = ((self.weight, given(family, prior, count, amount)), (1.0 - self.weight, prior))
        return [Component(share * c.weight, c.one, c.two) for share, part in parts for c in part]


Borrowing = Annotated[Power | NormalisedPower | Commensurate | RobustMixture, Field(discriminator="kind")]


class _External(Spec):
    borrowing: Borrowing = Field(description="how much is made of them")

    def prior_with(self, family: Family, prior: tuple[Component, ...]) -> tuple[Component, ...]:
        """Return the prior of the control that it has with these patients."""
        mixture = self.borrowing.prior(family, list(prior), *self.sample())
        kept = [c for c in mixture if c.weight > NEGLIGIBLE]
        total = math.fsum(c.weight for c in kept)
        return tuple(Component(c.weight / total, c.one, c.two) for c in kept)

    def sample(self) -> tuple[float, float]:
        """Return count and amount, as `conjugates` has them."""
        raise NotImplementedError


def _check_commensurate(borrowing: Borrowing, what: str, *, known: bool, lacks: str) -> None:
    """Raise where a logit or log hazard is not known from elsewhere, or sources differ by more than there is to it."""
    if not isinstance(borrowing, Commensurate):
        return
    if not known:
        text = f"the {what} is hardly known: there is no {lacks} among these patients. Use power or robust_mixture."
        raise At(("borrowing", "kind"), text, got="commensurate")
    if borrowing.scale > MOST_BETWEEN:
        place = ("borrowing", "sd", "half_normal") if isinstance(borrowing.sd, HalfNormal) else ("borrowing", "sd")
        text, got = f"so wide a spread of the {what} between sources says nothing", f"{borrowing.scale:g}"
        raise At(place, text, got=got, allowed=f"up to {MOST_BETWEEN:g}")


class ExternalResponses(_External):
    """Responses of control patients from elsewhere."""

    responses: Count = Field(description="patients who responded")
    patients: Count = Field(description="patients")

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> ExternalResponses:
        if self.responses.value > self.patients.value:
            text = "are more than there are patients"
            raise At(("responses",), text, got=str(self.responses.value), allowed=f"up to {self.patients.value}")
        known = 0 < self.responses.value < self.patients.value
        _check_commensurate(self.borrowing, "logit", known=known, lacks="response, or nothing else")
        return self

    def sample(self) -> tuple[float, float]:
        """Return patients and responses."""
        return float(self.patients.value), float(self.responses.value)


class ExternalTimes(_External):
    """Events and follow-up of control patients from elsewhere."""

    events: Count = Field(description="events seen")
    months: PositiveMonths = Field(description="patient-months")

    @model_validator(mode="after")
    def _near(self) -> ExternalTimes:
        _check_commensurate(self.borrowing, "log hazard", known=self.events.value > 0, lacks="event")
        return self

    def sample(self) -> tuple[float, float]:
        """Return events and patient-months."""
        return float(self.events.value), self.months.value


class ExternalValues(_External):
    """The mean of control patients from elsewhere."""

    mean: Level = Field(description="of their values")
    sd: Spread = Field(description="of their values")
    patients: Count = Field(description="patients")

    @model_validator(mode="after")
    def _somebody(self) -> ExternalValues:
        if self.patients.value < 1:
            raise At(("patients",), "nobody has no mean", got="0", allowed="1 or more")
        return self

    def sample(self) -> tuple[float, float]:
        """Return their precision as a number of patients of standard deviation 1, and that times their mean."""
        precision = self.patients.value * self.sd.value**-2.0
        return precision, precision * self.mean.value


def priors_with(analysis: Any, family: Family, arms: list[str]) -> list[tuple[Component, ...]]:
    """Return the components of each arm's prior; the control, which comes first, has patients from elsewhere."""
    priors = [components_of(analysis.priors.get(arm) or analysis.prior) for arm in arms]
    if analysis.external_controls is not None:
        priors[0] = analysis.external_controls.prior_with(family, priors[0])
    return priors

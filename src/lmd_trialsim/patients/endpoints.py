"""Endpoints as a person writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lmd_trialsim.evidence.quantities import PlainMonths, PlainPositiveMonths, Spec

Loss = Literal["failure", "missing", "not_evaluable"]


class _Assessed(Spec):
    description: str | None = Field(None, description="what is assessed, for the reader")
    drop_out_before_assessment: Loss = Field(
        "not_evaluable",
        description="what a drop-out before the assessment stands for: a failure, a missing outcome (which keeps its "
        "place among the planned patients), or a patient who is not evaluable and is replaced",
    )


class BinaryEndpoint(_Assessed):
    """A yes-or-no outcome, assessed so long after entry."""

    kind: Literal["binary"]
    assessed_after_months: PlainMonths = Field(0.0, description="months from entry to the assessment")
    better: Literal["higher", "lower"] = Field("higher", description="which rate is the better one")
    death_before_assessment: Loss = Field(
        "failure", description="what a death before the assessment stands for: failure, missing or not_evaluable"
    )


class SurvivalAtMonth(_Assessed):
    """Alive (or free of the event) at a month after entry, yes or no."""

    kind: Literal["survival_at_month"]
    month: PlainPositiveMonths = Field(description="months since entry")

    @property
    def assessed_after_months(self) -> float:
        """The month is the assessment."""
        return self.month

    @property
    def better(self) -> str:
        """Survival is good."""
        return "higher"


class TimeToEventEndpoint(Spec):
    """The time from entry to an event."""

    kind: Literal["time_to_event"]
    description: str | None = Field(None, description="what the event is, for the reader")
    followed_for_months: PlainPositiveMonths | None = Field(
        None, description="each patient is followed for so long at most"
    )


class ContinuousEndpoint(Spec):
    """A number, such as the logarithm of a count of cells, measured so long after entry; normally distributed."""

    kind: Literal["continuous"]
    description: str | None = Field(None, description="what is measured, and in which unit, for the reader")
    assessed_after_months: PlainMonths = Field(0.0, description="months from entry to the measurement")
    better: Literal["higher", "lower"] = Field("higher", description="which values are the better ones")
    death_before_assessment: Literal["missing", "not_evaluable"] = Field(
        "missing", description="what a death before the measurement stands for"
    )
    drop_out_before_assessment: Literal["missing", "not_evaluable"] = Field(
        "not_evaluable", description="what a drop-out before the measurement stands for"
    )


def lower_is_better(endpoint: object) -> bool:
    """Return whether the lower rate or value is the better one; of times to an event, the longer is."""
    return getattr(endpoint, "better", "higher") == "lower"


Endpoint = Annotated[
    BinaryEndpoint | SurvivalAtMonth | TimeToEventEndpoint | ContinuousEndpoint, Field(discriminator="kind")
]

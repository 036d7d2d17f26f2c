"""The two general families: every other design of one or two arms is one of these in another face."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lmd_trialsim.designs.allocation import AllocationSpec
from lmd_trialsim.designs.analyses import Analysis
from lmd_trialsim.designs.looks import LooksSpec
from lmd_trialsim.designs.rules import Rule
from lmd_trialsim.evidence.quantities import PlainMonths, PlainOpenProbability, PlainPositiveMonths, Spec

Patients = Annotated[int, Field(ge=1, le=20_000)]


class DesignSpec(Spec):
    """What every design says."""

    description: str | None = Field(None, description="what the design is, for the reader")
    endpoint: str = Field(description="the endpoint that it is about")
    max_months: PlainPositiveMonths | None = Field(
        None, description="the trial closes at this month as it stands, and is analysed then"
    )
    months_to_decide: PlainMonths = Field(
        0.0, description="months from a look's data to its decision; enrolment goes on meanwhile"
    )
    accrual_at_looks: Literal["continues", "pauses"] = Field(
        "continues", description="whether enrolment waits for the outcome of each look (binary endpoints)"
    )


class General(DesignSpec):
    """What designs say that spell out their looks, analysis and rules."""

    max_patients: Patients = Field(description="patients enrolled at most, over all arms")
    looks: LooksSpec = Field(description="when the data are looked at")
    analysis: Analysis = Field(description="what is made of the data; also gives the estimate and its interval")
    rules: Annotated[list[Rule], Field(min_length=1, max_length=50)] = Field(
        description="in order: the first that speaks at a look decides"
    )

    def general(self) -> General:
        """Return the design in its general form: itself."""
        return self

    @property
    def succeeds_by_counts(self) -> bool:
        """Whether success at the final look is a bound on a count, which speaks of the planned number only."""
        last = self.looks.count - 1
        rules = (rule for rule in self.rules if rule.stop_for == "efficacy" and last in rule.looks(last + 1))
        return any(condition.number_of is not None for rule in rules for condition in rule.conditions)

    @property
    def tried_later(self) -> tuple[str, ...]:
        """The verdicts of interim looks that complete follow-up and the final look's rules can contradict."""
        last = self.looks.count - 1
        early = {rule.stop_for for rule in self.rules if min(rule.looks(last + 1), default=last) < last}
        return () if self.succeeds_by_counts else tuple(word for word in ("efficacy", "futility") if word in early)


class SingleArm(General):
    """A single-arm trial."""

    kind: Literal["single_arm"]
    arm: str | None = Field(None, description="the arm under trial; needed where the scenario has several")
    null_rate: PlainOpenProbability | None = Field(
        None, description="binary endpoints: success at this rate or below is a type I error"
    )


class TwoArms(Spec):
    """Which arm is which."""

    control: str = Field(description="the control arm")
    treatment: str = Field(description="the arm under trial")


class TwoArm(General):
    """A randomised trial of a treatment against a control."""

    kind: Literal["two_arm"]
    arms: TwoArms | None = Field(None, description="needed where the scenario has more than one treatment")
    allocation: AllocationSpec = Field(
        default_factory=lambda: AllocationSpec.model_validate({}), description="to the arms"
    )

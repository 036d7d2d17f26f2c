"""Rules as a person writes them: what is concluded, when, and from which number."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from lmd_trialsim.designs.analyses import Analysis, ExponentialModel
from lmd_trialsim.designs.conditions import Comparison
from lmd_trialsim.evidence.quantities import PlainOpenProbability, PlainPositiveMonths, PlainProbability, Spec
from lmd_trialsim.reading import At, Several

Number = Annotated[float, Field(allow_inf_nan=False)]
Information = Annotated[
    float, Field(strict=True, allow_inf_nan=False, gt=0, description="Information in any unit, above 0.")
]


class PowerCutOff(Spec):
    """A cut-off scale * (n / N) ** power, growing with n / N, the share of the information (Zhou et al. 2017)."""

    scale: PlainProbability = Field(alias="lambda", description="the cut-off at the final look")
    power: Annotated[float, Field(ge=0, le=10)] = Field(alias="gamma", description="how late it grows")


OneComparison = TypeVar("OneComparison", bound=Comparison)
Cut = Number | Annotated[list[Number], Field(min_length=1, max_length=1000)] | PowerCutOff

Quantity = Literal[
    "rate", "difference", "ratio", "odds_ratio", "hazard_ratio", "hazard_per_month", "median_months", "survival",
    "survival_difference",
]  # fmt: skip


class Condition(Comparison):
    """A number and what it is compared with."""

    SUBJECTS: ClassVar = (
        "probability_that", "predictive_probability_of", "statistic", "p_value", "estimate_of", "number_of",
    )  # fmt: skip

    probability_that: Quantity | None = Field(
        None, description="posterior probability that this lies `above` or `below`"
    )
    above: Number | None = Field(None, description="the bound of probability_that")
    below: Number | None = Field(None, description="the bound of probability_that")
    month: PlainPositiveMonths | None = Field(None, description="the month that `survival` speaks of")
    arm: str | None = Field(None, description="the arm that `rate` and the like speak of; the treatment if not said")
    predictive_probability_of: Literal["success"] | None = Field(
        None, description="probability that the final look will conclude efficacy"
    )
    at: Literal["maximum", "present"] | None = Field(
        None, description="predictive: going on to the maximum, or stopping the accrual now and following up"
    )
    model: ExponentialModel | None = Field(
        None, description="predictive, event times: the model that future events are drawn from"
    )
    imputations: Annotated[int, Field(ge=10, le=10_000)] | None = Field(
        None, description="predictive, event times: futures drawn at each look; 100 if not said"
    )
    statistic: Literal["z"] | None = Field(
        None, description="the analysis's test statistic; positive favours treatment"
    )
    p_value: Literal["one_sided", "two_sided"] | None = Field(None, description="the analysis's p-value")
    estimate_of: Literal["effect"] | None = Field(None, description="the analysis's estimate, on its own scale")
    number_of: Literal["responses"] | None = Field(
        None, description="responses; speaks only when just the planned number is evaluable"
    )
    exceeds: Cut | None = Field(None, description="holds where the number is above this; one, or one for each look")
    at_least: Cut | None = Field(None, description="holds where the number is this or above")
    is_below: Cut | None = Field(None, description="holds where the number is below this")
    at_most: Cut | None = Field(None, description="holds where the number is this or below")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Condition:
        wrong = self.contradictions()
        if wrong:
            raise Several(wrong)
        belongs = {
            "above": "probability_that", "below": "probability_that", "month": "probability_that",
            "arm": "probability_that", "at": "predictive_probability_of", "model": "predictive_probability_of",
            "imputations": "predictive_probability_of",
        }  # fmt: skip
        for name, subject in belongs.items():
            if getattr(self, name) is not None and self.subject != subject:
                wrong.append(At((name,), f"goes with {subject}, not with {self.subject}. Remove it", key=True))
        if self.subject == "probability_that" and (self.above is None) == (self.below is None):
            wrong.append(At(("probability_that",), "takes either above or below, and one of them.", key=True))
        if (self.probability_that or "").startswith("survival") != (self.month is not None):
            wrong.append(
                At(
                    ("month" if self.month else "probability_that",),
                    "survival and month go together. Give both.",
                    key=True,
                )
            )
        if self.subject in ("probability_that", "predictive_probability_of", "p_value"):
            cuts = self.cut if isinstance(self.cut, list) else [self.cut]
            for i, cut in enumerate(cuts):
                if not isinstance(cut, PowerCutOff) and not 0 <= cut <= 1:
                    place = (self.comparison, i) if isinstance(self.cut, list) else (self.comparison,)
                    wrong.append(At(place, "a probability lies between 0 and 1", got=f"{cut:g}"))
        if wrong:
            raise Several(wrong)
        return self


Spending = Literal[
    "obrien_fleming", "pocock", "wang_tsiatis", "haybittle_peto", "lan_demets_obrien_fleming", "lan_demets_pocock",
    "hwang_shih_decani", "kim_demets", "user",
]  # fmt: skip
PARAMETERS = ("gamma", "delta", "rho", "interim", "cumulative")
LookNumber = Annotated[int, Field(ge=1, le=1000)]


def check_sorted(at: str | list[int]) -> None:
    """Refuse a list of looks that does not increase."""
    if isinstance(at, str):
        return
    for i in range(1, len(at)):
        if at[i] <= at[i - 1]:
            raise At(("at", i), "looks must increase. Sort them, and name each once.")


def looks_named(at: str | list[int], count: int) -> list[int]:
    """Return the looks (from 0) of `count` in all: all, interim, final, or those listed (from 1)."""
    if isinstance(at, list):
        return [look - 1 for look in at]
    return list({"all": range(count), "interim": range(count - 1), "final": range(count - 1, count)}[at])


def all_of(when: OneComparison | list[OneComparison] | None) -> list[OneComparison]:
    """Return the conditions that are written as one, as a list, or not at all."""
    return [] if when is None else list(when) if isinstance(when, list) else [when]


class Rule(Spec):
    """A rule; the first in the list that speaks at a look decides."""

    stop_for: Literal["efficacy", "futility", "harm"] | None = Field(
        None, description="end the trial with this verdict; efficacy is the trial's success"
    )
    stop_accrual_for: Literal["efficacy", "futility"] | None = Field(
        None, description="enrol no more, follow up, and decide at the final look"
    )
    when: Condition | Annotated[list[Condition], Field(min_length=1, max_length=20)] | None = Field(
        None, description="the condition, or a list of conditions that must all hold"
    )
    spending: Spending | None = Field(None, description="a group-sequential boundary instead of `when`")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = Field(
        None, description="one-sided type I error of the boundary"
    )
    beta: PlainOpenProbability | None = Field(None, description="type II error that a futility boundary spends")
    gamma: Annotated[float, Field(ge=-40, le=40)] | None = Field(None, description="of hwang_shih_decani")
    delta: Annotated[float, Field(ge=-1, le=1)] | None = Field(None, description="of wang_tsiatis")
    rho: Annotated[float, Field(gt=0, le=40)] | None = Field(None, description="of kim_demets")
    interim: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="z at interim looks, of haybittle_peto"
    )
    cumulative: Annotated[list[PlainProbability], Field(min_length=1, max_length=50)] | None = Field(
        None, description="error spent up to each look, of user"
    )
    information: Annotated[list[Information], Field(min_length=1, max_length=50)] | None = Field(
        None, description="information at each look, where it is not that of the looks' own numbers"
    )
    binding: bool | None = Field(
        None, description="false: a futility rule that may be overruled; boundaries then ignore it (true if not said)"
    )
    at: Literal["all", "interim", "final"] | Annotated[list[LookNumber], Field(min_length=1, max_length=1000)] = Field(
        "all", description="the looks at which the rule speaks: all, interim, final, or a list of numbers from 1"
    )
    from_patients: Annotated[int, Field(ge=0)] = Field(0, description="silent before so many patients are evaluable")
    analysis: Analysis | None = Field(None, description="the analysis that the condition is about, if not the design's")

    @property
    def verdict(self) -> str:
        """What is concluded, at once or after follow-up."""
        return str(self.stop_for or self.stop_accrual_for)

    @property
    def conditions(self) -> list[Condition]:
        """The conditions, all of which must hold."""
        return all_of(self.when)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Rule:
        if (self.stop_for is None) == (self.stop_accrual_for is None):
            raise At((), "must say either stop_for or stop_accrual_for", way_out=_add_or_remove(self.stop_for))
        if (self.when is None) == (self.spending is None):
            raise At((), "must say either when or spending", way_out=_add_or_remove(self.when))
        wrong: list[At] = []
        check_sorted(self.at)

        def refuse(name: str, text: str) -> None:
            if getattr(self, name) is not None:
                wrong.append(At((name,), text, key=True))

        if self.spending is None:
            for name in ("alpha", "beta", "information", *PARAMETERS):
                refuse(name, "goes with spending. Remove it")
        else:
            takes = {
                "hwang_shih_decani": "gamma",
                "wang_tsiatis": "delta",
                "kim_demets": "rho",
                "haybittle_peto": "interim",
                "user": "cumulative",
            }
            for name in PARAMETERS:
                if takes.get(self.spending) != name:
                    refuse(name, f"is no parameter of {self.spending}. Remove it")
            needed = takes.get(self.spending)
            if needed not in (None, "interim") and getattr(self, str(needed)) is None:
                wrong.append(At(("spending",), f"{self.spending} needs {needed}. Add {needed}:"))
            if self.stop_for == "efficacy":
                refuse("beta", "goes with a futility boundary. Remove it")
                if self.alpha is None:
                    wrong.append(At(("spending",), "an efficacy boundary needs alpha. Add alpha: 0.025"))
            elif self.stop_for == "futility":
                refuse("alpha", "goes with an efficacy boundary. Remove it")
                if self.beta is None:
                    wrong.append(At(("spending",), "a futility boundary needs beta. Add beta: 0.1"))
            else:
                wrong.append(At(("spending",), "goes with stop_for: efficacy or futility."))
            if self.at != "all":
                wrong.append(At(("at",), "a boundary speaks at every look. Remove it", key=True))
        if self.binding is not None and self.stop_for != "futility":
            refuse("binding", "goes with stop_for: futility. Remove it")
        if wrong:
            raise Several(wrong)
        return self

    def looks(self, count: int) -> list[int]:
        """Return the looks (from 0) at which the rule speaks, of `count` in all."""
        chosen = looks_named(self.at, count)
        if isinstance(self.at, list):
            return chosen
        # At the final look nothing is left to predict, and no accrual to be stopped.
        looks_ahead = self.stop_accrual_for is not None or any(
            condition.predictive_probability_of is not None for condition in self.conditions
        )
        return [look for look in chosen if not looks_ahead or look < count - 1]


def _add_or_remove(first: object) -> str:
    """Return the way out where one of two keys must be there, and both are or neither is."""
    return "Neither is there: add one." if first is None else "Both are there: remove one."

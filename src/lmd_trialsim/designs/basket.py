"""Basket trials as a person writes them: one treatment in several strata, each judged with the help of the others."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from lmd_trialsim.designs.allocation import AllocationSpec, Share
from lmd_trialsim.designs.borrowing import Independent, PartitionAveraging, Pooled, PowerPrior, SourceExchangeability
from lmd_trialsim.designs.cell_looks import BasketLooks, interim_looks
from lmd_trialsim.designs.conditions import Comparison
from lmd_trialsim.designs.gamma_cells import GammaCellsSpec
from lmd_trialsim.designs.generic import DesignSpec, Patients, TwoArms
from lmd_trialsim.designs.hierarchical import CalibratedHierarchicalSpec, Exnex, HierarchicalSpec
from lmd_trialsim.designs.measures import Value
from lmd_trialsim.designs.rules import LookNumber, PowerCutOff, all_of, check_sorted, looks_named
from lmd_trialsim.evidence.quantities import PlainMonths, PlainOpenProbability, PlainPositiveMonths, Spec
from lmd_trialsim.reading import At, Several

BasketAnalysis = Annotated[
    Independent
    | Pooled
    | HierarchicalSpec
    | CalibratedHierarchicalSpec
    | Exnex
    | SourceExchangeability
    | PartitionAveraging
    | PowerPrior
    | GammaCellsSpec,
    Field(discriminator="kind"),
]

MIDPOINT = "midpoint"
MEASURED = ("rate", "median", "ratio")
NamedBound = Literal[
    "null_rate", "target_rate", "null_median", "target_median", "null_ratio", "target_ratio", "midpoint"
]
Number = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class ByBasket(Spec):
    """A number for each basket."""

    by_basket: dict[str, Number] = Field(description="basket: number")


Cut = Number | Annotated[list[Number], Field(min_length=1, max_length=1000)] | PowerCutOff | ByBasket
Bound = NamedBound | Value | ByBasket


class BasketCondition(Comparison):
    """A number of a basket, and what it is compared with."""

    SUBJECTS: ClassVar = ("probability_that", "predictive_probability_of", "p_value", "estimate_of", "number_of")

    probability_that: Literal["rate", "median", "odds_ratio", "hazard_ratio"] | None = Field(
        None,
        description="posterior probability that the basket's rate (of times, the median in months; randomised, the "
        "odds or hazard ratio) lies `above` or `below`",
    )
    above: Bound | None = Field(
        None,
        description="null_rate, target_rate, midpoint (halfway between them), a rate, or {by_basket: ...}; "
        "of medians: null_median, target_median, midpoint, months; of ratios: null_ratio, target_ratio, a ratio",
    )
    below: Bound | None = Field(None, description="as above")
    predictive_probability_of: Literal["success"] | None = Field(
        None, description="probability that the basket, once full, would succeed by itself at the final look"
    )
    p_value: Literal["one_sided", "bonferroni"] | None = Field(
        None,
        description="of the exact binomial test of the responses against the null rate; bonferroni: times the number "
        "of baskets that are judged at the look",
    )
    estimate_of: Literal["rate", "median", "odds_ratio", "hazard_ratio"] | None = Field(
        None, description="posterior mean of the basket's rate; of others, the exponential of that of their logarithm"
    )
    number_of: Literal["responses", "events"] | None = Field(None, description="responses, or events, in the basket")
    exceeds: Cut | None = Field(
        None, description="holds where the number is above this; one, or one for each look, or basket"
    )
    at_least: Cut | None = Field(None, description="holds where the number is this or above")
    is_below: Cut | None = Field(None, description="holds where the number is below this")
    at_most: Cut | None = Field(None, description="holds where the number is this or below")

    @model_validator(mode="after")
    def _says_one_thing(self) -> BasketCondition:
        wrong = self.contradictions()
        sides = [name for name in ("above", "below") if getattr(self, name) is not None]
        if self.probability_that is None:
            wrong += [At((name,), "goes with probability_that. Remove it", key=True) for name in sides]
        elif len(sides) != 1:
            wrong.append(At(("probability_that",), "takes either above or below, and one of them.", key=True))
        if not wrong and self.number_of is None and self.estimate_of in (None, "rate"):
            wrong += list(self._no_probability())
        if not wrong and self.probability_that == "rate":
            wrong += [
                At((name,), "a rate lies between 0 and 1", got=f"{getattr(self, name):g}")
                for name in sides
                if isinstance(getattr(self, name), float) and getattr(self, name) >= 1.0
            ]
        if wrong:
            raise Several(wrong)
        return self

    def _no_probability(self) -> Any:
        cut, place = self.cut, (self.comparison,)
        listed = (
            [((*place, i), v) for i, v in enumerate(cut)]
            if isinstance(cut, list)
            else [((*place, "by_basket", b), v) for b, v in cut.by_basket.items()]
            if isinstance(cut, ByBasket)
            else [(place, cut)]
        )
        for where, value in listed:
            if not isinstance(value, PowerCutOff) and value > 1:
                yield At(where, "a probability or a rate lies between 0 and 1", got=f"{value:g}")


class BasketRule(Spec):
    """A rule; it is asked of every open basket, and the first in the list that speaks decides on the basket."""

    stop_for: Literal["efficacy", "futility", "harm"] = Field(
        description="end the basket with this verdict; efficacy is its success"
    )
    of: Literal["basket", "pool"] = Field(
        "basket",
        description="basket: asked of each basket while they are judged by themselves; pool: asked of all as one, once "
        "they are pooled, and decides on all of them",
    )
    when: BasketCondition | Annotated[list[BasketCondition], Field(min_length=1, max_length=20)] = Field(
        description="the condition, or a list of conditions that must all hold"
    )
    at: Literal["all", "interim", "final"] | Annotated[list[LookNumber], Field(min_length=1, max_length=1000)] = Field(
        "all", description="the looks at which the rule speaks: all, interim, final, or a list of numbers from 1"
    )
    from_patients: Annotated[int, Field(ge=0)] = Field(
        0, description="silent before so many of the basket's patients are evaluable"
    )

    @model_validator(mode="after")
    def _looks_increase(self) -> BasketRule:
        check_sorted(self.at)
        return self

    @property
    def conditions(self) -> list[BasketCondition]:
        """The conditions, all of which must hold."""
        return all_of(self.when)

    def looks(self, count: int) -> list[int]:
        """Return the looks (from 0) at which the rule speaks, of `count` in all."""
        return looks_named(self.at, count)


class Homogeneity(Spec):
    """Where baskets are alike enough to be pooled."""

    p_value_of: Literal["homogeneity"] = Field(
        description="Fisher's exact test, two-sided, of responses by basket (Freeman and Halton 1951)"
    )
    exceeds: Annotated[float, Field(ge=0, lt=1)] = Field(description="the baskets are pooled above this level")


class Pooling(Spec):
    """From some look on the baskets that are still open are judged as one."""

    from_look: LookNumber | Literal["final"] = Field(
        description="from this look on, its own rules included; settled there, and for good"
    )
    when: Homogeneity | None = Field(None, description="only where this holds at that look; without it always")
    max_patients: Patients | ByBasket | None = Field(
        None, description="patients in each basket at most once they are pooled; as before where not said"
    )
    max_in_all: Patients | None = Field(
        None, description="patients in all baskets together at most once they are pooled, whichever come"
    )

    def settled_at(self, looks: int) -> int:
        """Return the look (from 0) that settles it, of so many."""
        return looks - 1 if self.from_look == "final" else self.from_look - 1

    def most(self, names: list[str], most: list[int]) -> list[int]:
        """Return the patients of each basket at most once they are pooled. most: those of each by itself."""
        if isinstance(self.max_patients, ByBasket):
            return [min(int(self.max_patients.by_basket.get(n, m)), m) for n, m in zip(names, most, strict=True)]
        return [min(self.max_patients or m, m) for m in most]


class SlowAccrual(Spec):
    """A basket that fills too slowly is closed."""

    by_month: PlainPositiveMonths = Field(description="calendar month")
    fewer_than: Annotated[int, Field(ge=1)] = Field(description="patients that it must have by then to stay open")


class BasketSpec(Spec):
    """What one basket says for itself; the design's own keys hold for those that say nothing."""

    ELSEWHERE: ClassVar[dict[str, str]] = {
        "null_ratio": "Say it in the design: it is the same for all baskets.",
        "target_ratio": "Say it in the design: it is the same for all baskets.",
    }
    """Keys that are understood at another place, and where."""

    null_rate: PlainOpenProbability | None = Field(None, description="success at this rate or below is a type I error")
    target_rate: PlainOpenProbability | None = Field(None, description="the rate that one hopes for")
    null_median: Value | None = Field(None, description="of times to an event: the same, in months")
    target_median: Value | None = Field(None, description="of times to an event: the same, in months")
    max_patients: Patients | None = Field(None, description="patients in this basket at most")
    opens_at_month: PlainMonths = Field(0.0, description="calendar month from which the basket takes patients")
    closes_if: SlowAccrual | None = Field(None, description="slow accrual that closes the basket")


class Place(NamedTuple):
    """A basket with everything said."""

    name: str
    null: float | None  # rate or median in months, as is the target
    target: float | None
    max_patients: int
    spec: BasketSpec


def _said(*values: float | None) -> float | None:
    """Return the first value that is said."""
    return next((value for value in values if value is not None), None)


class Basket(DesignSpec):
    """A basket trial: one arm, a cell for each basket."""

    ELSEWHERE: ClassVar[dict[str, str]] = {
        "allocation": "Say ratio: and block: beside arms: in the design; each basket has permuted blocks of its own.",
    }
    """Keys of other designs, and what is said here instead."""

    kind: Literal["basket"]
    arm: str | None = Field(None, description="the arm under trial; needed where the scenario has several, or arms")
    baskets: dict[str, BasketSpec] = Field(
        default_factory=dict, description="the strata that are baskets; all of them where none is named"
    )
    null_rate: PlainOpenProbability | None = Field(None, description="of each basket that does not say its own")
    target_rate: PlainOpenProbability | None = Field(None, description="of each basket that does not say its own")
    null_median: Value | None = Field(None, description="of each basket that does not say its own, in months")
    target_median: Value | None = Field(None, description="of each basket that does not say its own, in months")
    follow_up_months: PlainMonths = Field(
        0.0, description="of times to an event: looks count patients who entered so long ago"
    )
    max_patients: Patients = Field(description="patients in each basket at most, where it does not say its own number")
    arms: TwoArms | None = Field(None, description="control and treatment: each basket is randomised")
    ratio: dict[str, Share] | None = Field(
        None, description="randomised baskets: whole shares by arm, 1 each where not said; in permuted blocks by basket"
    )
    block: Annotated[int, Field(ge=2, le=1000)] | None = Field(
        None, description="patients in a block: a multiple of the sum of the ratio; twice the sum where not said"
    )
    null_ratio: Value | None = Field(
        None, description="randomised baskets: odds or hazard ratio of no effect; 1 where not said"
    )
    target_ratio: Value | None = Field(None, description="randomised baskets: the ratio that one hopes for")
    max_in_all: Patients | None = Field(None, description="patients in all baskets together at most")
    looks: BasketLooks | None = Field(None, description="interim looks; the final one is when the baskets are full")
    pooling: Pooling | None = Field(None, description="whether, and when, the baskets are judged as one")
    analysis: BasketAnalysis = Field(description="how the baskets borrow from each other")
    rules: Annotated[list[BasketRule], Field(min_length=1, max_length=50)] = Field(
        description="in order, asked of each open basket: the first that speaks decides on it"
    )
    succeeds_with: Annotated[int, Field(ge=1)] = Field(
        1, description="the trial is a success (go) with so many successful baskets"
    )

    @property
    def allocation(self) -> AllocationSpec:
        """Permuted blocks in the ratio."""
        return AllocationSpec.model_validate({"ratio": self.ratio, "block": self.block})

    def places(self, strata: list[str]) -> list[Place]:
        """Return the baskets in the order of the strata."""
        nulls, targets = ([f"{which}_{of}" for of in MEASURED] for which in ("null", "target"))
        no_effect = 1.0 if self.arms is not None else None
        named = self.baskets or {stratum: BasketSpec.model_validate({}) for stratum in strata}
        return [
            Place(
                name,
                _said(*(getattr(spec, key, None) for key in nulls), *(getattr(self, key) for key in nulls), no_effect),
                _said(*(getattr(spec, key, None) for key in targets), *(getattr(self, key) for key in targets)),
                spec.max_patients or self.max_patients,
                spec,
            )
            for name, spec in named.items()
        ]

    def in_all(self, places: list[Place]) -> int:
        """Return the most patients of all baskets together."""
        together = sum(place.max_patients for place in places)
        return min(self.max_in_all or together, together)

    def look_count(self, places: list[Place]) -> int:
        """Return how many looks there are, the final one included."""
        names, most = [place.name for place in places], [place.max_patients for place in places]
        return 1 + len(interim_looks(self.looks, names, most, self.in_all(places)))

    def bound(self, bound: Any, place: Place) -> float:
        """Return the rate, or median in months, that a condition's bound is for a basket; NaN where it has none."""
        null, target = place.null, place.target
        if isinstance(bound, ByBasket):
            return bound.by_basket.get(place.name, float("nan"))
        if bound == MIDPOINT:
            return (null + target) / 2.0 if null is not None and target is not None else float("nan")
        named = {f"{which}_{of}": value for of in MEASURED for which, value in (("null", null), ("target", target))}
        value = named.get(bound, bound)
        return float("nan") if value is None else float(value)

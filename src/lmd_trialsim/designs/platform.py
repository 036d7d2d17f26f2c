"""Platform and multi-arm trials as a person writes them: arms that come and go, beside a control that they share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from lmd_trialsim.designs.arm_allocation import ArmAllocation, FixedAllocation
from lmd_trialsim.designs.arm_analyses import ArmAnalysis
from lmd_trialsim.designs.arm_looks import ArmLooks
from lmd_trialsim.designs.conditions import Comparison
from lmd_trialsim.designs.generic import DesignSpec, Patients
from lmd_trialsim.designs.looks import check_increasing
from lmd_trialsim.designs.rules import LookNumber, all_of, check_sorted, looks_named
from lmd_trialsim.designs.strata_hierarchy import StrataHierarchical
from lmd_trialsim.evidence.quantities import PlainMonths, PlainOpenProbability, PlainPositiveRate, Spec
from lmd_trialsim.reading import At, Several

QUANTITIES = Literal["best", "difference", "rate", "mean", "odds_ratio", "hazard_ratio", "median"]
Number = Annotated[float, Field(ge=-100_000, le=100_000, allow_inf_nan=False)]
MOST_ARMS = 40
Controls = Literal["concurrent", "concurrently_eligible", "all", "test_then_pool", "robust_mixture", "power"]


class ByArm(Spec):
    """A number for each arm."""

    by_arm: dict[str, Number] = Field(description="arm: number")


Cut = Number | Annotated[list[Number], Field(min_length=1, max_length=1000)] | ByArm


class ArmCondition(Comparison):
    """A number of an arm, and what it is compared with."""

    SUBJECTS: ClassVar = ("probability_that", "predictive_probability_of", "statistic", "estimate_of", "number_of")

    probability_that: QUANTITIES | None = Field(
        None,
        description="posterior probability that the arm is the best of those that run, or that its difference, odds "
        "ratio or hazard ratio to the control, its rate, mean, or median in months, lies `above` or `below`",
    )
    above: Number | None = Field(None, description="the bound of probability_that; best has none")
    below: Number | None = Field(None, description="the bound of probability_that; best has none")
    predictive_probability_of: Literal["confirmatory_trial"] | None = Field(
        None, description="probability that the confirmatory trial of the design, of this arm and the control, succeeds"
    )
    statistic: Literal["z"] | None = Field(None, description="the test statistic, positive where the arm is better")
    estimate_of: Literal["effect"] | None = Field(None, description="the arm's estimate, on the scale of the analysis")
    number_of: Literal["responses", "events"] | None = Field(None, description="responses, or events, in the arm")
    exceeds: Cut | None = Field(None, description="holds where the number is above this; one, one a look, or by arm")
    at_least: Cut | None = Field(None, description="holds where the number is this or above")
    is_below: Cut | None = Field(None, description="holds where the number is below this")
    at_most: Cut | None = Field(None, description="holds where the number is this or below")

    @model_validator(mode="after")
    def _says_one_thing(self) -> ArmCondition:
        wrong = self.contradictions()
        sides = [name for name in ("above", "below") if getattr(self, name) is not None]
        bounded = self.probability_that not in (None, "best")
        if not bounded:
            wrong += [At((name,), "goes with a probability_that of a quantity. Remove it", key=True) for name in sides]
        elif len(sides) != 1:
            wrong.append(At(("probability_that",), "takes either above or below, and one of them.", key=True))
        if not wrong and (self.probability_that or self.predictive_probability_of) is not None:
            wrong += [
                At(place, "a probability lies between 0 and 1", got=f"{value:g}")
                for place, value in self._cuts()
                if not 0.0 <= value <= 1.0
            ]
        if wrong:
            raise Several(wrong)
        return self

    def _cuts(self) -> list[tuple[tuple[str | int, ...], float]]:
        cut, place = self.cut, self.comparison
        if isinstance(cut, list):
            return [((place, i), value) for i, value in enumerate(cut)]
        if isinstance(cut, ByArm):
            return [((place, "by_arm", arm), value) for arm, value in cut.by_arm.items()]
        return [((place,), cut)]


class ArmRule(Spec):
    """A rule; it is asked of every arm that is judged, and the first in the list that speaks decides on the arm.

    Or of every stratum of the arm, before that.
    """

    of: Literal["arm", "each_stratum"] = Field(
        "arm",
        description="each_stratum: asked of every stratum that is still open to the arm; closes it there, "
        "while the arm goes on elsewhere",
    )
    stop_for: Literal["efficacy", "futility", "harm"] = Field(
        description="end the arm with this verdict; efficacy is its success"
    )
    when: ArmCondition | Annotated[list[ArmCondition], Field(min_length=1, max_length=20)] | None = Field(
        None, description="the condition, or a list of conditions that must all hold"
    )
    boundary: Literal["obrien_fleming", "pocock", "triangular"] | None = Field(
        None, description="instead of when: z at or beyond a boundary that holds the error of any false rejection"
    )
    alpha: PlainOpenProbability | None = Field(None, description="that error, one-sided, where no arm has an effect")
    information: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=20)] | None = Field(
        None, description="of an arm at each look; by the numbers of the looks where not said"
    )
    at: Literal["all", "interim", "final"] | Annotated[list[LookNumber], Field(min_length=1, max_length=1000)] = Field(
        "all", description="the looks of the arm at which the rule speaks: all, interim, final, or numbers from 1"
    )
    from_patients: Annotated[int, Field(ge=0)] = Field(
        0, description="silent before so many of the arm's patients are evaluable"
    )

    @model_validator(mode="after")
    def _hangs_together(self) -> ArmRule:
        check_sorted(self.at)
        if (self.when is None) == (self.boundary is None):
            way_out = "Neither is there: add one." if self.when is None else "Both are there: remove one."
            raise At((), "says either when or boundary", way_out=way_out, key=True)
        if (self.boundary is None) != (self.alpha is None):
            raise At(
                ("alpha",) if self.boundary is None else (), "boundary and alpha go together. Give both.", key=True
            )
        if self.information is not None and self.boundary is None:
            raise At(("information",), "goes with boundary. Remove it", key=True)
        check_increasing(self.information or [], ("information",))
        if self.of == "each_stratum":
            self._closes_strata()
        if self.stop_for == "harm" and self.boundary is not None:
            raise At(("stop_for",), "a boundary is of efficacy or futility", got="harm")
        if self.stop_for == "futility" and self.boundary not in (None, "triangular"):
            text = "has no boundary for futility. Use triangular, or when: {statistic: z, is_below: 0}"
            raise At(("boundary",), text, got=str(self.boundary))
        return self

    def _closes_strata(self) -> None:
        if self.stop_for == "efficacy":
            text = "an arm succeeds in all strata that are left to it: a rule of strata closes them."
            raise At(("stop_for",), text, got="efficacy", allowed="futility, harm")
        if self.boundary is not None:
            text = "is computed for arms as a whole. Say when: in a rule of strata."
            raise At(("boundary",), text, got=str(self.boundary), key=True)

    @property
    def conditions(self) -> list[ArmCondition]:
        """The conditions, all of which must hold; none where there is a boundary."""
        return all_of(self.when)

    def looks(self, count: int) -> list[int]:
        """Return the looks (from 0) at which the rule speaks, of `count` in all."""
        return looks_named(self.at, count)


class PlatformArm(Spec):
    """What one arm says for itself; the design's own keys hold for those that say nothing."""

    enters_at_month: PlainMonths | Literal["random"] = Field(
        0.0, description="calendar month from which the arm may enter; random: as the design's new_arms_per_year says"
    )
    enters_at_patients: Annotated[int, Field(ge=0, le=100_000)] = Field(
        0, description="patients that have been taken, in all arms, before the arm may enter"
    )
    max_patients: Patients | None = Field(None, description="patients in this arm at most")
    strata: Annotated[list[str], Field(min_length=1, max_length=100)] | None = Field(
        None, description="the strata that the arm is open to; all where not said"
    )


class Alike(Spec):
    """The trial ends where the arms that are left are all alike."""

    within: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        description="so far the rates, or means, of all arms may lie apart"
    )
    exceeds: PlainOpenProbability = Field(description="posterior probability above which the trial ends")


class ConfirmatoryTrial(Spec):
    """The trial that an arm graduates to: it and the control, one to one."""

    patients: Annotated[int, Field(ge=2, le=100_000)] | None = Field(None, description="patients of both arms together")
    events: Annotated[int, Field(ge=2, le=100_000)] | None = Field(None, description="of times, events instead")
    alpha: PlainOpenProbability = Field(0.025, description="its one-sided level")

    @model_validator(mode="after")
    def _one_size(self) -> ConfirmatoryTrial:
        if (self.patients is None) == (self.events is None):
            raise At((), "is as large as either patients or events say. Give one of them.", key=True)
        return self

    @property
    def size(self) -> int:
        """Patients, or events."""
        return self.patients or self.events or 0


class Place(NamedTuple):
    """An arm with everything said."""

    name: str
    spec: PlatformArm
    max_patients: int


class Platform(DesignSpec):
    """A trial of several arms, with a shared control or without."""

    kind: Literal["platform"]
    control: str | None = Field(None, description="the control; the scenario's where not said")
    without_control: bool = Field(False, description="no arm is the control: arms are compared with each other")
    arms: dict[str, PlatformArm] = Field(
        default_factory=dict, description="the arms under trial, in the order of their entry; all others where not said"
    )
    max_patients: Patients = Field(description="patients in all arms together at most, the control included")
    max_per_arm: Patients | None = Field(None, description="patients in each arm at most, the control aside")
    arms_at_once: Annotated[int, Field(ge=1, le=MOST_ARMS)] | None = Field(
        None, description="arms, the control aside, that take patients at a time; others wait in a queue"
    )
    new_arms_per_year: PlainPositiveRate | None = Field(
        None, description="arms that become ready at random, of those that enter at random"
    )
    controls: Controls = Field(
        "concurrent",
        description="the control patients an arm is compared with: those who came while it was open, those among them "
        "who could have got it, all, all where these do not differ from the concurrent ones; or the concurrent ones, "
        "and those of other times by a weight that the data give, or by a power",
    )
    pool_level: PlainOpenProbability | None = Field(
        None, description="with test_then_pool: two-sided level of the test, 0.1 where not said"
    )
    pool_weight: PlainOpenProbability | None = Field(
        None,
        description="with robust_mixture: prior probability that control patients of other times are exchangeable "
        "with the concurrent ones, 0.5 where not said",
    )
    pool_power: PlainOpenProbability | None = Field(
        None, description="with power: of the likelihood of control patients of other times"
    )
    allocation: ArmAllocation = Field(
        default_factory=lambda: FixedAllocation.model_validate({"kind": "fixed"}),
        description="to the arms that are open",
    )
    looks: ArmLooks | None = Field(
        None, description="interim looks; an arm's last look is when it is full, or the trial over"
    )
    analysis: ArmAnalysis = Field(description="what is made of the data")
    rules: Annotated[list[ArmRule], Field(min_length=1, max_length=50)] = Field(
        description="in order, asked of each arm that is judged: the first that speaks decides on it"
    )
    strata_analysis: StrataHierarchical | None = Field(
        None, description="what rules of strata are asked of, where the strata of an arm borrow from each other"
    )
    closed_strata: Literal["left_out", "counted"] | None = Field(
        None,
        description="with rules of strata: whether an arm is judged without the patients of strata that have been "
        "closed to it, left_out where not said, or with everybody",
    )
    keep_best: Annotated[list[Annotated[int, Field(ge=1, le=MOST_ARMS)]], Field(max_length=1000)] = Field(
        default_factory=list, description="how many arms go on after each interim look at most: those of best estimate"
    )
    ends_with: Literal["last_arm", "first_success"] = Field(
        "last_arm", description="the trial ends when no arm is left, or with the first success"
    )
    confirmatory_trial: ConfirmatoryTrial | None = Field(
        None, description="the next trial, which predictive probabilities speak of"
    )
    replace_control: bool = Field(
        False, description="an arm that succeeds becomes the control, the old one is dropped, and the trial goes on"
    )
    ends_if_alike: Alike | None = Field(None, description="the trial ends where all arms that are left are alike")
    follow_up_months: PlainMonths = Field(
        0.0, description="of times to an event: so long the last look waits after an arm's last patient"
    )

    def places(self, arms: list[str], control: str | None) -> list[Place]:
        """Return the arms under trial, in order, of all the scenario's arms."""
        named = self.arms or {arm: PlatformArm.model_validate({}) for arm in arms if arm != control}
        most = self.max_per_arm or self.max_patients
        return [Place(name, spec, spec.max_patients or most) for name, spec in named.items()]

    @property
    def rules_of_arms(self) -> list[ArmRule]:
        """The rules that are asked of arms as a whole."""
        return [rule for rule in self.rules if rule.of == "arm"]

    @property
    def rules_of_strata(self) -> list[ArmRule]:
        """The rules that are asked of each stratum of an arm."""
        return [rule for rule in self.rules if rule.of == "each_stratum"]

    @property
    def look_count(self) -> int:
        """How many looks an arm can have, the last one included."""
        return 1 + (len(self.looks.listed()) if self.looks is not None else 0)

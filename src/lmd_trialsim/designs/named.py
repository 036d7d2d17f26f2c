"""Named single-arm designs: each says its few numbers and lowers to the general single-arm form."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lmd_trialsim.designs.analyses import BetaPrior
from lmd_trialsim.designs.binomial_designs import SimonDesign, SingleStageDesign, simon_two_stage, single_stage
from lmd_trialsim.designs.generic import DesignSpec, Patients, SingleArm
from lmd_trialsim.designs.looks import Numbers, check_increasing
from lmd_trialsim.evidence.quantities import PlainOpenProbability, PlainProbability, Spec
from lmd_trialsim.reading import At

MOST = 20_000
Count = Annotated[int, Field(ge=0, le=MOST)]
Error = Annotated[float, Field(gt=0, lt=0.5)]


@functools.lru_cache(256)
def _simon(null_rate: float, target_rate: float, alpha: float, beta: float, criterion: str) -> SimonDesign | None:
    """Return the design that the search finds, or None."""
    try:
        return simon_two_stage(null_rate, target_rate, alpha, beta, criterion)
    except ValueError:  # the rates and errors have been checked: there is no such design
        return None


@functools.lru_cache(256)
def _single(null_rate: float, target_rate: float, alpha: float, beta: float, method: str) -> SingleStageDesign | None:
    """Return the design that the search finds, or None."""
    try:
        return single_stage(null_rate, target_rate, alpha, beta, method)
    except ValueError:
        return None


def _no_solution(what: str, null_rate: float, target_rate: float) -> At:
    """Return the complaint that the search found nothing."""
    text = f"no {what} design of a size that can be searched tells {target_rate:g} from {null_rate:g} so surely"
    return At(("target_rate",), text, way_out="Raise target_rate, alpha or beta.")


class NamedSingleArm(DesignSpec):
    """What the named single-arm designs share."""

    arm: str | None = Field(None, description="the arm under trial; needed where the scenario has several")
    null_rate: PlainOpenProbability = Field(description="the rate that is not worth more trials")
    max_enrolled: Patients | None = Field(
        None,
        description="patients enrolled at most, where some are not evaluable and are replaced; if not said, as many as "
        "are to be evaluable, and nobody is replaced",
    )

    def _single_arm(self, max_patients: int, looks: Any, analysis: Any, rules: list[Any]) -> SingleArm:
        shared = {name: getattr(self, name) for name in DesignSpec.model_fields if getattr(self, name) is not None}
        return SingleArm.model_validate(
            shared
            | {
                "kind": "single_arm",
                "max_patients": max(max_patients, self.max_enrolled or 0),
                "looks": {"evaluable": looks},
                "analysis": analysis,
            }
            | {"rules": rules, "null_rate": self.null_rate}
            | ({"arm": self.arm} if self.arm else {})
        )

    def general(self) -> SingleArm:
        """Return the design in its general form."""
        raise AssertionError("each named design says how")


class Stage(Spec):
    """A stage of a two-stage design."""

    patients: Patients = Field(description="evaluable patients at the end of the stage, all stages together")
    stop_if_at_most: Count = Field(description="responses up to which the treatment is given up")


class SimonTwoStage(NamedSingleArm):
    """Simon's (1989) two-stage design: found by our own search, or given by its stages."""

    kind: Literal["simon_two_stage"]
    target_rate: PlainOpenProbability | None = Field(None, description="the rate that the trial should find")
    alpha: Error | None = Field(None, description="type I error at most")
    beta: Error | None = Field(None, description="type II error at most")
    criterion: Literal["optimal", "minimax"] | None = Field(
        None, description="fewest patients expected under the null, or fewest at most"
    )
    stages: Annotated[list[Stage], Field(min_length=2, max_length=2)] | None = Field(
        None, description="the two stages, where the design is given"
    )

    @model_validator(mode="after")
    def _given_or_searched(self) -> SimonTwoStage:
        search = ("target_rate", "alpha", "beta", "criterion")
        given = [name for name in search if getattr(self, name) is not None]
        if self.stages is not None:
            if given:
                raise At((given[0],), "contradicts stages: the design is given or searched for. Remove one", key=True)
            first, second = self.stages
            if first.patients >= second.patients:
                raise At(("stages", 1, "patients"), "must exceed the first stage's: it counts both stages.")
            for i, stage in enumerate(self.stages):
                if stage.stop_if_at_most >= stage.patients:
                    raise At(("stages", i, "stop_if_at_most"), "must be below the stage's patients. Lower it.")
            if second.stop_if_at_most < first.stop_if_at_most:
                raise At(
                    ("stages", 1, "stop_if_at_most"), "must not be below the first stage's: it counts both stages."
                )
            return self
        missing = [name for name in search if name not in given]
        if missing:
            way_out = "Add what is missing, or give stages."
            raise At((), f"needs {', '.join(missing)} for the search", way_out=way_out, key=True)
        self._found()
        return self

    def _found(self) -> tuple[int, int, int, int]:
        if self.stages is not None:
            first, second = self.stages
            return first.patients, first.stop_if_at_most, second.patients, second.stop_if_at_most
        assert self.target_rate is not None and self.alpha and self.beta and self.criterion  # noqa: PT018
        if self.target_rate <= self.null_rate:
            raise At(("target_rate",), "must exceed null_rate.")
        found = _simon(self.null_rate, self.target_rate, self.alpha, self.beta, self.criterion)
        if found is None:
            raise _no_solution("two-stage", self.null_rate, self.target_rate)
        return found.n1, found.r1, found.n, found.r

    def general(self) -> SingleArm:
        """Stop after stage one at r1 responses or fewer; success with more than r of all."""
        n1, r1, n, r = self._found()
        responses = {"number_of": "responses"}
        return self._single_arm(
            n,
            [n1, n],
            {"kind": "exact_binomial", "null_rate": self.null_rate},
            [
                {"stop_for": "futility", "when": responses | {"at_most": [r1, r]}},
                {"stop_for": "efficacy", "at": "final", "when": responses | {"at_least": r + 1}},
            ],
        )


class SingleStage(NamedSingleArm):
    """A single-stage design: A'Hern's (2001) exact one, Fleming's (1982) normal one, or one that is given."""

    kind: Literal["single_stage"]
    target_rate: PlainOpenProbability | None = Field(None, description="the rate that the trial should find")
    alpha: Error | None = Field(None, description="type I error at most")
    beta: Error | None = Field(None, description="type II error at most")
    method: Literal["exact", "normal"] | None = Field(None, description="exact (A'Hern) or normal (Fleming)")
    patients: Patients | None = Field(None, description="evaluable patients, where the design is given")
    success_if_at_least: Count | None = Field(None, description="responses for success, where the design is given")

    @model_validator(mode="after")
    def _given_or_searched(self) -> SingleStage:
        search, given = ("target_rate", "alpha", "beta", "method"), ("patients", "success_if_at_least")
        searched = [name for name in search if getattr(self, name) is not None]
        said = [name for name in given if getattr(self, name) is not None]
        if searched and said:
            raise At(
                (said[0],), f"contradicts {searched[0]}: the design is given or searched for. Remove one", key=True
            )
        missing = [name for name in (given if said else search) if getattr(self, name) is None]
        if missing:
            raise At((), f"needs {', '.join(missing)}", way_out="Add what is missing.", key=True)
        if (
            self.patients is not None
            and self.success_if_at_least is not None
            and self.success_if_at_least > self.patients
        ):
            raise At(("success_if_at_least",), "exceeds patients: success would be impossible. Lower it.")
        if self.success_if_at_least == 0:
            raise At(("success_if_at_least",), "would make every trial a success. Raise it.")
        self._found()
        return self

    def _found(self) -> tuple[int, int]:
        if self.patients is not None and self.success_if_at_least is not None:
            return self.patients, self.success_if_at_least
        assert self.target_rate is not None and self.alpha and self.beta and self.method  # noqa: PT018
        if self.target_rate <= self.null_rate:
            raise At(("target_rate",), "must exceed null_rate.")
        found = _single(self.null_rate, self.target_rate, self.alpha, self.beta, self.method)
        if found is None or found.n > MOST:
            raise _no_solution("single-stage", self.null_rate, self.target_rate)
        return found.n, found.least_responses

    def general(self) -> SingleArm:
        """One look."""
        n, least = self._found()
        rule = {"stop_for": "efficacy", "when": {"number_of": "responses", "at_least": least}}
        return self._single_arm(n, [n], {"kind": "exact_binomial", "null_rate": self.null_rate}, [rule])


class Monitored(NamedSingleArm):
    """What Bayesian monitoring designs share."""

    prior: BetaPrior = Field(description="{alpha, beta} of the response rate")
    max_patients: Patients = Field(description="evaluable patients at most")
    looks: Numbers = Field(description="looks when so many patients are evaluable; the last one at max_patients")

    @model_validator(mode="after")
    def _looks_end_at_the_maximum(self) -> Monitored:
        looks = self._numbers()
        check_increasing(looks, ("looks",))
        if looks[-1] > self.max_patients:
            place = ("looks", len(looks) - 1) if isinstance(self.looks, list) else ("looks", "to")
            what = f"a look after the last patient (max_patients is {self.max_patients})"
            raise At(place, what, got=str(looks[-1]), way_out="Lower it, or raise max_patients.")
        return self

    def _numbers(self) -> list[int]:
        return self.looks if isinstance(self.looks, list) else self.looks.numbers()

    def _monitored(self, rules: list[Any]) -> SingleArm:
        looks = sorted({*self._numbers(), self.max_patients})
        analysis = {"kind": "beta_binomial", "prior": self.prior.model_dump()}
        return self._single_arm(self.max_patients, looks, analysis, rules)


class ThallSimon(Monitored):
    """Posterior monitoring after Thall and Simon (1994): stop when the rate is surely better, or surely not."""

    kind: Literal["posterior_monitoring"]
    futility_below: PlainProbability | None = Field(None, description="stop when P(rate > bound | data) is below this")
    efficacy_above: PlainProbability | None = Field(
        None, description="stop when P(rate > null_rate | data) exceeds this"
    )
    futility_rate: PlainOpenProbability | None = Field(
        None, description="the bound of the futility rule; null_rate if not said"
    )
    success_above: PlainProbability = Field(description="success at the end if P(rate > null_rate | data) exceeds this")
    from_patients: Annotated[int, Field(ge=0)] = Field(0, description="no rule speaks before so many are evaluable")

    @model_validator(mode="after")
    def _one_verdict_at_a_time(self) -> ThallSimon:
        if self.from_patients > self.max_patients:
            raise At(("from_patients",), "exceeds max_patients: no rule would speak. Lower it.")
        low, high = self.futility_below, self.efficacy_above
        if low is not None and high is not None and self.futility_rate in (None, self.null_rate) and low > high:
            text = f"contradicts efficacy_above: between {high:g} and {low:g} both would speak. Lower it."
            raise At(("futility_below",), text)
        if self.futility_rate is not None and low is None:
            raise At(("futility_rate",), "goes with futility_below. Add it, or remove this one.", key=True)
        return self

    def general(self) -> SingleArm:
        """Futility first, then efficacy; at the end the success threshold."""
        above = {"probability_that": "rate", "above": self.null_rate}
        rules: list[Any] = []
        if self.efficacy_above is not None:
            rules.append(
                {
                    "stop_for": "efficacy",
                    "at": "interim",
                    "when": above | {"exceeds": self.efficacy_above},
                    "from_patients": self.from_patients,
                }
            )
        if self.futility_below is not None:
            bound = {"probability_that": "rate", "above": self.futility_rate or self.null_rate}
            rules.append(
                {
                    "stop_for": "futility",
                    "at": "interim",
                    "when": bound | {"is_below": self.futility_below},
                    "from_patients": self.from_patients,
                }
            )
        rules.append({"stop_for": "efficacy", "at": "final", "when": above | {"exceeds": self.success_above}})
        return self._monitored(rules)


class LeeLiu(Monitored):
    """Predictive-probability monitoring after Lee and Liu (2008)."""

    kind: Literal["predictive_monitoring"]
    theta_l: PlainProbability = Field(description="stop for futility when the predictive probability is below this")
    theta_u: PlainProbability = Field(1.0, description="stop for efficacy when the predictive probability exceeds this")
    theta_t: PlainProbability = Field(description="success at the end if P(rate > null_rate | data) exceeds this")

    @model_validator(mode="after")
    def _one_verdict_at_a_time(self) -> LeeLiu:
        if self.theta_l > self.theta_u:
            text = f"exceeds theta_u: between {self.theta_u:g} and {self.theta_l:g} both would speak. Lower it."
            raise At(("theta_l",), text)
        return self

    def general(self) -> SingleArm:
        """The predictive probability at interim looks, the posterior probability at the end."""
        predictive = {"predictive_probability_of": "success", "at": "maximum"}
        final = {"probability_that": "rate", "above": self.null_rate, "exceeds": self.theta_t}
        return self._monitored(
            [
                {"stop_for": "futility", "at": "interim", "when": predictive | {"is_below": self.theta_l}},
                {"stop_for": "efficacy", "at": "interim", "when": predictive | {"exceeds": self.theta_u}},
                {"stop_for": "efficacy", "at": "final", "when": final},
            ]
        )


class Bop2(Monitored):
    """BOP2 (Zhou, Lee and Yuan 2017): stop for futility when P(rate > null_rate) < lambda (n / N)^gamma."""

    kind: Literal["bop2"]
    cut_off_lambda: PlainProbability = Field(alias="lambda", description="the cut-off at the end")
    cut_off_gamma: Annotated[float, Field(ge=0, le=10)] = Field(alias="gamma", description="how late the cut-off grows")

    def general(self) -> SingleArm:
        """Futility by the cut-off at every look; at the end, who is not futile succeeds."""
        above = {"probability_that": "rate", "above": self.null_rate}
        cut = {"lambda": self.cut_off_lambda, "gamma": self.cut_off_gamma}
        return self._monitored(
            [
                {"stop_for": "futility", "when": above | {"is_below": cut}},
                {"stop_for": "efficacy", "at": "final", "when": above | {"at_least": self.cut_off_lambda}},
            ]
        )

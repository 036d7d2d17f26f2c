"""Allocation to the arms that are open: in fixed shares, or in shares that follow what is known."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from lmd_trialsim.designs.allocation import Share
from lmd_trialsim.designs.arm_analyses import ArmAnalysis
from lmd_trialsim.evidence.quantities import PlainProbability, Spec
from lmd_trialsim.kernel.blocks import take_place
from lmd_trialsim.kernel.by_reference import replaced
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.kernel.randomising import forget_arms, is_open
from lmd_trialsim.kernel.seams import (
    admit,
    better_than_control,
    draw_arm,
    note_early,
    observe_arms,
    rank_arms,
    raw_shares,
    share_out,
    weigh_arms,
    weigh_population,
    write_shares,
)
from lmd_trialsim.reading import At

Power = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Growing(Spec):
    """A power that grows with the part of the patients that have been taken: scale * (n / N) ** exponent."""

    scale: Power = Field(description="the power when all patients have been taken")
    exponent: Power = Field(1.0, description="how late it grows")


class FixedAllocation(Spec):
    """Shares that do not depend on the data."""

    kind: Literal["fixed"]
    ratio: dict[str, Share] = Field(default_factory=dict, description="whole shares by arm; 1 where not said")
    control: Literal["share", "square_root"] = Field(
        "share",
        description="square_root: the control has the square root of the number of other open arms, to 1 each",
    )
    method: Literal["blocks", "simple"] = Field(
        "blocks", description="permuted blocks, begun anew whenever an arm comes or goes, or each patient on its own"
    )
    block: Annotated[int, Field(ge=1, le=100)] = Field(2, description="a block holds the ratio so many times")
    stratify_by: Annotated[list[Literal["strata"]], Field(max_length=1)] = Field(
        default_factory=list, description="[strata]: blocks of their own in each stratum"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> FixedAllocation:
        if self.control == "square_root" and self.method == "blocks":
            text = "a square root has no permuted blocks. Say method: simple"
            raise At(("control",), text, key=True)
        if self.method == "simple" and self.stratify_by:
            raise At(("stratify_by",), "goes with method: blocks. Remove it", key=True)
        return self


class Follows(Spec):
    """What shares follow, where it is not the endpoint of the design."""

    endpoint: str = Field(description="the endpoint")
    analysis: ArmAnalysis = Field(description="what is made of it")


class AdaptiveAllocation(Spec):
    """What all shares that follow the data have in common."""

    burn_in: Annotated[int, Field(ge=0, le=100_000)] = Field(
        0, description="equal shares until so many patients of all arms together have been taken"
    )
    floor: PlainProbability = Field(0.0, description="no open arm has a smaller share")
    cap: PlainProbability = Field(1.0, description="no open arm has a larger share")
    control_share: PlainProbability | None = Field(
        None, description="the control's share, fixed; as of any other arm where not said"
    )
    follows: Follows | None = Field(None, description="an endpoint that is known earlier, and its analysis")


class ThallWathenAllocation(AdaptiveAllocation):
    """Shares in proportion to a power of the probability to be best."""

    kind: Literal["thall_wathen"]
    power: Power | Growing = Field(
        default_factory=lambda: Growing.model_validate({"scale": 0.5}),
        description="a number, or {scale, exponent}; n / (2 N) where not said. 1 is Thompson sampling",
    )


class TrippaAllocation(AdaptiveAllocation):
    """Shares by a power of the probability to be better than the control, which keeps up with the largest arm."""

    kind: Literal["trippa"]
    power: Power | Growing = Field(
        default_factory=lambda: Growing.model_validate({"scale": 10.0, "exponent": 0.75}),
        description="of the probability to be better than the control",
    )
    catch_up: Power | Growing = Field(
        default_factory=lambda: Growing.model_validate({"scale": 0.25}),
        description="how fast the control follows the arm with the most patients",
    )


class TopTwoAllocation(AdaptiveAllocation):
    """Top-two sampling: the best with probability `leader`, else the best of another draw."""

    kind: Literal["top_two"]
    leader: PlainProbability = Field(0.5, description="probability that the leader is taken")


class BiasedCoinAllocation(AdaptiveAllocation):
    """The doubly adaptive biased coin: shares lean to a target that follows the rates, and to catching up with it."""

    kind: Literal["doubly_adaptive"]
    target: Literal["neyman", "rsihr"] = Field(
        description="neyman: in proportion to sqrt(p (1 - p)), for power; rsihr: to sqrt(p), p of what is wanted"
    )
    gamma: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = Field(
        2.0, description="how strongly it catches up; 0: the target itself"
    )


ArmAllocation = Annotated[
    FixedAllocation | ThallWathenAllocation | TrippaAllocation | TopTwoAllocation | BiasedCoinAllocation,
    Field(discriminator="kind"),
]


class Permuted(NamedTuple):
    """Permuted blocks of the arms that are open, of one list or of one for each stratum."""

    places: np.ndarray  # (arms,) in a block
    by_stratum: int


class Weights(NamedTuple):
    """Fixed weights, each patient on its own."""

    weight: np.ndarray  # (arms,)
    by_root: int  # 1 where the control's is the square root of the number of other arms


class Adaptive(NamedTuple):
    """Shares that follow the data, each patient on its own."""

    rule: Any
    source: Any  # OwnEndpoint or EarlyEndpoint: what they follow
    burn_in: int
    floor: float
    cap: float
    control_share: float  # NaN where it is as any other's


class OwnEndpoint(NamedTuple):
    """Shares follow the endpoint and the analysis of the design."""

    unused: int  # as a plan has a field


class EarlyEndpoint(NamedTuple):
    """Shares follow an endpoint that is known earlier, and an analysis of its own."""

    endpoint: Any
    analysis: Any


class ByBest(NamedTuple):
    """A power of the probability to be best (Thall and Wathen 2007)."""

    scale: float
    exponent: float


class ByBetter(NamedTuple):
    """A power of the probability to be better than the control, which keeps up with the largest arm (Trippa 2012)."""

    scale: float
    exponent: float
    catch_up: float
    catch_up_exponent: float


class BiasedCoin(NamedTuple):
    """The doubly adaptive biased coin (Hu and Zhang 2004, equation 2.2)."""

    neyman: float  # exponent of 1 - p in the target: one half for Neyman's, 0 for that of Rosenberger et al. 2001
    gamma: float


class TopTwo(NamedTuple):
    """The probability to be best, or second to another (Russo 2020, section 3)."""

    leader: float


def _power(power: Any) -> tuple[float, float]:
    return (power.scale, power.exponent) if isinstance(power, Growing) else (float(power), 0.0)


def allocation_of(spec: Any, arms: list[str], early: EarlyEndpoint | None = None) -> Any:
    """Return what kernels read. early: the endpoint that shares follow, where it is not the design's."""
    if isinstance(spec, FixedAllocation):
        shares = np.array([spec.ratio.get(arm, 1) for arm in arms])
        if spec.method == "simple":
            return Weights(shares.astype(float), int(spec.control == "square_root"))
        return Permuted(shares * spec.block, int(bool(spec.stratify_by)))
    rule: Any
    if isinstance(spec, ThallWathenAllocation):
        rule = ByBest(*_power(spec.power))
    elif isinstance(spec, TrippaAllocation):
        rule = ByBetter(*_power(spec.power), *_power(spec.catch_up))
    elif isinstance(spec, BiasedCoinAllocation):
        rule = BiasedCoin(0.5 if spec.target == "neyman" else 0.0, spec.gamma)
    else:
        rule = TopTwo(spec.leader)
    share = math.nan if spec.control_share is None else spec.control_share
    return Adaptive(rule, early or OwnEndpoint(0), spec.burn_in, spec.floor, spec.cap, share)


@share_out.case
def share_out_blocks(allocation: Permuted, plan, desk):
    """Nothing is to be done: a block knows its arms."""


@share_out.case
def share_out_weights(allocation: Weights, plan, desk):
    """The weights."""
    others = 0
    for number in range(desk.arms.shape[0]):
        others += 1 if number != desk.state[0].control and is_open(desk.arms[number]) else 0
    for number in range(desk.arms.shape[0]):
        share = allocation.weight[number]
        if allocation.by_root and number == desk.state[0].control:
            share = math.sqrt(others)
        desk.arms[number].share = share


@share_out.case
def share_out_adaptively(allocation: Adaptive, plan, desk):
    """What the rule says of the arms that are open, within floor and cap; equal shares while it is early."""
    state = desk.state[0]
    if state.enrolled < allocation.burn_in:
        state.stale = 1  # the last patient of the burn-in ends it, whatever else happens
        for number in range(desk.arms.shape[0]):
            desk.arms[number].share = 1.0 if is_open(desk.arms[number]) else 0.0
    else:
        write_shares(allocation.source, allocation.rule, plan, desk)
    _fix_control(desk, allocation.control_share)
    _within(desk, allocation.floor, allocation.cap, allocation.control_share)


@write_shares.case
def write_shares_by_own(source: OwnEndpoint, rule, plan, desk):
    """By what the last look knew."""
    weigh_population(plan.strata, plan.analysis, desk)
    raw_shares(rule, plan.analysis, desk, desk.state[0].enrolled / plan.in_all)


@write_shares.case
def write_shares_by_early(source: EarlyEndpoint, rule, plan, desk):
    """By what is known of the early endpoint in the month of the last look."""
    state = desk.state[0]
    early = _early_view(desk)
    for number in range(desk.arms.shape[0]):
        one, own = early.arms[number], desk.arms[number]
        one.status, one.opened, one.enrolled, one.most = own.status, own.opened, own.enrolled, own.most
    known = state.known
    forget_arms(early)
    observe_arms(source.endpoint, early, state.month, state.enrolled)
    state.known = known
    weigh_arms(source.analysis, early)
    raw_shares(rule, source.analysis, early, state.enrolled / plan.in_all)
    for number in range(desk.arms.shape[0]):
        desk.arms[number].share = early.arms[number].share


@kernel
def _early_view(desk):
    """Return the desk with the early endpoint in the place of the design's."""
    return replaced(replaced(desk, "patients", desk.early_patients), "arms", desk.early_arms)


@note_early.case
def note_nothing_for_blocks(allocation: Permuted, stream, desk, patient, arrival, stratum, chance):
    """There is none."""


@note_early.case
def note_nothing_for_weights(allocation: Weights, stream, desk, patient, arrival, stratum, chance):
    """There is none."""


@note_early.case
def note_early_endpoint(allocation: Adaptive, stream, desk, patient, arrival, stratum, chance):
    """As the source has it."""
    note_early(allocation.source, stream, desk, patient, arrival, stratum, chance)


@note_early.case
def note_nothing_for_own(source: OwnEndpoint, stream, desk, patient, arrival, stratum, chance):
    """There is none."""


@note_early.case
def note_early_of_patient(source: EarlyEndpoint, stream, desk, patient, arrival, stratum, chance):
    """By the uniform that decides the design's endpoint too: who does well in one does well in the other."""
    person, same = desk.early_patients[patient], desk.patients[patient]
    person.arrival, person.stratum, person.arm, person.matches = same.arrival, same.stratum, same.arm, same.matches
    admit(source.endpoint, stream, _early_view(desk), patient, arrival, stratum, chance)


@kernel
def _fix_control(desk, share):
    """Give the control its fixed share, where it has one, and all others together the rest."""
    control = desk.state[0].control
    if math.isnan(share) or control < 0:
        return
    total = 0.0
    for number in range(desk.arms.shape[0]):
        total += desk.arms[number].share if number != control else 0.0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if number != control and total > 0.0:
            arm.share *= (1.0 - share) / total
    desk.arms[control].share = share


@kernel
def _within(desk, floor, cap, control_share):
    """Make the shares sum to 1, and bring those beyond floor or cap to it, the others in proportion to the rest.

    The control's fixed share is left as it is. Where floors or caps leave nothing for others, they give way. In a
    round those are brought to their bound whose side outweighs the other: all others can still be made to fit then.
    """
    arms = desk.arms.shape[0]
    fixed = 0
    if not math.isnan(control_share) and desk.state[0].control >= 0:
        fixed = 1 << desk.state[0].control
    for _ in range(arms + 1):
        free, bound = 0.0, 0.0
        for number in range(arms):
            if fixed >> number & 1:
                bound += desk.arms[number].share
            else:
                free += desk.arms[number].share
        if free <= 0.0:
            return
        changed, outweighs = 0, 0.0
        scale = max(1.0 - bound, 0.0) / free
        for number in range(arms):
            arm = desk.arms[number]
            if not fixed >> number & 1 and is_open(arm):
                arm.share *= scale
                outweighs += min(max(arm.share, floor), cap) - arm.share
        for number in range(arms):
            arm = desk.arms[number]
            if fixed >> number & 1 or not is_open(arm):
                continue
            if arm.share < floor - 1e-12 and outweighs > -1e-12:
                arm.share = floor
                changed |= 1 << number
            elif arm.share > cap + 1e-12 and outweighs < 1e-12:
                arm.share = cap
                changed |= 1 << number
        if not changed:
            return
        fixed |= changed


@raw_shares.case
def shares_by_best(rule: ByBest, analysis, desk, information):
    """P(best) to the power of the moment."""
    rank_arms(analysis, desk)
    power = rule.scale * information**rule.exponent
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.share = arm.best**power if is_open(arm) else 0.0


@raw_shares.case
def shares_by_better(rule: ByBetter, analysis, desk, information):
    """P(better) to a power, to sum 1; the control exp(largest arm - control) to a power, over the number of arms."""
    power = rule.scale * information**rule.exponent
    control = desk.state[0].control
    total = 0.0
    largest, others = 0, 0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.share = 0.0
        if number != control and is_open(arm):
            arm.share = better_than_control(analysis, desk, number) ** power
            total += arm.share
            largest = max(largest, arm.enrolled)
            others += 1
    for number in range(desk.arms.shape[0]):
        desk.arms[number].share /= total if total > 0.0 else 1.0
    if control >= 0 and others > 0:
        behind = min(largest - desk.arms[control].enrolled, 500)
        desk.arms[control].share = math.exp(behind * rule.catch_up * information**rule.catch_up_exponent) / others


@raw_shares.case
def shares_of_top_two(rule: TopTwo, analysis, desk, information):
    """P(k best) * (leader + (1 - leader) * sum over others j of P(j best) / P(j not best)); full arms among them."""
    rank_arms(analysis, desk)
    arms = desk.arms.shape[0]
    for number in range(arms):
        arm = desk.arms[number]
        arm.share = 0.0
        if not is_open(arm):
            continue
        for leader in range(arms):
            if leader == number:
                continue
            rest = 0.0  # summed, as 1 - P(best) would be lost to rounding
            for other in range(arms):
                rest += desk.arms[other].best if other != leader else 0.0
            arm.share += desk.arms[leader].best / rest if rest > 0.0 else 0.0
        arm.share = arm.best * (rule.leader + (1.0 - rule.leader) * arm.share)


@kernel
def _target(rule, analysis, arm):
    """Return the arm's part in the target, by its rate with half a response and half a failure more."""
    wanted = arm.patients - arm.responses if analysis.lower else arm.responses
    rate = (wanted + 0.5) / (arm.patients + 1.0)
    return math.sqrt(rate) * (1.0 - rate) ** rule.neyman


@raw_shares.case
def shares_by_coin(rule: BiasedCoin, analysis, desk, information):
    """target * (target / present part) ** gamma, of the open arms; one patient more in each arm, that none has 0."""
    total, taken = 0.0, 0.0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        if is_open(arm):
            total += _target(rule, analysis, arm)
            taken += arm.enrolled + 1.0
    for number in range(desk.arms.shape[0]):
        arm = desk.arms[number]
        arm.share = 0.0
        if is_open(arm):
            target = _target(rule, analysis, arm) / total
            arm.share = target * (target * taken / (arm.enrolled + 1.0)) ** rule.gamma


@draw_arm.case
def draw_from_permuted(allocation: Permuted, desk, chance, stratum, eligible):
    """Draw from what is left of the block, begun anew where other arms are open than when it was."""
    block = stratum if allocation.by_stratum else 0
    arms = allocation.places.shape[0]
    left = 0
    for number in range(arms):
        left += desk.cells[number, block].places
    if left == 0 or desk.cells[0, block].upto != eligible:
        left = 0
        desk.cells[0, block].upto = eligible
        for number in range(arms):
            places = allocation.places[number] if eligible >> number & 1 else 0
            desk.cells[number, block].places = places
            left += places
    return take_place(desk, block, chance * left)


@kernel
def _draw_by_share(desk, chance, eligible):
    """Draw one of the eligible arms in proportion to their shares; alike where all are 0."""
    arms = desk.arms.shape[0]
    total = 0.0
    count = 0
    last = 0
    for number in range(arms):
        if eligible >> number & 1:
            total += desk.arms[number].share
            count += 1
            last = number
    place = chance * (total if total > 0.0 else count)
    for number in range(arms):
        if eligible >> number & 1:
            place -= desk.arms[number].share if total > 0.0 else 1.0
            if place < 0.0:
                return number
    return last


@draw_arm.case
def draw_by_weight(allocation: Weights, desk, chance, stratum, eligible):
    """In proportion to the weights of the arms open to the patient."""
    return _draw_by_share(desk, chance, eligible)


@draw_arm.case
def draw_adaptively(allocation: Adaptive, desk, chance, stratum, eligible):
    """In proportion to the shares of the arms open to the patient."""
    return _draw_by_share(desk, chance, eligible)

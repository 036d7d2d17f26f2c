"""The smallest cut-off of a design that keeps its type I error: exact where outcomes can be enumerated, else played.

A played cut-off is accepted on the upper end of the 95 % interval of Clopper and Pearson (1934), in the worst of the
null truths, and played once more with fresh patients: the first lucky draw convinces nobody. All cut-offs meet the
same patients, so that the error of a design falls steadily as its cut-off rises, and halving finds the smallest.
Baskets that stop for success at an interim look are the exception: they borrow less then, and the error may rise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmd_trialsim.basket_exact import TooManyStatesError
from lmd_trialsim.characteristics import Characteristic
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.cut_off import CutOff
from lmd_trialsim.designs.generic import General
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.effects import any_null
from lmd_trialsim.lowering_baskets import BasketSetting
from lmd_trialsim.reference.exact import exact, why_not
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.simulation import Row, run

ROUNDING = 1e-12
FEWER = 16
"""A cut-off that is far off shows it with so many times fewer trials."""
FAR = 5.0
"""Standard errors."""


class Under(NamedTuple):
    """How the design behaves under one truth: at the cut-off, a step below it, and with fresh patients."""

    truth: str
    error: Characteristic | None  # None where the truth is no null one
    below: Characteristic | None
    fresh: Characteristic | None  # None where the errors are exact
    success: Characteristic


@dataclass(frozen=True)
class Calibration:
    """The outcome of a search."""

    design: str
    rules: tuple[int, ...]  # the rules (from 0) whose cut-off it is
    error: str  # the name of the characteristic that is kept
    at_most: float
    before: float  # the cut-off that the design had
    cut_off: float
    step: float
    method: str  # exact or monte_carlo
    replicates: int | None
    seed: int | None
    fresh_seed: int | None
    may_rise: bool  # whether the error may rise here and there with the cut-off, which halving does not see
    under: tuple[Under, ...]

    @property
    def confirmed(self) -> bool:
        """Whether fresh patients keep the error as well, in every null truth; exact errors need none."""
        return all(one.fresh is None or one.fresh.estimate <= self.at_most + ROUNDING for one in self.under)


class CannotBeMetError(ValueError):
    """No cut-off keeps the error."""


class Search:
    """Evaluates cut-offs of one design; errors are remembered."""

    def __init__(
        self,
        scenario: Scenario,
        design: str,
        *,
        rules: Collection[int],
        each: bool,
        replicates: int | None,
        seed: int | None,
        threads: int | None,
        playing: bool,
        told: Callable[[], None],
    ) -> None:
        self.scenario, self.name, self.each = scenario, design, each
        self.design: Any = scenario.designs[design]
        if not isinstance(self.design, Basket | Platform | General):
            raise ValueError(f"A {self.design.kind} design sets its own cut-offs: write it out as a single_arm design.")
        self.cut_off = CutOff.of(self.design, rules)
        self.replicates = scenario.run.replicates if replicates is None else replicates
        self.seed = scenario.run.seed if seed is None else seed
        self.threads, self.told = threads, told
        self.nulls = [truth for truth in scenario.truths if any_null(scenario, design, truth)]
        self.exact = not playing and can_be_listed(scenario, design, scenario.truths)
        self._known: dict[tuple[float, str, int, int], Row] = {}

    @property
    def error(self) -> str:
        """The name of the characteristic that is kept; rules that may be overruled earn the design nothing."""
        if any(getattr(rule, "binding", None) is False for rule in self.design.rules):
            return "success_ignoring_non_binding_rules"
        return "type_i_error" if self.each or not isinstance(self.design, Basket | Platform) else "family_wise_error"

    @property
    def may_rise(self) -> bool:
        """Whether some rule for efficacy speaks of baskets or arms at an interim look."""
        if isinstance(self.design, Platform):
            return any(
                min(self.design.rules[rule].looks(self.design.look_count)) == 0 for rule, _ in self.cut_off.places
            )
        if not isinstance(self.design, Basket):
            return False
        count = BasketSetting.of(self.scenario, self.name).looks
        return any(min(self.design.rules[rule].looks(count)) < count - 1 for rule, _ in self.cut_off.places)

    def row(self, value: float, truth: str, seed: int, fewer: int = 1) -> Row:
        """Return the characteristics at a cut-off under a truth, of so many times fewer trials."""
        key = value, truth, seed, fewer
        if key not in self._known:
            there = self.cut_off.set_in(self.design, value)
            scenario = self.scenario.with_design(self.name, there)
            if self.exact:
                results = exact(scenario, [self.name], [truth])
            else:
                results = run(
                    scenario, replicates=max(1, self.replicates // fewer), seed=seed, threads=self.threads,
                    designs=[self.name], truths=[truth],
                )  # fmt: skip
            (self._known[key],) = results.rows
            self.told()
        return self._known[key]

    def error_at(self, value: float, truth: str, seed: int, fewer: int = 1) -> Characteristic | None:
        """Return the error that counts, if it is one: of several baskets or arms the one whose upper limit is largest.

        Of arms, not of their strata: a success is in all strata that are left.
        """
        if truth not in self.nulls:
            return None
        row = self.row(value, truth, seed, fewer)
        found = [c for c in row.characteristics if c.name == self.error and "/" not in (c.cell or "")]
        return max(found, key=lambda one: (one.high, one.estimate), default=None)

    def keeps(self, value: float, at_most: float, *, fully: bool = False) -> bool:
        """Return whether the error is kept in every null truth; the one that broke it last is asked first.

        fully: with all trials, be it ever so clear with fewer.
        """
        for truth in self.nulls:
            error = None if self.exact or fully else self.error_at(value, truth, self.seed, FEWER)
            if error is None or abs(error.estimate - at_most) < FAR * math.sqrt(
                at_most / (self.replicates // FEWER + 1)
            ):
                error = self.error_at(value, truth, self.seed)
            if error is not None and error.high > at_most + ROUNDING:
                self.nulls = [truth, *(other for other in self.nulls if other != truth)]
                return False
        return True

    def smallest(self, at_most: float, steps: int) -> float:
        """Return the smallest multiple of 1 / steps, below 1, that keeps the error; CannotBeMetError if none does."""
        low, high = 0, steps - 1
        if not self.keeps(high / steps, at_most, fully=True):
            worst = self.error_at(high / steps, self.nulls[0], self.seed)
            assert worst is not None
            limit = "" if self.exact else f" (95% limit {worst.high:.4f})"
            raise CannotBeMetError(
                f"no cut-off up to {high / steps:g} keeps the error: at that one it is {worst.estimate:.4f}{limit} "
                f"under {self.nulls[0]}"
            )
        while high - low > 1:
            middle = (low + high) // 2
            if self.keeps(middle / steps, at_most):
                high = middle
            else:
                low = middle
        while not self.keeps(high / steps, at_most, fully=True):  # which fewer trials have taken for less than it is
            high += 1
        return high / steps


def calibrate(
    scenario: Scenario,
    design: str,
    *,
    at_most: float = 0.05,
    rules: Collection[int] = (),
    each: bool = False,
    truths: Sequence[str] | None = None,
    digits: int = 4,
    playing: bool = False,
    replicates: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    told: Callable[[], None] = lambda: None,
) -> Calibration:
    """Return the smallest cut-off, to so many digits, with which the type I error is `at_most` in all null truths.

    rules: (from 0) those whose cut-off it is, if not all that conclude efficacy. each: keep the error of each basket,
    not the family-wise one. truths: those that count, if not all. playing: simulate even where enumeration is possible.

    Raises KeyError for a design or truth that the scenario lacks, CannotBeMetError, and ValueError, with a sentence,
    where there is no one cut-off to set or no null truth to keep.
    """
    kept = {name: scenario.truths[name] for name in truths or scenario.truths}
    scenario = scenario.model_copy(update={"truths": kept})
    search = Search(
        scenario, design, rules=rules, each=each, replicates=replicates, seed=seed, threads=threads, playing=playing,
        told=told,
    )  # fmt: skip
    if not search.nulls:
        raise ValueError(f"Under none of {', '.join(kept)} is success of {design} an error: add a null truth.")
    try:
        found = search.smallest(at_most, 10**digits)
    except TooManyStatesError:
        search.exact = False
        found = search.smallest(at_most, 10**digits)
    return _told_of(search, at_most, found, 10**digits)


def _told_of(search: Search, at_most: float, found: float, steps: int) -> Calibration:
    fresh_seed = None if search.exact else (search.seed + 1) % 2**63
    below = (round(found * steps) - 1) / steps

    def under(truth: str) -> Under:
        error = search.error_at(found, truth, search.seed)
        lower = fresh = None
        if error is not None:
            lower = search.error_at(below, truth, search.seed) if below > 0.0 else None
            fresh = search.error_at(found, truth, fresh_seed) if fresh_seed is not None else None
        success = search.row(found, truth, search.seed).get("probability_of_success")
        assert success is not None
        return Under(truth, error, lower, fresh, success)

    return Calibration(
        search.name,
        tuple(rule for rule, _ in search.cut_off.places),
        search.error,
        at_most,
        search.cut_off.value,
        found,
        1.0 / steps,
        "exact" if search.exact else "monte_carlo",
        None if search.exact else search.replicates,
        None if search.exact else search.seed,
        fresh_seed,
        search.may_rise,
        tuple(map(under, search.scenario.truths)),
    )


def can_be_listed(scenario: Scenario, design: str, truths: Iterable[str]) -> bool:
    """Return whether the errors are exact under all of these truths: none is played unless that is asked for."""
    return all(why_not(scenario, design, truth) is None for truth in truths)


def evaluations(null_truths: int, digits: int) -> int:
    """Return about how many evaluations a search takes, for who watches it."""
    return math.ceil(math.log2(10**digits)) * max(null_truths, 1)

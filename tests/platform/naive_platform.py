"""A plain-Python twin of the platform loop: it reads the design as written and walks one trial event by event.

Written from docs/scenario.md alone. It shares no code with the kernels but meets the same patients: the addresses of
the draws are those that `kernel.random` documents, through numpy.random.Philox, and posterior numbers are integrals
by scipy. Meant to be obvious, not fast. Binary endpoints only.
"""

import functools
import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import betainc, betaln
from scipy.stats import beta as beta_distribution
from scipy.stats import norm

from lmd_trialsim.reference.twin.courses import fate, rate
from lmd_trialsim.reference.twin.people import chosen, month_expecting

PURPOSES = {
    "arrival": 0,
    "stratum": 1,
    "allocation": 2,
    "arm_entry": 3,
    "response": 15,
    "drop_out": 17,
    "death": 18,
}
VERDICTS = {"efficacy": 1, "futility": 2, "harm": 3}
EFFICACY, FUTILITY = 1, 2
TIE = 1e-11  # docs/scenario.md: nearer than this to a threshold is equal to it
PLACELESS = "not_evaluable"


class Draws:
    """The uniforms of one replicate."""

    def __init__(self, seed, replicate):
        self.seed, self.replicate, self.known = seed, replicate, {}

    def uniform(self, number, word):
        """The uniform of a patient, or of an arm."""
        purpose = PURPOSES[word]
        lanes = 8 if purpose <= PURPOSES["response"] else 4
        key = purpose, number // lanes
        if key not in self.known:
            # numpy counts up before it draws.
            counter = (key[1] | purpose << 128 | self.replicate << 192) - 1
            words = [int(w) for w in np.random.Philox(counter=counter % 2**256, key=[self.seed, 1]).random_raw(4)]
            if lanes == 8:
                self.known[key] = [(half + 0.5) / 2**32 for w in words for half in (w % 2**32, w >> 32)]
            else:
                self.known[key] = [((w >> 12) + 0.5) / 2**52 for w in words]
        return self.known[key][number % lanes]


# ---- posterior numbers, by integration over the logit of a rate; a rate is a mixture: ((weight, a, b), ...)


def _logit(x):
    return math.log(x) - math.log1p(-x)


def _below(t, rate):
    """P(rate < expit(t))."""
    low, high = 1 / (1 + np.exp(-t)), 1 / (1 + np.exp(t))
    return sum(w * np.where(t < 0, betainc(a, b, low), 1 - betainc(b, a, high)) for w, a, b in rate)


def _above(t, rate):
    return _below(-t, tuple((w, b, a) for w, a, b in rate))


def mean(rate):
    return sum(w * a / (a + b) for w, a, b in rate)


def above(bound, rate):
    """P(rate > bound)."""
    return sum(w * beta_distribution.sf(bound, a, b) for w, a, b in rate)


def given(prior, n, x):
    """The posterior after x of n, and the log of how likely the data are."""
    found = [(math.log(w) + betaln(a + x, b + n - x) - betaln(a, b), a + x, b + n - x) for w, a, b in prior]
    likely = np.logaddexp.reduce([log for log, _, _ in found])
    return tuple((math.exp(log - likely), float(a), float(b)) for log, a, b in found), likely


@functools.lru_cache(maxsize=100_000)
def p_best(own, others, lower):
    """P(the rate `own` is the largest of all, or the smallest); the trapezoidal rule."""
    t = np.arange(-75, 75, 1 / 32)
    density = sum(w * np.exp(-a * np.logaddexp(0, -t) - b * np.logaddexp(0, t) - betaln(a, b)) / 32 for w, a, b in own)
    some = density > 1e-17
    t, density = t[some], density[some]
    for other in others:
        density = density * (_above if lower else _below)(t, other)
    return float(density.sum())


def _integral(f, own, within, corners):
    """The integral of f(rate) over the rate `own`, cut at the corners of f."""
    return sum(w * _integral_of_one(f, (a, b), within, corners) for w, a, b in own if w > 1e-14)


def _integral_of_one(f, own, within, corners):
    a, b = own
    ends = [beta_distribution.ppf(1e-15, a, b), beta_distribution.isf(1e-15, a, b)]
    low, high = max(ends[0], within[0], 1e-300), min(ends[1], within[1], 1 - 1e-15)
    if low >= high:
        return 0.0
    norm = betaln(a, b)

    def of_logit(t):
        x = 1 / (1 + math.exp(-t))
        return math.exp(-a * np.logaddexp(0, -t) - b * np.logaddexp(0, t) - norm) * f(x)

    middle = [q for q in beta_distribution.ppf([0.01, 0.3, 0.7, 0.99], a, b) if low < q < high]
    cuts = [_logit(x) for x in sorted({low, high, *middle, *(c for c in corners if low < c < high)})]
    return sum(quad(of_logit, x, y, epsabs=1e-13, epsrel=1e-11, limit=200)[0] for x, y in pairwise(cuts))


@functools.lru_cache(maxsize=100_000)
def p_difference_above(arm, control, bound):
    """P(rate of the arm - rate of the control > bound)."""

    def larger(x):
        if x + bound <= 0 or x + bound >= 1:
            return float(x + bound <= 0)
        return sum(w * betainc(b, a, 1 - x - bound) for w, a, b in arm)

    return _integral(larger, control, (0, 1), [-bound, 1 - bound])


@functools.lru_cache(maxsize=100_000)
def p_alike(rates, within):
    """P(no two of the rates lie further apart): a sum over which is the smallest."""

    def near(x, rate):
        return sum(w * (betainc(a, b, min(1.0, x + within)) - betainc(a, b, x)) for w, a, b in rate)

    def others_near(x, i):
        return math.prod(near(x, rate) for j, rate in enumerate(rates) if j != i)

    return sum(_integral(lambda x, i=i: others_near(x, i), own, (0, 1), [1 - within]) for i, own in enumerate(rates))


# ---- a trial


@dataclass
class Person:
    """Someone who was taken."""

    month: float
    arm: int
    outcome: int | str  # 0, 1, or a loss that is no failure
    number: int  # among all who came
    stratum: str
    could_get: frozenset  # the arms that were open to him
    open_then: frozenset  # the arms that were open to somebody
    assessed: bool = False

    @property
    def keeps_place(self):
        return self.outcome != PLACELESS


@dataclass
class Arm:
    """An arm; the control too."""

    name: str
    number: int
    is_control: bool = False
    most: float = math.inf
    ready_month: float = 0.0
    ready_patients: int = 0
    strata: frozenset | None = None  # None: all
    ready: float = math.nan  # month at which it was ready
    entered: float = math.nan  # month
    closed: bool = False
    verdict: int | None = None  # None: goes on; 0: inconclusive
    looks: int = 0  # at which it has been judged
    look: int = -1
    evaluable: int = 0
    controls: int = 0
    counted: int = 0
    covered: int = -1
    estimate: float = math.nan
    decided: float = math.nan
    people: list[Person] = field(default_factory=list)
    closings: dict = field(default_factory=dict)  # of strata, by a rule: verdict and look
    shut: frozenset = frozenset()  # those whose decision is out
    ended_on: frozenset = frozenset()  # the last ones, where the arm ends with them

    @property
    def taken(self):
        return len(self.people)

    @property
    def has_entered(self):
        return not math.isnan(self.entered)

    @property
    def runs(self):
        """It has entered, and is not closed."""
        return self.has_entered and not self.closed

    @property
    def has_place(self):
        return self.taken < self.most


class NaivePlatform:
    """One replicate of a design under a truth; `play` returns the same object, finished.

    scenario: the validated Scenario, read for its population, endpoint and truth. spec: the design as written.
    """

    def __init__(self, scenario, spec, truth, seed, replicate):
        self.draws = Draws(seed, replicate)
        self.spec, self.truth, self.population = spec, scenario.truths[truth], scenario.population
        self.endpoint = scenario.endpoints[spec["endpoint"]]
        self.lower = self.endpoint.better == "lower"
        self.delay = float(self.endpoint.assessed_after_months)
        self.relative_to = scenario.control
        self.closes = spec.get("max_months", math.inf)
        self.most = spec["max_patients"]
        self.shares_of_strata = {name: share.value for name, share in self.population.strata.items()} or {"all": 1.0}
        self.control = None if spec.get("without_control") else spec.get("control", scenario.control)
        self.arms = self.arms_as_written(scenario)
        self.tests = [arm for arm in self.arms if not arm.is_control]
        looks = spec.get("looks") or {"in_each": []}
        (self.unit, listed), *_ = [(unit, listed) for unit, listed in looks.items() if unit != "lag_patients"]
        if isinstance(listed, dict):
            steps = math.floor((listed["to"] - listed["from"]) / listed["every"] + 1e-9)
            listed = [listed["from"] + step * listed["every"] for step in range(steps + 1)]
        self.listed = listed
        self.lag = (spec.get("looks") or {}).get("lag_patients", 0)
        self.last_index = len(listed)
        self.allocation = spec.get("allocation", {"kind": "fixed"})

        self.people = []  # who were taken, in order
        self.came = 0
        self.arrived = 0  # who came, until the last one who was taken
        self.known = []  # at the last look
        self.shares = None
        self.blocks = {}
        self.next_look = 0  # of the platform
        self.decision = None
        self.ending = False
        self.final = False
        self.closed_early = False
        self.alike = False
        self.ended = False
        self.months = 0.0

    def arms_as_written(self, scenario):
        names = self.spec.get("arms") or {name: {} for name in scenario.arms if name != self.control}
        arms = [] if self.control is None else [Arm(self.control, 0, is_control=True, entered=0.0)]
        at_random = 0.0
        for name, said in names.items():
            most = said.get("max_patients", self.spec.get("max_per_arm", self.most))
            month, number = said.get("enters_at_month", 0.0), len(arms)
            if month == "random":
                wait = -math.log(self.draws.uniform(number, "arm_entry"))
                at_random += wait / (self.spec["new_arms_per_year"] / 12)
                month = at_random
            strata = frozenset(said["strata"]) if "strata" in said else None
            arms.append(
                Arm(
                    name,
                    number,
                    most=most,
                    ready_month=month,
                    ready_patients=said.get("enters_at_patients", 0),
                    strata=strata,
                )
            )
        return arms

    # ---- who comes

    def months_of_arrivals(self):
        accrual = self.population.accrual
        cap = self.population.enrolment_cap or math.inf
        expected, number = 0.0, 0
        while number < cap:
            if accrual.arrivals == "equally_spaced":
                expected += 1.0
            else:
                expected -= math.log(self.draws.uniform(number, "arrival"))
            number += 1
            yield month_expecting(accrual, expected)
        while True:
            yield math.inf

    def stratum_of(self, number):
        names, shares = list(self.shares_of_strata), list(self.shares_of_strata.values())
        return names[0] if len(names) == 1 else names[chosen(self.draws.uniform(number, "stratum"), shares)]

    def rate_of(self, arm, stratum):
        return rate(self.truth.courses[self.spec["endpoint"]], arm.name, stratum, self.relative_to, None)

    def outcome_of(self, number, arm, stratum):
        died = left = math.inf
        if self.truth.death:
            dies = fate(self.truth.death, arm.name, stratum, self.relative_to)
            died = dies.month_of(self.draws.uniform(number, "death"))
        if self.truth.drop_out:
            out = self.truth.drop_out
            hazard = out.per_month.value if out.per_month else -math.log(1 - out.proportion.value) / out.by_month.value
            left = -math.log(self.draws.uniform(number, "drop_out")) / hazard if hazard > 0 else math.inf
        if self.delay > 0 and min(died, left) <= self.delay:
            of_death, of_leaving = self.endpoint.death_before_assessment, self.endpoint.drop_out_before_assessment
            word = of_death if died <= left else of_leaving
            return 0 if word == "failure" else word
        return int(self.draws.uniform(number, "response") < self.rate_of(arm, stratum))

    # ---- taking patients

    @property
    def taken(self):
        return len(self.people)

    def is_open(self, arm, stratum=None):
        """Whether an arm takes patients (of the stratum)."""
        if not arm.runs or not arm.has_place or self.taken >= self.most:
            return False
        return stratum is None or (stratum in self.strata_of(arm) and stratum not in arm.shut)

    def strata_of(self, arm):
        """The strata that the arm is open to at first."""
        return [s for s in self.shares_of_strata if arm.strata is None or s in arm.strata]

    def strata_left(self, arm):
        """Those that have not been closed to it, of which patients come; where none is left, the last ones.

        Reading: a stratum that is closed at a look is no longer left at this look.
        """
        comes = [s for s in self.strata_of(arm) if self.shares_of_strata[s] > 0]
        return [s for s in comes if s not in arm.closings or s in arm.ended_on]

    def let_arms_enter(self, month):
        at_once = self.spec.get("arms_at_once", math.inf)
        for arm in self.tests:
            if arm.has_entered or arm.ready_month > month or arm.ready_patients > self.taken:
                continue
            if math.isnan(arm.ready):
                arm.ready = month
            if sum(one.runs and one.has_place for one in self.tests) < at_once:
                arm.entered = month
                self.shares = None

    def arrival(self, month):
        """A patient comes, and is taken or turned away.

        Reading: no arm enters once nobody can be taken any more.
        """
        if self.nobody_more():
            self.came += 1
            return
        self.let_arms_enter(month)
        number = self.came
        self.came += 1
        stratum = self.stratum_of(number)
        open_to = [arm for arm in self.tests if self.is_open(arm, stratum)]
        if not open_to:
            return
        if self.control is not None:
            open_to = [self.arms[0], *open_to]
        arm = self.allocate(number, stratum, open_to)
        person = Person(
            month,
            arm.number,
            self.outcome_of(number, arm, stratum),
            number,
            stratum,
            frozenset(one.number for one in open_to),
            frozenset(one.number for one in self.tests if self.is_open(one)),
        )
        self.people.append(person)
        arm.people.append(person)
        self.arrived = self.came
        if not arm.has_place:
            self.shares = None

    def allocate(self, number, stratum, open_to):
        u, how = self.draws.uniform(number, "allocation"), self.allocation
        if how["kind"] != "fixed":
            shares = self.adaptive_shares()
            return open_to[chosen(u, [shares[arm.number] for arm in open_to])]
        ratio = [how.get("ratio", {}).get(arm.name, 1) for arm in open_to]
        if how.get("method", "blocks") == "simple":
            if how.get("control") == "square_root":
                # Reading: open to somebody, to this patient or not.
                others = sum(self.is_open(arm) for arm in self.tests)
                ratio = [math.sqrt(others) if arm.is_control else 1 for arm in open_to]
            return open_to[chosen(u, ratio)]
        key = stratum if how.get("stratify_by") else None
        names = [arm.name for arm in open_to]
        of, left = self.blocks.get(key, (None, []))
        if of != names or not any(left):
            left = [how.get("block", 2) * share for share in ratio]
        place = chosen(u, left)
        left[place] -= 1
        self.blocks[key] = names, left
        return open_to[place]

    def power(self, said):
        if isinstance(said, dict):
            return said["scale"] * (self.taken / self.most) ** said.get("exponent", 1.0)
        return said

    def adaptive_shares(self):
        """The shares of the open arms, by number."""
        how = self.allocation
        open_arms = [arm for arm in self.arms if arm.is_control or self.is_open(arm)]
        if self.taken < how.get("burn_in", 0):
            self.shares = None
            return self.within_limits({arm.number: 1.0 for arm in open_arms})
        if self.shares is None:
            self.shares = self.within_limits(getattr(self, f"shares_by_{how['kind']}")(open_arms))
        return self.shares

    def best_of_those_that_run(self):
        """P(best) by number, of all that have entered and not been closed, from what the last look knew."""
        return self.probabilities_best([arm for arm in self.arms if arm.runs])

    def shares_by_thall_wathen(self, open_arms):
        power, best = self.power(self.allocation.get("power", {"scale": 0.5})), self.best_of_those_that_run()
        return {arm.number: best[arm.number] ** power for arm in open_arms}

    def shares_by_trippa(self, open_arms):
        power = self.power(self.allocation.get("power", {"scale": 10, "exponent": 0.75}))
        catch_up = self.power(self.allocation.get("catch_up", {"scale": 0.25}))
        control = self.arms[0]
        others = {}
        for arm in open_arms:
            if not arm.is_control:
                # Reading: the control patients are those that the arm is compared with elsewhere.
                better = p_best(self.posterior(arm), (self.of_control(arm),), self.lower)
                others[arm.number] = better**power
        total = sum(others.values())
        # Reading: the largest of the arms that are open.
        largest = max(arm.taken for arm in open_arms if not arm.is_control)
        shares = {0: math.exp((largest - control.taken) * catch_up) / len(others)}
        return shares | {number: share / total for number, share in others.items()}

    def shares_by_top_two(self, open_arms):
        leader, best = self.allocation.get("leader", 0.5), self.best_of_those_that_run()
        return {
            arm.number: best[arm.number]
            * (leader + (1 - leader) * sum(p / (1 - p) for j, p in best.items() if j != arm.number))
            for arm in open_arms
        }

    def shares_by_doubly_adaptive(self, open_arms):
        def part(arm):
            known, responses = self.counts(self.own(arm))
            rate = ((known - responses if self.lower else responses) + 0.5) / (known + 1)
            return math.sqrt(rate * (1 - rate) if self.allocation["target"] == "neyman" else rate)

        total, gamma = sum(map(part, open_arms)), self.allocation.get("gamma", 2)
        taken = sum(arm.taken + 1 for arm in open_arms)
        targets = {arm.number: (part(arm) / total, (arm.taken + 1) / taken) for arm in open_arms}
        return {number: target * (target / present) ** gamma for number, (target, present) in targets.items()}

    def within_limits(self, shares):
        """Fix the control's share, and hold the others between floor and cap."""
        how, fixed = self.allocation, {}
        if "control_share" in how:
            fixed = {0: how["control_share"]}
        free = {number: share for number, share in shares.items() if number not in fixed}
        return fixed | scaled_into(free, how.get("floor", 0.0), how.get("cap", 1.0), 1.0 - sum(fixed.values()))

    # ---- what is known

    def counts(self, people):
        """(evaluable, responses)."""
        seen = [person.outcome for person in people if person.outcome in (0, 1)]
        return len(seen), sum(seen)

    def counts_for(self, arm, person, stratum):
        """Whether a patient counts where the arm is judged, as a whole or in a stratum.

        Reading: of strata that the arm was never open to, control patients count as `controls` says.
        """
        if stratum is not None:
            return person.stratum == stratum
        if self.spec.get("closed_strata", "left_out") == "counted":
            return True
        return person.stratum not in arm.closings or person.stratum in arm.ended_on

    def own(self, arm, stratum=None):
        """The known patients of the arm that count."""
        return [one for one in self.known if one.arm == arm.number and self.counts_for(arm, one, stratum)]

    def prior(self, arm):
        analysis = self.spec["analysis"]
        said = analysis.get("priors", {}).get(arm.name) or analysis["prior"]
        parts = said if isinstance(said, list) else [{**said, "weight": 1.0}]
        prior = [(part["weight"], part["alpha"], part["beta"]) for part in parts]
        elsewhere = analysis.get("external_controls")
        if elsewhere is None or not arm.is_control:
            return prior
        n, x, how = elsewhere["patients"], elsewhere["responses"], elsewhere["borrowing"]
        if how["kind"] == "power":
            return given(prior, how["power"] * n, how["power"] * x)[0]
        assert how["kind"] == "robust_mixture"
        parts = (how["weight"], given(prior, n, x)[0]), (1 - how["weight"], prior)
        return [(share * w, a, b) for share, part in parts for w, a, b in part]

    def posterior(self, arm, people=None):
        """The rate of an arm, of all its own known patients or of those said."""
        people = self.own(arm) if people is None else people
        return given(self.prior(arm), *self.counts(people))[0]

    def controls_of(self, arm, stratum=None):
        """The known control patients that the arm is compared with.

        Reading: an arm that has no place is not open, so who comes while it is full is not concurrent. Those that are
        weighed, or count by a power, are not among them.
        """
        which = self.spec.get("controls", "concurrent")
        controls = [one for one in self.known if one.arm == 0 and self.counts_for(arm, one, stratum)]
        if which == "all":
            return controls
        among = "could_get" if which == "concurrently_eligible" else "open_then"
        found = [person for person in controls if arm.number in getattr(person, among)]
        return controls if which == "test_then_pool" and self.are_alike(found, controls) else found

    def are_alike(self, found, controls):
        """Whether the control patients of other times do not differ from those that are found."""
        (n, x), (m, y) = self.counts(found), self.counts([person for person in controls if person not in found])
        if not n or not m or x + y in (0, n + m):
            return True
        rate = (x + y) / (n + m)
        z = (x / n - y / m) / math.sqrt(rate * (1 - rate) * (1 / n + 1 / m))
        return abs(z) < norm.isf(self.spec.get("pool_level", 0.1) / 2)

    def of_control(self, arm, stratum=None):
        """The rate that the arm is compared with."""
        control, own, which = self.arms[0], self.controls_of(arm, stratum), self.spec.get("controls")
        if which not in ("robust_mixture", "power"):
            return self.posterior(control, own)
        everybody = [person for person in self.known if person.arm == 0]
        (n, x), (m, y), prior = self.counts(own), self.counts(everybody), self.prior(control)
        if which == "power":
            power = self.spec["pool_power"]
            return given(prior, n + power * (m - n), x + power * (y - x))[0]
        (alone, of_own), (together, of_all) = given(prior, n, x), given(prior, m, y)
        of_others = given(prior, m - n, y - x)[1]
        weight = self.spec.get("pool_weight", 0.5)
        one, two = weight * math.exp(of_all), (1 - weight) * math.exp(of_own + of_others)
        exchangeable = one / (one + two)
        return tuple(
            (share * w, a, b)
            for share, rate in ((exchangeable, together), (1 - exchangeable, alone))
            for w, a, b in rate
        )

    def estimate(self, arm, stratum=None):
        own = mean(self.posterior(arm, self.own(arm, stratum)))
        return own if self.control is None else own - mean(self.of_control(arm, stratum))

    def benefit(self, arm):
        return -self.estimate(arm) if self.lower else self.estimate(arm)

    def probabilities_best(self, arms, stratum=None):
        rates = [self.posterior(arm, self.own(arm, stratum)) for arm in arms]
        return {
            arm.number: p_best(rates[i], tuple(sorted(rates[:i] + rates[i + 1 :])), self.lower)
            for i, arm in enumerate(arms)
        }

    def true_effect(self, arm):
        strata = {s: w for s, w in self.shares_of_strata.items() if s in self.strata_left(arm)}
        difference = sum(
            w * (self.rate_of(arm, s) - (self.rate_of(self.arms[0], s) if self.control is not None else 0.0))
            for s, w in strata.items()
        )
        return difference / sum(strata.values())

    def covers(self, arm):
        effect, own = self.true_effect(arm), self.posterior(arm)
        beyond = above(effect, own) if self.control is None else p_difference_above(own, self.of_control(arm), effect)
        return int(0.025 <= beyond <= 0.975)

    # ---- one event after another

    def play(self):
        arrivals = self.months_of_arrivals()
        self.coming, now, assessments = next(arrivals), 0.0, []
        while not self.ended:
            if self.decision is not None and now >= self.decision:
                self.decide()
                continue
            if self.decision is None and self.is_over(now):
                break
            if self.decision is None and (due := self.due(now)) is not None:
                self.judge(now, due)
                continue
            calendar = math.inf
            if self.unit == "months" and self.next_look < len(self.listed) and self.decision is None:
                calendar = self.listed[self.next_look]
            now = max(
                now,
                min(
                    self.coming if self.coming <= self.closes and not self.final else math.inf,
                    assessments[0].month + self.delay if assessments else math.inf,
                    calendar,
                    self.decision if self.decision is not None else math.inf,
                    self.closes if now < self.closes and self.decision is None else math.inf,
                ),
            )
            assert not math.isinf(now), "nothing will ever happen"
            while self.coming <= now and self.coming <= self.closes and not self.final:
                before = self.taken
                self.arrival(self.coming)
                if self.taken > before:
                    assessments.append(self.people[-1])
                self.coming = next(arrivals)
            while assessments and assessments[0].month + self.delay <= now:
                assessments.pop(0).assessed = True
        return self

    def may_enter(self, arm):
        return not arm.has_entered and arm.ready_patients <= self.taken and arm.ready_month < math.inf

    def nobody_more(self):
        """Whether nobody can be taken any more.

        Where the population runs dry with patients who are turned away, the twin waits for the last of them to come.
        """
        if self.taken >= self.most or math.isinf(self.coming):
            return True
        return not any(self.is_open(arm) or self.may_enter(arm) for arm in self.tests)

    def is_over(self, now):
        """Whether no arm runs, and none can enter any more."""
        if any(arm.runs for arm in self.tests) or not (self.nobody_more() or now >= self.closes):
            return False
        if now >= self.closes and not self.nobody_more():
            self.closed_early, self.months = True, max(self.months, self.closes)
        return True

    def due(self, now):
        """The arms that a look judges now; None if there is no look."""
        with_patients = [arm for arm in self.tests if arm.runs and arm.taken > 0]
        if now >= self.closes:
            self.final = self.closed_early = True
            return with_patients
        if self.nobody_more() and all(person.assessed for person in self.people):
            self.final = True
            return with_patients
        if self.unit == "in_each":
            return [arm for arm in with_patients if self.is_due_by_itself(arm)] or None
        if self.next_look >= len(self.listed):
            return None
        so_far = {
            "patients": sum(person.keeps_place for person in self.people),
            "evaluable": sum(person.keeps_place and person.assessed for person in self.people),
            "months": now,
        }[self.unit]
        return with_patients if so_far >= self.listed[self.next_look] else None

    def is_due_by_itself(self, arm):
        known = sum(person.keeps_place and person.assessed for person in arm.people)
        wanted = self.listed[arm.looks] if arm.looks < len(self.listed) else math.inf
        return known >= wanted or self.is_done(arm, self.people)

    def is_done(self, arm, seen):
        """Whether it is full, and its last patient has been assessed."""
        return not arm.has_place and all(person.assessed and person in seen for person in arm.people)

    # ---- judging

    def judge(self, now, judged):
        interim = not self.final
        seen = self.people[: max(0, self.taken - self.lag)] if interim and self.unit == "patients" else self.people
        self.known = [person for person in seen if person.assessed]
        last = [arm for arm in judged if self.final or self.is_done(arm, seen)]
        index = {arm.number: self.last_index if arm in last else arm.looks for arm in judged}
        self.close_strata(judged, index)
        for arm in judged:
            if not arm.ended_on:
                arm.verdict = self.says(arm, index[arm.number])
        left = self.left()
        keep = self.spec.get("keep_best", [])
        if interim and self.unit != "in_each" and self.next_look < len(keep):
            while len(left) > keep[self.next_look]:
                worst = min(left, key=self.benefit)
                worst.verdict = FUTILITY
                left.remove(worst)
        to_come = interim and self.taken < self.most and any(not arm.has_entered for arm in self.tests)
        # Reading: an arm is not left alone by one that succeeds at the same look.
        successes = any(arm.runs and arm.verdict == EFFICACY for arm in self.tests)
        if self.control is None and len(left) == 1 and not to_come and not successes:
            left[0].verdict = EFFICACY
        self.ask_whether_it_ends()
        for arm in self.tests:
            if arm.runs and arm.verdict is None and arm in last:
                arm.verdict = 0
        self.decision = now + self.spec.get("months_to_decide", 0.0)
        for arm in self.tests:
            if arm.runs and arm.verdict is not None:
                # Reading: an arm that is closed with the trial, or wins as the last one, has had a look; one that
                # keep_best closes need not.
                least = -1 if arm.verdict == FUTILITY else 0
                self.record(arm, index.get(arm.number, max(arm.looks - 1, least)))
        for arm in judged:
            arm.looks += 1
        if interim:
            self.next_look += 1

    def close_strata(self, judged, index):
        """Ask the rules of strata, of all arms that are judged; an arm without a stratum ends.

        Reading: with the gravest verdict of the last ones.
        """
        found = []
        for stratum in self.shares_of_strata:
            running = [arm for arm in self.arms if arm.runs and (arm.is_control or stratum in self.strata_left(arm))]
            self.best = functools.cache(lambda s=stratum, arms=running: self.probabilities_best(arms, s))
            for arm in judged:
                if stratum in self.strata_left(arm):
                    verdict = self.says(arm, index[arm.number], stratum)
                    found += [(arm, stratum, verdict)] if verdict is not None else []
        for arm, stratum, verdict in found:
            arm.closings[stratum] = verdict, index[arm.number]
        for arm in {arm.number: arm for arm, *_ in found}.values():
            if not self.strata_left(arm):
                arm.ended_on = frozenset(stratum for one, stratum, _ in found if one is arm)
                arm.verdict = max(verdict for one, _, verdict in found if one is arm)
        running = [arm for arm in self.arms if arm.runs]
        self.best = functools.cache(lambda: self.probabilities_best(running))

    def left(self):
        return [arm for arm in self.tests if arm.runs and arm.verdict is None]

    def ask_whether_it_ends(self):
        successes = any(arm.verdict == EFFICACY for arm in self.tests)
        ends = self.spec.get("ends_with") == "first_success" and successes
        alike, left = self.spec.get("ends_if_alike"), self.left()
        # Reading: the control counts among the arms that are compared, but is not one of two that must be left.
        if alike and len(left) > 1 and not ends:
            compared = left if self.control is None else [self.arms[0], *left]
            rates = tuple(sorted(self.posterior(arm) for arm in compared))
            self.alike = p_alike(rates, alike["within"]) > alike["exceeds"] + TIE
        self.ending = self.final or ends or self.alike
        if ends or self.alike:
            for arm in self.left():
                arm.verdict = 0

    def record(self, arm, index):
        arm.decided = self.decision - arm.entered
        arm.look = index
        arm.evaluable, arm.counted = self.counts(self.own(arm))
        arm.controls = self.counts(self.controls_of(arm))[0] if self.control is not None else 0
        arm.estimate, arm.covered = self.estimate(arm), self.covers(arm)

    def decide(self):
        """The decision is out."""
        for arm in self.tests:
            arm.shut = frozenset(arm.closings)
            if arm.runs and arm.verdict is not None:
                arm.closed = True
        self.months, self.shares = self.decision, None
        self.decision = None
        self.ended = self.ending

    def says(self, arm, look, stratum=None):
        """The verdict of the first rule that speaks, of the arm or of a stratum of it; None if none does."""
        count = self.last_index + 1
        for rule in self.spec["rules"]:
            if rule.get("of", "arm") != ("arm" if stratum is None else "each_stratum"):
                continue
            at = rule.get("at", "all")
            if isinstance(at, str):
                looks = list({"all": range(count), "interim": range(count - 1), "final": [count - 1]}[at])
            else:
                looks = [number - 1 for number in at]
            if look not in looks or self.counts(self.own(arm, stratum))[0] < rule.get("from_patients", 0):
                continue
            conditions = rule["when"] if isinstance(rule["when"], list) else [rule["when"]]
            if all(self.holds(condition, arm, looks.index(look), stratum) for condition in conditions):
                return VERDICTS[rule["stop_for"]]
        return None

    def holds(self, condition, arm, place, stratum):
        """place: of the look among those at which the rule speaks."""
        value = self.number_of(condition, arm, stratum)
        for comparison, says in (
            ("exceeds", lambda v, c: v > c + TIE),
            ("at_least", lambda v, c: v >= c - TIE),
            ("is_below", lambda v, c: v < c - TIE),
            ("at_most", lambda v, c: v <= c + TIE),
        ):
            if comparison in condition:
                cut = condition[comparison]
                if isinstance(cut, list):
                    cut = cut[place]
                elif isinstance(cut, dict):
                    cut = cut["by_arm"].get(arm.name)
                return cut is not None and says(value, cut)
        raise AssertionError

    def number_of(self, condition, arm, stratum=None):
        if "number_of" in condition:
            return self.counts(self.own(arm, stratum))[1]
        if "estimate_of" in condition:
            return self.estimate(arm, stratum)
        if condition["probability_that"] == "best":
            return self.best()[arm.number]
        bound = condition.get("above", condition.get("below"))
        if condition["probability_that"] == "rate":
            larger = above(bound, self.posterior(arm, self.own(arm, stratum)))
        else:
            posterior = self.posterior(arm, self.own(arm, stratum))
            larger = p_difference_above(posterior, self.of_control(arm, stratum), bound)
        return larger if "above" in condition else 1 - larger

    @property
    def selected(self):
        """The successful arm of the largest benefit; the control where none is, -1 where there is none either."""
        successes = [arm for arm in self.tests if arm.verdict == EFFICACY]
        if successes:
            sign = -1 if self.lower else 1
            return max(successes, key=lambda arm: sign * arm.estimate).number
        return -1 if self.control is None else 0


def scaled_into(shares, floor, cap, whole):
    """The shares, scaled to the whole so that those which would lie beyond floor or cap are set to it."""
    if cap * len(shares) <= whole:
        return dict.fromkeys(shares, cap)

    def limited(scale):
        return {number: min(max(scale * share, floor), cap) for number, share in shares.items()}

    low, high = 0.0, 1.0
    while sum(limited(high).values()) < whole:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(limited(middle).values()) < whole else (low, middle)
    return limited(high)

"""A plain-Python twin of the basket loop: it reads the scenario as written and walks one trial event by event.

It shares no code with the kernels but meets the same patients: the addresses of the draws are those that
`kernel.random` documents, through numpy.random.Philox. Meant to be obvious, not fast. It knows what the tests need:
one arm, power priors of a fixed weight (0 is independent, 1 is pooled), no ramp-up.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.stats import beta as beta_distribution

ARRIVAL, STRATUM, RESPONSE, DROPOUT, DEATH = 0, 1, 15, 17, 18
VERDICTS = {"efficacy": 1, "futility": 2, "harm": 3}
EFFICACY = 1
TIE = 1e-11  # docs/methods.md: nearer than this to a threshold is equal to it
PLACELESS = "not_evaluable"


def words(seed, replicate, purpose, block):
    """The four words at this address; numpy counts up before it draws."""
    counter = (block | purpose << 128 | replicate << 192) - 1
    return [int(w) for w in np.random.Philox(counter=counter % 2**256, key=[seed, 1]).random_raw(4)]


class Draws:
    """The uniforms of one replicate."""

    def __init__(self, seed, replicate):
        self.seed, self.replicate, self.known = seed, replicate, {}

    def at(self, purpose, patient):
        """The uniform of a patient."""
        lanes = 8 if purpose <= RESPONSE else 4
        key = purpose, patient // lanes
        if key not in self.known:
            found = words(self.seed, self.replicate, *key)
            if lanes == 8:
                self.known[key] = [(half + 0.5) / 2**32 for w in found for half in (w % 2**32, w >> 32)]
            else:
                self.known[key] = [((w >> 12) + 0.5) / 2**52 for w in found]
        return self.known[key][patient % lanes]


def rate_of(stated, where):
    """A rate that is a number, or differs by stratum."""
    by = stated.get("by_stratum")
    return by[where]["rate"] if by else stated["rate"]


@dataclass
class Person:
    """Someone who was taken."""

    month: float
    basket: int
    outcome: int | str  # 0, 1, or a loss that is no failure
    assessed: bool = False


@dataclass
class Cell:
    """A basket."""

    name: str
    most: int
    opens: float = 0.0
    slow: tuple[float, int] | None = None
    state: str = "open"  # or "pending" (judged, the decision is not out), or "closed"
    look: int = 0
    verdict: int = 0
    judged_at: int = -1
    evaluable: int = 0
    responses: int = 0
    estimate: float = math.nan
    held: bool = False  # judged, the decision is not out
    people: list[Person] = field(default_factory=list)

    @property
    def taken(self):
        return len(self.people)

    @property
    def placed(self):
        return sum(p.outcome != PLACELESS for p in self.people)

    @property
    def counted(self):
        """(evaluable, responses) among the assessed."""
        seen = [p.outcome for p in self.people if p.assessed and p.outcome in (0, 1)]
        return len(seen), sum(seen)

    def full(self, wanted):
        return self.placed >= wanted or self.taken >= self.most

    def ready(self, wanted):
        """So many places are filled and assessed, or it is full and all are assessed."""
        if sum(p.assessed and p.outcome != PLACELESS for p in self.people) >= wanted:
            return True
        return self.taken >= self.most and all(p.assessed for p in self.people)


class NaiveTrial:
    """One replicate of the scenario's design and truth; `play` returns the same object, finished."""

    def __init__(self, scenario, design, truth, seed, replicate):
        self.draws = Draws(seed, replicate)
        self.spec, self.truth = scenario["designs"][design], scenario["truths"][truth]
        self.population, self.endpoint = scenario["population"], scenario["endpoints"][self.spec["endpoint"]]
        (self.arm,) = scenario["arms"]
        self.delay = float(self.endpoint.get("assessed_after_months", 0.0))
        self.closes = self.spec.get("max_months", math.inf)
        self.pauses = self.spec.get("accrual_at_looks") == "pauses"
        strata = self.population["strata"]
        given = self.spec.get("baskets") or {name: {} for name in strata}
        self.cells = []
        for name, of in given.items():
            slow = of.get("closes_if")
            self.cells.append(
                Cell(
                    name,
                    of.get("max_patients", self.spec["max_patients"]),
                    of.get("opens_at_month", 0.0),
                    (slow["by_month"], slow["fewer_than"]) if slow else None,
                )
            )
        self.of_basket = given
        self.most = [cell.most for cell in self.cells]
        self.in_all = min(self.spec.get("max_in_all", 10**9), sum(self.most))
        self.unit, self.wanted = self.schedule()
        self.looks = len(self.wanted)
        self.came = 0  # patients, taken or turned away
        self.months = 0.0
        self.closed = False
        self.month_of_look = []

    # ---- what is planned

    def schedule(self):
        looks = self.spec.get("looks") or {"in_each": []}
        (unit, listed), names = next(iter(looks.items())), [cell.name for cell in self.cells]
        if isinstance(listed, dict):
            listed = list(range(listed["from"], listed["to"] + 1, listed["every"]))
        if unit == "months":
            return unit, [*listed, math.inf]
        if unit == "in_all":
            return unit, [*listed, self.in_all]
        rows = [
            [min(n.get(b, m) if isinstance(n, dict) else n, m) for b, m in zip(names, self.most, strict=True)]
            for n in listed
        ]
        return unit, [*rows, self.most]

    # ---- who comes

    def months_of_arrivals(self):
        """Yield the months; each arrival is where the expected number of patients reaches a unit-rate time."""
        accrual = self.population["accrual"]
        steps = accrual["patients_per_month"]
        steps = steps if isinstance(steps, list) else [{"from_month": 0.0, "rate": steps}]
        pieces = [*((s["from_month"], s["rate"]) for s in steps), (math.inf, 0.0)]
        expected, patient = 0.0, 0
        while True:
            even = accrual.get("arrivals") == "equally_spaced"
            expected += 1.0 if even else -math.log(self.draws.at(ARRIVAL, patient))
            patient += 1
            if patient > self.population.get("enrolment_cap", math.inf):
                yield math.inf
                continue
            left, month = expected, math.inf
            for (start, rate), (end, _) in pairwise(pieces):
                if rate > 0 and left <= rate * (end - start):
                    month = start + left / rate
                    break
                left -= rate * (end - start) if rate > 0 else 0.0
            yield month

    def stratum_of(self, patient):
        u, upto = self.draws.at(STRATUM, patient), 0.0
        for name, share in self.population["strata"].items():
            upto += share
            if u < upto:
                return name
        return name

    def outcome_of(self, patient, stratum):
        def months(hazard, purpose):
            return -math.log(self.draws.at(purpose, patient)) / hazard if hazard > 0 else math.inf

        death, out = self.truth.get("death"), self.truth.get("drop_out")
        died = months(math.log(2) / death[self.arm]["median_months"] if death else 0.0, DEATH)
        left = months(out["per_month"] if out else 0.0, DROPOUT)
        stands_for = None
        if self.delay > 0 and died <= self.delay and died <= left:
            stands_for = self.endpoint.get("death_before_assessment", "failure")
        elif self.delay > 0 and left <= self.delay:
            stands_for = self.endpoint.get("drop_out_before_assessment", PLACELESS)
        if stands_for is not None:
            return 0 if stands_for == "failure" else stands_for
        return int(self.draws.at(RESPONSE, patient) < rate_of(self.truth[self.spec["endpoint"]][self.arm], stratum))

    # ---- one event after another

    def play(self):
        arrivals = self.months_of_arrivals()
        arrival, decision, look, now = next(arrivals), None, 0, 0.0
        waiting_slow = sorted((c.slow[0], i) for i, c in enumerate(self.cells) if c.slow)
        assessments = []  # of those who are not yet assessed, in turn
        last_decision = 0.0
        while True:
            calendar = self.wanted[look] if self.unit == "months" else math.inf
            now = max(
                now,
                min(
                    arrival,
                    assessments[0].month + self.delay if assessments else math.inf,
                    waiting_slow[0][0] if waiting_slow else math.inf,
                    calendar if decision is None else math.inf,
                    decision if decision is not None else math.inf,
                    self.closes,
                ),
            )
            assert not math.isinf(now) or math.isinf(arrival)
            while waiting_slow and waiting_slow[0][0] < now:
                self.close_if_slow(waiting_slow.pop(0)[1])
            while arrival <= now < math.inf:
                person = self.screen(arrival, decision, look)
                self.came += 1
                if person is not None:
                    assessments.append(person)
                arrival = next(arrivals)
            while assessments and assessments[0].month + self.delay <= now:
                assessments.pop(0).assessed = True
            while waiting_slow and waiting_slow[0][0] <= now < math.inf:
                self.close_if_slow(waiting_slow.pop(0)[1])
            if decision is not None and now >= min(decision, self.closes):
                last_decision = decision
                for cell in self.cells:
                    cell.state = "closed" if cell.state == "pending" else cell.state
                    cell.held = False
                if not self.open_cells():
                    self.months = decision
                    return self
                decision, look = None, look + 1
            if decision is None:
                if not self.open_cells():
                    self.months = max(now, last_decision)
                    return self
                due, final = self.due(now, look, math.isinf(arrival))
                if now >= self.closes:
                    due, final, self.closed = self.open_cells(), True, True
                if due:
                    self.month_of_look.append(now)
                    self.judge(due, final)
                    decision = now + self.spec.get("months_to_decide", 0.0)
                    if final or not self.open_cells():
                        # Nobody is taken after the last look; after a verdict before it, until the decision is out.
                        self.months = decision
                        if not final and not self.pauses:
                            while arrival <= min(decision, self.closes):
                                while waiting_slow and waiting_slow[0][0] < arrival:
                                    self.close_if_slow(waiting_slow.pop(0)[1])
                                self.screen(arrival, decision, look)
                                self.came += 1
                                arrival = next(arrivals)
                        return self

    def open_cells(self):
        return [i for i, cell in enumerate(self.cells) if cell.state == "open"]

    def close_if_slow(self, number):
        cell = self.cells[number]
        if cell.state != "closed" and cell.taken < cell.slow[1]:
            cell.state = "closed"

    def enrolled(self):
        return sum(cell.taken for cell in self.cells)

    def screen(self, month, decision, look):
        """Take the patient who comes, or turn him away."""
        patient = self.came
        stratum = self.stratum_of(patient)
        number = next((i for i, cell in enumerate(self.cells) if cell.name == stratum), None)
        if number is None or self.enrolled() >= self.in_all or month > self.closes:
            return None
        cell = self.cells[number]
        if cell.state == "closed" or cell.taken >= cell.most or cell.placed >= cell.most or month < cell.opens:
            return None
        if self.pauses and ((decision is not None and self.unit != "in_one") or self.waits(number, look)):
            return None
        person = Person(month, number, self.outcome_of(patient, stratum))
        cell.people.append(person)
        return person

    def waits(self, number, look):
        """Where accrual pauses: the places of the next look are filled, and it is waited for."""
        if self.unit == "in_each":
            return self.cells[number].placed >= self.wanted[look][number]
        if self.unit == "in_one":
            cell = self.cells[number]
            return cell.held or cell.full(self.wanted[cell.look][number])
        if self.unit == "in_all":
            return sum(cell.placed for cell in self.cells) >= self.wanted[look]
        return False

    def due(self, now, look, dried_up):
        """Return the cells that are judged now, and whether it is the last look whatever its number."""
        open_ = self.open_cells()
        nobody = dried_up or self.enrolled() >= self.in_all
        assessed = all(p.assessed for cell in self.cells for p in cell.people)
        if self.unit == "in_each":
            wanted = self.wanted[look]
            for i in open_:
                self.cells[i].look = look
            if all(self.cells[i].ready(wanted[i]) for i in open_):
                return open_, False
            lacks = any(not self.cells[i].full(wanted[i]) for i in open_)
            return (open_, True) if lacks and nobody and assessed else ([], False)
        if self.unit == "in_one":
            wanted = {i: self.wanted[self.cells[i].look][i] for i in open_}
            ready = [i for i in open_ if self.cells[i].ready(wanted[i])]
            if ready:
                return ready, False
            lacks = all(not self.cells[i].full(wanted[i]) for i in open_)
            return (open_, True) if lacks and nobody and assessed else ([], False)
        for i in open_:
            self.cells[i].look = look
        lacks = any(not self.cells[i].full(self.cells[i].most) for i in open_)
        if self.unit == "in_all":
            known = sum(p.assessed and p.outcome != PLACELESS for cell in self.cells for p in cell.people)
            if known >= self.wanted[look]:
                return open_, False
            placed = sum(cell.placed for cell in self.cells)
            return (open_, True) if placed < self.wanted[look] and (nobody or not lacks) and assessed else ([], False)
        at_last = math.isinf(self.wanted[look])
        if (not lacks or self.enrolled() >= self.in_all or (at_last and dried_up)) and assessed:
            return open_, True
        return (open_, False) if now >= self.wanted[look] else ([], False)

    # ---- judging

    def posterior(self, number):
        """(a, b) of the basket's beta posterior."""
        analysis = self.spec["analysis"]
        prior, weight = analysis["prior"], analysis["weights"]["weight"]
        a, b = prior["alpha"], prior["beta"]
        for i, cell in enumerate(self.cells):
            n, x = cell.counted
            share = 1.0 if i == number else weight
            a, b = a + share * x, b + share * (n - x)
        return a, b

    def bound(self, stated, cell):
        of = self.of_basket[cell.name]
        null, target = (of.get(key, self.spec.get(key)) for key in ("null_rate", "target_rate"))
        if isinstance(stated, dict):
            return stated["by_basket"][cell.name]
        named = {"null_rate": null, "target_rate": target}
        return (null + target) / 2 if stated == "midpoint" else named.get(stated, stated)

    def holds(self, condition, number, place):
        """place: of the look among those at which the rule speaks."""
        cell = self.cells[number]
        a, b = self.posterior(number)
        if "probability_that" in condition:
            side = "above" if "above" in condition else "below"
            tail = beta_distribution.sf if side == "above" else beta_distribution.cdf
            value = tail(self.bound(condition[side], cell), a, b)
        else:
            value = a / (a + b) if "estimate_of" in condition else cell.counted[1]
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
                    cut = cut["by_basket"][cell.name]
                return says(value, cut)
        raise AssertionError

    def verdict(self, number, look):
        for rule in self.spec["rules"]:
            at = rule.get("at", "all")
            if isinstance(at, str):
                looks = {
                    "all": range(self.looks),
                    "interim": range(self.looks - 1),
                    "final": range(self.looks - 1, self.looks),
                }[at]
            else:
                looks = [n - 1 for n in at]
            if look not in looks or self.cells[number].counted[0] < rule.get("from_patients", 0):
                continue
            conditions = rule["when"] if isinstance(rule["when"], list) else [rule["when"]]
            if all(self.holds(c, number, list(looks).index(look)) for c in conditions):
                return VERDICTS[rule["stop_for"]]
        return 0

    def has_no_more(self, number):
        """Whether it is the final look of a basket that has looks of its own: it is full."""
        wanted, cell = self.wanted[self.cells[number].look], self.cells[number]
        return self.unit == "in_one" and (wanted[number] >= cell.most or cell.placed < wanted[number])

    def judge(self, due, final):
        look_of = {i: self.looks - 1 if final or self.has_no_more(i) else self.cells[i].look for i in due}
        verdicts = {i: self.verdict(i, look) for i, look in look_of.items()}
        for i, verdict in verdicts.items():
            cell, look = self.cells[i], look_of[i]
            cell.held = True
            if verdict or look == self.looks - 1:
                cell.state, cell.verdict, cell.judged_at = "pending", verdict, look
                cell.evaluable, cell.responses = cell.counted
                a, b = self.posterior(i)
                cell.estimate = a / (a + b)
            cell.look = look + 1

    @property
    def succeeded(self):
        return sum(cell.verdict == EFFICACY for cell in self.cells) >= self.spec.get("succeeds_with", 1)

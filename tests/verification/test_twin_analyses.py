"""The plain-Python analyses against the compiled ones on the same patients, and against lifelines and SciPy.

Designs are read and lowered as for a run, so that what is compared is what a rule looks at: spec, table and kernel.
"""

import math
import operator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

from lmd_trialsim.designs.asking import Asker
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.seams import answer, answer_all, estimate
from lmd_trialsim.lowering import Setting
from lmd_trialsim.reading import Document
from lmd_trialsim.reference.twin import counts, hazards, numbers
from lmd_trialsim.reference.twin.draws import Draws
from lmd_trialsim.reference.twin.people import context_of
from lmd_trialsim.reference.twin.predictive import predictive
from lmd_trialsim.reference.twin.seen import Seen
from lmd_trialsim.scenario import Scenario

PROBABILITY, ESTIMATE = 1e-7, 1e-6
"""How far apart answers may be: the twin asks its quadratures for 1e-9 and its roots for 1e-13."""

SEED, REPLICATE = 7, 11
MONTH = 12.0  # of the look
TIMES, RATE = {"kind": "time_to_event"}, {"kind": "binary", "assessed_after_months": 2}
Z, ONE_SIDED, TWO_SIDED, EFFECT = (
    {"statistic": "z"}, {"p_value": "one_sided"}, {"p_value": "two_sided"}, {"estimate_of": "effect"}
)  # fmt: skip


@door
def answer_one(question, desk, seed, replicate, look):
    return answer(question, Stream(seed, replicate), desk, look)


@door
def answer_table(questions, needed, desk, answers):
    answer_all(questions, needed, Stream(0, 0), desk, answers, 0, 0)


@door
def estimate_it(estimator, desk):
    return estimate(estimator, desk)


class Both:
    """A design, to be asked in both ways."""

    def __init__(self, endpoint, design):
        courses = [{"median_months": 4}, {"median_months": 7}]
        if endpoint["kind"] == "binary":
            courses = [{"rate": 0.2}, {"rate": 0.4}]
        read = {
            "schema": 1,
            "title": "one design",
            "population": {"accrual": {"patients_per_month": 3.5}, "strata": {"a": 0.5, "b": 0.5}},
            "endpoints": {"effect": endpoint},
            "arms": {"c": {"control": True}, "t": {}},
            "truths": {"truth": {"effect": dict(zip("ct", courses, strict=True))}},
            "designs": {"design": {"endpoint": "effect", "max_patients": 60, **design}},
        }
        scenario = Scenario.of(Document(read, "one design"))
        self.plan, self.context = scenario.plan("design", "truth"), context_of(scenario, "design")
        self.left_behind = {}
        self.asker = Asker(Setting.of(scenario, "design"), scenario.truths["truth"])
        self.asked = [
            (condition, rule.analysis or self.context.design.analysis)
            for rule in self.context.design.rules
            for condition in rule.conditions
        ]

    def desk_of(self, seen):
        """Return a desk on which these patients are seen, and what an earlier trial may have left of others."""
        desk = new_desk(60, len(self.context.arms), 2, 30)
        for field, left in self.left_behind.items():
            desk.patients[field] = left
        desk.state.cap, desk.state.enrolled, desk.state.month = self.context.max_patients, len(seen), MONTH
        for patient, person in zip(seen, desk.patients, strict=False):
            person.arm, person.stratum, person.arrival = patient.arm, patient.stratum, patient.arrival
            person.censor, person.follow, person.status = patient.censor, patient.months, patient.event
            cell = desk.cells[patient.arm, patient.stratum]
            cell.patients += patient.outcome is not None
            cell.responses += patient.outcome or 0
            cell.events += patient.event
            cell.months += patient.months
            desk.state.known += not patient.pending
        return desk

    def kernels(self, seen, look=0):
        """Return the compiled answer to each condition."""
        desk, nest, found = self.desk_of(seen), self.plan.questions, []
        if not hasattr(nest, "first"):
            answers = np.zeros(len(self.plan.rules.needed))
            answer_table(nest, np.ones_like(self.plan.rules.needed), desk, answers)
            found = list(answers)
        while hasattr(nest, "first"):
            found.append(answer_one(nest.first, desk, SEED, REPLICATE, look))
            nest = nest.rest
        return [found[question] for question in self.plan.rules.conditions["question"]]

    def concludes(self, seen, enrolled):
        """Return whether the rules of the final look conclude efficacy."""
        last = self.context.design.looks.count - 1
        for rule in self.context.design.rules:
            heard = last in rule.looks(last + 1) and enrolled >= rule.from_patients
            if heard and all(self.holds(condition, rule, seen) for condition in rule.conditions):
                return rule.stop_for == "efficacy"
        return False

    def holds(self, condition, rule, seen):
        if condition.number_of is not None:
            number = sum(patient.outcome for patient in seen) if len(seen) == self.context.max_patients else math.nan
        else:
            number = numbers.number(condition, rule.analysis or self.context.design.analysis, self.context, seen)
        compare = {"exceeds": operator.gt, "at_least": operator.ge, "is_below": operator.lt, "at_most": operator.le}
        return compare[condition.comparison](number, condition.cut)

    def assert_agree(self, seen, what):
        """Ask everything of these patients."""
        for (condition, analysis), theirs in zip(self.asked, self.kernels(seen), strict=True):
            ours = numbers.number(condition, analysis, self.context, seen)
            assert ours == pytest.approx(theirs, abs=PROBABILITY, nan_ok=True), (what, analysis, condition)
        analysis = self.context.design.analysis
        theirs = estimate_it(canonical(self.asker.estimator(analysis)), self.desk_of(seen))
        ours = numbers.estimate(analysis, self.context, seen)
        assert tuple(ours) == pytest.approx(theirs, abs=ESTIMATE, nan_ok=True), (what, analysis)

    def assert_predict_alike(self, seen, what, look=0):
        """Ask for predictive probabilities."""
        for (condition, analysis), theirs in zip(self.asked, self.kernels(seen, look), strict=True):
            if condition.predictive_probability_of is not None:
                draws = Draws(SEED, REPLICATE)
                ours = predictive(condition, analysis, self.context, seen, self.concludes, draws, look, MONTH)
                assert ours == pytest.approx(theirs, abs=PROBABILITY), (what, condition.at)


def compared(number):
    """The number as a condition for efficacy, that looks to the side which speaks for the treatment."""
    lower = number.get("probability_that") in ("hazard_ratio", "hazard_per_month")
    against = "p_value" in number or ("probability_that" in number and ("below" in number) != lower)
    return {**number, **({"is_below": 0} if against else {"exceeds": 1})}


def asking(analysis, *asked, looks=None, kind="two_arm"):
    """Return a design that asks for these numbers."""
    rules = [{"stop_for": "efficacy", "when": [compared(number) for number in asked]}]
    arm = {"arm": "t"} if kind == "single_arm" else {}
    return {"kind": kind, **arm, "looks": looks or {"months": [12]}, "analysis": analysis, "rules": rules}


def p(quantity, **bound):
    """Return the condition on a posterior probability."""
    return {"probability_that": quantity, **bound}


def follow(*patients):
    """Return patients of (arm, months, event), in two strata."""
    return [Seen(arm, i % 2, None, False, m, bool(event), 0.0, math.inf) for i, (arm, m, event) in enumerate(patients)]


def single(seen):
    """Return the patients as those of a single arm."""
    return [replace(patient, arm=0) for patient in seen]


def random_times(seed, patients, followed=math.inf, ties=False, just_entered=False):
    """Return the patients of a random trial as seen at month 12, when the last one enters or not."""
    rng = np.random.default_rng(seed)
    entries = np.sort(rng.uniform(0.0, 12.0, patients))
    entries[-1] = 12.0 if just_entered else entries[-1]
    seen = []
    for arrival in (np.floor(entries) if ties else entries).tolist():
        arm, stratum = (int(part) for part in rng.integers(0, 2, 2))
        event, censor = rng.exponential(3.0 + 3.0 * arm + stratum), min(followed, rng.exponential(30.0))
        event = math.ceil(event) if ties else event
        known = event <= min(censor, 12.0 - arrival)
        months = float(event if known else min(censor, 12.0 - arrival))
        seen.append(Seen(arm, stratum, None, False, months, bool(known), arrival, censor))
    return seen


def alternating(months, event):
    """Return ten patients, control and treatment in turn, with months and event by number."""
    return follow(*((i % 2, float(months(i)), event(i)) for i in range(10)))


HARD = {
    "nobody": [],
    "one censored": follow((1, 3.0, 0)),
    "one event": follow((0, 3.0, 1)),
    "no events": alternating(lambda i: 5 + i, lambda i: 0),
    "all events": alternating(lambda i: 1 + i, lambda i: 1),
    "all dead early": alternating(lambda i: 0.5 + 0.5 * i, lambda i: 1),
    "all alive at the month": alternating(lambda i: 7 + i, lambda i: i % 3 == 0),
    "events in one arm only": alternating(lambda i: 1 + i, lambda i: i % 2),
    "events in the other only": alternating(lambda i: 1 + i, lambda i: 1 - i % 2),
    "no treatment": follow(*((0, 1.0 + i, i % 2) for i in range(9))),
    "no control": follow(*((1, 1.0 + i, i % 2) for i in range(9))),
    "arms that never meet": follow(*((i // 5, 1.0 + i, 1) for i in range(10))),
    "all against none": follow(*((i // 5, 0.5 + i * (2 - i // 5), i < 5) for i in range(10))),
    "the same in both": follow(*((i % 2, 1.0 + i // 2, 1) for i in range(16))),
    "events and ends on the month": follow((0, 6.0, 1), (1, 6.0, 0), (0, 7.0, 0), (1, 2.0, 1), (0, 6.0, 0)),
    "down to 0 before": follow((0, 1.0, 0), (0, 2.0, 1), (1, 3.0, 1), (1, 3.5, 1)),
    "no follow-up": follow((0, 0.0, 0), (1, 0.0, 0), (0, 2.0, 1), (1, 3.0, 1), (0, 8.0, 0), (1, 9.0, 0)),
    **{f"random {seed}": random_times(seed, 4 * seed + 2) for seed in range(9)},
}
TIED = {f"tied {seed}": random_times(seed, 40, ties=True) for seed in range(4)}

EXPONENTIAL = {
    "kind": "gamma_exponential", "prior": {"events": 0.5, "months": 1}, "priors": {"c": {"events": 1, "months": 8}}
}  # fmt: skip
PIECEWISE = {
    "kind": "piecewise_gamma_exponential", "cuts": [2, 4], "month": 6, "prior": {"events": 0.5, "months": 2}
}  # fmt: skip
OF_TIMES = {
    "log-rank": asking({"kind": "log_rank"}, Z, ONE_SIDED, TWO_SIDED),
    "log-rank by stratum": asking({"kind": "log_rank", "stratified": True}, Z),
    "late": asking({"kind": "log_rank", "gamma": 1}, Z),
    "by stratum, late": asking({"kind": "log_rank", "rho": 0.5, "gamma": 0.5, "stratified": True}, Z),
    "cox": asking({"kind": "cox"}, Z, p("hazard_ratio", below=0.8), EFFECT),
    "cox, prior": asking({"kind": "cox", "prior": {"mean": 0.1, "sd": 0.42}}, Z, p("hazard_ratio", below=1)),
    "cox, all": asking(
        {"kind": "cox", "prior": {"mean": -0.3, "sd": 1}, "stratified": True}, p("hazard_ratio", below=1)
    ),
    "exponential": asking(
        EXPONENTIAL,
        p("hazard_ratio", below=0.9),
        p("hazard_per_month", above=0.1, arm="c"),
        p("median_months", above=5),
        p("survival", month=6, above=0.3, arm="c"),
    ),
    "piecewise": asking(
        PIECEWISE,
        p("survival", month=3, above=0.5, arm="c"),
        *(p("survival_difference", month=month, above=0) for month in (1.5, 20)),
    ),
    "milestone": asking({"kind": "milestone_survival", "month": 6, "margin": -0.05}, Z),
    "restricted mean": asking({"kind": "restricted_mean", "month": 6, "margin": 0.25}, Z),
}
SINGLE = {
    "exponential": asking(
        {"kind": "gamma_exponential", "prior": {"events": 1, "months": 5}},
        p("hazard_per_month", below=0.1),
        p("median_months", above=5),
        kind="single_arm",
    ),
    "piecewise": asking(PIECEWISE, p("survival", month=9, above=0.3, arm="t"), kind="single_arm"),
    "milestone": asking(
        {"kind": "milestone_survival", "month": 6, "null_survival": 0.3}, Z, ONE_SIDED, kind="single_arm"
    ),
}


@pytest.mark.parametrize("name", OF_TIMES)
def test_event_times_in_two_arms(name):
    both = Both(TIMES, OF_TIMES[name])
    weighted = name in ("late", "by stratum, late")  # the kernel gives them another variance of ties: see the end
    for what, seen in (HARD if weighted else HARD | TIED).items():
        both.assert_agree(seen, what)


@pytest.mark.parametrize("name", SINGLE)
def test_event_times_in_one_arm(name):
    both = Both(TIMES, SINGLE[name])
    for what, seen in (HARD | TIED).items():
        both.assert_agree(single(seen), what)


# ---- binary endpoints ------------------------------------------------------------------------------------------------


def assessed(treatment, control=(0, 0), pending=(0, 0)):
    """Return patients of whom (n, x) of either arm have been assessed, and so many are pending; treatment first."""
    seen = [
        Seen(arm, 0, int(i < x), False, 0.0, False, 0.0, math.inf)
        for arm, (n, x) in ((1, treatment), (0, control))
        for i in range(n)
    ]
    waiting = [1] * pending[0] + [0] * pending[1]
    return seen + [Seen(arm, 0, None, True, 0.0, False, 0.0, math.inf) for arm in waiting]


MIXTURE = [{"weight": 0.8, "alpha": 4, "beta": 12}, {"weight": 0.2, "alpha": 1, "beta": 1}]
INFORMED = {"kind": "beta_binomial", "prior": {"alpha": 1, "beta": 1}, "priors": {"c": {"alpha": 4, "beta": 16}}}
CONTRASTS = [
    p("rate", above=0.2), p("difference", below=-0.15), p("difference", above=0.3), p("ratio", above=1.2),
    p("ratio", below=0.4), p("odds_ratio", above=1.7),
]  # fmt: skip
OF_COUNTS = {
    "difference": asking({"kind": "beta_binomial", "prior": {"alpha": 0.25, "beta": 0.4}}, *CONTRASTS),
    "ratio of mixtures": asking(
        {"kind": "beta_binomial", "prior": MIXTURE, "effect": "ratio"}, *CONTRASTS[1:3], EFFECT
    ),
    "odds ratio": asking(INFORMED | {"effect": "odds_ratio"}, *CONTRASTS),
    "fisher": asking({"kind": "fisher_exact"}, ONE_SIDED),
    "pooled": asking({"kind": "difference_of_proportions", "margin": 0.1}, Z, ONE_SIDED, TWO_SIDED),
    "unpooled": asking({"kind": "difference_of_proportions", "pooled": False, "margin": -0.15}, Z),
}
OF_ONE_COUNT = {
    "beta": asking({"kind": "beta_binomial", "prior": {"alpha": 0.2, "beta": 0.8}}, CONTRASTS[0], kind="single_arm"),
    "mixture": asking({"kind": "beta_binomial", "prior": MIXTURE}, p("rate", below=0.35), kind="single_arm"),
    "exact": asking({"kind": "exact_binomial", "null_rate": 0.2}, ONE_SIDED, kind="single_arm"),
}
PAIRS = [(1, 1, 1, 0), (5, 2, 9, 3), (30, 30, 30, 30), (30, 0, 30, 30), (30, 0, 30, 0), (30, 12, 30, 7), (3, 3, 40, 8)]


@pytest.mark.parametrize("tabulated", [False, True])
@pytest.mark.parametrize("name", OF_COUNTS)
def test_rates_in_two_arms(name, tabulated):
    """Looks at known numbers are answered from tables, others as they come."""
    design = OF_COUNTS[name] | {"looks": {"evaluable": [2, 60]} if tabulated else {"months": [12]}}
    for better in ("higher", "lower") if name in ("fisher", "pooled") else ("higher",):
        both = Both({"kind": "binary", "better": better}, design)
        for n, x, m, y in PAIRS:
            if n == m or not tabulated:
                both.assert_agree(assessed((n, x), (m, y)), (n, x, m, y))


@pytest.mark.parametrize("name", ["fisher", "pooled"])
def test_an_arm_without_patients_cannot_be_tested(name):
    both = Both(RATE, OF_COUNTS[name])
    for treatment, control in ((0, 0), (7, 0), (0, 7)):
        both.assert_agree(assessed((treatment, treatment // 2), (control, control // 2)), (treatment, control))


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("name", OF_ONE_COUNT)
def test_rates_in_one_arm(name, better):
    design = OF_ONE_COUNT[name]
    if better == "lower":  # the other side speaks for the treatment
        turned = [
            one
            if "p_value" in one
            else {key: value for key, value in one.items() if key not in ("exceeds", "is_below")}
            | ({"is_below": 0} if "exceeds" in one else {"exceeds": 1})
            for one in design["rules"][0]["when"]
        ]
        design = design | {"rules": [{"stop_for": "efficacy", "when": turned}]}
    both = Both(RATE | {"better": better}, design)
    for n in (1, 5, 60):
        for x in {0, n // 3, n}:
            both.assert_agree(single(assessed((n, x))), (n, x))


@pytest.mark.slow
def test_fresh_random_patients():
    """Every analysis on random patients of a fresh seed, which a failure names."""
    fresh = int(np.random.default_rng().integers(2**32))
    designs = [Both(TIMES, design) for design in [*OF_TIMES.values(), *SINGLE.values()]]
    rates = [(Both(RATE, OF_COUNTS[name]), name) for name in OF_COUNTS]
    for seed in range(fresh, fresh + 60):
        rng = np.random.default_rng(seed)
        seen = random_times(seed, int(rng.integers(1, 61)))
        for both in designs:
            both.assert_agree(seen if len(both.context.arms) == 2 else single(seen), seed)
        n, m = (int(number) for number in rng.integers(1, 31, 2))
        for both, name in rates:
            both.assert_agree(assessed((n, int(rng.integers(n + 1))), (m, int(rng.integers(m + 1)))), (seed, name))


# ---- predictive probabilities ----------------------------------------------------------------------------------------

PREDICTED = {"predictive_probability_of": "success", "exceeds": 0.9999}
BETTER = {"probability_that": "difference", "above": 0, "exceeds": 0.9}
HIGH_RATE = {"probability_that": "rate", "above": 0.2, "exceeds": 0.9}
P_VALUE = {"p_value": "one_sided", "at_most": 0.1}
JEFFREYS = {"kind": "beta_binomial", "prior": {"alpha": 0.5, "beta": 0.5}}


def predicting(*final, kind="two_arm", model=None, **more):
    """Return a design that predicts, at the maximum and at present, what these rules will say at the final look."""
    more_of_times = {"model": model, "imputations": 40} if model else {}
    rules = [
        {"stop_for": "futility", "at": "interim", "when": PREDICTED | {"at": at} | more_of_times}
        for at in ("maximum", "present")
    ]
    arm = {"arm": "t"} if kind == "single_arm" else {}
    return {
        "kind": kind,
        **arm,
        "analysis": JEFFREYS,
        "rules": rules + [{"at": "final"} | rule for rule in final],
        **more,
    }


def success(when, **more):
    return {"stop_for": "efficacy", "when": when, **more}


HARM = {"stop_for": "harm", "when": {"probability_that": "difference", "below": -0.1, "exceeds": 0.3}}
FEW = {"stop_for": "futility", "when": {"number_of": "responses", "at_most": 6}}
FIXED = {"looks": {"evaluable": [14, 28]}, "max_patients": 28}
LATER = {"looks": {"patients": [14], "final": {"follow_up_months": 2}}, "max_patients": 27}
BY_FISHER = success(P_VALUE, analysis={"kind": "fisher_exact"})
FUTURES = {
    "harm first": predicting(HARM, BY_FISHER, **FIXED, allocation={"method": "simple"}),
    "two to one": predicting(success(BETTER), **LATER, allocation={"ratio": {"c": 1, "t": 2}}),
}
FUTURES_OF_ONE = {
    "counts": predicting(FEW, success(HIGH_RATE), **FIXED, kind="single_arm"),
    "mixture": predicting(
        success(HIGH_RATE), **LATER | {"analysis": {"kind": "beta_binomial", "prior": MIXTURE}}, kind="single_arm"
    ),
}


def future_times(looks, rule=None, **more):
    """Return a design with event times that predicts a rule, a log-rank test if no other is given."""
    model = {"kind": "gamma_exponential", "prior": {"events": 0.5, "months": 3}}
    return predicting(rule or success(P_VALUE), model=model, looks=looks, **more) | {"analysis": {"kind": "log_rank"}}


FINAL = {"final": {"follow_up_months": 6}}
FUTURES_OF_TIMES = {
    "patients": future_times({"patients": [20, 40]}),
    "patients, follow-up": future_times({"patients": [20, 40], **FINAL}, allocation={"ratio": {"c": 1, "t": 2}}),
    "months, follow-up": future_times({"months": [12], **FINAL}, max_patients=40),
    "events": future_times({"events": [10, 30]}),
    "events or follow-up": future_times({"events": [10, 55], **FINAL}),
}


@pytest.mark.parametrize("name", FUTURES)
def test_predicted_rates_in_two_arms(name):
    both = Both(RATE, FUTURES[name])
    cases = [((7, 3), (7, 1), (2, 3)), ((7, 5), (7, 0), (0, 1)), ((10, 4), (4, 1), (1, 0)), ((2, 1), (12, 3), (0, 0))]
    for treatment, control, pending in [*cases, ((16, 8), (3, 0), (0, 0)), ((3, 1), (16, 2), (1, 1))]:
        both.assert_predict_alike(assessed(treatment, control, pending), (treatment, control))


@pytest.mark.parametrize("name", FUTURES_OF_ONE)
def test_predicted_rates_in_one_arm(name):
    both = Both(RATE, FUTURES_OF_ONE[name])
    for n, x, pending in ((0, 0, 5), (14, 3, 0), (14, 5, 6), (20, 6, 4)):
        both.assert_predict_alike(single(assessed((n, x), pending=(pending, 0))), (n, x))


@pytest.mark.parametrize("followed", [math.inf, 5.0])
@pytest.mark.parametrize("name", FUTURES_OF_TIMES)
def test_predicted_event_times(name, followed):
    """On the same addresses the same futures are imagined, so that each share of successes is the same."""
    both = Both(TIMES | ({"followed_for_months": followed} if followed < math.inf else {}), FUTURES_OF_TIMES[name])
    for seed in range(3):
        seen = random_times(seed, 12 + 8 * seed, followed, just_entered="patients" in name)
        both.assert_predict_alike(seen, seed, look=seed % 2)


# ---- the twin itself against other programs --------------------------------------------------------------------------


def frame(seen):
    return pd.DataFrame(
        [(p.arm, p.stratum, p.months, p.event) for p in seen], columns=["arm", "stratum", "months", "event"]
    )


def twin(analysis, *asked):
    both = Both(TIMES, asking(analysis, *asked))
    return lambda seen: [numbers.number(condition, a, both.context, seen) for condition, a in both.asked], both


@pytest.mark.parametrize("seed", range(3))
def test_log_rank_is_that_of_lifelines(seed):
    seen = random_times(seed, 50)
    data = frame(seen)
    arms = [data[data.arm == arm] for arm in (0, 1)]
    months, events = [arm.months for arm in arms], [arm.event for arm in arms]
    for weights, options in (
        ({}, {}),
        ({"rho": 0.5, "gamma": 1.0}, {"weightings": "fleming-harrington", "p": 0.5, "q": 1}),
    ):
        ask, _ = twin({"kind": "log_rank", **weights}, Z)
        assert ask(seen)[0] ** 2 == pytest.approx(logrank_test(*months, *events, **options).test_statistic, rel=1e-8)


@pytest.mark.parametrize("stratified", [False, True])
def test_cox_is_that_of_lifelines(stratified):
    seen = random_times(4, 60)
    data = frame(seen) if stratified else frame(seen).drop(columns="stratum")
    options = {"precision": 1e-13, "r_precision": 1e-15, "step_size": 1.0}
    fit = CoxPHFitter().fit(data, "months", "event", strata=["stratum"] if stratified else None, fit_options=options)
    _, both = twin({"kind": "cox", "stratified": stratified}, Z)
    found = numbers.estimate(both.context.design.analysis, both.context, seen)
    b, half = fit.params_["arm"], 1.959963984540054 * fit.standard_errors_["arm"]
    assert tuple(found) == pytest.approx((b, b - half, b + half), abs=1e-7)


@pytest.mark.parametrize("ties", [False, True])
def test_curves_are_those_of_lifelines(ties):
    seen = random_times(5, 60, ties=ties)
    fits = [KaplanMeierFitter().fit(d.months, d.event) for _, d in frame(seen).groupby("arm")]
    for kind, theirs in (
        ("milestone_survival", lambda fit: fit.predict(6.0)),
        ("restricted_mean", lambda fit: restricted_mean_survival_time(fit, 6.0)),
    ):
        _, both = twin({"kind": kind, "month": 6}, Z)
        found = numbers.estimate(both.context.design.analysis, both.context, seen)
        assert found[0] == pytest.approx(theirs(fits[1]) - theirs(fits[0]), abs=1e-8)


def test_contrast_of_whole_betas_is_a_sum_of_fractions():
    """P(first > second) by counting: a beta of whole parameters is an order statistic of uniforms."""
    for a, b, c, d in ((3, 5, 2, 7), (1, 1, 4, 2), (9, 2, 8, 3)):
        n, m = a + b - 1, c + d - 1
        # The a-th of n uniforms is above the c-th of m if at least c of the m are among the lowest in their union.
        exact = sum(
            Fraction(math.comb(a - 1 + j, j) * math.comb(n - a + m - j, m - j), math.comb(n + m, n))
            for j in range(c, m + 1)
        )
        ours = counts.contrast_above((counts.Beta(1, a, b),), (counts.Beta(1, c, d),), "difference", 0.0)
        assert ours == pytest.approx(float(exact), abs=1e-10)


def test_sums_of_exponentials_by_partial_fractions():
    """Two hazards: P(X + Y < h) and P(X + Y < U + V) are rational in exponentials of the scales."""
    first, second = (Fraction(1, 3), Fraction(2)), (Fraction(3, 4), Fraction(1, 50))
    exact = sum(
        a**2 / (a - b) * c**2 / (c - d) / (a + c) / a
        for a, b in (first, first[::-1])
        for c, d in (second, second[::-1])
    )
    pieces = [[hazards.Piece(1.0, float(scale)) for scale in scales] for scales in (first, second)]
    below = 1 - sum(float(a / (a - b)) * math.exp(-0.7 / float(a)) for a, b in (first, first[::-1]))
    assert hazards.survival_above(pieces[0], math.exp(-0.7)) == pytest.approx(below, abs=1e-9)
    assert hazards.survival_better(control=pieces[1], treatment=pieces[0]) == pytest.approx(float(exact), abs=1e-8)


def test_lee_and_liu_2008():
    """Table 1: 16 of 23, at most 40, prior Beta(0.6, 0.4), success if P(rate > 0.6) > 0.9: PP = 0.5656."""
    prior = {"kind": "beta_binomial", "prior": {"alpha": 0.6, "beta": 0.4}}
    design = predicting(success(HIGH_RATE | {"above": 0.6}), looks={"evaluable": [23, 40]}, kind="single_arm")
    both = Both(RATE, design | {"analysis": prior, "max_patients": 40})
    condition, analysis = both.asked[0]
    found = predictive(
        condition, analysis, both.context, single(assessed((23, 16))), both.concludes, Draws(1, 1), 0, MONTH
    )
    assert found == pytest.approx(0.5656, abs=5e-5)


# ---- what the two once disagreed about -------------------------------------------------------------------------------


def test_follow_up_of_an_earlier_trial_is_not_met():
    both = Both(TIMES, future_times({"patients": [20, 40], "final": {"follow_up_months": 1}}))
    both.left_behind = {"follow": 40.0}
    both.assert_predict_alike(random_times(1, 20, just_entered=True), "follow")


def test_strata_of_an_earlier_trial_are_not_met():
    rules = success(P_VALUE, analysis={"kind": "log_rank", "stratified": True})
    both = Both(TIMES, future_times({"patients": [20, 40], **FINAL}, rule=rules))
    seen = random_times(0, 20, just_entered=True)
    clean = both.kernels(seen)
    both.left_behind = {"stratum": np.arange(len(both.desk_of([]).patients)) % 2}
    assert both.kernels(seen) == clean


def test_a_final_look_by_months_is_imagined_in_its_month():
    both = Both(TIMES, future_times({"months": [12, 18]}))
    both.assert_predict_alike(random_times(1, 30), "month 18")


def test_what_has_been_seen_is_not_unseen():
    both = Both(TIMES, future_times({"months": [12], "final": {"follow_up_months": 2}}))
    seen = [
        Seen(arm, 0, None, False, 10.0 - 0.5 * i if arm == 0 else 12.0 - 0.5 * i, arm == 0, 0.5 * i, math.inf)
        for i, arm in enumerate([0, 1] * 5)
    ]
    both.assert_predict_alike(seen, "all controls, and no treated patient, had the event at month 10")


def test_the_last_patient_enters_before_the_imagined_final_look():
    both = Both(TIMES | {"followed_for_months": 2.0}, future_times({"events": [10, 55]}))
    both.assert_predict_alike(random_times(19, 25, followed=2.0), "fewer than 55 events can come")


def test_imagined_patients_who_come_too_late_do_not_count():
    rule = success(P_VALUE, from_patients=55)
    both = Both(TIMES, future_times({"events": [10, 14]}, rule=rule))
    both.assert_predict_alike(random_times(5, 25), "some fourteen events come before patient 55")


def test_the_imagined_trial_closes_too():
    both = Both(TIMES, future_times({"patients": [20, 40], **FINAL}, max_months=14))
    both.assert_predict_alike(random_times(1, 20, just_entered=True), "closed at month 14")


@pytest.mark.parametrize("name", ["milestone", "restricted mean"])
def test_follow_up_reaches_its_month(name):
    entry = 2.2
    seen = follow((0, 1.0, 1), (0, (entry + 6.0) - entry, 0), (1, 2.0, 1), (1, 7.0, 0))
    assert seen[1].months < 6.0
    Both(TIMES, OF_TIMES[name]).assert_agree(seen, "a last patient")


def test_a_posterior_without_patients_is_the_prior():
    Both(RATE, OF_COUNTS["odds ratio"]).assert_agree(assessed((7, 3)), "nobody in the control arm")


def test_equal_posteriors_near_one_are_equal():
    design = asking({"kind": "beta_binomial", "prior": {"alpha": 0.2, "beta": 0.2}}, p("odds_ratio", above=2))
    Both(RATE, design).assert_agree(assessed((30, 30), (30, 30)), "all responders")

"""The regression of all arms: against dense algebra and another optimiser, exact integrals, and PyMC."""

import math

import numpy as np
import pytest
from arm_desks import ask, desk_for
from naive_regression import NaiveRegression, mixed_below, walk_precision
from scipy.stats import beta, norm

from lmd_trialsim.designs.arm_frame import ArmFrame
from lmd_trialsim.designs.arm_regression import NODES, ArmRegression
from lmd_trialsim.designs.scale_priors import rule_of
from lmd_trialsim.kernel.desk import MISSING, NOT_EVALUABLE

SAME = 1e-6  # two optimisers at the same maximum

PRIOR_SD, LEVEL_MEAN, LEVEL_SD, STRATUM_SD, INTERVAL_SD = 1.2, -0.7, 2.0, 0.8, 0.6


class Data:
    """Patients of so many arms and strata, in the order of their entry."""

    def __init__(self, rng, kind, *, arms=3, strata=2, patients=70):
        self.kind, self.arms, self.strata = kind, arms, strata
        self.arm = rng.integers(0, arms, patients)
        self.arm[: patients // 3] = np.minimum(self.arm[: patients // 3], arms - 2)  # the last one enters later
        self.stratum = rng.integers(0, strata, patients)
        self.period = np.sort(rng.integers(0, 3, patients))
        self.arrival = np.sort(rng.uniform(0.0, 30.0, patients))
        eta = -0.8 + 0.5 * self.arm + 0.4 * self.stratum - 0.03 * self.arrival
        self.follow = np.ones(patients)
        if kind == "binary":
            self.value = (rng.random(patients) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
        elif kind == "continuous":
            self.value = eta + 0.9 * rng.normal(size=patients)
        else:
            time, censored = rng.exponential(np.exp(-eta)), rng.uniform(0.5, 12.0, patients)
            self.follow, self.value = np.minimum(time, censored), (time <= censored).astype(float)
        self.known = np.ones(patients, bool)
        if kind != "time_to_event":
            self.known[rng.integers(0, patients, 6)] = False

    def desk(self, memory):
        """Return a desk with these patients."""
        n = len(self.arm)
        desk = desk_for(memory, self.arms, patients=n)
        desk.state.known = n
        for name in ("arm", "stratum", "period", "arrival", "follow", "value"):
            desk.patients[name][:n] = getattr(self, name)
        desk.patients.status[:n] = self.value.astype(int)
        desk.patients.outcome[:n] = np.where(self.known, 0, np.where(np.arange(n) % 2, MISSING, NOT_EVALUABLE))
        for arm in range(self.arms):
            mine = self.known & (self.arm == arm)
            desk.arms.patients[arm] = mine.sum()
            desk.arms.responses[arm] = desk.arms.events[arm] = int(self.value[mine].sum())
        return desk

    def bucket(self, time):
        """Return the time of entry of each patient, and how many there have been."""
        if time is None:
            return np.zeros(len(self.arm), int)
        if "patients" in time:
            return np.arange(len(self.arm)) // time["patients"]
        return (self.arrival // time["months"]).astype(int) if "months" in time else self.period

    def naive(self, time, strata, cuts, walk_sd=1.0):
        """Return the model in dense matrices, and the column of each arm's effect."""
        bucket, order = self.bucket(time), time["walk"].get("order", 1) if time and "walk" in time else 0
        starts = np.array([0.0, *cuts])
        ends = np.array([*cuts, math.inf])
        levels, most = bucket.max() + 1, self.strata if strata else 0
        intervals = len(starts) if cuts else 0
        rows, outcome, months = [], [], []
        for i in np.flatnonzero(self.known):
            for j in range(len(starts)):
                if self.follow[i] <= starts[j]:
                    continue
                row = np.zeros(levels + most + intervals + self.arms - 1)
                row[bucket[i]] = 1.0
                if strata:
                    row[levels + self.stratum[i]] = 1.0
                if cuts:
                    row[levels + most + j] = 1.0
                if self.arm[i]:
                    row[levels + most + intervals + self.arm[i] - 1] = 1.0
                rows.append(row)
                here = self.kind != "time_to_event" or self.follow[i] <= ends[j]
                outcome.append(self.value[i] if here else 0.0)
                months.append(min(self.follow[i], ends[j]) - starts[j])
        precision = np.diag(
            [*[0.0] * levels, *[STRATUM_SD**-2.0] * most, *[INTERVAL_SD**-2.0] * intervals]
            + [PRIOR_SD**-2.0] * (self.arms - 1)
        )
        precision[:levels, :levels] = walk_precision(levels, order, walk_sd, LEVEL_SD**-2.0)
        mean = np.zeros(len(precision))
        mean[:levels] = LEVEL_MEAN
        name = {"binary": "logistic", "continuous": "normal", "time_to_event": "exponential"}[self.kind]
        model = NaiveRegression(name, np.array(rows), np.array(outcome), np.array(months), mean, precision, 0.9)
        return model, levels + most + intervals - 1


BOUNDS = {
    "binary": [("odds_ratio", 1.0), ("odds_ratio", 1.8)],
    "continuous": [("difference", 0.0), ("difference", 0.4)],
    "time_to_event": [("hazard_ratio", 1.0), ("hazard_ratio", 0.8)],
}


def said_of(data, *, time=None, strata=False, cuts=(), lower=False):
    """Return what the kernels say of the data."""
    spec = {"kind": "regression", "level": {"mean": LEVEL_MEAN, "sd": LEVEL_SD}, "prior": {"sd": PRIOR_SD}}
    spec |= {"time": time} if time else {}
    spec |= {"strata": {"sd": STRATUM_SD}} if strata else {}
    spec |= {"hazard": {"from_months": list(cuts), "sd": INTERVAL_SD}} if cuts else {}
    spec |= {"sd": 0.9} if data.kind == "continuous" else {}
    names = [f"arm{i}" for i in range(data.arms)]
    truth = np.array([math.nan, *(0.3 for _ in names[1:])])
    bounds = BOUNDS[data.kind]
    patients = len(data.arm)
    frame = ArmFrame(
        names, True, lower, bounds, truth, patients, 0.0, endpoint=data.kind, strata=data.strata, months=30.0
    )
    model, memory = ArmRegression.model_validate(spec).model(frame)
    return ask(model, data.desk(memory), len(bounds))


@pytest.mark.parametrize("kind", ["binary", "continuous", "time_to_event"])
@pytest.mark.parametrize(
    ("time", "strata", "cuts"),
    [
        (None, False, ()),
        ({"each": "period"}, True, ()),
        ({"months": 5.0}, False, (2.0, 5.0)),
        ({"patients": 15, "walk": {"sd": {"kind": "fixed", "value": 0.3}}}, True, (1.0,)),
        ({"months": 4.0, "walk": {"order": 2, "sd": {"kind": "fixed", "value": 0.1}}}, True, ()),
    ],
)
def test_effects_are_those_of_dense_algebra(kind, time, strata, cuts):
    """Modes, tails, chances and estimates, with every term that the linear predictor may have."""
    data = Data(np.random.default_rng(11), kind)
    cuts = cuts if kind == "time_to_event" else ()
    said = said_of(data, time=time, strata=strata, cuts=cuts)
    sd = time["walk"]["sd"]["value"] if time and "walk" in time else 1.0
    model, before = data.naive(time, strata, cuts, sd)
    for arm in range(1, data.arms):
        for bound, (_, value) in enumerate(BOUNDS[kind]):
            below = model.below(before + arm, value if kind == "continuous" else math.log(value))
            better = below if kind == "time_to_event" else 1.0 - below
            assert said.tails[bound, arm] == pytest.approx(better, abs=SAME)
        assert said.better[arm] == said.tails[0, arm]
        assert said.estimate[arm] == pytest.approx(model.mode()[before + arm], abs=SAME)
        assert said.beyond[arm] == pytest.approx(model.below(before + arm, 0.3), abs=SAME)
        spread = np.linalg.inv(model.curvature(model.mode()))
        assert said.error[arm] == pytest.approx(math.sqrt(spread[before + arm, before + arm]), abs=SAME)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["binary", "continuous"])
def test_the_step_of_the_walk_is_summed_over(kind, order):
    """By the evidence of each; with normal values that is exact, and a finer rule tells the error of the quadrature."""
    sd = {"kind": "half_normal", "scale": 0.3}
    time = {"patients": 15, "walk": {"order": order, "sd": sd}}
    data = Data(np.random.default_rng(5), kind)
    said = said_of(data, time=time, strata=True)
    nodes = NODES if kind == "binary" else 40
    rule = rule_of(ArmRegression.model_validate(_spec_of(time)).time.walk.sd, nodes)
    models = [data.naive(time, True, (), tau)[0] for tau in rule.nodes]
    before = data.naive(time, True, ())[1]
    tolerance = SAME if kind == "binary" else 5e-4
    for arm in (1, 2):
        assert said.tails[0, arm] == pytest.approx(
            1.0 - mixed_below(models, rule.weights, before + arm, 0.0), abs=tolerance
        )


def _spec_of(time):
    return {"kind": "regression", "level": {"sd": 1.0}, "prior": {"sd": 1.0}, "time": time}


def test_lower_is_better():
    """Of a bad outcome the smaller odds are the better ones."""
    data = Data(np.random.default_rng(3), "binary")
    higher, lower = said_of(data), said_of(data, lower=True)
    np.testing.assert_allclose(lower.tails[:, 1:], 1.0 - higher.tails[:, 1:], atol=1e-12)
    np.testing.assert_array_equal(lower.estimate, higher.estimate)


@pytest.mark.parametrize(("least", "most", "error"), [(8, 40, 0.006), (60, 120, 0.001)])
def test_laplace_is_near_the_exact_posterior_of_rates(least, most, error):
    """Two logits can be integrated: what docs/methods.md says of 4 to 20 patients an arm, and of more."""
    rng = np.random.default_rng(8)
    level, effect = np.linspace(-14.0, 12.0, 1301), np.linspace(-12.0, 12.0, 2401)
    worst = 0.0
    for _ in range(40):
        data = Data(rng, "binary", arms=2, strata=1, patients=int(rng.integers(least, most)))
        data.known[:] = True
        data.arm[:] = np.arange(len(data.arm)) % 2
        data.value[:] = rng.random(len(data.arm)) < rng.choice([0.1, 0.3, 0.6], 2)[data.arm]
        n = [np.sum(data.arm == arm) for arm in (0, 1)]
        y = [np.sum(data.value[data.arm == arm]) for arm in (0, 1)]
        said = said_of(data)
        eta = level[:, None] + effect
        log = y[0] * level - n[0] * np.logaddexp(0.0, level) + norm.logpdf(level, LEVEL_MEAN, LEVEL_SD)
        both = log[:, None] + y[1] * eta - n[1] * np.logaddexp(0.0, eta) + norm.logpdf(effect, 0.0, PRIOR_SD)
        marginal = np.exp(both - both.max()).sum(axis=0)
        marginal /= marginal.sum()
        exact = marginal[effect > 1e-9].sum() + 0.5 * marginal[abs(effect) < 1e-9].sum()
        worst = max(worst, abs(said.tails[0, 1] - exact))
    assert worst < error


def told_by(spec, endpoint, arm, stratum, value, strata=1):
    """Return what a model with two arms says of patients in the order of their entry."""
    frame = ArmFrame(
        ["c", "a"], True, False, [], np.full(2, math.nan), len(arm), 0.0, endpoint=endpoint, strata=strata, months=None
    )
    model, memory = ArmRegression.model_validate({"kind": "regression", **spec}).model(frame)
    desk = desk_for(memory, 2, patients=len(arm))
    desk.state.known = len(arm)
    for name, values in (("arm", arm), ("stratum", stratum), ("value", value)):
        desk.patients[name][: len(arm)] = values
    desk.patients.outcome[: len(arm)] = 0 if endpoint == "continuous" else value
    return ask(model, desk, 0)


def test_vague_priors_do_not_send_newton_in_circles():
    """Where a step would overshoot it is shortened: the mode is found however vague the priors."""
    cells = [(0, 0, 2, 10), (0, 1, 0, 1), (1, 0, 5, 5), (1, 1, 5, 14)]
    arm, stratum = (np.concatenate([np.repeat(cell[place], cell[3]) for cell in cells]) for place in (0, 1))
    value = np.concatenate([np.r_[np.ones(x), np.zeros(n - x)] for _, _, x, n in cells])
    spec = {"level": {"mean": -2, "sd": 10}, "prior": {"sd": 20}, "strata": {"sd": 5}}
    said = told_by(spec, "binary", arm, stratum, value, strata=2)
    rows = np.column_stack([np.ones(30), stratum == 0, stratum == 1, arm]).astype(float)
    precision = np.diag([1.0 / 100.0, 1.0 / 25.0, 1.0 / 25.0, 1.0 / 400.0])
    model = NaiveRegression("logistic", rows, value, np.ones(30), np.array([-2.0, 0.0, 0.0, 0.0]), precision)
    assert said.estimate[1] == pytest.approx(model.mode()[3], abs=1e-6)
    assert model.mode()[3] > 5.0


def test_values_far_from_their_prior_are_found_with_a_walk():
    """Means have no scale of their own: a step is as long as it is."""
    rng = np.random.default_rng(12)
    arm, size = np.arange(60) % 2, 60
    value = 4000.0 + 300.0 * arm + np.repeat(rng.normal(0.0, 50.0, 6), 10) + rng.normal(0.0, 20.0, size)
    walk = {"sd": {"kind": "half_normal", "scale": 100.0}}
    spec = {"sd": 20, "level": {"sd": 5000}, "prior": {"sd": 5000}, "time": {"patients": 10, "walk": walk}}
    said = told_by(spec, "continuous", arm, np.zeros(size, int), value)
    within = value[arm == 1].reshape(6, 5).mean(axis=1) - value[arm == 0].reshape(6, 5).mean(axis=1)
    assert said.estimate[1] == pytest.approx(within.mean(), abs=1.0)
    assert said.error[1] == pytest.approx(20.0 * math.sqrt(4.0 / 60.0), rel=0.02)


@pytest.mark.slow
def test_pymc_agrees():
    """The logistic time machine with strata, written anew: within the MCMC error and what Laplace's density lacks."""
    pm = pytest.importorskip("pymc")
    data = Data(np.random.default_rng(21), "binary", patients=120)
    data.known[:] = True
    time = {"patients": 20, "walk": {"order": 2, "sd": {"kind": "half_normal", "scale": 0.3}}}
    said = said_of(data, time=time, strata=True)
    bucket = data.bucket(time)
    with pm.Model():
        tau = pm.HalfNormal("tau", 0.3)
        last = pm.Normal("last", LEVEL_MEAN, LEVEL_SD)
        levels = [last, last + tau * pm.Normal("step0", 0.0, 1.0)]
        while len(levels) <= bucket.max():
            levels.append(2.0 * levels[-1] - levels[-2] + tau * pm.Normal(f"step{len(levels)}", 0.0, 1.0))
        level = pm.math.stack(levels[::-1])
        stratum = pm.Normal("stratum", 0.0, STRATUM_SD, shape=2)
        effect = pm.Normal("effect", 0.0, PRIOR_SD, shape=2)
        arms = pm.math.concatenate([[0.0], effect])
        pm.Bernoulli(
            "value", logit_p=level[bucket] + stratum[data.stratum] + arms[data.arm], observed=data.value.astype(int)
        )
        trace = pm.sample(4000, tune=2000, chains=4, cores=2, random_seed=1, target_accept=0.95, progressbar=False)
    draws = trace.posterior["effect"].to_numpy()
    import arviz

    for arm in (1, 2):
        for place, (_, bound) in enumerate(BOUNDS["binary"]):
            above = draws[:, :, arm - 1] > math.log(bound)
            error = math.sqrt(above.mean() * (1.0 - above.mean()) / float(arviz.ess(above.astype(float))))
            assert abs(said.tails[place, arm] - above.mean()) < 5.0 * error + 0.002


def test_vague_priors_give_the_conjugate_posteriors_back():
    """With next to no prior, one level and many patients: the hazard ratio of gamma, the odds of beta distributions."""
    data = Data(np.random.default_rng(9), "time_to_event", arms=2, strata=1, patients=300)
    spec = {"kind": "regression", "level": {"sd": 100.0}, "prior": {"sd": 100.0}}
    frame = ArmFrame(
        ["c", "a"], True, False, [("hazard_ratio", 0.9)], np.full(2, math.nan), 300, 0.0, endpoint="time_to_event"
    )
    model, memory = ArmRegression.model_validate(spec).model(frame)
    said = ask(model, data.desk(memory), 1)
    d = [data.value[data.arm == arm].sum() for arm in (0, 1)]
    m = [data.follow[data.arm == arm].sum() for arm in (0, 1)]
    share = 0.9 * m[1] / (0.9 * m[1] + m[0])  # (hazard ratio < r) is one of a beta distribution
    assert said.tails[0, 1] == pytest.approx(beta.cdf(share, d[1], d[0]), abs=2e-4)


def test_nobody_known_gives_the_prior():
    """Before the first outcome."""
    data = Data(np.random.default_rng(1), "binary", patients=10)
    data.known[:] = False
    said = said_of(data, time={"each": "period"}, strata=True)
    np.testing.assert_allclose(said.tails[1, 1:], norm.sf(math.log(1.8) / PRIOR_SD), atol=1e-9)
    np.testing.assert_allclose(said.estimate[1:], 0.0, atol=1e-12)


def test_arms_without_anybody_change_nothing():
    """An arm without patients has its prior; the others' answers are as without it."""
    data = Data(np.random.default_rng(2), "time_to_event", arms=3)
    before = said_of(data, time={"months": 5.0})
    data.arms = 4
    after = said_of(data, time={"months": 5.0})
    np.testing.assert_allclose(after.tails[:, 1:3], before.tails[:, 1:3], atol=1e-9)
    assert after.tails[1, 3] == pytest.approx(norm.cdf(math.log(0.8) / PRIOR_SD), abs=1e-9)

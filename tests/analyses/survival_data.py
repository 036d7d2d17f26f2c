"""Desks of followed patients for the tests of time-to-event analyses, and questions asked as the trial asks them."""

import numpy as np

from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.random import Stream
from lmd_trialsim.kernel.seams import answer, estimate


@door
def _answer(question, desk):
    return answer(question, Stream(1, 0), desk, 0)


@door
def _estimate(estimator, desk):
    return estimate(estimator, desk)


def asked(question, desk):
    """Return the compiled answer."""
    return _answer(canonical(question), desk)


def estimated(estimator, desk):
    """Return the compiled estimate and limits."""
    return _estimate(canonical(estimator), desk)


def desk_of(arm, follow, status, stratum=0, *, arms=2, strata=1):
    """Return a desk on which so many months of follow-up and events of these patients were seen."""
    desk = new_desk(len(arm), arms, strata, 1)
    people = desk.patients[: len(arm)]
    people.arm, people.follow, people.status, people.stratum = arm, follow, status, stratum
    desk.patients.follow[len(arm) :] = 1e3  # nobody is enrolled there: it must not be read
    desk.state.enrolled = len(arm)
    desk.state.events = np.sum(status)
    np.add.at(desk.cells.events, (people.arm, people.stratum), people.status)
    np.add.at(desk.cells.months, (people.arm, people.stratum), people.follow)
    return desk


def random_desk(seed, patients=120, *, arms=2, strata=1, ties=False, censored=True):
    """Return the desk of a random trial in which treatment is better and strata differ."""
    rng = np.random.default_rng(seed)
    arm, stratum = rng.integers(0, arms, patients), rng.integers(0, strata, patients)
    event = rng.weibull(1.3, patients) * 9.0 * np.where(arm == 1, 1.4, 1.0) / (1.0 + stratum)
    censor = rng.uniform(4.0, 30.0, patients) if censored else np.full(patients, np.inf)
    follow = np.minimum(event, censor)
    follow = np.ceil(follow) if ties else follow
    return desk_of(arm, follow, (event <= censor).astype(int), stratum, arms=arms, strata=strata)


def people(desk, arm=None):
    """Return the enrolled patients, of one arm if asked for."""
    enrolled = desk.patients[: desk.state.enrolled[0]]
    return enrolled if arm is None else enrolled[enrolled.arm == arm]

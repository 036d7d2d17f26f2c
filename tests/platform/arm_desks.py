"""Desks of arms for the tests of what is made of them, and the questions a trial asks, all at once."""

from typing import NamedTuple

import numpy as np

from lmd_trialsim.analyses.arm_mixtures import OwnControls
from lmd_trialsim.designs.arm_frame import ArmFrame
from lmd_trialsim.kernel.desk import OPEN, WAITING, new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.randomising import takes_part
from lmd_trialsim.kernel.seams import (
    all_alike,
    better_than_control,
    estimate_of_arm,
    moments_of_arm,
    rank_arms,
    statistic_of_arm,
    tail_of_arm,
    weigh_arms,
)

OWN_CONTROLS = OwnControls(0)


class Said(NamedTuple):
    """What an analysis says. Arrays are (arms,), tails (bounds, arms)."""

    best: np.ndarray
    better: np.ndarray
    tails: np.ndarray
    estimate: np.ndarray
    beyond: np.ndarray  # P(effect > the true one)
    statistic: np.ndarray
    alike: float
    error: np.ndarray  # the standard error of a test
    freedom: np.ndarray
    variance: np.ndarray  # of the effect


@door
def _ask(analysis, desk, first, numbers, tails):
    """Write the answers of arms that take part, numbers (8, arms) and tails (bounds, arms); return P(all alike)."""
    weigh_arms(analysis, desk)
    for arm in range(first, desk.arms.shape[0]):
        if desk.arms[arm].status == OPEN:
            for bound in range(tails.shape[0]):
                tails[bound, arm] = tail_of_arm(analysis, desk, arm, bound)
            numbers[2, arm], numbers[3, arm] = estimate_of_arm(analysis, desk, arm)
            numbers[4, arm] = statistic_of_arm(analysis, desk, arm)
            numbers[5, arm] = desk.arms[arm].error
            numbers[6, arm] = desk.arms[arm].freedom
            numbers[7, arm] = moments_of_arm(analysis, desk, arm)[1]
    for arm in range(desk.arms.shape[0]):
        compared = desk.state[0].control >= 0 and arm != desk.state[0].control
        numbers[1, arm] = better_than_control(analysis, desk, arm) if compared and takes_part(desk, arm) else 0.0
    rank_arms(analysis, desk)
    for arm in range(desk.arms.shape[0]):
        numbers[0, arm] = desk.arms[arm].best
    return all_alike(analysis, desk)


def frame(arms, *, bounds=(), effects=None, most=40, control=True, lower=False, within=0.0, borrows=OWN_CONTROLS):
    """Return the frame of so many arms, the control among them; bounds: [(quantity, number), ...]."""
    effects = np.full(arms, np.nan) if effects is None else np.array(effects, float)
    return ArmFrame([f"arm{i}" for i in range(arms)], control, lower, list(bounds), effects, most, within, borrows)


def desk_for(memory, arms, *, patients=1, control=True, waiting=()):
    """Return a desk on which all arms are open but those that wait, with what the model needs and no more."""
    desk = new_desk(patients, arms, 1, 1, memory.scratch + 1, (memory.entries, memory.size))
    desk.scratch[:] = np.nan  # nothing is left over from before
    desk.scratch[-1] = 7.0
    desk.arms.status = OPEN
    desk.arms.status[list(waiting)] = WAITING
    desk.arms.effect = desk.arms.error = np.nan
    desk.state.control = 0 if control else -1
    return desk


def controls_are(desk, **sample):
    """Compare each arm with these control patients; all of the control where nothing is said."""
    names = ("patients", "responses", "events", "months", "total", "squares")
    for name in names:
        desk.arms[f"control_{name}"] = sample.get(name, desk.arms[name][0])


def ask(model, desk, bounds=0):
    """Return what the model says of the arms on the desk."""
    arms = len(desk.arms)
    numbers, tails = np.full((8, arms), np.nan), np.full((bounds, arms), np.nan)
    first = int(desk.state.control[0] >= 0)
    alike = _ask(canonical(model), desk, first, numbers, tails)
    assert desk.scratch[-1] == 7.0, "the model works beyond the scratch that it asks for"
    return Said(numbers[0], numbers[1], tails, *numbers[2:5], alike, *numbers[5:8])

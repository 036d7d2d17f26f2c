"""Strata: which kind of patient arrives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.seams import draw_strata


class OneStratum(NamedTuple):
    """All patients are alike."""

    strata: int


class Strata(NamedTuple):
    """Shares of the strata."""

    upto: np.ndarray  # (strata,) cumulative shares, the last one 1


@draw_strata.case
def draw_one_stratum(strata: OneStratum, stream, desk, start, stop):
    """Nothing is drawn: every entry of a fresh desk is stratum 0."""


@draw_strata.case
def draw_strata_by_share(strata: Strata, stream, desk, start, stop):
    """One uniform a patient."""
    random.fill_chances(stream, random.STRATUM, start, stop, desk.patients)
    last = strata.upto.shape[0] - 1
    for patient in range(start, stop):
        stratum = 0
        while stratum < last and desk.patients[patient].chance >= strata.upto[stratum]:
            stratum += 1
        desk.patients[patient].stratum = stratum

"""The plan of a trial: numbers only, nested by what each part is."""

from __future__ import annotations

from typing import Any, NamedTuple

from lmd_trialsim.kernel.enrolment import Enrolment
from lmd_trialsim.kernel.rules import Rules


class Limits(NamedTuple):
    """What bounds the trial."""

    looks: int
    max_patients: int
    max_months: float  # the trial closes as it stands; inf where it does not
    months_to_decide: float  # enrolment goes on while a look is analysed


class TrialPlan(NamedTuple):
    """One design under one truth, as the loop reads it. The parts' types choose the compiled code."""

    enrolment: Enrolment
    schedule: Any
    questions: Any
    rules: Rules
    estimator: Any
    limits: Limits

"""What is known at a look, and of which design: all that an analysis may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmd_trialsim.designs.generic import General
from lmd_trialsim.patients.endpoints import Endpoint


@dataclass(frozen=True)
class Seen:
    """One enrolled patient as known at a look."""

    arm: int
    """0 is the control, 1 the treatment; a single arm is 0."""
    stratum: int
    outcome: int | None
    """Binary endpoints: 1 or 0 of an evaluable patient who has been assessed, else None."""
    pending: bool
    """Binary endpoints: enrolled, and the assessment is still to come."""
    months: float
    """Event times: months followed from entry."""
    event: bool
    """Event times: whether the event has been seen."""
    arrival: float
    """Calendar month of enrolment."""
    censor: float
    """Event times: months from entry at which the follow-up of this patient ends (drop-out, followed_for_months)."""


@dataclass(frozen=True)
class Context:
    """A design with the names resolved that it uses."""

    arms: tuple[str, ...]
    """Control first."""
    better: Literal["higher", "lower"]
    strata: int
    design: General
    endpoint: Endpoint
    max_patients: int
    """No more patients than this, by the design or because no more exist."""

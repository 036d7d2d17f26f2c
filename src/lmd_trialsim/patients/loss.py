"""Loss before the assessment: whoever dies or drops out first has no outcome, and something stands for it."""

from __future__ import annotations

from lmd_trialsim.kernel import random
from lmd_trialsim.kernel.desk import FAILURE, MISSING, NOT_EVALUABLE, RESPONSE
from lmd_trialsim.kernel.jit import kernel
from lmd_trialsim.patients.hazard import months_to_event

LOSS = {"failure": FAILURE, "missing": MISSING, "not_evaluable": NOT_EVALUABLE}
"""The words of the YAML for what a death or a drop-out before the assessment stands for."""


@kernel
def lost_before_assessment(endpoint, stream, patient, arm, stratum):
    """Return the outcome that stands for what comes first, death or drop-out; RESPONSE, which none is, if neither does.

    endpoint: with delay, death, drop_out, if_dead and if_dropped_out.
    """
    died = months_to_event(endpoint.death, arm, stratum, random.uniform(stream, patient, random.DEATH, 0))
    left = months_to_event(endpoint.drop_out, arm, stratum, random.uniform(stream, patient, random.DROPOUT, 0))
    if died <= endpoint.delay and died <= left:
        return endpoint.if_dead
    return endpoint.if_dropped_out if left <= endpoint.delay else RESPONSE

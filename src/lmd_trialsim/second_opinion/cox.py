"""The Cox model of one treatment with a normal prior of the log hazard ratio, in PyMC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.second_opinion.sampling import Draws, Twin, Weighted

Array = NDArray[np.float64]


def cox(mean: float, sd: float, most: int) -> Twin:
    """Return the partial likelihood (Cox 1972; Breslow's where times are tied) of at most `most` patients.

    Data: treated (most,) 1 for the treatment; had_event (most,); at_risk (most, most), whether the one of the column
    was at risk when the one of the row had the event. Rows beyond the last patient are 0.
    """

    def build() -> Any:
        import pymc as pm

        with pm.Model() as model:
            treated, had_event = pm.Data("treated", np.zeros(most)), pm.Data("had_event", np.zeros(most))
            at_risk = pm.Data("at_risk", np.zeros((most, most)))
            log_ratio = pm.Normal("log_hazard_ratio", mean, sd)
            of_risk_set = (at_risk * pm.math.exp(log_ratio * treated)).sum(axis=1)
            # Rows without an event add the log of 1.
            pm.Potential(
                "partial", (had_event * (log_ratio * treated - pm.math.log(of_risk_set + 1.0 - had_event))).sum()
            )
        return model

    return Twin("cox", build, _of_cox)


def _of_cox(draws: Draws, quantity: str, arm: int, month: float) -> Weighted:
    del arm, month
    log_ratio = draws["log_hazard_ratio"]
    return Weighted.of(log_ratio if quantity == "log_hazard_ratio" else np.exp(log_ratio))


def partial_likelihood_data(
    arm: NDArray[np.int64], stratum: NDArray[np.int64], follow: Array, status: NDArray[np.int64], most: int
) -> dict[str, Array]:
    """Return the data of the twin. All (patients,): arm 1 is the treatment; follow, months; status 1 after an event.

    Of an analysis that is not stratified all strata are the same.
    """
    n = len(arm)
    treated, had_event, at_risk = np.zeros(most), np.zeros(most), np.zeros((most, most))
    treated[:n], had_event[:n] = arm, status
    same = stratum[:, None] == stratum[None, :]
    at_risk[:n, :n] = (follow[None, :] >= follow[:, None]) & same & (status[:, None] == 1)
    return {"treated": treated, "had_event": had_event, "at_risk": at_risk}

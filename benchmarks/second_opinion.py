"""How fast posteriors are checked: PyMC fits a minute, their diagnostics included, and ten thousand ranks.

Fits need the extra `check`; without it only ranks are measured. A fit is that of `lmd-trialsim check`: four chains of
1,000 draws after 500, compiled once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.measuring import THREADS, Figure
from lmd_trialsim.catalogue import find
from lmd_trialsim.posterior_checks.calibrating import calibrated
from lmd_trialsim.posterior_checks.checking import checked, subject_of
from lmd_trialsim.scenario import Scenario
from lmd_trialsim.second_opinion.sampling import NotInstalledError, Sampler, versions

FITS = 60
DESIGNS = [
    ("liposomal_cytarabine_response", "bayesian_blocks"),
    ("proton_csi", "bayesian"),
    ("her3_dxd_baskets", "hierarchical"),
]
RANKS = 10_000


def fits() -> Iterator[Figure]:
    """Yield the fits a minute of each design, neither compiling nor playing trials counted."""
    for name, design in DESIGNS:
        scenario = Scenario.load(find(name))
        subject, _ = subject_of(scenario, design, list(scenario.truths), FITS, 1)
        assert subject is not None
        samplers = {twin.name: Sampler(twin, THREADS) for twin in subject.twins}
        start = time.perf_counter()
        checked(subject, 1, lambda twin, samplers=samplers: samplers[twin.name])
        minutes = (time.perf_counter() - start) / 60.0
        yield Figure(f"checked_by_pymc_{name}", "fits/min", len(subject.cases) / minutes, 150.0, None)


def ranks() -> Iterator[Figure]:
    """Yield the seconds that so many ranks of every number of a design take, its kernels compiled before."""
    for name, design in DESIGNS:
        scenario = Scenario.load(find(name))
        truth = next(iter(scenario.truths))
        calibrated(scenario, [design], truth, ranks=1_000, seed=2)
        start = time.perf_counter()
        calibrated(scenario, [design], truth, ranks=RANKS, seed=1)
        yield Figure(f"calibration_of_{name}", "seconds", time.perf_counter() - start, 10.0, None)


def measure() -> list[Figure]:
    """Return fits a minute and seconds of calibration."""
    found = list(ranks())
    try:
        versions()
    except NotInstalledError:
        return found
    return [*found, *fits()]

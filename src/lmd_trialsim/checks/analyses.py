"""What must hold between an analysis, its design and the endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim.checks.arms import arms_of
from lmd_trialsim.checks.naming import Place, unknown
from lmd_trialsim.designs.analyses import OF_BINARY, OF_TIMES
from lmd_trialsim.designs.generic import General, TwoArm
from lmd_trialsim.reading import At

if TYPE_CHECKING:
    from lmd_trialsim.scenario import Scenario

ONLY_TWO = ("difference_of_proportions", "fisher_exact", "log_rank", "cox", "restricted_mean")
ONLY_ONE = ("exact_binomial",)


def kinds(scenario: Scenario, design: General, names: Iterable[str]) -> str:
    """Return those of the analyses that go with the endpoint, to be offered instead."""
    fitting = OF_TIMES if scenario.endpoints[design.endpoint].kind == "time_to_event" else OF_BINARY
    found = [name for name in names if name in fitting]
    return f"an analysis of kind {', '.join(found)}" if found else "no analysis of this design and endpoint has one"


def complaints_of_analysis(scenario: Scenario, at: Place, design: General, analysis: Any) -> Iterator[At]:
    """Yield what is wrong with an analysis."""
    kind = scenario.endpoints[design.endpoint].kind
    known = OF_TIMES if kind == "time_to_event" else OF_BINARY
    two = isinstance(design, TwoArm)
    wrong = ONLY_ONE if two else ONLY_TWO
    allowed = ", ".join(name for name in known if name not in wrong)
    if analysis.kind not in known:
        what = f"does not go with a {kind} endpoint"
        yield At((*at, "kind"), what, got=analysis.kind, allowed=allowed)
    elif analysis.kind in wrong:
        what = "is for a single arm" if two else "compares two arms, and this design has one"
        yield At((*at, "kind"), what, got=analysis.kind, allowed=allowed)
    if analysis.kind == "milestone_survival":
        if two and analysis.null_survival is not None:
            yield At((*at, "null_survival"), "is for a single arm. Use margin.", key=True)
        if not two and analysis.null_survival is None:
            yield At((*at, "kind"), "needs null_survival in a single arm. Add it.")
    if getattr(analysis, "stratified", False) and not scenario.population.strata:
        yield At((*at, "stratified"), "the population has no strata. Say population: strata:, or remove it.", key=True)
    yield from complaints_of_priors(at, analysis, arms_of(scenario, design))


def complaints_of_priors(at: Place, analysis: Any, arms: list[str]) -> Iterator[At]:
    """Yield the arms that have a prior and do not exist, and those that lack one."""
    priors = getattr(analysis, "priors", {})
    for arm in priors:
        if arms and arm not in arms:
            yield unknown((*at, "priors", arm), arm, arms, "arm of this design", key=True)
    for arm in arms:
        if priors and analysis.prior is None and arm not in priors:
            yield At((*at, "priors"), f"leaves out the arm {arm}. Add it, or prior: for the rest.", key=True)

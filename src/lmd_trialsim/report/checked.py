"""Fast posteriors beside sampled ones, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lmd_trialsim import __version__
from lmd_trialsim.posterior_checks.checking import Check, Checked
from lmd_trialsim.report import page
from lmd_trialsim.report.digits import MOST, decimals, number
from lmd_trialsim.second_opinion.comparing import SIGMAS, Summary
from lmd_trialsim.second_opinion.sampling import CHAINS, DRAWS, FEWEST_EFFECTIVE, HIGHEST_R_HAT, MOST_DIVERGENCES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmd_trialsim.scenario import Scenario

COLUMNS = (
    "design", "number", "data", "fast", "sampled", "error", "z", "verdict", "why_not_trusted", "approximate",
    "seed", "digest", "version", "pymc", "nutpie",
)  # fmt: skip
MOST_TOLD = 5
"""Fits that are not trusted, and flips, are listed one by one up to so many."""


def parts(scenario: Scenario, found: Check, seed: int, versions: Mapping[str, str]) -> Iterator[RenderableType]:
    """Yield what is printed."""
    yield page.heading(scenario.title)
    programs = ", ".join(f"{name} {version}" for name, version in {"version": __version__, **versions}.items())
    yield page.prose(f"scenario {scenario.digest()}, seed {seed}, {programs}, {CHAINS} chains of {DRAWS:,} draws")
    for one in found.designs:
        yield from _design(one)
    if found.without:
        yield page.heading("\nWithout a second opinion")
        for one_without in found.without:
            yield page.inset(f"{one_without.design}: {one_without.why}")
    yield page.prose(
        f"\nFast less sampled, ± the standard error of the sampled number, z in such errors; what is further off than "
        f"{SIGMAS:g} of these, on one data set or on average, differs. A fit is trusted with R-hat up to "
        f"{HIGHEST_R_HAT:g}, bulk and tail effective sample sizes from {FEWEST_EFFECTIVE:g}, and "
        f"{MOST_DIVERGENCES or 'no'} divergences."
    )


def _design(one: Checked) -> Iterator[RenderableType]:
    hard = sum(fit.hard for fit in one.fits)
    failed = [fit for fit in one.fits if fit.why_not]
    yield page.heading(f"\n{one.design}: {', '.join(one.models)}")
    yield page.prose(
        f"{page.count(len(one.fits) - hard, 'data set')} at looks, {hard} hard ones; "
        f"{len(one.fits) - len(failed)} of {page.count(len(one.fits), 'fit')} trusted"
    )
    yield page.grid(
        ["", "\ncompared", "largest\ndifference", "largest\nz", "z of\nmean", "\nverdict"],
        [_row(summary) for summary in one.summaries],
    )
    for fit in failed[:MOST_TOLD]:
        yield page.inset(f"{fit.data}: not trusted: {fit.why_not}")
    if len(failed) > MOST_TOLD:
        yield page.inset(f"and {len(failed) - MOST_TOLD} more that are not trusted")
    for why in dict.fromkeys(f"{s.number}: {s.approximate}" for s in one.summaries if s.approximate):
        yield page.inset(why)
    if one.decisions:
        yield page.prose(_flips(one))
        for flip in [flip for flip in one.flips if flip.beyond_error][:MOST_TOLD]:
            yield page.inset(f"{flip.data}: {_rule(flip.fast)}, and by the sampled numbers {_rule(flip.sampled)}")


def _row(one: Summary) -> list[str]:
    if one.worst is None:
        return [one.number, "0", "", "", "", one.verdict]
    return [
        one.number,
        str(one.compared),
        _with_error(one.worst.difference, one.worst.error),
        f"{one.largest_z:.1f}",
        f"{one.mean_z:.1f}",
        one.verdict,
    ]


def _with_error(value: float, error: float) -> str:
    if math.isnan(value) or math.isnan(error):
        return "n/a"
    places = decimals(error, MOST)
    return f"{number(value, places)} ± {number(error, places)}"


def _flips(one: Checked) -> str:
    surely = sum(flip.beyond_error for flip in one.flips)
    said = f"{len(one.flips)} of {page.count(one.decisions, 'decision')} would have been otherwise"
    if not one.flips:
        return said
    return f"{said}, {surely} of them beyond the error of the sampled numbers"


def _rule(number_of_rule: int | None) -> str:
    return "no rule speaks" if number_of_rule is None else f"rule {number_of_rule} speaks"


def to_json(scenario: Scenario, found: Check, seed: int, versions: Mapping[str, str]) -> str:
    """Return the same as JSON, with every number of every data set; what does not exist is null."""
    document = {
        "scenario": scenario.title,
        "digest": scenario.digest(),
        "version": __version__,
        **versions,
        "seed": seed,
        "agrees": found.agrees,
        "designs": [_told(one) for one in found.designs],
        "without": [one._asdict() for one in found.without],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _told(one: Checked) -> dict[str, Any]:
    return {
        "design": one.design,
        "models": list(one.models),
        "agrees": one.agrees,
        "fits": [fit._asdict() for fit in one.fits],
        "numbers": [
            {
                "number": s.number,
                "compared": s.compared,
                "not_trusted": s.not_trusted,
                "largest_difference": _exists(s.worst.difference) if s.worst else None,
                "its_error": _exists(s.worst.error) if s.worst else None,
                "of": s.worst.data if s.worst else None,
                "largest_z": _exists(s.largest_z),
                "mean_difference": _exists(s.mean),
                "its_standard_error": _exists(s.mean_error),
                "verdict": s.verdict,
                "approximate": s.approximate,
            }
            for s in one.summaries
        ],
        "compared": [
            {
                "number": c.number,
                "data": c.data,
                "fast": _exists(c.fast),
                "sampled": _exists(c.sampled),
                "error": _exists(c.error),
                "verdict": c.verdict,
            }
            for c in one.compared
        ],
        "decisions": one.decisions,
        "flips": [flip._asdict() for flip in one.flips],
    }


def _exists(value: float) -> float | None:
    return value if math.isfinite(value) else None


def to_csv(scenario: Scenario, found: Check, seed: int, versions: Mapping[str, str]) -> str:
    """Return one line a number and data set, each with its origin."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    origin = {"seed": seed, "digest": scenario.digest(), "version": __version__, **versions}
    for design in found.designs:
        for one in design.compared:
            row = {
                "design": design.design, "number": one.number, "data": one.data, "fast": one.fast,
                "sampled": one.sampled, "error": one.error, "z": one.z, "verdict": one.verdict,
                "why_not_trusted": one.why_not, "approximate": one.approximate,
            }  # fmt: skip
            writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in (row | origin).items()})
    return stream.getvalue()

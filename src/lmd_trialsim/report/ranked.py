"""Simulation-based calibration for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmd_trialsim import __version__
from lmd_trialsim.posterior_checks.calibrating import Calibrated, Ranked
from lmd_trialsim.report import page
from lmd_trialsim.second_opinion.uniformity import BINS, LEVEL, POINTS

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmd_trialsim.scenario import Scenario

COLUMNS = (
    "design", "number", "chi_square_p", "kolmogorov_p", "bands_p", "mean_rank", "verdict", "ranks", "seed", "digest",
    "version",
)  # fmt: skip


def parts(scenario: Scenario, found: Calibrated, seed: int, ranks: int) -> Iterator[RenderableType]:
    """Yield what is printed."""
    yield page.heading(scenario.title)
    yield page.prose(
        f"scenario {scenario.digest()}, seed {seed}, version {__version__}, {ranks:,} ranks of each number"
    )
    for design in dict.fromkeys(one.design for one in found.numbers):
        yield page.heading(f"\n{design}")
        yield page.grid(
            ["p-value of", "chi-square", "Kolmogorov", "bands", "verdict"],
            [
                [one.number, *(_shown(p) for p in one.uniformity), _verdict(found, one)]
                for one in found.numbers
                if one.design == design
            ],
        )
    if found.without:
        yield page.heading("\nWithout calibration")
        for one_without in found.without:
            yield page.inset(f"{one_without.design}: {one_without.why}")
    yield page.prose(
        "\nParameters are drawn from the design's prior and data from its model; the posterior probability of lying "
        f"below the parameter is uniform if the posterior is right. Chi-square over {BINS} bins; the chance to leave "
        f"the simultaneous band of the distribution function at any of {POINTS - 1} points. Fails below "
        f"{found.level:.2g}, which a scenario without any fault meets once in {1 / LEVEL:,.0f} seeds."
    )


def _shown(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _verdict(found: Calibrated, one: Ranked) -> str:
    return "calibrated" if one.uniformity.least >= found.level else "not calibrated"


def _rows(found: Calibrated) -> list[dict[str, str | float]]:
    return [
        {
            "design": one.design,
            "number": one.number,
            "chi_square_p": one.uniformity.chi_square,
            "kolmogorov_p": one.uniformity.kolmogorov,
            "bands_p": one.uniformity.bands,
            "mean_rank": float(one.ranks.mean()),
            "verdict": _verdict(found, one),
        }
        for one in found.numbers
    ]


def to_json(scenario: Scenario, found: Calibrated, seed: int, ranks: int) -> str:
    """Return the same as JSON."""
    document = {
        "scenario": scenario.title,
        "digest": scenario.digest(),
        "version": __version__,
        "seed": seed,
        "ranks": ranks,
        "fails_below": found.level,
        "agrees": found.agrees,
        "numbers": _rows(found),
        "without": [one._asdict() for one in found.without],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(scenario: Scenario, found: Calibrated, seed: int, ranks: int) -> str:
    """Return one line a number, each with its origin."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    origin = {"ranks": ranks, "seed": seed, "digest": scenario.digest(), "version": __version__}
    writer.writerows(row | origin for row in _rows(found))
    return stream.getvalue()

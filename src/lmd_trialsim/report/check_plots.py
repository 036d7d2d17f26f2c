"""Figures of a check, as SVG: fast numbers against sampled ones, and ranks against the uniform distribution."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmd_trialsim.posterior_checks.calibrating import Calibrated, Ranked
from lmd_trialsim.posterior_checks.checking import Check
from lmd_trialsim.second_opinion.comparing import AGREES, APPROXIMATION, DIFFERS, NOT_TRUSTED, Compared
from lmd_trialsim.second_opinion.uniformity import points, simultaneous_band

COLUMNS = 3
LEVEL_OF_BANDS = 0.05
COLOURS = {AGREES: "#1f77b4", DIFFERS: "#d62728", NOT_TRUSTED: "#7f7f7f", APPROXIMATION: "#9467bd"}


def of_check(found: Check) -> bytes:
    """Return one panel a number of each design: fast against sampled, with two standard errors of the sampled one."""
    panels = [
        (f"{one.design}\n{summary.number}", [c for c in one.compared if c.number == summary.number])
        for one in found.designs
        for summary in one.summaries
    ]
    return _figure([(title, functools.partial(_against, these)) for title, these in panels])


def _against(these: Sequence[Compared], axes: Any) -> None:
    told = [one for one in these if math.isfinite(one.fast) and math.isfinite(one.sampled)]
    for verdict, colour in COLOURS.items():
        some = [one for one in told if one.verdict == verdict]
        if some:
            sampled, fast, error = np.array([(one.sampled, one.fast, one.error) for one in some]).T
            axes.errorbar(sampled, fast, xerr=2.0 * error, fmt="o", ms=3, lw=1, color=colour, label=verdict)
    ends = [value for one in told for value in (one.fast, one.sampled)]
    if ends:
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], lw=0.8, color="black")
        axes.legend(fontsize=6)
    axes.set_xlabel("PyMC, ± 2 standard errors", fontsize=7)
    axes.set_ylabel("fast", fontsize=7)


def of_calibration(found: Calibrated) -> bytes:
    """Return one panel a number: the ranks' distribution function less the uniform one, and its simultaneous band."""
    bands = {len(one.ranks): simultaneous_band(len(one.ranks), LEVEL_OF_BANDS) for one in found.numbers}
    return _figure(
        [
            (f"{one.design}\n{one.number}", functools.partial(_off_uniform, one, bands[len(one.ranks)]))
            for one in found.numbers
        ]
    )


def _off_uniform(one: Ranked, band: tuple[Any, Any], axes: Any) -> None:
    at, n = points(), len(one.ranks)
    low, high = band
    axes.fill_between(at, low / n - at, high / n - at, color="#cccccc", label="95 % simultaneous band")
    below = np.searchsorted(np.sort(one.ranks), at, side="right")
    axes.plot(at, below / n - at, lw=1, color=COLOURS[AGREES])
    axes.axhline(0.0, lw=0.8, color="black")
    axes.set_xlabel("rank", fontsize=7)
    axes.set_ylabel("share of ranks below, less rank", fontsize=7)
    axes.legend(fontsize=6)


def _figure(panels: Sequence[tuple[str, Callable[[Any], None]]]) -> bytes:
    """Return the panels as an SVG whose bytes depend on nothing else."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = math.ceil(len(panels) / COLUMNS)
    with mpl.rc_context({"svg.hashsalt": "lmd-trialsim", "font.size": 7}):
        figure = Figure(figsize=(3.2 * COLUMNS, 2.6 * rows), layout="constrained")
        for place, (title, draw) in enumerate(panels, 1):
            axes = figure.add_subplot(rows, COLUMNS, place)
            axes.set_title(title, fontsize=7)
            draw(axes)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()

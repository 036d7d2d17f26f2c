"""A calibration for people, and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmd_trialsim import __version__
from lmd_trialsim.calibration import Calibration
from lmd_trialsim.designs.cut_off import is_of_p_value
from lmd_trialsim.report import page
from lmd_trialsim.report.digits import with_error

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmd_trialsim.characteristics import Characteristic
    from lmd_trialsim.scenario import Scenario


def parts(scenario: Scenario, found: Calibration) -> Iterator[RenderableType]:
    """Yield what is printed."""
    yield page.heading(scenario.title)
    yield page.prose(f"scenario {scenario.digest()}, {_how(found)}, version {__version__}")
    yield page.heading(f"\n{found.design}: cut-off {_cut_off(found, found.cut_off)}")
    rules = ("rule " if len(found.rules) == 1 else "rules ") + ", ".join(str(rule + 1) for rule in found.rules)
    yield page.prose(
        f"The number of {rules}, where the design has {found.before:g}; the smallest that keeps {found.error} at "
        f"{found.at_most:g}."
    )
    if any(is_of_p_value(condition) for rule in found.rules for condition in _conditions(scenario, found, rule)):
        level = 1.0 - found.cut_off
        yield page.prose(f"It is 1 less the level of a p-value: that is {_cut_off(found, level)}.")
    columns = [(f"at {_cut_off(found, found.cut_off)}", [one.error for one in found.under])]
    if found.cut_off > 1.5 * found.step:
        columns.insert(0, (f"at {_cut_off(found, found.cut_off - found.step)}", [one.below for one in found.under]))
    if found.fresh_seed is not None:
        columns.append(("fresh trials", [one.fresh for one in found.under]))
    yield page.grid(
        ["\nerror under", *(f"\n{head}" for head, _ in columns)],
        [
            [one.truth, *(_shown(errors[place]) for _, errors in columns)]
            for place, one in enumerate(found.under)
            if one.error is not None
        ],
    )
    yield page.grid(["\nsuccess under", ""], [[one.truth, _shown(one.success)] for one in found.under])
    if found.may_rise:
        yield page.prose(
            "\nBaskets or arms may succeed at an interim look, so that the error need not fall steadily as the cut-off "
            "rises: a smaller one may keep it too, and a larger one need not."
        )
    if found.fresh_seed is not None:
        yield page.prose(
            f"\nThe upper 95% limit of each error is {found.at_most:g} or less. Fresh trials (seed {found.fresh_seed}) "
            + ("confirm it." if found.confirmed else "do not confirm it: take more replicates.")
        )


def _conditions(scenario: Scenario, found: Calibration, rule: int) -> list[Any]:
    design: Any = scenario.designs[found.design]
    return list(design.rules[rule].conditions)


def _how(found: Calibration) -> str:
    if found.method == "exact":
        return "exact"
    return f"seed {found.seed}, {found.replicates:,} replicates of each cut-off"


def _cut_off(found: Calibration, value: float) -> str:
    return f"{value:.{round(-math.log10(found.step))}f}"


def _shown(one: Characteristic | None) -> str:
    return "" if one is None else with_error(one)


def to_json(scenario: Scenario, found: Calibration) -> str:
    """Return the same as JSON; of each number its error and limits, of each basket's error the worst basket."""

    def told(one: Characteristic | None) -> dict[str, str | float | None] | None:
        return None if one is None else one.record()

    document = {
        "scenario": scenario.title,
        "digest": scenario.digest(),
        "version": __version__,
        "method": found.method,
        "replicates": found.replicates,
        "seed": found.seed,
        "fresh_seed": found.fresh_seed,
        "design": found.design,
        "rules": [rule + 1 for rule in found.rules],
        "error": found.error,
        "at_most": found.at_most,
        "cut_off_before": found.before,
        "cut_off": found.cut_off,
        "step": found.step,
        "confirmed": found.confirmed,
        "error_may_rise_with_the_cut_off": found.may_rise,
        "truths": [
            {
                "truth": one.truth,
                "error": told(one.error),
                "error_one_step_below": told(one.below),
                "error_of_fresh_trials": told(one.fresh),
                "success": told(one.success),
            }
            for one in found.under
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"

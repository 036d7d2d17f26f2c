"""Run a scenario: designs x truths, played and summed, with everything that says where the numbers come from."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmd_trialsim import __version__, characteristics
from lmd_trialsim.basket_trials import basket_characteristics, basket_job
from lmd_trialsim.characteristics import Characteristic, Facts
from lmd_trialsim.designs.asking import VERDICTS
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.effects import is_null, true_effect
from lmd_trialsim.engine import outcomes as column
from lmd_trialsim.engine.backends import Job, Room, run_jobs
from lmd_trialsim.engine.plan import TrialPlan
from lmd_trialsim.engine.tally import Tally
from lmd_trialsim.lowering import Setting
from lmd_trialsim.platform_trials import platform_characteristics, platform_job
from lmd_trialsim.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """One design under one truth."""

    design: str
    truth: str
    characteristics: tuple[Characteristic, ...]

    def get(self, name: str, cell: str | None = None) -> Characteristic | None:
        """Return the characteristic of this name and cell, if the design has it."""
        return next((c for c in self.characteristics if c.name == name and c.cell == cell), None)


@dataclass(frozen=True)
class Results:
    """Operating characteristics of designs x truths, and where they come from."""

    scenario: str
    digest: str
    seed: int | None
    replicates: int | None
    method: str
    rows: tuple[Row, ...]

    def row(self, design: str, truth: str) -> Row:
        """Return the row of a design and a truth; KeyError if there is none."""
        for row in self.rows:
            if (row.design, row.truth) == (design, truth):
                return row
        raise KeyError(f"no results of {design} under {truth}")

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON says; a number that does not exist is null."""

        return {
            "scenario": self.scenario,
            "digest": self.digest,
            "version": __version__,
            "seed": self.seed,
            "replicates": self.replicates,
            "method": self.method,
            "results": [
                {
                    "design": row.design,
                    "truth": row.truth,
                    "characteristics": [one.record() for one in row.characteristics],
                }
                for row in self.rows
            ],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row a characteristic; needs pandas, which you install yourself."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"design": row.design, "truth": row.truth, **c._asdict()}
                for row in self.rows
                for c in row.characteristics
            ]
        )


def facts_of(scenario: Scenario, design: str, truth: str) -> Facts:
    """Return what the characteristics need to know of a design under a truth."""
    setting = Setting.of(scenario, design)
    rules = setting.design.rules
    reached = {VERDICTS["stop_for", rule.stop_for] for rule in rules if rule.stop_for is not None}
    closes = {
        ("efficacy", "futility").index(rule.stop_accrual_for) for rule in rules if rule.stop_accrual_for is not None
    }
    return Facts(
        arms=tuple(setting.arms),
        null=is_null(scenario, design, truth),
        verdicts=tuple(sorted(reached)),
        non_binding=any(rule.binding is False for rule in rules),
        closes_accrual=tuple(sorted(closes)),
        may_close=setting.design.max_months is not None,
        has_events=scenario.endpoints[setting.design.endpoint].kind == "time_to_event",
        tried_later=tuple(VERDICTS["stop_for", word] for word in setting.design.tried_later),
    )


def job_of(scenario: Scenario, design: str, truth: str, replicates: int) -> Job:
    """Return the job of playing one design under one truth."""
    if isinstance(scenario.designs[design], Basket):
        return basket_job(scenario, design, truth, replicates)
    if isinstance(scenario.designs[design], Platform):
        return platform_job(scenario, design, truth, replicates)
    setting = Setting.of(scenario, design)
    plan = scenario.plan(design, truth)
    assert isinstance(plan, TrialPlan)
    questions = plan.rules.needed.shape[0]
    tally = functools.partial(
        Tally.of,
        looks=plan.limits.looks,
        most_patients=plan.limits.max_patients,
        effect=true_effect(scenario, design, truth),
    )
    return Job(
        plan,
        Room(plan.limits.max_patients, len(setting.arms), len(setting.strata), questions + 8),
        (column.ARMS + len(setting.arms), column.NUMBERS),
        (2 * plan.limits.looks + 2, column.LOOK_ANSWERS + questions),
        tally,
        replicates,
    )


def characteristics_of(scenario: Scenario, design: str, truth: str, tally: Any, plan: Any) -> list[Characteristic]:
    """Return the operating characteristics of one design under one truth: what was added up of playing its plan."""
    if isinstance(scenario.designs[design], Basket):
        return basket_characteristics(scenario, design, truth, tally, plan)
    if isinstance(scenario.designs[design], Platform):
        return platform_characteristics(scenario, design, truth, tally)
    return characteristics.of(tally, facts_of(scenario, design, truth))


def run(
    scenario: Scenario,
    *,
    replicates: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    designs: Sequence[str] | None = None,
    truths: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
    chunk: int | None = None,
) -> Results:
    """Play the scenario and return its operating characteristics.

    What is not said is as the scenario says; threads, as many as this process may use. Results depend on the
    scenario, the seed and the number of replicates only. KeyError for a design or truth that the scenario lacks.
    """
    replicates = scenario.run.replicates if replicates is None else replicates
    seed = scenario.run.seed if seed is None else seed
    pairs = [(d, t) for d in designs or scenario.designs for t in truths or scenario.truths]
    for design, truth in pairs:
        scenario.designs[design], scenario.truths[truth]
    jobs = [job_of(scenario, design, truth, replicates) for design, truth in pairs]
    tallies = run_jobs(jobs, seed, threads or available_threads(), progress, chunk)
    rows = tuple(
        Row(design, truth, tuple(characteristics_of(scenario, design, truth, tally, job.plan)))
        for (design, truth), job, tally in zip(pairs, jobs, tallies, strict=True)
    )
    return Results(scenario.title, scenario.digest(), seed, replicates, "monte_carlo", rows)


def available_threads() -> int:
    """Return how many threads this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

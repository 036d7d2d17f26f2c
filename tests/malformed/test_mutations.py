"""Whatever is done to a scenario, loading gives a scenario or mistakes, and planning numbers or one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmd_trialsim.reading import Document, ScenarioError
from lmd_trialsim.scenario import Scenario

from .mutations import mutated

FUZZ = settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
LINE = re.compile(r"^.+:\d+:\d+: .+")


def loaded(document: Document) -> Scenario | None:
    try:
        return Scenario.of(document)
    except ScenarioError as error:
        refused = error
    assert refused.mistakes
    assert all(LINE.match(line) for line in str(refused).split("\n"))
    return None


@FUZZ
@given(data=mutated())
def test_a_mutated_scenario_loads_or_is_refused(data: dict[str, Any]) -> None:
    loaded(Document(data, "trial.yaml"))


TABULATED = ("hierarchical", "exnex", "calibrated_hierarchical")
"""Analyses whose tables take a second or more."""


@FUZZ
@given(data=mutated(most=1), index=st.integers(0, 99))
def test_what_loads_can_be_planned(data: dict[str, Any], index: int) -> None:
    plan_one(data, index, tabulated=False)


@pytest.mark.slow
@settings(FUZZ, max_examples=60)
@given(data=mutated(most=1), index=st.integers(0, 99))
def test_what_loads_can_be_tabulated(data: dict[str, Any], index: int) -> None:
    plan_one(data, index, tabulated=True)


def plan_one(data: dict[str, Any], index: int, *, tabulated: bool) -> None:
    """Plan one of the designs under one of the truths; it is refused with one line, or has a plan."""
    scenario = loaded(Document(data, "trial.yaml"))
    if scenario is None:
        return
    pairs = [
        (name, truth)
        for name, design in scenario.designs.items()
        for truth in scenario.truths
        if (getattr(getattr(design, "analysis", None), "kind", None) in TABULATED) == tabulated
    ]
    if not pairs:
        return
    design, truth = pairs[index % len(pairs)]
    said = "a plan"
    try:
        scenario.plan(design, truth)
    except ValueError as error:
        said = str(error)
    assert said
    assert "\n" not in said


@settings(FUZZ, max_examples=40)
@given(data=mutated())
def test_the_command_line_ends_with_0_or_2(
    data: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lmd_trialsim.cli import commands

    path = tmp_path / "trial.yaml"
    path.write_text(json.dumps(data, indent=1))
    with pytest.raises(SystemExit) as caught:
        commands.main(["validate", str(path)])
    assert caught.value.code in (0, 2)
    assert "Traceback" not in capsys.readouterr().err

"""`exact`, and `run --exact`: what the command line makes of exact numbers, whoever computes them."""

import csv
import io
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from calling import BINARY, EVENTS, call, refusal

from lmd_trialsim import Results, Scenario, run
from lmd_trialsim.simulation import Row

DROP_OUT = "patients may drop out, so that the number of evaluable ones is not fixed."


def why_not(scenario: Scenario, design: str, truth: str) -> str | None:
    if design in ("randomised", "group_sequential", "bayesian"):
        return "two arms are too many to walk through"
    return DROP_OUT if truth == "lossy" and scenario.designs[design].kind == "simon_two_stage" else None


def exact(scenario: Scenario, designs: list[str], truths: list[str]) -> Results:
    assert all(why_not(scenario, design, truth) is None for design in designs for truth in truths)
    played = run(scenario, designs=designs, truths=truths, replicates=40)

    def sure(row: Row) -> Row:
        numbers = tuple(c._replace(mcse=0.0, low=c.estimate, high=c.estimate) for c in row.characteristics)
        return replace(row, characteristics=numbers)

    rows = tuple(map(sure, played.rows))
    return replace(played, rows=rows, method="exact", seed=None, replicates=None)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact numbers of a kind: forty replicates that claim no error."""
    module = ModuleType("lmd_trialsim.reference.exact")
    module.exact, module.why_not = exact, why_not  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lmd_trialsim.reference.exact", module)


SENTENCES = [
    f"simon under lossy: {DROP_OUT}",
    "randomised: two arms are too many to walk through.",
]


def test_exact_prints_what_can_be_and_says_what_cannot() -> None:
    result = call("exact", BINARY)
    assert result.stderr.splitlines() == SENTENCES
    assert ", exact, version" in result.stdout
    assert "±" not in result.stdout
    headers = [line.split() for line in result.stdout.splitlines() if line.startswith("   ")]
    assert headers == [["null", "better"], ["null", "better", "lossy"]]


def test_exact_json_has_the_shape_of_run() -> None:
    document = json.loads(call("exact", BINARY, "--format", "json").stdout)
    assert list(document)[:7] == ["scenario", "digest", "version", "seed", "replicates", "method", "results"]
    assert (document["method"], document["seed"], document["replicates"]) == ("exact", None, None)
    assert [(row["design"], row["truth"]) for row in document["results"]] == [
        ("simon", "null"), ("simon", "better"), ("posterior", "null"), ("posterior", "better"), ("posterior", "lossy"),
    ]  # fmt: skip
    assert {row["why"] for row in document["not_exact"]} == {DROP_OUT, "two arms are too many to walk through"}
    plain = json.loads(call("exact", BINARY, "--design", "posterior", "--format", "json").stdout)
    assert plain["method"] == "exact"
    assert "not_exact" not in plain


def test_where_nothing_is_exact_it_is_refused() -> None:
    assert refusal("exact", EVENTS) == [
        "group_sequential: two arms are too many to walk through.",
        "bayesian: two arms are too many to walk through.",
    ]


def test_both_stand_side_by_side() -> None:
    text = call("run", BINARY, "--exact", "--replicates", 40).stdout
    simon = text.partition("\nsimon\n")[2].partition("\n\n")[0].splitlines()
    assert simon[0].split() == ["null", "null", "better", "better", "lossy"]
    assert simon[1].split() == ["simulated", "exact", "simulated", "exact", "simulated"]
    patients = next(line for line in simon if line.startswith("expected patients"))
    (played, given), *_ = re.findall(r"([\d.]+) ± [\d.]+ +([\d.]+)", patients)
    assert float(given) == pytest.approx(float(played), abs=0.5 * 10.0 ** -len(played.partition(".")[2]))
    randomised = text.partition("\nrandomised\n")[2].splitlines()
    assert randomised[0].split() == ["null", "better", "lossy"]
    assert [line for line in text.splitlines() if line.startswith("Not exact: ")] == [
        f"Not exact: {s}" for s in SENTENCES
    ]


def test_json_and_csv_hold_both(tmp_path: Path) -> None:
    arguments = ("run", BINARY, "--exact", "--replicates", 40, "--out", tmp_path)
    document = json.loads(call(*arguments, "--format", "json").stdout)
    assert (document["method"], document["exact"]["method"]) == ("monte_carlo", "exact")
    assert [row["design"] for row in document["exact"]["results"]] == ["simon"] * 2 + ["posterior"] * 3
    assert len(document["not_exact"]) == 4
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert {(row["method"], row["replicates"], row["seed"]) for row in rows} == {
        ("monte_carlo", "40", "11"),
        ("exact", "", ""),
    }


def test_where_nothing_is_exact_the_run_goes_on() -> None:
    text = call("run", EVENTS, "--exact", "--replicates", 40, "--truth", "null").stdout
    assert "simulated" not in text
    assert text.count("Not exact: ") == 2
    document = json.loads(
        call("run", EVENTS, "--exact", "--replicates", 40, "--truth", "null", "--format", "json").stdout
    )
    assert document.get("exact") is None
    assert len(document["not_exact"]) == 2

"""`run`: the forms of its output, and that they say the same."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from calling import BINARY, EVENTS, call, process

from lmd_trialsim import Scenario, __version__, run

SMALL = ("--replicates", 60)


@pytest.fixture(scope="module")
def document() -> dict:
    return json.loads(call("run", BINARY, "--format", "json", *SMALL).stdout)


def test_json_is_as_promised(document: dict) -> None:
    assert list(document) == ["scenario", "digest", "version", "seed", "replicates", "method", "results"]
    assert document["scenario"] == "A response rate in one arm and in two [small]"
    assert (document["seed"], document["replicates"], document["method"]) == (11, 60, "monte_carlo")
    assert document["version"] == __version__
    assert document["digest"] == Scenario.load(BINARY).digest()
    pairs = [(row["design"], row["truth"]) for row in document["results"]]
    assert pairs == [(d, t) for d in ("simon", "posterior", "randomised") for t in ("null", "better", "lossy")]
    for row in document["results"]:
        assert list(row) == ["design", "truth", "characteristics"]
        for one in row["characteristics"]:
            assert list(one) == ["name", "cell", "estimate", "mcse", "low", "high"]
            assert isinstance(one["name"], str)
            assert one["cell"] is None or isinstance(one["cell"], str)
            assert all(one[key] is None or isinstance(one[key], int | float) for key in list(one)[2:])
        names = {(one["name"], one["cell"]) for one in row["characteristics"]}
        assert len(names) == len(row["characteristics"])
        assert ("probability_of_success", None) in names


def test_csv_has_the_numbers_of_json(document: dict) -> None:
    rows = list(csv.DictReader(io.StringIO(call("run", BINARY, "--format", "csv", *SMALL).stdout)))
    wanted = [
        (
            row["design"],
            row["truth"],
            one["name"],
            one["cell"] or "",
            *(one[k] for k in ("estimate", "mcse", "low", "high")),
        )
        for row in document["results"]
        for one in row["characteristics"]
    ]
    got = [
        (
            *(row[k] for k in ("design", "truth", "name", "cell")),
            *(float(row[k]) if row[k] else None for k in ("estimate", "mcse", "low", "high")),
        )
        for row in rows
    ]
    assert got == wanted
    origins = {tuple(row[k] for k in ("method", "replicates", "seed", "digest", "version")) for row in rows}
    assert origins == {("monte_carlo", "60", "11", document["digest"], __version__)}


def test_the_table_has_the_numbers_of_json(document: dict) -> None:
    text = call("run", BINARY, *SMALL).stdout
    assert text.startswith("A response rate in one arm and in two [small]\nscenario ")
    assert "seed 11, 60 replicates of each" in text
    block = text.partition("\nsimon\n")[2].partition("\n\n")[0].splitlines()
    assert block[0].split() == ["null", "better", "lossy"]
    patients = next(line for line in block if line.startswith("expected patients"))
    shown = re.findall(r"([\d.]+) ± ([\d.]+)", patients)
    for (estimate, error), row in zip(shown, document["results"][:3], strict=True):
        one = next(c for c in row["characteristics"] if (c["name"], c["cell"]) == ("expected_patients", None))
        places = len(estimate.partition(".")[2])
        assert (estimate, error) == (f"{one['estimate']:.{places}f}", f"{one['mcse']:.{places}f}")
    power = next(line for line in block if line.startswith("success (power)"))
    alpha = next(line for line in block if line.startswith("success (type I error)"))
    assert (power.count("±"), alpha.count("±")) == (2, 1)


def test_the_table_of_python_is_that_of_the_command_line(document: dict) -> None:
    assert run(Scenario.load(BINARY), replicates=60).to_dict() == document


def test_full_shows_every_characteristic(document: dict) -> None:
    text = call("run", BINARY, "--full", "--design", "simon", *SMALL).stdout
    for one in document["results"][0]["characteristics"]:
        label = one["name"] if one["cell"] is None else f"{one['name']} {one['cell']}"
        assert re.search(rf"^{label}  ", text, re.MULTILINE), label


def test_what_is_chosen_is_what_is_played() -> None:
    got = json.loads(
        call(
            "run", BINARY, "--format", "json", "--replicates", "5e1", "--seed", "1_2", "--threads", 1,
            "--design", "posterior", "--design", "simon", "--design", "posterior", "--truth", "lossy",
        ).stdout
    )  # fmt: skip
    assert [(row["design"], row["truth"]) for row in got["results"]] == [("posterior", "lossy"), ("simon", "lossy")]
    assert (got["seed"], got["replicates"]) == (12, 50)


def test_threads_and_company_do_not_matter(document: dict) -> None:
    alone = json.loads(call("run", BINARY, "--format", "json", "--design", "randomised", "--threads", 3, *SMALL).stdout)
    assert alone["results"] == [row for row in document["results"] if row["design"] == "randomised"]


def test_where_there_is_no_single_truth_the_table_says_so() -> None:
    text = call("run", EVENTS, "--design", "group_sequential", *SMALL).stdout
    assert "bias, log hazard ratio" in text
    assert re.search(r"^coverage.*n/a \[1\]$", text, re.MULTILINE)
    assert "[1] There is no single true effect (log hazard ratio) under this truth.\n" in text
    assert "nan" not in text.lower()


def test_more_than_three_truths_make_two_blocks() -> None:
    text = call("run", EVENTS, "--design", "bayesian", *SMALL).stdout
    headers = [line.split() for line in text.splitlines() if line.startswith(" ")]
    assert headers == [["null", "published", "delayed"], ["harmful"]]


def test_a_pipe_gets_plain_text_and_no_progress() -> None:
    got = process("run", BINARY, "--design", "simon", *SMALL)
    assert got.returncode == 0
    assert got.stderr == ""
    assert "\x1b" not in got.stdout
    assert not set(got.stdout) & set("│─┃━┏╭")
    assert all(line == line.rstrip() for line in got.stdout.splitlines())


def test_nothing_is_cut_off_in_a_pipe(tmp_path: Path) -> None:
    title, truth = "A long title " * 15, "under_" * 9 + "truth"
    text = (
        Path(BINARY)
        .read_text()
        .replace("A response rate in one arm and in two [small]", title)
        .replace("better", truth)
    )
    (tmp_path / "long.yaml").write_text(text)
    got = call("run", tmp_path / "long.yaml", "--design", "simon", "--replicates", 2).stdout
    assert title.strip() in got
    assert re.search(rf"null +{truth} +lossy$", got, re.MULTILINE)


def test_out_is_written_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):  # the second time over the first
        printed = call("run", BINARY, "--format", "json", "--out", folder, *SMALL).stdout
    assert sorted(path.name for path in folder.iterdir()) == ["results.csv", "results.json", "scenario.yaml"]
    assert (folder / "results.json").read_text() == printed
    assert (folder / "results.csv").read_text() == call("run", BINARY, "--format", "csv", *SMALL).stdout
    assert (folder / "scenario.yaml").read_bytes() == Path(BINARY).read_bytes()
    assert "results.json" not in printed


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from lmd_trialsim.commands.given import Refusal
    from lmd_trialsim.commands.written import write_whole

    target = tmp_path / "results.json"
    target.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refusal, match="No space left"):
        write_whole(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
    assert target.read_text() == "old"


def test_exact_numbers_are_those_that_simulation_comes_near() -> None:
    document = json.loads(
        call("run", BINARY, "--exact", "--design", "posterior", "--replicates", 4000, "--format", "json").stdout
    )
    assert [row["truth"] for row in document["exact"]["results"]] == ["null", "better"]
    for exact in document["exact"]["results"]:
        played = next(row for row in document["results"] if row["truth"] == exact["truth"])
        numbers = {(one["name"], one["cell"]): one for one in played["characteristics"]}
        for one in exact["characteristics"]:
            other = numbers[one["name"], one["cell"]]
            if "quantile" not in one["name"] and one["estimate"] is not None and other["mcse"]:
                assert abs(one["estimate"] - other["estimate"]) < 5.0 * other["mcse"], one["name"]

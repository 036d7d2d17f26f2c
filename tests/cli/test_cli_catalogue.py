"""Names, the catalogue, the scaffold, the schema, the evidence."""

import json
from pathlib import Path

import pytest
from calling import BINARY, EVENTS, call, refusal

from lmd_trialsim import catalogue


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of one scenario, and an empty folder to stand in."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "event_times.yaml").write_text(Path(EVENTS).read_text())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path / "shelf")
    return tmp_path / "shelf"


def test_a_name_is_looked_up_in_the_catalogue(shelf: Path) -> None:
    got = json.loads(call("run", "event_times", "--format", "json", "--replicates", 2, "--truth", "null").stdout)
    assert got["scenario"] == "Event times in two arms"
    assert call("validate", "event_times").stdout.startswith(f"{shelf / 'event_times.yaml'}: valid.")


@pytest.mark.usefixtures("shelf")
def test_a_path_that_exists_wins() -> None:
    Path("event_times").write_text(Path(BINARY).read_text())
    assert call("validate", "event_times").stdout.startswith("event_times: valid. 3 designs")


@pytest.mark.usefixtures("shelf")
def test_an_unknown_name_is_one_line() -> None:
    (line,) = refusal("run", "event-time")
    assert line == "'event-time' is neither a file nor a scenario of the catalogue. Did you mean event_times?"
    (line,) = refusal("run", "event_times.yaml")
    assert "there is no such file" in line


@pytest.mark.usefixtures("shelf")
def test_list_shows_what_runs() -> None:
    assert call("list").stdout == (
        "event_times\n  Event times in two arms\n  truths: null, published, delayed, harmful\n"
        "  designs: group_sequential, bayesian\n"
    )


def test_the_catalogue_of_a_checkout_is_its_scenarios() -> None:
    place = catalogue.folder()
    assert place is not None
    assert place.name in ("scenarios", "catalogue")


def test_an_installed_catalogue_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "lmd_trialsim"
    monkeypatch.setattr(catalogue, "PACKAGE", package)
    assert catalogue.folder() is None
    assert catalogue.entries() == {}
    (package / "catalogue").mkdir(parents=True)
    (package / "catalogue" / "b.yaml").touch()
    (package / "catalogue" / "a.yaml").touch()
    (package / "catalogue" / "notes.txt").touch()
    assert list(catalogue.entries()) == ["a", "b"]


def test_new_validates_and_runs(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    assert call("new", file).stdout == f"{file} is written. Next: lmd-trialsim run {file}\n"
    assert file.read_text() == call("new").stdout
    assert call("validate", file).stdout.endswith(" 0 without origin.\n")
    got = json.loads(call("run", file, "--replicates", 20, "--format", "json").stdout)
    assert len(got["results"]) == 6
    refusal("new", file)


def test_the_schema_knows_what_scenarios_say() -> None:
    schema = json.loads(call("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) >= {"schema", "title", "population", "endpoints", "arms", "truths", "designs"}
    parts = schema["$defs"]
    assert "like" in parts["TruthLikeAnother"]["properties"]
    assert parts["DesignLikeAnother"]["required"] == ["like"]
    assert {"from", "every", "to"} <= set(parts["Every"]["properties"])
    assert {"lambda", "gamma"} <= set(parts["Bop2"]["properties"])
    assert {"kind", "rules", "looks", "lambda"} <= set(parts["DesignLikeAnother"]["properties"])
    for name in ("DesignLikeAnother", "TruthLikeAnother"):
        del parts[name]
    assert '"null"' not in json.dumps(schema)


@pytest.mark.parametrize("file", [BINARY, EVENTS, "scaffold"])
def test_the_schema_accepts_what_is_valid(file: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from lmd_trialsim.reading.composing import compose

    schema = json.loads(call("schema").stdout)
    text = call("new").stdout if file == "scaffold" else Path(file).read_text()
    data = compose(text, file).data
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    del data["title"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_evidence_is_found_by_row_by_word_and_by_standing() -> None:
    page = call("evidence", "S2").stdout
    assert page.startswith("S2 (VERIFIED): Pembrolizumab; 17 of 20 breast cancer\n")
    assert "0.6 (0.39 to 0.78)" in page
    rows = json.loads(call("evidence", "--search", "PROTON median", "--format", "json").stdout)
    assert {"T1", "T2"} <= {row["id"] for row in rows}
    assert rows[0]["claims"]
    recalled = call("evidence", "--flag", "recalled").stdout.splitlines()
    assert len(recalled) > 2
    assert all("RECALLED" in line for line in recalled[1:])
    everything = json.loads(call("evidence", "--format", "json").stdout)
    assert len(everything) > 100
    nothing = call("evidence", "--search", "xyzzy")
    assert nothing.stdout == ""
    assert nothing.stderr == "No row of the evidence answers to that.\n"

"""Every mistake is told in a line of its own, at its place, with the way out; nothing else ever comes out."""

import re
from pathlib import Path

import pytest

from lmd_trialsim.reading import LIMIT, ScenarioError
from lmd_trialsim.scenario import Scenario

from .bases import BASKETS, EFFECTS, PLATFORMS, RATES, TIMES
from .corpus import CASES, Case

LINE = re.compile(r"^.+:\d+:\d+: .+")


def told(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    lines = str(caught.value).split("\n")
    assert all(LINE.match(line) for line in lines)
    assert all(line.isprintable() and len(line) < 2000 for line in lines)
    assert all(line.endswith((".", "?")) for line in lines), "a sentence, closed"
    return [line.removeprefix(f"{path}:") for line in lines]


@pytest.mark.parametrize(
    "base", [TIMES, RATES, BASKETS, EFFECTS, PLATFORMS], ids=["times", "rates", "baskets", "effects", "platforms"]
)
def test_the_bases_are_valid(base: str, tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(base)
    scenario = Scenario.load(path)
    assert scenario.digest()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_mistake_is_told_in_its_place(case: Case, tmp_path: Path) -> None:
    text, places = case.text()
    lines = told(tmp_path / "trial.yaml", text)
    for pattern in case.says:
        assert any(re.search(pattern, line) for line in lines), "\n".join([pattern, *lines])
    for line, column in places:
        assert any(said.startswith(f"{line}:{column}: ") for said in lines), "\n".join([f"{line}:{column}", *lines])


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = TIMES.replace("control: true", "control: 1").replace("block: 6", "block: six").replace("seed: 7", "seed: -7")
    lines = told(tmp_path / "trial.yaml", text)
    assert [re.sub(r"\d+:\d+: ([\w.]+): .*", r"\1", line) for line in lines] == [
        "arms.ifrt.control",
        "designs.frequentist.allocation.block",
        "run.seed",
    ]


def test_an_inherited_mistake_is_told_once_where_it_is_written(tmp_path: Path) -> None:
    lines = told(tmp_path / "trial.yaml", TIMES.replace("max_patients: 63", "max_patients: 0"))
    assert len(lines) == 1
    assert "designs.frequentist.max_patients: must be at least 1" in lines[0]


def test_a_broken_like_hides_no_other_mistake(tmp_path: Path) -> None:
    text = TIMES.replace("like: frequentist", "like: nobody").replace("seed: 7", "seed: -7")
    lines = told(tmp_path / "trial.yaml", text)
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["designs.bayesian.like", "run.seed"]


def test_a_missing_endpoint_is_told_once_for_all_designs(tmp_path: Path) -> None:
    text = RATES.replace("    response: {old: {rate: 0.2}, new: {rate: 0.2}}\n", "", 1)
    lines = told(tmp_path / "trial.yaml", text)
    assert sum("says nothing of the endpoint response of the designs simon, given" in line for line in lines) == 1


def test_a_long_chain_of_likes_is_refused_in_a_line_each(tmp_path: Path) -> None:
    links = "".join(f"  d{i}:\n    like: d{i + 1}\n" for i in range(3000))
    text = TIMES.replace("  bayesian:\n", links + "  d3000:\n    like: frequentist\n  bayesian:\n")
    lines = told(tmp_path / "trial.yaml", text)
    assert re.search(r"d19\.like: leads through more than 20 others .* Write one of them out\.", lines[0])


def test_a_short_chain_of_likes_is_followed(tmp_path: Path) -> None:
    links = "".join(f"  d{i}:\n    like: d{i + 1}\n" for i in range(15))
    (tmp_path / "trial.yaml").write_text(
        TIMES.replace("  bayesian:\n", links + "  d15:\n    like: frequentist\n  bayesian:\n")
    )
    scenario = Scenario.load(tmp_path / "trial.yaml")
    assert scenario.designs["d0"] == scenario.designs["frequentist"]


RATES_LIKE_TIMES = """
  rates:
    like: followed
    endpoint: response
    null_median: null
    target_median: null
    follow_up_months: ~
    null_rate: 0.2
    analysis: {kind: pooled, prior: {alpha: 1, beta: 1}}
    rules: [{stop_for: efficacy, when: {probability_that: rate, above: null_rate, exceeds: 0.9}}]
run: """


def test_null_takes_away_what_is_inherited(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(EFFECTS.replace("\nrun: ", RATES_LIKE_TIMES))
    design = Scenario.load(path).designs["rates"]
    assert (design.null_median, design.target_median, design.follow_up_months) == (None, None, 0.0)
    dropping = "nothing:\n    drop_out: {per_month: 0.1}\n"
    path.write_text(
        TIMES.replace("nothing:\n", dropping, 1).replace("like: nothing\n", "like: nothing\n    drop_out: null\n")
    )
    truths = Scenario.load(path).truths
    assert truths["nothing"].drop_out is not None
    assert truths["better"].drop_out is None


def test_what_is_misplaced_and_inherited_is_told_where_it_is_written(tmp_path: Path) -> None:
    text = TIMES.replace("    kind: two_arm\n", "    kind: two_arm\n    blok: 6\n")
    early = text.replace("designs:\n", "designs:\n  early: {like: frequentist}\n")
    for lines in (told(tmp_path / "trial.yaml", text), told(tmp_path / "trial.yaml", early)):
        assert len(lines) == 1
        assert "designs.frequentist.blok: unknown key" in lines[0]
        assert "inherited" not in lines[0]


def test_a_file_over_a_megabyte_is_not_read(tmp_path: Path) -> None:
    lines = told(tmp_path / "trial.yaml", TIMES + "#" * LIMIT)
    assert lines == ["1:1: the file is larger than 1,000,000 bytes. Leave data out; a scenario is a few pages."]


def test_very_many_of_everything_is_refused_quickly(tmp_path: Path) -> None:
    strata = ", ".join(f"s{i}: 0.001" for i in range(1000))
    lines = told(tmp_path / "trial.yaml", TIMES.replace("nsclc: 0.57, breast: 0.43", strata))
    assert any("population.strata: must have at most 100 items" in line for line in lines)
    steps = ", ".join(f"{{from_month: {i}, rate: 1}}" for i in range(5000))
    lines = told(tmp_path / "trial.yaml", TIMES.replace("patients_per_month: 3.5", f"patients_per_month: [{steps}]"))
    assert any("patients_per_month: must have at most 200 items" in line for line in lines)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"schema: \xff", b"\x00", b"", b"a: \x1b[31m"])
def test_what_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    assert all(LINE.match(line) for line in str(caught.value).split("\n"))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.yaml", tmp_path / "a\0b"):
        with pytest.raises(ScenarioError, match=r":1:1: "):
            Scenario.load(path)


def test_a_stage_with_fewer_existing_patients_stays_within_its_tables(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(RATES.replace("endpoints:", "  enrolment_cap: 10\nendpoints:", 1))
    scenario = Scenario.load(tmp_path / "trial.yaml")
    plan = scenario.plan("two", "nothing")
    assert plan.limits.max_patients == 10


@pytest.mark.parametrize("verb", ["validate", "run", "exact"])
@pytest.mark.parametrize("name", ["unknown kind of design", "alias", "Simon without solution", "tables of one arm"])
def test_the_command_line_says_it_in_lines_and_status_2(
    verb: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lmd_trialsim.cli import commands

    case = next(case for case in CASES if case.name == name)
    path = tmp_path / "trial.yaml"
    path.write_text(case.text()[0])
    with pytest.raises(SystemExit) as caught:
        commands.main([verb, str(path)])
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert not printed.out
    assert all(LINE.match(line) for line in printed.err.splitlines())
    assert "Traceback" not in printed.err


def test_a_mistake_in_one_design_hides_none_in_another(tmp_path: Path) -> None:
    """Mistakes of spelling and of sense are told at once, though sense is judged of what is spelt well."""
    senseless = "{like: frequentist, allocation: {ratio: {ifrt: 1, pcsi: 2}, block: 5}}"
    sound = "like: frequentist"
    text = TIMES.replace("run: {", f"  other:\n    {sound}\n    blok: 6\n  senseless: {senseless}\nrun: {{", 1)
    path = tmp_path / "trial.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    told = "\n".join(map(str, caught.value.mistakes))
    assert "blok" in told
    assert "must be a multiple of 3" in told

"""Every mistake is told in a line of its own, at its place, with the way out; nothing else ever comes out."""

import re
from pathlib import Path

import pytest

from lmd_trialsim.reading import LIMIT, ScenarioError
from lmd_trialsim.scenario import Scenario

from .bases import RATES, TIMES
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


@pytest.mark.parametrize("base", [TIMES, RATES], ids=["times", "rates"])
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

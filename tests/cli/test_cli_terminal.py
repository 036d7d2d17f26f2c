"""At a terminal of 80 columns nothing is wider, and there is colour."""

import pytest
from calling import BINARY, ESCAPE, EVENTS, at_terminal, lines_of


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", BINARY, "--replicates", 200],
        ["run", EVENTS, "--replicates", 200, "--full"],
        ["trace", EVENTS, "--replicate", 3, "--design", "bayesian"],
        ["list"],
        ["evidence", "S2", "T2"],
        ["evidence"],
        ["--help"],
    ],
)
def test_no_line_is_wider_than_the_terminal(arguments: list[object]) -> None:
    lines = lines_of(at_terminal(*arguments))
    assert len(lines) > 5
    assert [line for line in lines if len(line) > 80] == []


def test_a_watched_run_shows_progress_and_colour() -> None:
    sent = at_terminal("run", BINARY, "--design", "simon", "--replicates", 2000)
    assert ESCAPE.search(sent)
    assert "playing" in sent
    table = sent.rpartition("A response rate")[2]
    assert "playing" not in table
    assert "success (power)" in table

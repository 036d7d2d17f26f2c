"""Mistakes of the user: status 2 and one line each, never a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from calling import BINARY, EVENTS, call, process, refusal

MISTAKES = {
    "unknown command": (["rnu", BINARY], "lmd-trialsim: there is no command 'rnu'. Did you mean run?"),
    "no file": (["run"], "lmd-trialsim run: Missing argument"),
    "unknown option": (["run", BINARY, "--replicate", "5"], "'--replicates'"),
    "unknown name": (["run", "surely_not_there"], "'surely_not_there' is neither a file nor a scenario"),
    "missing file": (["run", "missing.yaml"], "missing.yaml:1:1: there is no such file."),
    "a folder": (["run", "."], ".:1:1: this is a folder, not a file."),
    "a NUL": (["run", "a\0b"], "neither a file"),
    "a very long name": (["run", "x" * 5000], "neither a file"),
    "unknown design": (["run", BINARY, "--design", "simom"], "the scenario has no design 'simom'. Did you mean simon?"),
    "unknown truth": (["exact", BINARY, "--truth", "worse"], "--truth: the scenario has no truth 'worse'."),
    "no replicates": (["run", BINARY, "--replicates", "0"], "'0' is not between 1 and 10,000,000,000."),
    "half a replicate": (["run", BINARY, "--replicates", "1.5"], "'1.5' is no whole number"),
    "not a number": (["run", BINARY, "--replicates", "many"], "'many' is no whole number"),
    "nan": (["run", BINARY, "--replicates", "nan"], "'nan' is no whole number"),
    "endless": (["run", BINARY, "--replicates", "1e999999999"], "is no whole number"),
    "seed below 0": (["run", BINARY, "--seed", "-1"], "'-1' is not between 0 and"),
    "seed too large": (["run", BINARY, "--seed", str(2**63)], "is not between 0 and"),
    "no threads": (["run", BINARY, "--threads", "0"], "'0' is not between 1 and"),
    "form": (["run", BINARY, "--format", "xml"], "'xml' is not one of"),
    "out is a file": (["run", BINARY, "--out", BINARY], "is a file, or below one, not a folder."),
    "out below a file": (["run", BINARY, "--out", f"{BINARY}/x"], "is a file, or below one, not a folder."),
    "which trial": (["trace", BINARY], "say which trial: --replicate N, or --example KIND"),
    "trace of no design": (["trace", BINARY, "--replicate", "1", "--design", "x"], "has no design 'x'."),
    "not null": (["trace", BINARY, "--example", "false-positive", "--truth", "better"], "None of better is a null"),
    "row": (["evidence", "T99"], "'T99' is not a row of the evidence."),
    "new over old": (["new", BINARY], "exists and is not overwritten."),
    "new nowhere": (["new", "no/such/folder/x.yaml"], "cannot be written: No such file or directory."),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str) -> None:
    arguments, text = MISTAKES[name]
    (line,) = refusal(*arguments)
    assert text in line


def test_every_mistake_is_told(tmp_path: Path) -> None:
    assert len(refusal("run", BINARY, "--design", "a", "--design", "b", "--truth", "c")) == 3
    text = Path(EVENTS).read_text().replace("log_rank", "logrank").replace("max_months: 36", "max_month: 36")
    (tmp_path / "wrong.yaml").write_text(text)
    for verb in ("run", "validate", "exact", "trace"):
        lines = refusal(verb, tmp_path / "wrong.yaml", *(["--replicate", 1] if verb == "trace" else []))
        assert len(lines) >= 2
        assert all(line.startswith(f"{tmp_path}/wrong.yaml:") for line in lines)
    assert any("Did you mean max_months?" in line for line in lines)


def test_validate_tells_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    result = call("validate", tmp_path / "empty.yaml", EVENTS, status=2)
    assert "the file is empty" in result.stderr
    assert result.stdout.splitlines()[0] == (
        f"{EVENTS}: valid. 2 designs, 4 truths; 13 numbers: 2 cited, 0 assumed, 11 without origin."
    )
    assert "  truths.delayed.pfs.pcsi.from_month: no origin. Add cite: ROW or assumption: a sentence." in result.stdout


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 9 TiB"), ValueError("no boundary spends that")])
def test_what_cannot_be_prepared_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmd_trialsim import lowering

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(lowering, "lower", fail)
    for arguments in (["run", EVENTS], ["trace", EVENTS, "--replicate", 1]):
        (line,) = refusal(*arguments)
        assert line.startswith("group_sequential under null cannot be prepared: ")
        assert str(error) in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (line,) = refusal("run", BINARY, "--out", tmp_path)
    assert "Permission denied" in line


def test_out_is_tried_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from lmd_trialsim import simulation

    monkeypatch.setattr(simulation, "run", lambda *_, **__: pytest.fail("played in vain"))
    refusal("run", BINARY, "--out", BINARY)


def test_out_overwrites_a_run_and_nothing_else(tmp_path: Path) -> None:
    for name in ("results.json", "results.csv", "scenario.yaml"):
        alone, mixed = tmp_path / f"{name}.alone", tmp_path / f"{name}.mixed"
        call("run", BINARY, "--out", mixed, "--design", "simon", "--replicates", 10)
        alone.mkdir()
        for folder in (alone, mixed):
            (folder / name).write_text('{"mine": 1}')
            (line,) = refusal("run", BINARY, "--out", folder)
            assert line.endswith(f"holds {name}, which is not of a run. Name another folder, or move the file.")
            assert (folder / name).read_text() == '{"mine": 1}'
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "results.json").write_text("[" * 100_000)
    assert "which is not of a run" in refusal("exact", BINARY, "--out", deep)[0]


def test_out_goes_beside_other_files_and_over_an_earlier_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for seed in (1, 2):
        call("run", BINARY, "--out", tmp_path, "--design", "simon", "--replicates", 10, "--seed", seed)
    assert '"seed": 2' in (tmp_path / "results.json").read_text()
    kept = tmp_path / "scenario.yaml"
    call("run", kept, "--out", tmp_path, "--design", "simon", "--replicates", 10)  # the very scenario that is run
    kept.write_text(kept.read_text().replace("rate: 0.5", "rate: 0.6"))
    assert "holds scenario.yaml, which is not of a run" in refusal("run", BINARY, "--out", tmp_path)[0]


def test_out_that_names_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("", tmp_path / "link"):
        (line,) = refusal("run", BINARY, "--out", name)
        assert line.endswith("names no folder that is there or can be made. Name another.")


def test_a_run_that_is_broken_off_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lmd_trialsim import simulation

    def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "run", broken_off)
    call("run", BINARY, "--out", tmp_path / "a" / "b", status=130)
    assert not list(tmp_path.iterdir())


def test_bounds_that_will_be_silent_are_told_of(tmp_path: Path) -> None:
    told = call("validate", "her3_dxd_three_months", "pembrolizumab_single_arm").stdout
    lines = [line for line in told.splitlines() if "its last bound is on the responses" in line]
    assert [line.split(":")[0] for line in lines] == [
        "  designs.fixed", "  designs.fixed_not_replaced", "  designs.simon_minimax",
    ]  # fmt: skip
    assert (
        "of 20 evaluable patients, and is silent when fewer remain of 20: probability under losses (0.92)." in lines[1]
    )


def test_a_broken_pipe_is_silent() -> None:
    command = [sys.executable, "-m", "lmd_trialsim", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "lmd_trialsim", "evidence"]
        got = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert got.returncode == 2
    assert got.stderr == "lmd-trialsim: the output cannot be written: No space left on device.\n"


def test_ctrl_c_is_one_line() -> None:
    command = [sys.executable, "-m", "lmd_trialsim", "run", BINARY, "--design", "randomised", "--replicates", "1e9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        time.sleep(5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert out == ""
    assert err == "lmd-trialsim: interrupted; nothing more was written.\n"


def test_a_process_exits_as_it_should() -> None:
    got = process("run", "missing.yaml")
    assert (got.returncode, got.stdout) == (2, "")
    assert got.stderr == "missing.yaml:1:1: there is no such file. Check the name and the folder.\n"

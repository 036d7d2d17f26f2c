"""`calibrate` on the command line."""

import json

from calling import BINARY, call, refusal


def test_the_command_prints_a_table_and_json():
    table = call("calibrate", BINARY, "--design", "posterior", "--truth", "null", "--truth", "better").stdout
    told = json.loads(
        call(
            "calibrate", BINARY, "--design", "posterior", "--truth", "null", "--truth", "better", "--format", "json"
        ).stdout
    )
    assert told["method"] == "exact"
    assert f"posterior: cut-off {told['cut_off']:.4f}\n" in table
    assert told["truths"][0]["error"]["estimate"] <= 0.05 < told["truths"][0]["error_one_step_below"]["estimate"]
    assert told["truths"][1]["error"] is None
    assert f"{told['truths'][0]['error']['estimate']:.4f}" in table
    assert max(map(len, table.splitlines())) <= 130


def test_the_command_refuses_in_one_line():
    (line,) = refusal("calibrate", BINARY, "--design", "simon")
    assert line == (
        "simon cannot be calibrated. A simon_two_stage design sets its own cut-offs: "
        "write it out as a single_arm design."
    )
    (line,) = refusal("calibrate", BINARY, "--design", "posterior", "--at-most", "1e-9", "--truth", "null")
    assert line.startswith("posterior: no cut-off up to 0.9999 keeps the error: at that one it is ")
    assert line.endswith("Allow more, or take more --digits, --replicates or patients, or stricter rules.")
    one_arm = ["calibrate", BINARY, "--design", "posterior", "--truth", "null"]
    listed = "no trials are played, as the outcomes of posterior can be enumerated. Leave it out, or add --simulate."
    assert refusal(*one_arm, "--error", "each", "--replicates", 1000) == [
        "--error: is of basket and platform designs, and posterior has one type I error. Leave it out.",
        f"--replicates: {listed}",
    ]
    assert refusal(*one_arm, "--seed", 5) == [f"--seed: {listed}"]
    assert "nan is no probability" in refusal("calibrate", BINARY, "--at-most", "nan")[0]
    assert "is not in the range" in "\n".join(refusal("calibrate", BINARY, "--at-most", "0"))

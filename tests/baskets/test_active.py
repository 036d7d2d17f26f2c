"""Basket designs by the number of active baskets, against binomial tails: baskets by themselves are independent."""

import csv
import io
import itertools
import json
import math
import sys
from pathlib import Path

import pytest
from scipy.stats import beta, binom

sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))
from calling import call, refusal

FILE = str(Path(__file__).parent / "active.yaml")
SIZES, LEAST, TARGETS, NULL = (20, 14, 9), (7, 6, 4), (0.45, 0.45, 0.5), 0.2
POWER = [float(binom.sf(least - 1, size, rate)) for size, least, rate in zip(SIZES, LEAST, TARGETS, strict=True)]
ERROR = [float(binom.sf(least - 1, size, NULL)) for size, least in zip(SIZES, LEAST, strict=True)]


def told(*arguments):
    """What the JSON says: by design, number of active baskets and name."""
    document = json.loads(call("active", FILE, "--format", "json", *arguments).stdout)
    return {
        (row["design"], row["truth"], one["name"]): (one["estimate"], one["mcse"])
        for row in document["results"]
        for one in row["characteristics"]
        if one["cell"] is None
    }


def by_hand(active):
    """Return power and error averaged, family-wise error, and chance of any success, of baskets by themselves."""
    others = [k for k in range(3) if k not in active]
    wins = [POWER[k] if k in active else ERROR[k] for k in range(3)]
    return {
        "average_power": sum(POWER[k] for k in active) / len(active) if active else None,
        "average_type_i_error": sum(ERROR[k] for k in others) / len(others) if others else None,
        "family_wise_error": 1.0 - math.prod(1.0 - ERROR[k] for k in others) if others else None,
        "probability_of_success": 1.0 - math.prod(1.0 - win for win in wins),
    }


def test_the_first_baskets_are_active():
    found = told("--design", "separate", "--exact")
    for m in range(4):
        for name, number in by_hand(range(m)).items():
            if number is None:
                assert ("separate", f"active_{m}", name) not in found
            else:
                assert found["separate", f"active_{m}", name] == (pytest.approx(number, abs=1e-12), 0.0)


def test_all_subsets_are_averaged():
    found = told("--design", "separate", "--exact", "--all-subsets")
    for m in range(4):
        several = [by_hand(active) for active in itertools.combinations(range(3), m)]
        for name in several[0]:
            if several[0][name] is not None:
                mean = sum(one[name] for one in several) / len(several)
                assert found["separate", f"active_{m}", name][0] == pytest.approx(mean, abs=1e-12)


def test_played_numbers_lie_within_their_errors():
    found = told("--design", "separate")
    for m in range(4):
        for name, number in by_hand(range(m)).items():
            if number is not None:
                estimate, error = found["separate", f"active_{m}", name]
                assert abs(estimate - number) <= 5.0 * max(error, math.sqrt(number * (1.0 - number) / 4000))


def test_pooled_baskets_succeed_or_fail_together():
    found = told("--design", "pooled", "--exact")
    least = next(x for x in range(44) if beta.sf(NULL, 1 + x, 44 - x) > 0.95)
    sums = [1.0]
    for size, rate in zip(SIZES, TARGETS, strict=True):
        sums = [
            sum(sums[i] * binom.pmf(x - i, size, rate) for i in range(len(sums)) if 0 <= x - i <= size)
            for x in range(len(sums) + size)
        ]
    assert found["pooled", "active_3", "average_power"][0] == pytest.approx(sum(sums[least:]), abs=1e-12)
    null = float(binom.sf(least - 1, sum(SIZES), NULL))
    assert found["pooled", "active_0", "family_wise_error"][0] == pytest.approx(null, abs=1e-12)


def test_the_page_shows_a_map_of_both_designs():
    page = call("active", FILE, "--exact").stdout
    head = next(line for line in page.splitlines() if line.startswith("active baskets"))
    assert head.split()[2:] == ["1", "2", "3"]
    assert [line.split()[0] for line in page.splitlines() if "█" in line or "▓" in line].count("pooled") > 0
    assert "the first ones in the order of the strata" in " ".join(page.split())


def test_files_are_written(tmp_path):
    call("active", FILE, "--design", "separate", "--exact", "--out", tmp_path / "there")
    document = json.loads((tmp_path / "there" / "results.json").read_text())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "there" / "results.csv").read_text())))
    assert {row["truth"] for row in document["results"]} == {row["truth"] for row in rows}
    assert (tmp_path / "there" / "scenario.yaml").read_text() == Path(FILE).read_text()


def test_what_has_no_active_baskets_is_refused(tmp_path):
    text = Path(FILE).read_text()
    (tmp_path / "a.yaml").write_text(text.replace("    target_rate: 0.45\n", ""))
    lines = refusal("active", tmp_path / "a.yaml")
    assert any("breast says no target_rate" in line for line in lines), lines
    assert refusal("active", "proton_csi") == ["The scenario has no basket design."]

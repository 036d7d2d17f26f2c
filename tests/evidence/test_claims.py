import math
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest
from scipy.stats import binom

from lmd_trialsim.evidence import Claim, Row, check_citable, row, rows, search

SECTIONS = {"T": 14, "S": 36, "R": 6, "N": 25, "D": 21, "C": 22, "X": 18, "G": 21, "Q": 9}
RECALLED = {"S20", "S23", "S25", "S29", "S30", "S31", "S32", "S33", "D2", "D19", "C18"}
DAYS_A_MONTH = 30.4375
EVERY_ROW = pytest.mark.parametrize("each", rows().values(), ids=lambda each: each.id)


def value_of(id: str, name: str, arm: str) -> tuple[float, float | None, float | None]:
    found = [claim for claim in row(id).claims if (claim.name, claim.arm) == (name, arm)]
    assert len(found) == 1, f"{id} has {len(found)} claims {name} of {arm}"
    return found[0].value, found[0].low, found[0].high


def converted(claim: Claim) -> bool:
    return claim.note is not None and claim.note.startswith("converted")


def test_every_row_is_present_in_order() -> None:
    assert list(rows()) == [f"{letter}{number}" for letter, count in SECTIONS.items() for number in range(1, count + 1)]


def test_flags() -> None:
    assert {each.id for each in rows().values() if each.flag == "RECALLED"} == RECALLED
    assert Counter(each.flag for each in rows().values()) == {"VERIFIED": 146, "DERIVED": 15, "RECALLED": 11}


@EVERY_ROW
def test_row_is_complete(each: Row) -> None:
    assert each.source.strip()
    assert each.population.strip()
    assert each.note.strip()
    assert each.flag != "VERIFIED" or each.fragment or each.id.startswith("Q")
    names = Counter((claim.name, claim.arm, claim.unit) for claim in each.claims)
    assert not [name for name, count in names.items() if count > 1], "two claims of the same name, arm and unit"


@EVERY_ROW
def test_claims_are_possible(each: Row) -> None:
    for claim in each.claims:
        limits = [limit for limit in (claim.low, claim.value, claim.high) if limit is not None]
        assert limits == sorted(limits), claim
        if claim.unit == "proportion":
            assert all(0 <= limit <= 1 for limit in limits), claim
        elif claim.unit in ("patients", "trials", "studies", "sites", "events"):
            assert claim.value >= 0, claim
            assert claim.value == int(claim.value), claim
        elif claim.unit == "ratio":
            assert all(limit > 0 for limit in limits), claim
        elif "difference" not in claim.name:
            assert all(limit >= 0 for limit in limits), claim


@EVERY_ROW
def test_claims_are_printed_in_their_row(each: Row) -> None:
    text = f"{each.population} {each.source} {each.note} {each.fragment}"
    printed = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
    for claim in each.claims:
        for limit in (claim.low, claim.value, claim.high):
            if limit is not None and not converted(claim):
                as_percent = {round(abs(limit) * 100, 9)} if claim.unit == "proportion" else set()
                assert printed & ({abs(limit)} | as_percent), f"{limit} is not printed in {each.id}"


def test_conversions_to_months() -> None:
    days = {"days": 1, "weeks": 7}
    pairs = [
        (printed, claim)
        for each in rows().values()
        for claim in each.claims
        for printed in each.claims
        if converted(claim) and (printed.name, printed.arm) == (claim.name, claim.arm) and printed.unit in days
    ]
    assert len(pairs) == sum(converted(claim) for each in rows().values() for claim in each.claims) > 20
    for printed, claim in pairs:
        assert claim.unit == "months"
        for name in ("low", "value", "high"):
            before, after = getattr(printed, name), getattr(claim, name)
            assert (before is None) == (after is None), claim
            if before is not None:
                assert after == pytest.approx(before * days[printed.unit] / DAYS_A_MONTH, abs=5.01e-4), claim


@pytest.mark.parametrize(
    ("id", "name", "arm", "expected"),
    [
        ("T1", "os_median", "pcsi", (9.9, 7.5, None)),
        ("T2", "cns_pfs_median", "ifrt", (2.3, 1.2, 4.0)),
        ("T2", "cns_pfs_hazard_ratio", "pcsi_v_ifrt", (0.14, 0.06, 0.30)),
        ("T2", "os_at_6_months", "pcsi", (0.72, None, None)),
        ("T5", "lm_pfs_median", "systemic_and_it", (3.8, 2.3, 6.8)),
        ("T5", "os_hazard_ratio", "systemic_and_it_v_systemic", (0.85, 0.53, 1.36)),
        ("S2", "os_at_3_months", "pembrolizumab", (0.60, 0.39, 0.78)),
        ("S3", "success_from", "design", (6, None, None)),
        ("S21", "os_at_3_months_kaplan_meier", "her3_dxd", (0.696, 0.52, 0.932)),
        ("N2", "os_median", "all", (2.75, None, None)),
        ("N14", "os_median", "egfr_wild_type", (4.1, 2.8, 5.4)),
        ("D6", "specificity", "mri", (0.77, None, None)),
        ("D7", "sensitivity", "cytology", (0.719, 0.547, 0.829)),
        ("D17", "kappa", "overall_response", (0.44, None, None)),
        ("C10", "accrual_per_site_lower_end", "all", (0.75, None, None)),
        ("C15", "it_at_progression", "systemic", (0.41, 0.26, 0.57)),
    ],
)
def test_known_numbers(id: str, name: str, arm: str, expected: tuple[float, float | None, float | None]) -> None:
    assert value_of(id, name, arm) == expected


def test_derived_accrual_follows_from_its_rows() -> None:
    patients, months = value_of("C4", "patients", "all")[0], value_of("C4", "accrual_duration", "all")[0]
    assert value_of("C4", "accrual", "all")[0] == round(patients / months, 1)
    assert value_of("C4", "accrual_per_site", "all")[0] == round(
        patients / months / value_of("S21", "sites", "her3_dxd")[0], 2
    )
    randomized = value_of("T1", "patients", "pcsi")[0] + value_of("T1", "patients", "ifrt")[0]
    assert value_of("C5", "patients", "all")[0] == randomized + value_of("T3", "patients", "pcsi")[0]
    assert value_of("C5", "accrual", "randomized")[0] == round(
        randomized / value_of("C5", "accrual_duration", "all")[0], 1
    )
    for years in (7, 8):
        assert value_of("C7", f"accrual_if_{years}_years", "all")[0] == round(73 / (12 * years), 2)


def test_derived_early_deaths_follow_from_the_medians() -> None:
    for median in (2.75, 4.0, 4.9, 6.0):
        for weeks in (6, 8):
            months = weeks * 7 / DAYS_A_MONTH
            dead = value_of("C14", f"dead_by_{weeks}_weeks", f"median_{median}_months")[0]
            assert dead == pytest.approx(1 - 0.5 ** (months / median), abs=0.0051)
        dead = value_of("C14", "dead_by_8_weeks_weibull", f"median_{median}_months")[0]
        assert dead == pytest.approx(1 - 0.5 ** ((8 * 7 / DAYS_A_MONTH / median) ** 0.7), abs=0.0051)


def test_derived_simon_design_follows_from_the_binomial() -> None:
    first, go_on, total, success = (
        int(value_of("S3", name, "design")[0])
        for name in ("stage_1_patients", "stage_1_go_on_from", "planned_patients", "success_from")
    )

    def succeeds(rate: float) -> float:
        return sum(
            float(binom.pmf(alive, first, rate) * binom.sf(success - alive - 1, total - first, rate))
            for alive in range(go_on, first + 1)
        )

    null, alternative = (value_of("S2", f"{truth}_os_at_3_months", "design")[0] for truth in ("null", "alternative"))
    assert value_of("C20", "type_1_error", "design")[0] == round(succeeds(null), 3)
    assert value_of("C20", "power", "design")[0] == round(succeeds(alternative), 2)
    assert value_of("C20", "stop_at_stage_1_under_null", "design")[0] == round(
        float(binom.cdf(go_on - 1, first, null)), 2
    )


def test_derived_weibull_shapes_follow_from_median_and_landmark() -> None:
    for months in (12, 24):
        alive = value_of("N17", f"os_at_{months}_months", "all")[0]
        median = value_of("N17", "os_median", "all")[0]
        shape = math.log(math.log(1 / alive) / math.log(2)) / math.log(months / median)
        assert value_of("C19", "weibull_shape", f"N17_{months}_months")[0] == round(shape, 2)


@pytest.mark.parametrize("id", ["T2", "C4", "Q3"])
def test_verified_and_derived_rows_are_citable(id: str) -> None:
    check_citable(id)


@pytest.mark.parametrize("id", sorted(RECALLED))
def test_recalled_rows_are_not_citable(id: str) -> None:
    with pytest.raises(ValueError, match=f"^{id} is RECALLED, not verified: it cannot calibrate a scenario"):
        check_citable(id)


@pytest.mark.parametrize(("wrong", "meant"), [("t2", "T2"), ("T22", "T2"), ("s 21", "S21"), ("NN14", "N14")])
@pytest.mark.parametrize("read", [row, check_citable])
def test_unknown_id_says_what_was_meant(read: Callable[[str], object], wrong: str, meant: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(wrong)
    message = str(caught.value)
    assert message.startswith(f"{wrong!r} is not a row of the evidence. Did you mean ")
    assert re.search(rf"\b{meant}\b", message)
    assert message.endswith("`lmd-trialsim evidence` lists the rows.")
    assert "\n" not in message


def test_unknown_id_without_neighbors() -> None:
    with pytest.raises(
        ValueError, match=r"^'author2020' is not a row of the evidence\. `lmd-trialsim evidence` lists the rows\.$"
    ):
        row("author2020")


def test_search_finds_every_word_in_any_case() -> None:
    assert [each.id for each in search("DEPOSEIN crossOVER")] == ["C15"]
    assert {"S2", "S6"} <= {each.id for each in search("Pembrolizumab")}
    assert "T2" in {each.id for each in search("cns_pfs_hazard_ratio")}
    assert "D17" in {each.id for each in search("pmc9527515")}
    assert search("no such word anywhere: zxcv") == []
    assert len(search("")) == len(rows())


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        row("T2").flag = "RECALLED"
    with pytest.raises(ValueError, match="Extra inputs"):
        Row.model_validate(row("T2").model_dump() | {"page": 3})


def test_a_citation_is_checked_fast() -> None:
    rows.cache_clear()
    begin = time.perf_counter()
    check_citable("T2")
    assert time.perf_counter() - begin < 0.1  # measured: 3 ms; the same rows in YAML take 500 ms


def test_the_package_itself_loads_no_evidence() -> None:
    loaded = (
        "import sys, lmd_trialsim; print([name for name in sys.modules if name.startswith(('pydantic', 'ruamel'))])"
    )
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

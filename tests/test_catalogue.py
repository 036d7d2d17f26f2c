"""The catalogue: every scenario runs, asks a question, and says where each number of its world is from."""

import math
import re
import warnings
from pathlib import Path

import pytest

from lmd_trialsim import evidence, simulation
from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.platform import Platform
from lmd_trialsim.effects import is_null
from lmd_trialsim.scenario import Scenario

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))

# Printed in another unit than a scenario needs: the claim's value times the factor. Months are of 30.4375 days.
TO_MONTHS = {"months": 1.0, "weeks": 7.0 / 30.4375, "days": 1.0 / 30.4375}
# (scenario, place, row): cited numbers that are no claim of the row as it stands, and why.
EXCEPTIONS: set[tuple[str, str, str]] = set()

scenarios = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

# Baskets whose looks find any number of patients take large tables; platforms take long to compile.
SLOW = (
    "graduation_platform",
    "insight",
    "late_arms_under_drift",
    "lmd_enrichment",
    "lmd_platform_strata",
    "her3_dxd_baskets",
    "her3_dxd_survival_baskets",
    "intrathecal_pemetrexed_baskets",
    "pembrolizumab_baskets",
    "proton_csi_baskets",
    "tdxd_baskets",
)
# Trials whose published result is that nothing helps by the endpoint that decides.
NOTHING_WORKED = ("insight",)
played = pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in FILES]
)


def loaded(path: Path) -> Scenario:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Scenario.load(path)


def printed(value: float, id: str) -> bool:
    """Return whether the row prints the number, in its own unit or in months."""
    claims = evidence.row(id).claims
    return any(
        math.isclose(value, claim.value * factor, rel_tol=5e-3 if factor != 1.0 else 1e-9)
        for claim in claims
        for factor in {1.0, TO_MONTHS.get(claim.unit, 1.0)}
    )


def test_the_catalogue_is_not_small():
    assert len(FILES) >= 8


@scenarios
def test_every_number_of_the_world_has_an_origin(path):
    numbers = list(loaded(path).numbers())
    assert numbers
    for place, number in numbers:
        assert number.cite or number.assumption, f"{place}: {number.value} has no origin"
        for id in number.cite:
            known = printed(number.value, id) or (path.stem, place, id) in EXCEPTIONS
            assert known, f"{place}: {number.value} is not printed in {id}"


@scenarios
def test_every_scenario_asks_a_question(path):
    scenario = loaded(path)
    assert scenario.question is not None
    assert len(scenario.question.split()) >= 40
    named = re.findall(r"\b[TSRNDCXGQ]\d+\b", scenario.question)
    assert all(id in evidence.rows() for id in named)
    cited = {id for _, number in scenario.numbers() for id in number.cite}
    assert cited & set(named) or not cited, "the question names none of the rows"


@scenarios
def test_every_scenario_compares_designs_under_several_truths(path):
    scenario = loaded(path)
    assert len(scenario.designs) >= 2
    assert len(scenario.truths) >= 3
    assert "null" in scenario.truths
    assert "harmful" in scenario.truths
    assert any(is_null(scenario, design, "null") for design in scenario.designs)
    if path.stem not in NOTHING_WORKED:
        assert not any(is_null(scenario, design, "published") for design in scenario.designs)


@played
def test_every_scenario_runs(path):
    scenario = loaded(path)

    def most_patients(name):
        design = scenario.designs[name]
        return design.max_patients if isinstance(design, Basket | Platform) else design.general().max_patients

    smallest = min(scenario.designs, key=most_patients)
    results = simulation.run(scenario, replicates=200, designs=[smallest], truths=["null", "published"])
    null, published = results.rows
    success = [row.get("probability_of_success").estimate for row in (null, published)]
    assert success[0] <= 0.3
    assert success[1] >= success[0] - 5 * math.sqrt(0.5 / 200)
    for row in results.rows:
        assert row.get("expected_patients").estimate > 0


@played
def test_every_design_and_truth_lowers(path):
    scenario = loaded(path)
    for design, spec in scenario.designs.items():
        # The tables of baskets differ by truth in the bound of the true rates only.
        for truth in list(scenario.truths)[: 1 if isinstance(spec, Basket) else None]:
            scenario.plan(design, truth)

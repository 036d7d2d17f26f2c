"""Every example of the documentation is read as a scenario; every characteristic is defined there."""

import itertools
import re
import textwrap
from pathlib import Path

import pytest

from lmd_trialsim import basket_trials, simulation
from lmd_trialsim.cell_characteristics import CellFacts, of_cells
from lmd_trialsim.characteristics import VERDICTS, Facts
from lmd_trialsim.characteristics import of as characteristics_of
from lmd_trialsim.engine.backends import play
from lmd_trialsim.reading.composing import compose
from lmd_trialsim.scenario import Scenario

DOCS = Path(__file__).resolve().parent.parent / "docs"
FENCE = re.compile(r"^```yaml (\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RESPONSE = "response: {kind: binary, assessed_after_months: 1.5}"
RATES = "response: {control: {rate: 0.2}, treatment: {rate: 0.4}}"
SURVIVAL = "os: {kind: time_to_event}"
TIMES = "os: {control: {median_months: 3}, treatment: {hazard_ratio: 0.5}}"
ENDPOINT = {
    "survival": SURVIVAL,
    "binary": RESPONSE,
    "basket": RESPONSE,
    "times": SURVIVAL,
    "platform": RESPONSE,
    "survival_platform": f"{SURVIVAL}\npfs: {{kind: time_to_event}}",
    "cells": "tumour_cells: {kind: continuous, better: lower, assessed_after_months: 1}",
}
COURSES = {
    "survival": TIMES,
    "times": TIMES,
    "binary": RATES,
    "basket": RATES,
    "survival_platform": "os: {control: {median_months: 3}, first: {hazard_ratio: 0.5}, second: {same_as: control}, "
    "third: {hazard_ratio: 0.8}}, pfs: {control: {median_months: 2}, first: {hazard_ratio: 0.5}, "
    "second: {same_as: control}, third: {same_as: control}}",
    "cells": "tumour_cells: {control: {mean: 2, sd: 1}, first: {mean_difference: -1}, second: {same_as: control}, "
    "third: {mean_difference: -0.5}}",
    "platform": "response: {control: {rate: 0.2}, first: {rate: 0.4}, second: {same_as: control}, third: {rate: 0.3}}",
}
FOUR_ARMS = "control: {control: true}\nfirst: {}\nsecond: {}\nthird: {}"
ARMS = dict.fromkeys(("platform", "survival_platform", "cells"), FOUR_ARMS)
TWO_STRATA = "accrual: {patients_per_month: 3}\nstrata: {a: 0.5, b: 0.5}"
THREE_STRATA = "accrual: {patients_per_month: 3}\nstrata: {a: 0.5, b: 0.3, c: 0.2}"
POPULATION = {
    "survival": TWO_STRATA,
    "binary": TWO_STRATA,
    "basket": THREE_STRATA,
    "times": THREE_STRATA,
    "platform": THREE_STRATA,
    "survival_platform": THREE_STRATA,
    "cells": TWO_STRATA,
}
DESIGN = {
    "survival": """
        plain:
          kind: two_arm
          endpoint: os
          max_patients: 40
          max_months: 60
          looks: {events: [30]}
          analysis: {kind: log_rank}
          rules: [{stop_for: efficacy, when: {p_value: one_sided, at_most: 0.025}}]
    """,
    "binary": """
        plain:
          kind: two_arm
          endpoint: response
          max_patients: 40
          max_months: 60
          looks: {evaluable: [40]}
          analysis: {kind: fisher_exact}
          rules: [{stop_for: efficacy, when: {p_value: one_sided, at_most: 0.025}}]
    """,
    "basket": """
        plain:
          kind: basket
          endpoint: response
          null_rate: 0.2
          max_patients: 10
          analysis: {kind: independent, prior: {alpha: 1, beta: 1}}
          rules: [{stop_for: efficacy, when: {probability_that: rate, above: null_rate, exceeds: 0.95}}]
    """,
    "times": """
        plain:
          kind: basket
          endpoint: os
          null_median: 3
          max_patients: 10
          analysis: {kind: gamma_exponential, prior: {events: 1, months: 4}}
          rules: [{stop_for: efficacy, when: {probability_that: median, above: null_median, exceeds: 0.95}}]
    """,
    "survival_platform": """
        plain:
          kind: platform
          endpoint: os
          max_patients: 40
          analysis: {kind: log_rank}
          rules: [{stop_for: efficacy, when: {statistic: z, exceeds: 2}}]
    """,
    "cells": """
        plain:
          kind: platform
          endpoint: tumour_cells
          max_patients: 40
          analysis: {kind: difference_of_means}
          rules: [{stop_for: efficacy, when: {statistic: z, exceeds: 2}}]
    """,
    "platform": """
        plain:
          kind: platform
          endpoint: response
          max_patients: 40
          analysis: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}
          rules: [{stop_for: efficacy, when: {probability_that: difference, above: 0, exceeds: 0.95}}]
    """,
}


def examples():
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield pytest.param(*match.groups(), id=f"{page.name}:{line}")


def scenario_around(section: str, kind: str | None, snippet: str) -> str:
    """Return a whole scenario with the snippet in its section."""
    kind = kind or "survival"
    parts = {
        "population": POPULATION[kind],
        "endpoints": ENDPOINT[kind],
        "arms": ARMS.get(kind, "control: {control: true}\ntreatment: {}"),
        "truths": f"plain: {{{COURSES[kind]}}}",
        "designs": textwrap.dedent(DESIGN[kind]).strip(),
    }
    assert section in parts, f"no section is called {section}"
    parts[section] = snippet
    body = "".join(f"{name}:\n{textwrap.indent(text, '  ')}\n" for name, text in parts.items())
    return f"schema: 1\ntitle: An example\n{body}"


@pytest.mark.parametrize(("section", "kind", "snippet"), list(examples()))
def test_example_is_a_scenario(section, kind, snippet):
    text = snippet if section == "scenario" else scenario_around(section, kind, snippet)
    scenario = Scenario.of(compose(text, "example"))
    for design in scenario.designs:
        for truth in scenario.truths:
            scenario.plan(design, truth)


def test_the_page_has_an_example_of_every_kind_of_design_and_analysis():
    page = (DOCS / "scenario.md").read_text(encoding="utf-8")
    inside = "".join(match.group(3) for match in FENCE.finditer(page))
    schema = Scenario.model_json_schema()
    for name, definition in schema["$defs"].items():
        constant = definition.get("properties", {}).get("kind", {}).get("const")
        if constant and "Endpoint" not in name and name != "SurvivalAtMonth":
            assert f"kind: {constant}" in inside, f"scenario.md has no example of kind {constant}"


def test_the_page_names_every_key():
    page = (DOCS / "scenario.md").read_text(encoding="utf-8")
    for definition in Scenario.model_json_schema()["$defs"].values():
        for key in definition.get("properties", {}):
            assert re.search(rf"\b{re.escape(key)}\b", page), f"scenario.md does not name the key {key}"


BASE = """
schema: 1
title: All characteristics
population: {accrual: {patients_per_month: 3}}
endpoints: {os: {kind: time_to_event}}
arms: {control: {control: true}, treatment: {}}
truths: {plain: {os: {control: {median_months: 3}, treatment: {hazard_ratio: 0.5}}}}
designs:
  plain:
    kind: two_arm
    endpoint: os
    max_patients: 30
    looks: {events: [10, 20]}
    analysis: {kind: log_rank}
    rules:
      - {stop_for: efficacy, when: {statistic: z, exceeds: 2}}
      - {stop_for: harm, when: {statistic: z, is_below: -1}}
      - {stop_for: futility, when: {estimate_of: effect, exceeds: 0}}
"""


def test_every_characteristic_is_defined():
    page = (DOCS / "characteristics.md").read_text(encoding="utf-8")
    defined = set(re.findall(r"^\| `([a-z0-9_]+)`", page, re.MULTILINE))
    scenario = Scenario.of(compose(BASE, "example"))
    job = simulation.job_of(scenario, "plain", "plain", 300)
    tally = job.tally(play(job, 1, 0, 300))
    names = set()
    for null in (True, False, None):
        facts = Facts(
            arms=("control", "treatment"), null=null, verdicts=tuple(VERDICTS), non_binding=True, closes_accrual=(0, 1),
            may_close=True, has_events=True, tried_later=(1, 2),
        )  # fmt: skip
        names |= {c.name for c in characteristics_of(tally, facts)}
    assert _without_looks(names) <= defined


BASKETS = """
schema: 1
title: All characteristics of baskets
population: {accrual: {patients_per_month: 3}, strata: {a: 0.5, b: 0.5}}
endpoints: {response: {kind: binary}}
arms: {treatment: {}}
truths: {plain: {response: {treatment: {by_stratum: {a: {rate: 0.2}, b: {rate: 0.4}}}}}}
designs:
  plain:
    kind: basket
    endpoint: response
    baskets: {a: {}, b: {closes_if: {by_month: 3, fewer_than: 3}}}
    null_rate: 0.2
    max_patients: 10
    max_months: 12
    looks: {in_all: [8]}
    analysis: {kind: hierarchical, mean: {mean: -1, sd: 2}, sd: {kind: fixed, value: 0.5}}
    rules:
      - {stop_for: efficacy, when: {probability_that: rate, above: null_rate, exceeds: 0.9}}
      - {stop_for: harm, when: {probability_that: rate, below: 0.1, exceeds: 0.9}}
      - {stop_for: futility, when: {probability_that: rate, above: null_rate, is_below: 0.1}}
"""


def test_every_characteristic_of_baskets_is_defined():
    page = (DOCS / "characteristics.md").read_text(encoding="utf-8")
    defined = set(re.findall(r"^\| `([a-z0-9_]+)`", page, re.MULTILINE))
    scenario = Scenario.of(compose(BASKETS, "example"))
    job = simulation.job_of(scenario, "plain", "plain", 300)
    tally = job.tally(play(job, 1, 0, 300))
    told = basket_trials.basket_characteristics(scenario, "plain", "plain", tally, job.plan)
    names = {c.name for c in told}
    for null, borrowed in itertools.product(
        ((True, True), (False, False), (True, False), None),
        ("effective_borrowed_patients", "effective_borrowed_events"),
    ):
        facts = CellFacts(
            ("a", "b"), null, tuple(VERDICTS), may_close=True, may_go_unjudged=True, may_pool=True, borrowed=borrowed
        )
        names |= {c.name for c in of_cells(tally, facts)}
    assert "quadrature_error" in names
    assert _without_looks(names) <= defined


def _without_looks(names: set[str]) -> set[str]:
    return {re.sub(r"_look_\d+$", "_look_k", name) for name in names}

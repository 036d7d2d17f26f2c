"""Random mutations of valid scenarios: what a hurried hand, a merge conflict or a script may do to a file."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lmd_trialsim.reading import read_yaml
from lmd_trialsim.reading.composing import compose

from .bases import BASKETS, RATES, TIMES

SCENARIOS = Path(__file__).parents[2] / "scenarios"

ODD: list[Any] = [
    0, 1, -1, 2, 3, 50, 101, 20_000, 2**63 - 1, 0.0, 0.5, 1.0, -0.25, 1e-12, 1e12, 1e308, 5e-324, True, False, "",
    "x", "all", "final", "nan", "0.5", "é", "a" * 300, [], {}, [[]], [1, 1], [0.5, 2.5], [{}], {"value": 0.5},
    {"value": 0.5, "assumption": "so"}, {"value": 0.5, "cite": "T2"}, {"value": 0.5, "cite": "T0"}, {"kind": "binary"},
    {"kind": "log_rank"}, {"kind": "fisher_exact"}, {"kind": "gamma_exponential", "prior": {"events": 1, "months": 2}},
    {"kind": "beta_binomial", "prior": [{"weight": 1, "alpha": 2, "beta": 3}]}, {"from": 5, "every": 5, "to": 20},
    {"lambda": 0.5, "gamma": 1}, {"follow_up_months": 3}, {"statistic": "z", "exceeds": 2}, {"events": [10, 20]},
    {"predictive_probability_of": "success", "at": "present", "exceeds": 0.9}, {"patients": [10, 20]},
    {"months": [6, 12]}, {"stop_for": "efficacy", "spending": "lan_demets_pocock", "alpha": 0.02}, {"method": "simple"},
    {"same_as": "pcsi"}, {"hazard_ratio": 0.5}, {"rate": 0.3}, {"by_stratum": {}}, {"survival": 0.5, "at_month": 3},
    {"evaluable": [10, 20]},
]  # fmt: skip

Place = tuple[str | int, ...]


def paths(data: Any, here: Place = ()) -> Iterator[Place]:
    """Yield the place of every value."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*here, key)
        yield from paths(value, (*here, key))


def at(data: Any, path: Place) -> Any:
    """Return the value at a place."""
    for key in path:
        data = data[key]
    return data


def mutate(data: Any, kind: str, path: Place, other: Place, odd: Any) -> None:
    """Change the value at `path` in place."""
    holder, key = at(data, path[:-1]), path[-1]
    if kind == "delete":
        del holder[key]
    elif kind == "odd":
        holder[key] = copy.deepcopy(odd)
    elif kind == "scale" and type(holder[key]) in (int, float):
        holder[key] = type(holder[key])(min(abs(holder[key]) * 10, 10**9))
    elif kind == "twice" and isinstance(holder, list):
        holder.insert(int(key), copy.deepcopy(holder[key]))
    elif kind == "rename" and isinstance(holder, dict):
        holder[str(other[-1])] = holder.pop(key)
    elif kind == "graft":
        holder[key] = copy.deepcopy(at(data, other))
    elif kind == "swap" and path[: len(other)] != other and other[: len(path)] != path:
        left, right = copy.deepcopy(at(data, path)), copy.deepcopy(at(data, other))
        holder[key] = right
        at(data, other[:-1])[other[-1]] = left


BASES = [read_yaml(path).data for path in sorted(SCENARIOS.glob("*.yaml"))]
BASES += [compose(text, "base.yaml").data for text in (TIMES, RATES, BASKETS)]


@st.composite
def mutated(draw: st.DrawFn, most: int = 4) -> dict[str, Any]:
    """A scenario of the catalogue, or a base of the corpus, after up to `most` mutations."""
    data = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, most))):
        places = list(paths(data))
        kind = draw(st.sampled_from(["delete", "odd", "odd", "scale", "twice", "rename", "graft", "swap"]))
        path, other = draw(st.sampled_from(places)), draw(st.sampled_from(places))
        mutate(data, kind, path, other, draw(st.sampled_from(ODD)))
    return data

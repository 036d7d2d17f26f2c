import math
from typing import Any

import pytest
from pydantic import Field, ValidationError

from lmd_trialsim.evidence.quantities import (
    Many,
    Months,
    OpenProbability,
    PlainMonths,
    PlainOpenProbability,
    PlainPositiveMonths,
    PlainPositiveRate,
    PlainProbability,
    PlainRate,
    PlainRatio,
    PositiveMonths,
    PositiveRate,
    Probability,
    Rate,
    Ratio,
    Sourced,
    Spec,
)


class Drug(Spec):
    rate: Probability
    median_months: PositiveMonths | None = None
    by_stratum: dict[str, Probability] = Field(default_factory=dict)
    looks: Many[int] = ()
    ratios: Many[Ratio] = ()
    blind: bool = True


class Plain(Spec):
    probability: PlainProbability = 0.5
    open_probability: PlainOpenProbability = 0.5
    months: PlainMonths = 1.0
    positive_months: PlainPositiveMonths = 1.0
    rate: PlainRate = 1.0
    positive_rate: PlainPositiveRate = 1.0
    ratio: PlainRatio = 1.0


def complaints(given: dict[str, Any], model: type[Spec] = Drug) -> dict[tuple[int | str, ...], str]:
    """Return what is complained of, by place."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)
    return {error["loc"]: error["type"] for error in caught.value.errors()}


def test_bare_number() -> None:
    rate = Drug.model_validate({"rate": 0.3}).rate
    assert (rate.value, rate.cite, rate.assumption) == (0.3, (), None)
    whole = Drug.model_validate({"rate": 1}).rate.value
    assert (whole, type(whole)) == (1.0, float)


def test_cited_number() -> None:
    rate = Drug.model_validate({"rate": {"value": 0.3, "cite": "T2"}}).rate
    assert (rate.value, rate.cite, rate.assumption) == (0.3, ("T2",), None)
    assert Drug.model_validate({"rate": {"value": 0.3, "cite": ["T2", "C4"]}}).rate.cite == ("T2", "C4")


def test_assumed_number() -> None:
    rate = Drug.model_validate({"rate": {"value": 0.3, "assumption": " as in the pilot "}}).rate
    assert (rate.value, rate.cite, rate.assumption) == (0.3, (), "as in the pilot")


@pytest.mark.parametrize(
    ("given", "place", "kind"),
    [
        ("0.3", ("rate",), "float_type"),
        (True, ("rate",), "float_type"),
        (None, ("rate",), "float_type"),
        ([0.3], ("rate",), "float_type"),
        (1.2, ("rate",), "less_than_equal"),
        (-0.1, ("rate",), "greater_than_equal"),
        (math.inf, ("rate",), "finite_number"),
        (math.nan, ("rate",), "finite_number"),
        ({"value": 0.3}, ("rate",), "no_origin"),
        ({"value": 0.3, "assumption": None}, ("rate",), "no_origin"),
        ({"value": 0.3, "cite": "T2", "assumption": "a guess"}, ("rate", "assumption"), "two_origins"),
        ({"value": "0.3", "cite": "T2"}, ("rate", "value"), "float_type"),
        ({"value": 1.2, "cite": "T2"}, ("rate", "value"), "less_than_equal"),
        ({"value": math.nan, "cite": "T2"}, ("rate", "value"), "finite_number"),
        ({"cite": "T2"}, ("rate", "value"), "missing"),
        ({"value": 0.3, "cite": "T99"}, ("rate", "cite"), "citation"),
        ({"value": 0.3, "cite": "S30"}, ("rate", "cite"), "citation"),
        ({"value": 0.3, "cite": ["T2", "S30"]}, ("rate", "cite", 1), "citation"),
        ({"value": 0.3, "cite": []}, ("rate", "cite"), "too_short"),
        ({"value": 0.3, "cite": 2}, ("rate", "cite"), "tuple_type"),
        ({"value": 0.3, "cite": [2]}, ("rate", "cite", 0), "string_type"),
        ({"value": 0.3, "assumption": "  "}, ("rate", "assumption"), "string_too_short"),
        ({"value": 0.3, "assumption": 3}, ("rate", "assumption"), "string_type"),
        ({"value": 0.3, "cite": "T2", "citation": "T2"}, ("rate", "citation"), "extra_forbidden"),
    ],
)
def test_mistakes_point_to_the_key_that_was_written(given: Any, place: tuple[int | str, ...], kind: str) -> None:
    assert complaints({"rate": given}) == {place: kind}


def test_no_mistake_hides_another() -> None:
    assert complaints(
        {"rate": {"value": 2, "extra": 1}, "by_stratum": {"breast": 3, "lung": {"value": "1", "cite": "T99"}}}
    ) == {
        ("rate",): "no_origin",
        ("rate", "value"): "less_than_equal",
        ("rate", "extra"): "extra_forbidden",
        ("by_stratum", "breast"): "less_than_equal",
        ("by_stratum", "lung", "value"): "float_type",
        ("by_stratum", "lung", "cite"): "citation",
    }


def test_messages_name_the_way_out() -> None:
    with pytest.raises(ValidationError, match=r"add `cite: ROW` or `assumption: a sentence`"):
        Probability.model_validate({"value": 0.3})
    with pytest.raises(ValidationError, match=r"one origin, not both: drop cite or assumption"):
        Probability.model_validate({"value": 0.3, "cite": "T2", "assumption": "a guess"})
    with pytest.raises(ValidationError, match=r"'T99' is not a row of the evidence\. Did you mean T9\?"):
        Probability.model_validate({"value": 0.3, "cite": "T99"})
    with pytest.raises(ValidationError, match=r"S30 is RECALLED, not verified"):
        Probability.model_validate({"value": 0.3, "cite": "S30"})


@pytest.mark.parametrize(
    ("kind", "allowed", "refused"),
    [
        (Probability, [0, 0.5, 1], [-1e-9, 1 + 1e-9]),
        (OpenProbability, [1e-9, 0.5, 1 - 1e-9], [0, 1]),
        (Months, [0, 3.5, 1000], [-1e-9]),
        (PositiveMonths, [1e-9, 3.5], [0, -1]),
        (Rate, [0, 0.6, 20], [-1e-9]),
        (PositiveRate, [1e-9, 20], [0, -1]),
        (Ratio, [1e-9, 0.3, 1, 7], [0, -0.3]),
    ],
)
def test_ranges(kind: type[Sourced], allowed: list[float], refused: list[float]) -> None:
    for number in allowed:
        assert kind.model_validate(number).value == number
        assert kind.model_validate({"value": number, "cite": "T2"}).value == number
    for number in [*refused, math.inf, math.nan]:
        for form in (number, {"value": number, "cite": "T2"}):
            with pytest.raises(ValidationError):
                kind.model_validate(form)


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("probability", 1, 1.1),
        ("open_probability", 0.9, 1),
        ("months", 0, -1),
        ("positive_months", 0.1, 0),
        ("rate", 0, -1),
        ("positive_rate", 0.1, 0),
        ("ratio", 0.1, 0),
    ],
)
def test_plain_numbers(name: str, allowed: float, refused: float) -> None:
    assert getattr(Plain.model_validate({name: allowed}), name) == allowed
    for given in (refused, str(allowed), True, math.inf, math.nan, {"value": allowed, "cite": "T2"}):
        assert list(complaints({name: given}, Plain)) == [(name,)]


def test_specs_are_strict_and_frozen() -> None:
    assert complaints({"rate": 0.3, "blind": "yes", "looks": ["5"], "rates": 1}) == {
        ("blind",): "bool_type",
        ("looks", 0): "int_type",
        ("rates",): "extra_forbidden",
    }
    drug = Drug.model_validate({"rate": 0.3})
    with pytest.raises(ValidationError, match="frozen"):
        drug.blind = False


def test_many_takes_a_list() -> None:
    drug = Drug.model_validate({"rate": 0.3, "looks": [5, 10], "ratios": [0.5, {"value": 0.3, "cite": "T2"}]})
    assert drug.looks == (5, 10)
    assert [ratio.value for ratio in drug.ratios] == [0.5, 0.3]
    assert complaints({"rate": 0.3, "ratios": [0.5, 0]}) == {("ratios", 1): "greater_than"}


@pytest.mark.parametrize(
    "written",
    [0.3, {"value": 0.3, "cite": "T2"}, {"value": 0.3, "cite": ["T1", "T2"]}, {"value": 0.3, "assumption": "a guess"}],
)
def test_what_is_written_is_what_was_read(written: Any) -> None:
    drug = Drug.model_validate({"rate": written})
    assert drug.model_dump()["rate"] == written
    assert Drug.model_validate(drug.model_dump(exclude_unset=True)) == drug
    assert Drug.model_validate_json(drug.model_dump_json()) == drug
    assert hash(drug.rate) == hash(Probability.model_validate(written))


def test_json_schema_shows_both_forms() -> None:
    schema = Drug.model_json_schema()
    assert schema["properties"]["rate"]["$ref"] == "#/$defs/Probability"
    probability = schema["$defs"]["Probability"]
    number, mapping = probability["anyOf"]
    assert probability["description"]
    assert number == {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability, 0 to 1."}
    assert set(mapping["properties"]) == {"value", "cite", "assumption"}
    assert all(item["description"] for item in mapping["properties"].values())
    assert mapping["properties"]["value"] == number
    assert mapping["required"] == ["value"]
    assert mapping["oneOf"] == [{"required": ["cite"]}, {"required": ["assumption"]}]
    assert mapping["additionalProperties"] is False
    months = schema["$defs"]["PositiveMonths"]["anyOf"][0]
    assert months == {"type": "number", "exclusiveMinimum": 0, "description": "Months, above 0."}
    assert Probability.model_json_schema() == Probability.model_json_schema()

"""Building blocks of everything a person writes: strict models, and numbers that carry their origin."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from lmd_trialsim.evidence.claims import check_citable

Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Field(strict=False)]
"""A tuple that a YAML list may fill: strict models take no list for a bare `tuple`."""


class Spec(BaseModel):
    """What a person writes: no unknown keys, no quoted numbers, no infinities; never changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# Numbers of a design: chosen, not known, so they need no source.
PlainProbability = Annotated[
    float, Field(strict=True, allow_inf_nan=False, ge=0, le=1, description="Probability, 0 to 1.")
]
PlainOpenProbability = Annotated[
    float, Field(strict=True, allow_inf_nan=False, gt=0, lt=1, description="Probability above 0 and below 1.")
]
FIFTY_YEARS = 600.0
"""Months: longer than any trial, and what sums of durations hold."""
PlainMonths = Annotated[
    float, Field(strict=True, allow_inf_nan=False, ge=0, le=FIFTY_YEARS, description="Months, 0 to 600.")
]
PlainPositiveMonths = Annotated[
    float, Field(strict=True, allow_inf_nan=False, gt=0, le=FIFTY_YEARS, description="Months, above 0, up to 600.")
]
PlainRate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, description="Rate per month, 0 or more.")]
PlainPositiveRate = Annotated[
    float, Field(strict=True, allow_inf_nan=False, gt=0, description="Rate per month, above 0.")
]
PlainRatio = Annotated[
    float, Field(strict=True, allow_inf_nan=False, gt=0, description="Hazard or odds ratio, above 0.")
]


def _citable(id: str) -> str:
    try:
        check_citable(id)
    except ValueError as error:
        raise PydanticCustomError("citation", "{reason}", {"reason": str(error)}) from None
    return id


Citations = Annotated[
    tuple[
        Annotated[str, Field(strict=True), BeforeValidator(lambda id: _citable(id) if isinstance(id, str) else id)], ...
    ],
    BeforeValidator(lambda cite: (cite,) if isinstance(cite, str) else cite),
    Field(strict=False, min_length=1, description="The row of the evidence that prints the number, or a list of rows."),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Assumption = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Sourced(Spec):
    """A number with its origin, written `0.3`, `{value: 0.3, cite: T2}` or `{value: 0.3, assumption: a sentence}`."""

    value: float
    cite: Citations = ()
    assumption: Assumption | None = Field(None, description="Why this number, in a sentence, where no row prints it.")

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Read all three forms; an error points to the key that the person wrote, and none hides another."""
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            try:
                return handler({"value": given})
            except ValidationError as error:
                errors = [_moved(detail, detail["loc"][1:]) for detail in error.errors()]
            raise ValidationError.from_exception_data(cls.__name__, errors)
        errors = list(_errors_of_origin(given))
        try:
            read = handler(given)
        except ValidationError as error:
            lone = isinstance(given.get("cite"), str)
            errors += [
                _moved(detail, _without_index(detail["loc"]) if lone else detail["loc"]) for detail in error.errors()
            ]
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return read

    @model_serializer
    def _write(self) -> float | dict[str, Any]:
        """Return the form that was read."""
        if self.cite:
            return {"value": self.value, "cite": self.cite[0] if len(self.cite) == 1 else list(self.cite)}
        if self.assumption is not None:
            return {"value": self.value, "assumption": self.assumption}
        return self.value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of a bare number or a mapping with exactly one origin."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        if "properties" in schema:
            properties, description = schema["properties"], schema["description"]
            number = {key: item for key, item in properties["value"].items() if key != "title"}
            origins = {
                "cite": {key: properties["cite"][key] for key in ("anyOf", "description")},
                "assumption": {
                    "type": "string",
                    "minLength": 1,
                    "description": properties["assumption"]["description"],
                },
            }
            mapping = {
                "type": "object",
                "properties": {"value": number} | origins,
                "additionalProperties": False,
                "required": ["value"],
                "oneOf": [{"required": [origin]} for origin in origins],
            }
            schema.clear()
            schema |= {"description": description, "anyOf": [number, mapping]}
        return reference


class Probability(Sourced):
    """A probability, 0 to 1: a bare number, or a mapping with its origin."""

    value: PlainProbability


class OpenProbability(Sourced):
    """A probability above 0 and below 1: a bare number, or a mapping with its origin."""

    value: PlainOpenProbability


class Months(Sourced):
    """Months, 0 or more: a bare number, or a mapping with its origin."""

    value: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, description="Months, 0 or more.")]


class PositiveMonths(Sourced):
    """Months, above 0: a bare number, or a mapping with its origin."""

    value: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, description="Months, above 0.")]


class Rate(Sourced):
    """A rate per month, 0 or more: a bare number, or a mapping with its origin."""

    value: PlainRate


class PositiveRate(Sourced):
    """A rate per month, above 0: a bare number, or a mapping with its origin."""

    value: PlainPositiveRate


class Ratio(Sourced):
    """A hazard or odds ratio, above 0: a bare number, or a mapping with its origin."""

    value: PlainRatio


def _errors_of_origin(given: Mapping[Any, Any]) -> Iterable[InitErrorDetails]:
    cited, assumed = given.get("cite") is not None, given.get("assumption") is not None
    if cited and assumed:
        reason = "a number has one origin, not both: drop cite or assumption."
        yield _error("two_origins", reason, ("assumption",), given["assumption"])
    if not cited and not assumed:
        reason = "a number written as a mapping needs its origin: add `cite: ROW` or `assumption: a sentence`."
        yield _error("no_origin", reason, (), dict(given))


def _error(kind: str, reason: str, loc: tuple[int | str, ...], given: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(kind, "{reason}", {"reason": reason}), loc=loc, input=given)


def _moved(detail: Any, loc: tuple[int | str, ...]) -> InitErrorDetails:
    """Return an error of pydantic's own listing, raised anew at `loc`."""
    context = detail.get("ctx", {})
    if "reason" in context:
        return _error(detail["type"], context["reason"], loc, detail["input"])
    return InitErrorDetails(type=detail["type"], loc=loc, input=detail["input"], ctx=context)


def _without_index(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return ("cite",) for ("cite", 0): the person wrote one id, not a list."""
    return loc[:1] if loc[:1] == ("cite",) else loc

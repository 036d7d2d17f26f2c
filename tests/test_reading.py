"""The door through which a file enters: nothing but plain data passes, and each mistake is told in its place."""

import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lmd_trialsim.reading import LIMIT, At, Document, Mistake, ScenarioError, Several, read_yaml, render, validate

LINE = re.compile(r".+:\d+:\d+: .+")
FUZZ = settings(derandomize=True, deadline=None, max_examples=300)


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Cited(Spec):
    value: float = Field(ge=0, le=1)
    cite: str

    @model_validator(mode="after")
    def cite_is_known(self) -> Self:
        if self.cite == "nowhere":
            raise At(("cite",), "this source is not known", got=self.cite, allowed="T1, T2")
        return self


class Binary(Spec):
    kind: Literal["binary"]
    rate: dict[str, Annotated[float, Field(gt=0, le=1)] | Cited]


class Survival(Spec):
    kind: Literal["survival"]
    median_months: float = Field(gt=0, description="Months until half of the patients have progressed.")
    piecewise: "dict[str, Survival] | None" = None


class Design(Spec):
    max_patients: int = Field(ge=1, alias="max_patients")
    looks: list[int] | Literal["every_patient"] = "every_patient"
    alpha: float = Field(0.025, alias="type_one_error")
    blinded: bool = False
    label: str = Field("", max_length=12)

    @field_validator("max_patients")
    @classmethod
    def not_thirteen(cls, number: int) -> int:
        if number == 13:
            raise ValueError("13 is unlucky. Take 12 or 14")
        return number

    @model_validator(mode="after")
    def looks_are_reached(self) -> Self:
        late = [
            At(("looks", look), f"{patients} is after the last patient (max_patients = {self.max_patients})")
            for look, patients in enumerate(self.looks)
            if isinstance(patients, int) and patients > self.max_patients
        ]
        if late:
            raise Several(late)
        return self


class Study(Spec):
    endpoints: dict[str, Annotated[Binary | Survival, Field(discriminator="kind")]] = {}
    designs: dict[str, Design] = {}
    title: str = "untitled"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reading")


@pytest.fixture
def read(folder: Path) -> Any:
    def read(content: str | bytes) -> Document:
        path = folder / "study.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_yaml(path)

    return read


@pytest.fixture
def mistakes(read: Any) -> Any:
    """The mistakes in a text, each as (line, column, message)."""

    def mistakes(content: str | bytes, model: type[BaseModel] | None = None) -> list[tuple[int, int, str]]:
        with pytest.raises(ScenarioError) as caught:
            validate(model, read(content)) if model else read(content)
        for line in str(caught.value).splitlines():
            assert LINE.fullmatch(line)
        told = caught.value.mistakes
        return [(m.line, m.column, str(m).removeprefix(f"{m.file}:{m.line}:{m.column}: ")) for m in told]

    return mistakes


# ---------------------------------------------------------------------------------------------------------- plain data


def test_numbers_texts_and_truth_values_follow_yaml_1_2(read: Any) -> None:
    text = """\
a: 100_000
b: 1e-3
c: 010
d: yes
e: on
f: 1:30
g: 0x1F
h: 0o17
i: -1_000.5e3
j: '3'
k: |
  two
  lines
l: true
m: FALSE
n: [.5, 5., +1, -0]
o: {}
p: _1
q: 1__0
r: "2026-01-01"
null: 1
"""
    document = read(text)
    assert document.data == {
        "a": 100_000, "b": 0.001, "c": 10, "d": "yes", "e": "on", "f": "1:30", "g": 31, "h": 15, "i": -1_000_500.0,
        "j": "3", "k": "two\nlines\n", "l": True, "m": False, "n": [0.5, 5.0, 1, 0], "o": {}, "p": "_1", "q": "1__0",
        "r": "2026-01-01", "null": 1,
    }  # fmt: skip
    assert _types(document.data) <= {dict, list, str, int, float, bool}


def test_positions_of_values_and_keys_count_from_one(read: Any) -> None:
    document = read("a:\n  b: [1, {c: 2}]\n  d:\n    - x\n")
    assert document.position(("a", "b")) == (2, 6)
    assert document.position(("a", "b"), key=True) == (2, 3)
    assert document.position(("a", "b", 1, "c")) == (2, 14)
    assert document.position(("a", "b", 1, "c"), key=True) == (2, 11)
    assert document.position(("a", "d", 0)) == (4, 7)
    assert document.position(("a", "d", 0), key=True) == (4, 7)
    assert document.position(("a", "b", 7, "nowhere")) == (2, 3)
    assert document.position(()) == (1, 1)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n", b"a: 1\rb:\r  c: 2\r"])
def test_byte_order_mark_and_foreign_line_ends_do_not_shift_positions(read: Any, content: bytes) -> None:
    document = read(content)
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.position(("a",), key=True) == (1, 1)
    assert document.position(("b", "c")) == (3, 6)


def test_derived_data_points_to_where_it_was_taken_from(read: Any) -> None:
    document = read("designs:\n  first:\n    max_patients: 0\n  second:\n    blinded: true\n")
    data = {"designs": {"first": {"max_patients": 5}, "second": {"max_patients": 0, "blinded": True}}}
    derived = document.derived(data, {("designs", "second", "max_patients"): ("designs", "first", "max_patients")})
    with pytest.raises(ScenarioError) as caught:
        validate(Study, derived)
    assert [(m.line, m.column) for m in caught.value.mistakes] == [(3, 19)]


# -------------------------------------------------------------------------------------------------------- refused YAML

REFUSED = {
    "a: &x 1": (1, 4, "a: anchors are not read (got &x)"),
    "b: *x": (1, 4, "b: aliases are not read (got *x)"),
    "*x : 1": (1, 1, "a key must be text, not a list, mapping or alias"),
    "a: !!str 3": (1, 4, "a: tags are not read (got !!str)"),
    "a: ! 3": (1, 4, "a: tags are not read (got !)"),
    "a: !!python/object/apply:os.system ['true']": (1, 4, "a: tags are not read (got !!python/object/apply:os.system)"),
    "a:\n  - 1\nb: 2\na: 3": (4, 1, "a: this key is written twice, first at line 1, column 1. Keep one of them"),
    "a: {b: 1, b: 2}": (1, 11, "a.b: this key is written twice, first at line 1, column 5"),
    "a:\n  <<: {b: 1}": (2, 3, "a: merge keys are not read (got <<)"),
    "a: 1\n---\nb: 2": (2, 1, "a second document begins here"),
    "1: a": (1, 1, "a key must be text (got 1). Put it in quotes"),
    "a: {1.5: b}": (1, 5, "a: a key must be text (got 1.5)"),
    "~: a": (1, 1, "a key must be text (got ~)"),
    ": a": (1, 1, "a key must be text (got nothing)"),
    "true: a": (1, 1, "a key must be text (got true)"),
    "2026-01-01: a": (1, 1, "a key must be text (got 2026-01-01)"),
    "? [a]\n: 2": (1, 3, "a key must be text, not a list, mapping or alias"),
    "a: .nan": (1, 4, "a: must be a finite number (got .nan)"),
    "a: [1, -.INF]": (1, 8, "a.1: must be a finite number (got -.INF)"),
    "a: 1e999": (1, 4, "a: the number is too large (got 1e999)"),
    "a: 1e-999": (1, 4, "a: the number is too close to 0 (got 1e-999)"),
    "a: 9223372036854775808": (1, 4, "a: the number is too large (got 9223372036854775808); allowed: up to 2^63 - 1"),
    "a: 1" + "0" * 5000: (1, 4, "a: the number is too large (got 10"),
    "a: 2026-01-01": (1, 4, "a: dates are not read (got 2026-01-01). Put it in quotes"),
    "a: 2026-01-01T00:00:00Z": (1, 4, "a: dates are not read"),
    "a:\n  looks:\nb: 1": (2, 3, "a.looks: has no value"),
    "a: null": (1, 4, "a: has no value (got null). Put it in quotes if it is a name"),
    "a: ~": (1, 4, "a: has no value (got ~). Write one, or leave the line out"),
    "a:\n  -\n  - 1": (2, 4, "a.0: has no value"),
    "": (1, 1, "the file is empty"),
    "# only a comment\n": (1, 1, "the file is empty"),
    "---\n": (1, 1, "the file is empty"),
    "- a": (1, 1, "the file must be a mapping of keys to values (got a list)"),
    "\n  words": (2, 3, "the file must be a mapping of keys to values (got a single value)"),
    "%YAML 1.1\n---\na: 1": (1, 1, "directives are not read"),
    "%YAML 9.9\n---\na: 1": (1, 1, "directives are not read"),
    "a:\n\tb: 1": (2, 1, "a tab stands where only spaces may stand. Indent with spaces"),
    "a: b: c": (1, 5, "a colon followed by a space is not expected here"),
    "a: - 1": (1, 4, "a list with '- ' cannot begin here"),
    "a: 'x\n": (2, 1, "the quotation that begins at line 1, column 4 is not closed"),
    "a: [1, 2\n": (2, 1, "] or a comma is expected here, in what begins at line 1, column 4"),
    "a:\n  b: 1\n c: 2": (3, 2, "this does not line up with the lines above"),
    "a: @x": (1, 4, "a value cannot begin with @. Put the value in quotes"),
    'a: "\\q"': (1, 6, "a backslash in double quotes begins an escape"),
    'a: "\\x1b[31m"': (1, 4, "a: text may not hold invisible characters (got \\x1b)"),
    'a: "\\ud800"': (1, 4, "a: text may not hold invisible characters (got \\ud800)"),
    "a: 1\nb: x\x00y\n": (2, 5, "invisible characters are not read (got \\x00)"),
    "a: \ufeff1": (1, 4, "invisible characters are not read (got \\ufeff)"),
}


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: repr(content)[:40])
def test_what_a_reader_would_not_expect_is_refused_in_its_place(mistakes: Any, content: str) -> None:
    line, column, message = REFUSED[content]
    told = mistakes(content)
    assert told[0][:2] == (line, column)
    assert told[0][2].startswith(message)


def test_all_of_them_are_told_at_once_in_the_order_of_the_file(mistakes: Any) -> None:
    told = mistakes("a: &x 1\nb: !t 2\nc: .inf\nd:\na: *x\ne: [1,, 2]\n")
    assert [one[:2] for one in told] == [(1, 4), (2, 4), (3, 4), (4, 1), (5, 1), (5, 4), (6, 7)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfea\x00", "the file is written in UTF-16"),
        (b"a: 1\nb: caf\xe9\n", "this is not UTF-8 text (got the byte 0xe9)"),
    ],
)
def test_other_encodings_are_refused(mistakes: Any, content: bytes, message: str) -> None:
    (told,) = mistakes(content)
    assert told[2].startswith(message)
    assert told[:2] == ((2, 7) if b"caf" in content else (1, 1))


def test_files_that_cannot_be_read_are_told_like_every_mistake(tmp_path: Path) -> None:
    for path, message in {
        tmp_path / "none.yaml": "there is no such file",
        tmp_path: "this is a folder",
        tmp_path / "a\nb.yaml": "there is no such file",
        "\0": "the file cannot be read",
    }.items():
        with pytest.raises(ScenarioError, match=message) as caught:
            read_yaml(path)
        assert LINE.fullmatch(str(caught.value))
        assert (caught.value.mistakes[0].line, caught.value.mistakes[0].column) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    with pytest.raises(ScenarioError, match="permission"):
        read_yaml(path)


def test_permission_denied_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(ScenarioError, match="permission to read the file is denied"):
        read_yaml("secret.yaml")


def test_a_large_file_is_refused_without_reading_it_all(mistakes: Any) -> None:
    (told,) = mistakes(b"a: 1\n" * (LIMIT * 3 // 10))
    assert told == (1, 1, "the file is larger than 1,000,000 bytes. Leave data out; a scenario is a few pages.")
    if Path("/dev/zero").exists():
        with pytest.raises(ScenarioError, match="larger"):
            read_yaml("/dev/zero")


def test_a_billion_laughs_are_refused_quickly(mistakes: Any) -> None:
    laughs = ["a0: &a0 [ha, ha]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    begun = time.perf_counter()
    told = mistakes("\n".join(laughs))
    assert time.perf_counter() - begun < 2
    assert len(told) == 10 + 9 * 9


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: " + "[" * 900_000, "values are nested more than 40 deep"),
        ("a: " + "{b: " * 200_000, "values are nested more than 40 deep"),
        ("a: [" + "1," * 100_001 + "]", "the file holds more than 100,000 values"),
    ],
)
def test_deep_and_wide_files_are_refused(mistakes: Any, content: str, message: str) -> None:
    assert mistakes(content)[-1][2].startswith(message)


def test_forty_levels_are_read(read: Any) -> None:
    assert read("a: " + "[" * 39 + "]" * 39).data
    with pytest.raises(ScenarioError, match="nested more than 40 deep"):
        read("a: " + "[" * 40 + "]" * 40)


@pytest.mark.parametrize("count", [998, 999, 1000, 1001, 5000])
def test_very_many_mistakes_end_with_a_count(read: Any, count: int) -> None:
    with pytest.raises(ScenarioError) as caught:
        read("".join(f"k{i}:\n" for i in range(count)) + "a: [}")
    assert len(caught.value.mistakes) <= 1001
    assert re.fullmatch(r"\.\.\. and \d+ more\.", render(caught.value).splitlines()[-1])


# ---------------------------------------------------------------------------------------------------- pydantic's errors

BINARY = "endpoints:\n  e:\n    kind: binary\n    rate: "
WRONG = {
    BINARY + "{a: 1.5}": (
        4, 15, "endpoints.e.rate.a: must be at most 1 (got 1.5); allowed: greater than 0 and at most 1.",
    ),
    BINARY + "{a: '0.3'}": (
        4, 15, "endpoints.e.rate.a: must be a number or a mapping, not text (got '0.3'). Take the quotes off.",
    ),
    BINARY + "{a: 30%}": (4, 15, "endpoints.e.rate.a: must be a number or a mapping, not text (got '30%'). Write 0.3."),
    BINARY + "{a: '0,3'}": (
        4, 15, "endpoints.e.rate.a: must be a number or a mapping, not text (got '0,3'). Write 0.3.",
    ),
    BINARY + "{a: true}": (4, 15, "endpoints.e.rate.a: must be a number or a mapping, not true or false (got true)."),
    BINARY + "{a: [1]}": (4, 12, "endpoints.e.rate.a: must be a number or a mapping, not a list."),
    BINARY + "{a: {value: 2, cite: T2}}": (
        4, 23, "endpoints.e.rate.a.value: must be at most 1 (got 2); allowed: at least 0 and at most 1.",
    ),
    BINARY + "{a: {value: 0.5, cites: T2}}": (
        4, 28, "endpoints.e.rate.a.cites: unknown key; allowed: value, cite. Did you mean cite?",
    ),
    BINARY + "{a: {value: 0.5}}": (4, 12, "endpoints.e.rate.a: the key cite is missing."),
    BINARY + "{a: {value: 0.5, cite: nowhere}}": (
        4, 34, "endpoints.e.rate.a.cite: this source is not known (got nowhere); allowed: T1, T2.",
    ),
    BINARY + "3": (4, 11, "endpoints.e.rate: must be a mapping, not a number (got 3)."),
    "endpoints: {e: {kind: binry}}": (
        1, 23, "endpoints.e.kind: unknown kind (got 'binry'); allowed: binary, survival. Did you mean binary?",
    ),
    "endpoints: {e: {kind: [1]}}": (1, 17, "endpoints.e.kind: unknown kind (got a list); allowed: binary, survival."),
    "endpoints: {e: {rate: {}}}": (1, 13, "endpoints.e: the key kind is missing; allowed: binary, survival."),
    "endpoints: {e: 3}": (1, 16, "endpoints.e: must be a mapping, not a number (got 3)."),
    "endpoints:\n  e:\n    kind: survival": (
        2, 3, "endpoints.e: the key median_months is missing. Months until half of the patients have progressed.",
    ),
    "endpoints: {e: {kind: survival, median_months: 1, piecewise: {early: {kind: survival, median_months: 0}}}}": (
        1, 102, "endpoints.e.piecewise.early.median_months: must be greater than 0 (got 0).",
    ),
    "designs: {d: {max_patient: 3}}": (
        1, 15, "designs.d.max_patient: unknown key; allowed: max_patients, looks, type_one_error, blinded, label. "
        "Did you mean max_patients?",
    ),
    "designs: {d: {max_patients: 3, type-one error: 0.1}}": (
        1, 32, "designs.d.'type-one error': unknown key; allowed: max_patients, looks, type_one_error, blinded, label. "
        "Did you mean type_one_error?",
    ),
    "designs: {d: {max_patients: 2.5}}": (
        1, 29, "designs.d.max_patients: must be a whole number (got 2.5). Write 2 or 3.",
    ),
    "designs: {d: {max_patients: 1e-1}}": (1, 29, "designs.d.max_patients: must be a whole number (got 0.1). Write 1."),
    "designs: {d: {max_patients: 1e20}}": (
        1, 29, "designs.d.max_patients: must be a whole number, and this one is too large (got 1e+20).",
    ),
    "designs: {d: {max_patients: '1,000'}}": (
        1, 29, "designs.d.max_patients: must be a whole number, not text (got '1,000'). Write 1_000.",
    ),
    "designs: {d: {max_patients: 13}}": (1, 29, "designs.d.max_patients: 13 is unlucky. Take 12 or 14."),
    "designs: {d: {max_patients: 9, looks: [5,\n  12]}}": (
        2, 3, "designs.d.looks.1: 12 is after the last patient (max_patients = 9).",
    ),
    "designs: {d: {max_patients: 9, looks: every_patients}}": (
        1, 39, "designs.d.looks: 'every_patients' is not known here; allowed: every_patient or a list. "
        "Did you mean every_patient?",
    ),
    "designs: {d: {max_patients: 9, looks: 3}}": (
        1, 39, "designs.d.looks: must be a list or 'every_patient', not a number (got 3). Write [3].",
    ),
    "designs: {d: {max_patients: 9, looks: [a]}}": (
        1, 40, "designs.d.looks.0: must be a whole number, not text (got 'a').",
    ),
    "designs: {d: {max_patients: 9, blinded: yes}}": (
        1, 41, "designs.d.blinded: must be true or false, not text (got 'yes'). Write true.",
    ),
    "designs: {d: {max_patients: 9, label: 2}}": (
        1, 39, "designs.d.label: must be text, not a number (got 2). Put it in quotes.",
    ),
    "designs: {d: {max_patients: 9, label: a rather long one}}": (
        1, 39, "designs.d.label: must have at most 12 characters (got 'a rather long one').",
    ),
    "designs: []": (1, 1, "designs: must be a mapping, not a list."),
    "titel: x": (1, 1, "titel: unknown key; allowed: endpoints, designs, title. Did you mean title?"),
}  # fmt: skip


@pytest.mark.parametrize("content", WRONG, ids=lambda content: repr(content)[-40:])
def test_a_mistake_is_told_once_and_in_its_place(mistakes: Any, content: str) -> None:
    assert mistakes(content, Study) == [WRONG[content]]


def test_every_mistake_is_told_at_once(mistakes: Any) -> None:
    told = mistakes(
        "titel: x\ndesigns:\n  d: {max_patients: 9, looks: [10, 3, 12]}\n  e: {}\nendpoints: {e: {kind: q}}\n", Study
    )
    assert [one[:2] for one in told] == [(1, 1), (3, 32), (3, 39), (4, 3), (5, 23)]


def test_a_union_of_mappings_is_told_by_the_one_that_was_meant(mistakes: Any) -> None:
    class Events(Spec):
        events: list[int]
        final: bool = False

    class Months(Spec):
        months: list[float]

    class Looks(Spec):
        looks: Events | Months | int

    assert mistakes("looks: {months: [a], }", Looks) == [
        (1, 18, "looks.months.0: must be a number, not text (got 'a')."),
    ]
    assert mistakes("looks: {events: [1], finl: true}", Looks) == [
        (1, 22, "looks.finl: unknown key; allowed: events, final. Did you mean final?"),
    ]
    assert mistakes("looks: x", Looks) == [
        (1, 8, "looks: must be a mapping or a whole number, not text (got 'x')."),
    ]


def test_the_context_reaches_the_validators(read: Any) -> None:
    class Aware(Spec):
        arm: str

        @field_validator("arm")
        @classmethod
        def is_known(cls, arm: str, info: Any) -> str:
            assert arm in info.context, f"{arm} is not an arm"
            return arm

    assert validate(Aware, read("arm: a"), context=["a"]).arm == "a"
    with pytest.raises(ScenarioError, match=r"1:6: arm: b is not an arm"):
        validate(Aware, read("arm: b"), context=["a"])


def test_messages_are_one_line_whatever_the_file_says(mistakes: Any) -> None:
    long = "x" * 5000
    for content in (f"{long[:900]}: 1", f"title: [{long}]", f"designs: {{d: {{max_patients: {long}}}}}"):
        (told,) = mistakes(content, Study)
        assert len(told[2]) < 400
    deep = "".join(f"{{{long[:50]}{level}: " for level in range(38)) + "{a: ~" + "}" * 39
    assert mistakes(f"a: {deep}")[-1][2].endswith(".a: has no value (got ~). Write one, or leave the line out.")
    assert mistakes('"a\\nb": 1', Study)[0][2].startswith("'a\\nb': unknown key")
    assert mistakes('"a\u202eb": 1', Study)[0][2].startswith("'a\\u202eb': unknown key")
    mistake = Mistake("f\x1b.yaml", 1, 1, "w\r\nx", "\x1b[31m", "\u2028", "\x07")
    assert str(mistake) == "f\\x1b.yaml:1:1: w\\r\\nx (got \\x1b[31m); allowed: \\u2028. \\x07."


def test_errors_survive_pickling() -> None:
    error = ScenarioError([Mistake("f", 2, 1, "b"), Mistake("f", 1, 1, "a"), Mistake("f", 2, 1, "b")])
    assert str(error) == render(error) == "f:1:1: a.\nf:2:1: b."
    assert pickle.loads(pickle.dumps(error)).mistakes == error.mistakes


def test_neither_pydantic_nor_ruamel_is_loaded_before_a_file_is_read() -> None:
    code = "import sys, lmd_trialsim.reading; print([m for m in ('pydantic', 'ruamel.yaml') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ----------------------------------------------------------------------------------------------------------------- fuzz

VALID = b"""\
# a comment
title: "a \\u00e9 title"
endpoints:
  e: {kind: binary, rate: {a: 0.3, b: {value: 0.2, cite: T2}}}
  s:
    kind: survival
    median_months: 2.3
    piecewise: {late: {kind: survival, median_months: 1e1}}
designs:
  first: {max_patients: 63, looks: [25, 50], type_one_error: 0.025}
  second:
    max_patients: 1_000
    looks: every_patient
    label: |
      block
"""
PIECES = [b"&a ", b"*a", b"!!t ", b"\t", b"\0", b"\xff", b": ", b"- ", b"? ", b"\n", b"[", b"]", b"{", b"}", b"'", b'"',
          b"<<: ", b"---\n", b"%YAML 1.1\n", b"~", b".nan", b"|9\n", b"\\U99999999", b"\xed\xa0\x80", b"2026-01-01",
          b"\xe2\x80\xa8", b"#", b"1e999", b"\r"]  # fmt: skip


def _enter(folder: Path, content: bytes) -> None:
    """Read and validate the content; it may be refused, in lines that point into it."""
    path = folder / "fuzz.yaml"
    path.write_bytes(content)
    error = _refusal(lambda: validate(Study, read_yaml(path)))
    if error:
        lines = str(error).splitlines()
        assert len(lines) == len(error.mistakes) > 0
        assert all(LINE.fullmatch(line) for line in lines)
        height = len(re.split(b"\r\n|\r|\n", content))
        assert all(1 <= mistake.line <= height and mistake.column >= 1 for mistake in error.mistakes)


def _refusal(enter: Callable[[], object]) -> ScenarioError | None:
    try:
        enter()
    except ScenarioError as error:
        return error
    return None


def test_the_unchanged_file_is_valid(read: Any) -> None:
    assert validate(Study, read(VALID)).designs["second"].max_patients == 1000


@FUZZ
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_arbitrary_bytes_raise_nothing_else(folder: Path, content: bytes) -> None:
    _enter(folder, content)


@FUZZ
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_a_mutated_file_raises_nothing_else(folder: Path, edits: list[tuple[int, int, bytes]]) -> None:
    content = VALID
    for start, removed, inserted in edits:
        content = content[:start] + inserted + content[start + removed :]
    _enter(folder, content)


KEYS = ["kind", "rate", "value", "cite", "piecewise", "max_patients", "looks", "label", "e", "float", "Cited", "[key]"]
SCALARS = st.booleans() | st.integers(-5, 5) | st.floats(0, 2) | st.sampled_from(["binary", "survival", "x", "%", "1"])
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@FUZZ
@given(endpoint=PLAIN, design=PLAIN)
def test_arbitrary_data_raise_nothing_else(endpoint: Any, design: Any) -> None:
    document = Document({"endpoints": {"e": endpoint}, "designs": {"d": design}}, "f.yaml")
    error = _refusal(lambda: validate(Study, document))
    assert error is None or all(LINE.fullmatch(line) for line in str(error).splitlines())


def _types(data: Any) -> set[type]:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return {type(data)}.union(*map(_types, inner))


def test_whole_numbers_may_have_an_exponent(read: Any) -> None:
    document = read("a: 1e5\nb: 1.5E3\nc: 1e-1\nd: 2.0\ne: 1e300\n")
    assert document.data == {"a": 100_000, "b": 1500, "c": 0.1, "d": 2.0, "e": 1e300}
    assert [type(value) for value in document.data.values()] == [int, int, float, float, float]

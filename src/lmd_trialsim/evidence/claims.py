"""The rows of the evidence: who was studied, where it is printed, how sure we are, and the numbers.

The letter of an id is its section: T randomized trials, S single-arm and phase 1 trials, R radiotherapy, N natural
history, D diagnostics, C conduct, X toxicity, G precedents, Q second reading. The data are JSON because every run
checks its citations: all of it loads in a few milliseconds, where the same in YAML takes half a second.
"""

import difflib
import functools
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FILES = (
    "randomised",
    "single_arm",
    "radiotherapy",
    "natural_history",
    "diagnostics",
    "conduct",
    "toxicity",
    "precedents",
    "second_reading",
)
WAY_OUT = "`lmd-trialsim evidence` lists the rows."

Flag = Literal["VERIFIED", "RECALLED", "DERIVED"]
Unit = Literal[
    "months",
    "weeks",
    "days",
    "proportion",
    "ratio",
    "patients",
    "patients_per_month",
    "per_site_month",
    "events",
    "sites",
    "trials",
    "studies",
    "cohorts",
    "raters",
    "domains",
    "cycles",
    "kappa",
    "shape",
    "milligrams",
    "millicuries",
    "milliliters",
]


class Claim(BaseModel):
    """One number of a row, exactly as printed; a percentage is stored as a proportion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="What was measured, for instance os_median.")
    value: float
    low: float | None = Field(description="Lower confidence limit (95% unless the note says otherwise), if printed.")
    high: float | None = Field(description="Upper confidence limit (95% unless the note says otherwise), if printed.")
    unit: Unit
    arm: str = Field(description="The arm, group, test or trial that the number belongs to.")
    note: str | None = Field(
        description="What qualifies the number; it begins with 'converted' if the unit is not the printed one."
    )


class Row(BaseModel):
    """One row of the evidence.

    VERIFIED numbers were read in the source, DERIVED ones are arithmetic on verified rows, RECALLED ones (their DOI
    included) come from memory and must not calibrate anything. Notes abbreviate: mo months, wk weeks, n/s not seen,
    NR not reached, OS overall survival, OS3 proportion alive at 3 months, PFS progression-free survival, RR response
    rate, v versus.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[TSRNDCXGQ][1-9][0-9]*$")
    population: str = Field(min_length=1, description="Who was studied, or what was measured.")
    source: str = Field(min_length=1, description="Where it is printed.")
    flag: Flag
    fragment: str | None = Field(description="The words of the source that carry the numbers.")
    note: str = Field(min_length=1, description="Design and result in full.")
    claims: tuple[Claim, ...]

    @property
    def text(self) -> str:
        """Return all words of the row, for searching."""
        of_claims = (f"{claim.name} {claim.arm} {claim.unit} {claim.note or ''}" for claim in self.claims)
        return " ".join((self.id, self.population, self.source, self.flag, self.fragment or "", self.note, *of_claims))


@functools.cache
def rows() -> dict[str, Row]:
    """Return every row by its id, in the order of the sections."""
    data = resources.files(__package__) / "data"
    many = TypeAdapter(list[Row])
    return {each.id: each for name in FILES for each in many.validate_json((data / f"{name}.json").read_bytes())}


def row(id: str) -> Row:
    """Return the row called `id`; an unknown id is a ValueError that names its neighbors and the way out."""
    known = rows()
    if id in known:
        return known[id]
    near = difflib.get_close_matches(id.strip().upper(), known, n=3)
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"{id!r} is not a row of the evidence.{guess} {WAY_OUT}")


def check_citable(id: str) -> None:
    """Raise ValueError unless `id` names a row whose numbers may calibrate a scenario."""
    if row(id).flag == "RECALLED":
        raise ValueError(
            f"{id} is RECALLED, not verified: it cannot calibrate a scenario. "
            "Use assumption: and name the row in the sentence."
        )


def search(text: str) -> list[Row]:
    """Return the rows that contain every word of `text`, in whatever case."""
    words = text.casefold().split()
    return [each for each in rows().values() if all(word in each.text.casefold() for word in words)]

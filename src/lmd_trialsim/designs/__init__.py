"""What a trial does: the face of each family in YAML, and how it lowers to the one plan."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lmd_trialsim.designs.basket import Basket
from lmd_trialsim.designs.generic import SingleArm, TwoArm
from lmd_trialsim.designs.named import Bop2, LeeLiu, SimonTwoStage, SingleStage, ThallSimon
from lmd_trialsim.designs.platform import Platform

Design = Annotated[
    SingleArm | TwoArm | SimonTwoStage | SingleStage | ThallSimon | LeeLiu | Bop2 | Basket | Platform,
    Field(discriminator="kind"),
]

"""Priors of arms as a person writes them: one distribution, or a mixture of some; and what kernels read of them."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import betaln, gammaln

from lmd_trialsim.analyses.arm_mixtures import BetaMixtures, GammaMixtures, NormalMixtures, OwnControls, room_for
from lmd_trialsim.designs.analyses import BetaPrior, GammaPrior, check_weights
from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At

Array = NDArray[np.float64]
Weight = Annotated[float, Field(gt=0, le=1)]


class GammaComponent(GammaPrior):
    """A component of a mixture."""

    weight: Weight = Field(description="weight of the component")


class MeanPrior(Spec):
    """A normal prior of a mean, or of a logit, a log hazard or an effect."""

    mean: Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)] = Field(0.0, description="of the normal prior")
    sd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        description="standard deviation of the normal prior"
    )


class MeanComponent(MeanPrior):
    """A component of a mixture."""

    weight: Weight = Field(description="weight of the component")


HazardPrior = GammaPrior | Annotated[list[GammaComponent], Field(min_length=1, max_length=20)]
ValuePrior = MeanPrior | Annotated[list[MeanComponent], Field(min_length=1, max_length=20)]


class Component(NamedTuple):
    """A component: of a rate alpha and beta, of a hazard events and months, of a mean the mean and its precision."""

    weight: float
    one: float
    two: float


def components_of(prior: Any) -> tuple[Component, ...]:
    """Return the components of a prior as written."""
    found = []
    for each in prior if isinstance(prior, list) else [prior]:
        weight = getattr(each, "weight", 1.0)
        if isinstance(each, BetaPrior):
            found.append(Component(weight, each.alpha, each.beta))
        elif isinstance(each, GammaPrior):
            found.append(Component(weight, each.events, each.months))
        else:
            found.append(Component(weight, each.mean, each.sd**-2.0))
    return tuple(found)


def single(priors: list[tuple[Component, ...]], borrows: Any) -> bool:
    """Return whether all that is known of an arm, and of its controls, is one distribution."""
    return isinstance(borrows, OwnControls) and all(len(prior) == 1 for prior in priors)


def check_priors(analysis: Any, example: str) -> None:
    """Raise what is wrong with the priors of an analysis by themselves."""
    if analysis.prior is None and not analysis.priors:
        raise At(("kind",), f"needs a prior. Add prior: {example}.")
    check_weights(analysis.prior, ("prior",))
    for arm, prior in analysis.priors.items():
        check_weights(prior, ("priors", arm))


class _Columns(NamedTuple):
    first: NDArray[np.int64]  # (arms + 1,)
    weight: Array  # (components,)
    one: Array
    two: Array
    most: int

    @property
    def room(self) -> int:
        """Numbers that the lists take up on the scratch."""
        return room_for(len(self.first) - 1, self.most)


def columns_of(priors: list[tuple[Component, ...]]) -> _Columns:
    """Return the components of all arms one after the other."""
    weight, one, two = (np.array(column) for column in zip(*(c for prior in priors for c in prior), strict=True))
    sizes = [len(prior) for prior in priors]
    return _Columns(np.cumsum([0, *sizes]), weight, one, two, max(sizes))


def beta_mixtures(columns: _Columns, at: int, *, lower: bool) -> BetaMixtures:
    """Return what kernels read of mixtures of beta distributions. at: where their lists begin on the scratch."""
    log_weight = np.log(columns.weight) - betaln(columns.one, columns.two)
    return BetaMixtures(columns.first, log_weight, columns.one, columns.two, columns.most, at, int(lower))


def gamma_mixtures(columns: _Columns, at: int) -> GammaMixtures:
    """Return the same of gamma distributions."""
    log_weight = np.log(columns.weight) + columns.one * np.log(columns.two) - gammaln(columns.one)
    return GammaMixtures(columns.first, log_weight, columns.one, columns.two, columns.most, at)


def normal_mixtures(columns: _Columns, at: int, information: float) -> NormalMixtures:
    """Return the same of normal distributions. information: of one value."""
    log_weight = np.log(columns.weight) - 0.5 * (columns.one**2 * columns.two - np.log(columns.two))
    return NormalMixtures(columns.first, log_weight, columns.one, columns.two, columns.most, at, information)


class Asked(NamedTuple):
    """What kernels of hazards and of means read of the questions."""

    compares: int  # 1 where arms are compared with their controls
    bound_kind: NDArray[np.int64]  # (bounds,) AGAINST_CONTROL, ABSOLUTE
    bound: Array  # (bounds,)
    truth: Array  # (arms,) the true effect; NaN where there is none

"""A model compiled once and sampled for many data sets; and whether the draws are to be trusted."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmd_trialsim.second_opinion import diagnostics

Array = NDArray[np.float64]
Draws = dict[str, Array]  # by name, (chains, draws, ...)

HIGHEST_R_HAT = 1.01
FEWEST_EFFECTIVE = 400.0
MOST_DIVERGENCES = 0
CHAINS, DRAWS, TUNE = 4, 1000, 500
PATIENCE = 4
"""A fit that does not pass is repeated once, with so many times the draws and smaller steps."""

DERIVED = ("share",)
"""Functions of the parameters that no gate is asked of: who is exchangeable may be as good as certain."""

HOW_TO_INSTALL = "needs PyMC and nutpie: pip install 'lmd-trialsim[check]'"


class NotInstalledError(ImportError):
    """PyMC, or its sampler, is not there."""

    def __init__(self) -> None:
        super().__init__(HOW_TO_INSTALL)


class Weighted(NamedTuple):
    """A quantity by the draws, in each part of a mixture, and the probability of the parts.

    Both (parts, chains, draws); of a model that is no mixture there is one part, with weight 1.
    """

    values: Array
    weights: Array

    @classmethod
    def of(cls, values: Array) -> Weighted:
        """Return draws that are no mixture, (chains, draws)."""
        return cls(values[None], np.ones_like(values)[None])

    def above(self, bound: float) -> Array:
        """Return the probability of lying above, draw by draw, (chains, draws)."""
        return np.asarray((self.weights * (self.values > bound)).sum(axis=0))

    def mean(self) -> Array:
        """Return the mean draw by draw, (chains, draws)."""
        return np.asarray((self.weights * self.values).sum(axis=0))


@dataclass(frozen=True)
class Twin:
    """A model of a design, written in PyMC.

    build: returns the model, its data named as in `data` and with their shapes. quantity: of the draws, what is asked
    (designs' own words), the arm or basket, and the month of a survival.
    """

    name: str
    build: Callable[[], Any]
    quantity: Callable[[Draws, str, int, float], Weighted]


class Gates(NamedTuple):
    """The diagnostics of a fit, at the worst of its parameters."""

    r_hat: float
    bulk: float
    tail: float
    divergences: int

    def complaints(self) -> list[str]:
        """Return why the draws are not to be trusted; nothing where they are."""
        found = []
        if not self.r_hat <= HIGHEST_R_HAT:
            found.append(f"R-hat {self.r_hat:.2f}")
        found += [
            f"{which} effective sample size {size:.0f}"
            for which, size in (("bulk", self.bulk), ("tail", self.tail))
            if not size >= FEWEST_EFFECTIVE
        ]
        if self.divergences > MOST_DIVERGENCES:
            found.append(f"{self.divergences} divergences")
        return found


@dataclass(frozen=True)
class Fit:
    """The draws of one data set."""

    draws: Draws
    gates: Gates

    @property
    def why_not(self) -> str:
        """Why the fit is not trusted; empty where it is."""
        return ", ".join(self.gates.complaints())


def gates_of(draws: Mapping[str, Array], divergences: int) -> Gates:
    """Return the diagnostics of the worst parameter. draws: by name, (chains, draws, ...)."""
    series = [np.moveaxis(one.reshape(*one.shape[:2], -1), 2, 0) for one in draws.values()]
    every = np.concatenate(series)
    every = every[every.std(axis=(1, 2)) > 0.0]  # what never moves is known
    if not len(every):
        return Gates(1.0, np.inf, np.inf, divergences)
    worst = diagnostics.r_hat(every), diagnostics.bulk(every), diagnostics.tail(every)
    return Gates(float(worst[0].max()), float(worst[1].min()), float(worst[2].min()), divergences)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what is said of the future of ArviZ 0.23, and of a BLAS that no model here has a use for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message="PyTensor could not link to a BLAS")
        yield


def versions() -> dict[str, str]:
    """Return the versions of PyMC and its sampler. NotInstalledError where one is missing."""
    try:
        with _quiet():
            import nutpie
            import pymc
    except ImportError:
        raise NotInstalledError from None
    return {"pymc": str(pymc.__version__), "nutpie": str(nutpie.__version__)}


class Sampler:
    """A twin, compiled."""

    def __init__(self, twin: Twin, cores: int) -> None:
        self.twin, self.cores = twin, cores
        with _quiet():
            import nutpie

            self._compiled = nutpie.compile_pymc_model(twin.build(), backend="numba")

    def fit(self, data: Mapping[str, NDArray[Any]], seed: int) -> Fit:
        """Return the draws given the data; tried twice where the first try does not pass."""
        fit = self._once(data, seed, 1, 0.95)
        return fit if not fit.why_not else self._once(data, seed + 1, PATIENCE, 0.99)

    def _once(self, data: Mapping[str, NDArray[Any]], seed: int, patience: int, accepted: float) -> Fit:
        import nutpie

        trace = nutpie.sample(
            self._compiled.with_data(**data), draws=patience * DRAWS, tune=patience * TUNE, chains=CHAINS,
            cores=self.cores, seed=seed, progress_bar=False, target_accept=accepted,
        )  # fmt: skip
        draws = {str(name): np.asarray(trace.posterior[name], float) for name in trace.posterior.data_vars}
        diverging = int(np.asarray(trace.sample_stats["diverging"]).sum())
        return Fit(draws, gates_of({name: one for name, one in draws.items() if name not in DERIVED}, diverging))

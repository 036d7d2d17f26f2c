"""Simulate adaptive trials in leptomeningeal metastatic disease."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Results", "Scenario", "__version__", "exact", "run"]

if TYPE_CHECKING:
    from lmd_trialsim.reference.exact import exact
    from lmd_trialsim.scenario import Scenario
    from lmd_trialsim.simulation import Results, run

# Where each name lives. It is imported when it is first asked for (PEP 562), so that `--help` needs no NumPy.
_HOME = {
    "Scenario": "lmd_trialsim.scenario",
    "run": "lmd_trialsim.simulation",
    "Results": "lmd_trialsim.simulation",
    "exact": "lmd_trialsim.reference.exact",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

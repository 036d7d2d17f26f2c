"""Compile what a run needs before it starts, several kernels at a time: Numba compiles one in a process.

Every combination of plan types is a kernel of its own, and takes seconds the first time. Where several are missing from
the disk cache, other processes compile some of them into it meanwhile.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np

from lmd_trialsim.engine.chunk import play_chunk
from lmd_trialsim.engine.outcomes import NO_LOG, empty_outcomes
from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import CACHE_FOLDER, canonical

MOST_PROCESSES = 8


def _skeleton(plan: Any) -> Any:
    """Return a plan of the same type with next to nothing in it."""
    if isinstance(plan, tuple):
        return type(plan)(*map(_skeleton, plan)) if hasattr(plan, "_fields") else tuple(map(_skeleton, plan))
    return np.zeros((1,) * plan.ndim, plan.dtype) if isinstance(plan, np.ndarray) else plan


@functools.cache
def _other_types() -> tuple[Any, ...]:
    others = (new_desk(1, 1, 1, 1), 0, 0, 1, *empty_outcomes(1, 1, 1), NO_LOG)
    return tuple(numba.typeof(argument) for argument in others)


def _types(plan: Any) -> tuple[Any, ...]:
    return numba.typeof(plan), *_other_types()


def _marker(types: tuple[Any, ...]) -> Path | None:
    """Return the file that says that the kernel of these types has been compiled into the disk cache."""
    if CACHE_FOLDER is None:
        return None
    return Path(CACHE_FOLDER) / f"compiled-{hashlib.sha256(repr(types).encode()).hexdigest()[:24]}"


def _compile(types: tuple[Any, ...]) -> None:
    """Compile the kernel of these types, or load it from the disk cache."""
    play_chunk.compile(types)  # type: ignore[attr-defined]
    marker = _marker(types)
    if marker is not None:
        marker.touch()


def compile_all(plans: Sequence[Any], processes: int) -> None:
    """Compile the kernels of all plans, missing ones in up to `processes` processes at a time."""
    distinct = {_types(plan): plan for plan in plans}
    missing = [types for types in distinct if (marker := _marker(types)) is not None and not marker.exists()]
    workers = min(processes, len(missing), MOST_PROCESSES)
    others = [
        process
        for worker in range(1, workers)
        if (process := _start([canonical(_skeleton(distinct[t])) for t in missing[worker::workers]])) is not None
    ]
    own = missing[0::workers] if others else missing
    for types in own:
        _compile(types)
    for process in others:
        process.wait()  # Whatever went wrong there, what it left out is compiled here.
    for types in distinct:
        _compile(types)


def _start(skeletons: list[Any]) -> subprocess.Popen[bytes] | None:
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", "from lmd_trialsim.engine.compiling import compile_from_stdin as c; c()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        with process.stdin as stream:
            pickle.dump(skeletons, stream)
    except OSError:
        return None
    return process


def compile_from_stdin() -> None:
    """Compile the kernels whose plans the parent process sends."""
    for plan in pickle.load(sys.stdin.buffer):
        _compile(_types(canonical(plan)))

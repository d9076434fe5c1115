"""Spikes checked: form, values, and whether they fit a network's input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError

from .arguments import on_host
from .record import Record
from .spec import Shape

if TYPE_CHECKING:
    from .spike_file import Spikes

MAX_MESSAGE_BITS = 24
"""Bits of a graded spike that Lava's ports carry; the counts of a step are stored as uint8."""


def check_given(values: object, *, where: str = "spikes") -> Spikes:
    """Return the same as `check_spikes`, and spikes along a line, ``[T, B, C, L]``, as they are."""
    if isinstance(values, str | Path):
        from .spike_file import read_spikes

        return read_spikes(values)
    if getattr(values, "ndim", 0) != 4:
        return check_spikes(values, where=where)
    line: Any = values
    return check_spikes(line[:, :, :, None], where=where)[:, :, :, 0]


def check_spikes(values: object, *, where: str = "spikes") -> Spikes:
    """Return `values` as uint8 ``[T, B, ...]``, or say what is wrong with them.

    Booleans, whole numbers and floats that are whole are taken; negative values, values above
    255, not-a-number, fractions, other ranks than 3 and 5, and empty axes are not. A path is read.
    """
    if isinstance(values, str | Path):
        values, where = check_given(values), str(values)
    if getattr(values, "is_meta", False):
        what = "expected spikes, got a tensor on the device 'meta', which holds no values"
        raise InputError(what, where=where, hint="make it on 'cpu'")
    values = on_host(values)
    array = _as_array(values, where)
    if array.ndim not in (3, 5):
        raise InputError(
            f"expected spikes [T, B, N] or [T, B, C, H, W], got shape {list(array.shape)}",
            where=where,
            hint="add the missing axis: spikes[:, None] for one sample, time stays first; along a "
            "line, of [T, B, C, L], a height of one: spikes[:, :, :, None]",
        )
    if not array.size:
        raise InputError(
            f"spikes of shape {list(array.shape)} are empty", where=where, hint="give steps"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):
        raise InputError(
            f"spikes from {low} to {high}", where=where, hint="spikes are 0 or 1, counts up to 255"
        )
    spikes = array.astype(np.uint8)
    if array.dtype.kind == "f" and not np.array_equal(spikes, array):
        raise InputError(
            "spikes are not whole numbers",
            where=where,
            hint="encode the values as spikes (snntorch.spikegen.rate, or events encode)",
        )
    return spikes


def _as_array(values: object, where: str) -> NDArray[Any]:
    """Return `values` as numbers in an array; what they are instead, where they are none."""
    hint = "give uint8 [T, B, ...], as an array, a tensor or a spike file"
    if values is None or isinstance(values, Mapping | Record):
        held = "None" if values is None else f"a {type(values).__name__}"
        if isinstance(values, Record):
            hint = "give one layer's spikes: record.spikes[0]"
        elif values is not None:
            hint = "give the array alone; a mapping is for networks with several inputs"
        raise InputError(f"expected spikes, got {held}", where=where, hint=hint)
    try:
        array = np.asarray(values)
    except ValueError as error:
        what = "the steps or samples differ in length, so they are not an array"
        raise InputError(what, where=where, hint="give all the same shape") from error
    if array.dtype.names is not None and {"x", "y", "t", "p"} <= set(array.dtype.names):
        what, hint = "expected spikes, got an array of events", "encode them: events.encode"
        raise InputError(what, where=where, hint=hint)
    if array.dtype.kind not in "buif":
        what = f"expected numbers, got an array of {array.dtype}"
        if array.dtype.kind == "O":
            what = f"expected numbers, got {type(values).__name__} of objects"
        raise InputError(what, where=where, hint=hint)
    return array


def check_input(
    spikes: object, input_shape: Shape, *, message_bits: int = 0, where: str = "spikes"
) -> Spikes:
    """Return `spikes` as uint8 ``[T, B, *input_shape]``, or say what is wrong with them.

    Args:
        spikes: as for `check_spikes`.
        input_shape: shape of one time step that the network takes.
        message_bits: 0 for binary spikes; else counts below ``2 ** message_bits``, at most 255.
        where: how to call them in messages.
    """
    if isinstance(spikes, str | Path):
        from .spike_file import read_spikes

        where = str(spikes) if where == "spikes" else where
        spikes = read_spikes(spikes, input_shape)
    values = check_spikes(spikes, where=where)
    check_input_shape(values.shape, input_shape, where=where)
    largest = largest_count(message_bits)
    if int(values.max()) > largest:
        raise InputError(
            f"a count of {int(values.max())} where the network takes at most {largest}",
            where=where,
            hint="make the spikes binary, or set the network's message_bits",
        )
    return values


def check_input_shape(shape: Shape, input_shape: Shape, *, where: str = "spikes") -> None:
    """Raise InputError unless spikes of a shape ``[T, B, ...]`` are what a network takes."""
    if tuple(shape[2:]) == tuple(input_shape):
        return
    axes = ", ".join(map(str, input_shape))
    hint = "encode them for this network"
    if len(shape) == 5 and (shape[4], *shape[2:4]) == tuple(input_shape):
        hint = "the channels come before height and width: np.moveaxis(spikes, -1, 2)"
    raise InputError(
        f"spikes of shape {list(shape)} for a network that takes [T, B, {axes}]",
        where=where,
        hint=hint,
    )


def check_message_bits(message_bits: int, *, where: str = "") -> None:
    """Raise InputError if no chip's input counts have so many bits."""
    if not 0 <= message_bits <= MAX_MESSAGE_BITS:
        hint = f"give 0 for binary spikes, else 1 to {MAX_MESSAGE_BITS}"
        raise InputError(f"message_bits is {message_bits}", where=where, hint=hint)


def largest_count(message_bits: int) -> int:
    """Return largest count that one input may carry, given a network's message bits."""
    return min(255, (1 << message_bits) - 1) if message_bits else 1

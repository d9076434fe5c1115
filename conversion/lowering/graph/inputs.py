"""Input spikes given for a graph, by name or as one array, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.spec import Shape
from sdcl_neuro.network.spike_checks import check_given, check_input

from .nodes import FloatGraph

Spikes = NDArray[np.uint8]


def take_inputs(
    graph: FloatGraph, given: Any, *, where: str = "spikes", message_bits: int = 0
) -> dict[str, Spikes]:
    """Return spikes ``[T, B, *shape]`` of every input; see `split_inputs`."""
    shapes = {node.name: tuple(node.shape) for node in graph.inputs}
    return split_inputs(shapes, given, where=where, message_bits=message_bits)


def split_inputs(
    shapes: Mapping[str, Shape], given: Any, *, where: str = "spikes", message_bits: int = 0
) -> dict[str, Spikes]:
    """Return spikes by input.

    Args:
        shapes: of each input, in order.
        given: ``{name: spikes}``; or one array, of the only input, or of all inputs' channels one
            after another where their sizes agree.
        where: how to call it in messages.
        message_bits: 0 for binary spikes; else counts below 2 ** message_bits.

    Raises:
        InputError: an input that is missing or unknown, or spikes of another shape.
    """
    if isinstance(given, Mapping):
        if set(given) != set(shapes):
            what = f"spikes of {', '.join(map(str, given)) or 'nothing'}"
            hint = f"give {', '.join(shapes)}"
            raise InputError(what, where=where, hint=hint)
        found = {name: _checked(given[name], f"{where} {name}") for name in shapes}
    else:
        found = _cut(shapes, _checked(given, where), where)
    steps = {values.shape[:2] for values in found.values()}
    if len(steps) > 1:
        what = f"inputs of {', '.join(f'{t} steps, {b} samples' for t, b in sorted(steps))}"
        raise InputError(what, where=where, hint="give all inputs the same steps and samples")
    for name, values in found.items():
        place = where if len(found) == 1 else f"{where} {name}"
        check_input(values, shapes[name], message_bits=message_bits, where=place)
    return found


def _checked(values: Any, where: str) -> Spikes:
    """Return the spikes as uint8; along a line, ``[T, B, C, L]``, they get a height of one."""
    given = check_given(
        values if isinstance(values, str | Path) else np.asarray(values), where=where
    )
    return given[:, :, :, None] if given.ndim == 4 else given


def _cut(shapes: Mapping[str, Shape], values: Spikes, where: str) -> dict[str, Spikes]:
    """Return one array, cut along its channels if there are several inputs."""
    if len(shapes) == 1:
        return dict.fromkeys(shapes, values)
    if len({shape[1:] for shape in shapes.values()}) > 1:
        hint = f"give a mapping from {', '.join(shapes)} to spikes"
        raise InputError("one array for inputs of several sizes", where=where, hint=hint)
    wanted = sum(shape[0] for shape in shapes.values())
    if values.shape[2] != wanted:
        hint = f"give the channels of {', '.join(shapes)} one after another"
        raise InputError(f"{values.shape[2]} channels, expected {wanted}", where=where, hint=hint)
    ends = np.cumsum([shape[0] for shape in shapes.values()])[:-1]
    parts = np.split(values, ends, axis=2)
    return dict(zip(shapes, parts, strict=True))

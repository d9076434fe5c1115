"""Pictures as matplotlib axes, for notebooks and papers (extra ``plot``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import need

from .backend_names import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .record import Record


def axes_of(ax: Axes | None, title: str, *, height: float = 3.0) -> Axes:
    """Return axes to draw on: those given, or those of a new figure.

    Args:
        ax: of the caller's figure; None makes one, 7 inches wide.
        title: of the axes, where they have none yet.
        height: of a new figure, in inches.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    pyplot = need("matplotlib.pyplot", "drawing a picture")
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7.0, height), layout="constrained")
    elif not hasattr(ax, "scatter"):
        what = f"expected matplotlib axes, got a {type(ax).__name__}"
        raise InputError(what, where="ax", hint="give ax=figure.subplots(), or leave it out")
    if not ax.get_title():
        ax.set_title(title)
    return ax


def raster(record: Record, layer: int | None, sample: int, ax: Axes | None) -> Axes:
    """Draw a layer's spikes; see `Record.plot_raster`."""
    if not record.spikes:
        hint = "run with layers=None, which keeps all"
        raise InputError("the record has no layer's spikes", where="plot_raster", hint=hint)
    index = max(record.spikes) if layer is None else layer
    if index not in record.spikes:
        known = ", ".join(map(str, sorted(record.spikes)))
        what = f"there is no layer {index!r} in the record"
        raise InputError(what, where="plot_raster", hint=f"use {known}")
    if not 0 <= sample < record.samples:
        what = f"there is no sample {sample}"
        raise InputError(what, where="plot_raster", hint=f"use 0 to {record.samples - 1}")
    flat = np.asarray(record.spikes[index])[:, sample].reshape(record.steps, -1)
    steps, neurons = np.nonzero(flat)
    name = record.activity[index].name if index < len(record.activity) else ""
    shown = f"layer {index} ({name})" if name else f"layer {index}"
    ax = axes_of(ax, f"{shown}, sample {sample}: {len(steps):,} spikes on {label(record.backend)}")
    size = min(30.0, max(1.0, 2e4 / max(1, flat.shape[1])))
    ax.scatter(steps, neurons, s=size, marker="|", linewidths=1.0)
    ax.set(xlabel="step", ylabel="neuron")
    ax.set_xlim(-0.5, record.steps - 0.5)
    ax.set_ylim(-0.5, flat.shape[1] - 0.5)
    return ax

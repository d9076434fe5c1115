"""Figure 5 of the poster: parameters and operations of models against their mAP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.model_table import describe_model
from sdcl_neuro.network.spec import Pair

from .drawing import SMALL, new_figure
from .labels import place_labels

MARKERS = {"v": ("o", "frames"), "e": ("s", "events"), "v+e": ("^", "both")}


@dataclass(frozen=True)
class CostPoint:
    """One model in the figure.

    Attributes:
        name: as it is written beside the point.
        inputs: ``v``, ``e`` or ``v+e``.
        parameters: of the whole model.
        operations: a frame, two for each multiply-accumulate, as the poster counts them; events
            as a dense machine would compute them.
        mean_ap: 0 to 1.
    """

    name: str
    inputs: str
    parameters: int
    operations: float
    mean_ap: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def cost_of(name: str, model: Sdcl, mean_ap: float, *, bins: int, size: Pair) -> CostPoint:
    """Count a model.

    Args:
        name: of the point.
        model: any.
        mean_ap: measured before.
        bins: time steps a frame.
        size: rows and columns of its spikes.
    """
    counted = describe_model(model, bins=bins, size=size)
    operations = 2 * counted.macs / counted.frames
    return CostPoint(name, model.bridge.config.inputs, counted.parameters, operations, mean_ap)


def cost_figure(points: Sequence[CostPoint], *, data: str = "") -> Any:
    """Draw mAP over parameters and over operations, each point with its name."""
    figure = new_figure(7.4, 3.4)
    axes = figure.subplots(1, 2, sharey=True)
    columns: tuple[tuple[Any, str, str, Callable[[CostPoint], float]], ...] = (
        (axes[0], "parameters", "M", lambda one: one.parameters / 1e6),
        (axes[1], "operations a frame", "G", lambda one: one.operations / 1e9),
    )
    for ax, title, unit, value in columns:
        for inputs, (marker, words) in MARKERS.items():
            own = [one for one in points if one.inputs == inputs]
            if own:
                places = [value(one) for one in own], [100 * one.mean_ap for one in own]
                ax.scatter(*places, marker=marker, s=22, label=words)
        ax.set_xlabel(f"{title}, {unit}", fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
        ax.margins(0.15)
    axes[0].set_ylabel("mAP, %", fontsize=SMALL)
    axes[0].legend(fontsize=SMALL, loc="lower right")
    if data:
        figure.suptitle(data, fontsize=SMALL + 1)
    figure.draw_without_rendering()  # the layout is final: names go where there is room
    for ax, _, _, value in columns:
        pairs = np.array([(value(one), 100 * one.mean_ap) for one in points])
        place_labels(ax, pairs, [one.name for one in points], size=SMALL - 1)
    return figure

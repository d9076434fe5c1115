"""A placement as matplotlib axes (extra ``plot``)."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.pictures import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import Fit


def placement(fit: Fit, ax: Axes | None) -> Axes:
    """Draw a square for each core in use, chip by chip; see `Fit.plot_placement`."""
    found = fit.placement
    if found is None:
        what = "there is no placement, since the profile does not state the chip's cores"
        raise InputError(what, where="plot_placement", hint="fit a chip with known cores")
    ax = axes_of(ax, f"{fit.title}: {len(found.seats):,} cores", height=3.5)
    used = max(seat.core for seat in found.seats) + 1
    columns = ceil(sqrt(used))
    for number, layer in enumerate(fit.layers):
        seats = [
            seat
            for seat, tile in zip(found.seats, found.tiles, strict=True)
            if tile.layer == number
        ]
        x = [seat.chip * (columns + 1) + seat.core % columns for seat in seats]
        y = [seat.core // columns for seat in seats]
        ax.scatter(x, y, marker="s", s=60, color=f"C{number % 10}", label=layer.name)
    for chip in range(found.chips):
        ax.text(chip * (columns + 1) - 0.5, -1.0, f"chip {chip}", fontsize="small")
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set_axis_off()
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return ax

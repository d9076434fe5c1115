"""The pictures of a profile: what `plots` draws, as methods of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import Profile


class ProfilePlots:
    """Draws a profile's charts with matplotlib (extra ``plot``).

    Every method takes the axes to draw on (None makes a figure), returns the axes, and raises
    `EnvironmentFault` where matplotlib is not installed.
    """

    def plot_energy(self, ax: Axes | None = None) -> Axes:
        """Draw each target's energy per sample, from lowest to highest, in µJ."""
        from . import plots

        return plots.energy(cast("Profile", self), ax)

    def plot_energy_parts(self, ax: Axes | None = None) -> Axes:
        """Draw the parts of each target's energy per sample, in µJ."""
        from . import plots

        return plots.energy_parts(cast("Profile", self), ax)

    def plot_latency(self, ax: Axes | None = None) -> Axes:
        """Draw the time of a sample on each target, in µs."""
        from . import plots

        return plots.latency(cast("Profile", self), ax)

    def plot_activity(self, ax: Axes | None = None) -> Axes:
        """Draw the share of neuron steps with a spike, layer by layer."""
        from . import plots

        return plots.activity(cast("Profile", self), ax)

"""Noise taken out of recordings, by filters that are asked for and counted.

Three filters, applied in this order, each on what the one before left:

``hot``: a pixel that fires far more often than those around it is silenced altogether.
``refractory``: an event less than so many microseconds after the last kept one of its pixel.
``background``: an event without another one, within so many microseconds before it, at one of
    the eight pixels around it (Delbruck, 2008: background activity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class

from .array import Events, unchecked

BACKGROUND_US = 10_000
REFRACTORY_US = 500
HOT_FACTOR = 10.0
HOT_LEAST = 20
"""Fewer events never make a pixel hot, however silent those around it are."""
HOT_REACH = 2
"""A pixel is compared with those at most so many rows and columns away."""
HOT_CLUSTER = 4
"""So many hot pixels may lie together: the comparison is with the fourth busiest pixel around.
A line through the pixel has as many there, so that edges and flickering bars stay."""
NEVER_US = -(1 << 62)
LONGEST_US = 1 << 40
FILTERS = {"background": BACKGROUND_US, "refractory": REFRACTORY_US, "hot": HOT_FACTOR}


@public_class
@dataclass(frozen=True)
class Denoise:
    """Which filters, and how strong.

    Attributes:
        background_us: support of the background activity filter; 0 leaves it out.
        refractory_us: refractory period; 0 leaves it out.
        hot_factor: how many times its surroundings a pixel must fire to be hot; 0 leaves it out.

    Raises:
        InputError: a value out of range.
    """

    background_us: int = 0
    refractory_us: int = 0
    hot_factor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("background_us", "refractory_us"):
            if not 0 <= getattr(self, name) <= LONGEST_US:
                raise InputError(
                    f"{name} is {getattr(self, name)}", hint=f"give 0 to {LONGEST_US} us"
                )
        if self.hot_factor and not 1 < self.hot_factor <= 1e6:
            raise InputError(f"hot_factor is {self.hot_factor}", hint="give 1 to 1e6, or 0")

    @property
    def needs_whole(self) -> bool:
        """Return whether a recording has to be known to its end before its first event is kept."""
        return self.hot_factor > 0

    def __str__(self) -> str:
        """Return the setting as the command line takes it."""
        said = []
        if self.hot_factor:
            said.append(f"hot={self.hot_factor:g}")
        if self.refractory_us:
            said.append(f"refractory={self.refractory_us}")
        if self.background_us:
            said.append(f"background={self.background_us}")
        return ",".join(said)

    @classmethod
    def parse(cls, text: str) -> Denoise:
        """Read ``background,refractory=1000,hot=20``; a name alone takes the usual value.

        Raises:
            InputError: an unknown filter, or a value that is not a number.
        """
        found: dict[str, float] = {}
        for word in filter(None, (one.strip() for one in text.split(","))):
            name, given, value = word.partition("=")
            try:
                if name not in FILTERS or name in found:
                    raise ValueError
                found[name] = float(value) if given else FILTERS[name]
            except ValueError:
                raise InputError(
                    f"{word!r} is not a filter",
                    where="--denoise",
                    hint="give background[=US], refractory[=US] and hot[=FACTOR], split by commas",
                ) from None
        return cls(
            background_us=int(found.get("background", 0)),
            refractory_us=int(found.get("refractory", 0)),
            hot_factor=found.get("hot", 0.0),
        )


class Denoiser:
    """Applies filters to one part of a recording after another.

    Hot pixels are found in the first part; for a file, give all of it at once. For a stream they
    are counted again with every part from its beginning on.

    Args:
        config: the filters.
        size: width and height of the sensor.
    """

    def __init__(self, config: Denoise, size: tuple[int, int]) -> None:
        self.config = config
        self._counts = np.zeros((size[1], size[0]), np.int64)
        self._hot = np.zeros((size[1], size[0]), np.bool_)
        self._kept_us = np.full((size[1], size[0]), NEVER_US, np.int64)
        # A border all around, so that every pixel has eight neighbours.
        self._near_us = np.full((size[1] + 2, size[0] + 2), NEVER_US, np.int64)

    @property
    def hot_pixels(self) -> NDArray[np.int64]:
        """Silenced pixels ``[N, 2]``, x and y."""
        rows, columns = np.nonzero(self._hot)
        return np.stack([columns, rows], 1).astype(np.int64)

    def clean(self, events: Events) -> Events:
        """Return the events of a part that pass all filters; the others are counted."""
        from . import denoising_kernels as kernels

        array, removed = events.array, dict(events.removed)
        config = self.config
        notes = events.notes
        if config.hot_factor:
            np.add.at(self._counts, (array["y"], array["x"]), 1)
            self._hot = hot_pixels(self._counts, config.hot_factor)
            keep = ~self._hot[array["y"], array["x"]]
            removed["hot"] = int(np.count_nonzero(~keep))
            array = array[keep]
            if self._hot.any():
                shown = ", ".join(f"({x}, {y})" for x, y in self.hot_pixels[:4].tolist())
                more = ", ..." if len(self.hot_pixels) > 4 else ""
                notes = (*notes, f"{len(self.hot_pixels)} hot pixels: {shown}{more}")
        if config.refractory_us:
            keep = np.empty(len(array), np.bool_)
            kernels.refractory(array, config.refractory_us, self._kept_us, keep)
            removed["refractory"] = int(np.count_nonzero(~keep))
            array = array[keep]
        if config.background_us:
            keep = np.empty(len(array), np.bool_)
            kernels.background(array, config.background_us, self._near_us, keep)
            removed["background"] = int(np.count_nonzero(~keep))
            array = array[keep]
        return unchecked(
            array, events.width, events.height, events.source, events.mended, removed, notes
        )


def hot_pixels(counts: NDArray[np.int64], factor: float) -> NDArray[np.bool_]:
    """Return which pixels have at least `HOT_LEAST` events and over `factor` times their
    surroundings.

    Args:
        counts: events of each pixel, ``[H, W]``.
        factor: times the `HOT_CLUSTER`-th busiest pixel within `HOT_REACH`, itself left out.

    Returns:
        ``[H, W]``.
    """
    hot = counts >= HOT_LEAST
    rows, columns = np.nonzero(hot)
    # Mirrored, so that a line reaches on beyond the border.
    mirrored = min(counts.shape) > HOT_REACH
    padded = np.pad(counts, HOT_REACH, mode="reflect" if mirrored else "edge")
    side = 2 * HOT_REACH + 1
    around: list[NDArray[Any]] = [
        padded[rows + dy, columns + dx]
        for dy in range(side)
        for dx in range(side)
        if (dy, dx) != (HOT_REACH, HOT_REACH)
    ]
    if len(rows):
        usual = np.partition(np.stack(around), -HOT_CLUSTER, axis=0)[-HOT_CLUSTER]
        hot[rows, columns] = counts[rows, columns] > factor * np.maximum(usual, 1.0)
    return hot

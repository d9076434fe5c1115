"""Controls: events that are late, reversed, of swapped polarity, another person's, or absent.

What a network gains by events is worth little until it is known what it gains by these. The frames
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet

from .clip import Clip
from .index import DataSet
from .wrapping import Around

Spikes = NDArray[np.uint8]


def _late(spikes: Spikes, bins: int) -> Spikes:
    """Return every frame gets the events of the frame before it; the first one gets none."""
    moved = np.zeros_like(spikes)
    moved[bins:] = spikes[:-bins]
    return moved


def _reversed(spikes: Spikes, bins: int) -> Spikes:
    """Return the bins of the whole clip in the opposite order, polarities as they are."""
    del bins
    return np.ascontiguousarray(spikes[::-1])


def _swapped(spikes: Spikes, bins: int) -> Spikes:
    """Exchange OFF and ON."""
    del bins
    return np.ascontiguousarray(spikes[:, ::-1])


def _none(spikes: Spikes, bins: int) -> Spikes:
    """Drop every event."""
    del bins
    return np.zeros_like(spikes)


OTHERS = "others"
CHANGES: dict[str, Callable[[Spikes, int], Spikes]] = {
    "late": _late,
    "reversed": _reversed,
    "swapped": _swapped,
    "none": _none,
}
"""Controls that need the tracklet's own events alone: spikes ``[F*K, 2, h, w]`` and K."""
KINDS = (OTHERS, *CHANGES)


@dataclass(frozen=True)
class Controlled(Around):
    """Another data set with its events changed; see `index.DataSet` for what it offers.

    Attributes:
        data: the data set itself.
        kind: of `KINDS`. ``others`` gives each tracklet the events of another person's, chosen
            once by `seed`: of another training tracklet in training, of another query or gallery
            tracklet in a test.
        seed: of that choice.
        training: whether the training tracklets are changed, too.

    Raises:
        InputError: an unknown kind.
    """

    data: DataSet
    kind: str
    seed: int = 0
    training: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"events {self.kind!r}", hint=f"use {', '.join(KINDS)}")

    @cached_property
    def _test(self) -> frozenset[int]:
        return frozenset((*self.data.query, *self.data.gallery))

    @cached_property
    def _partners(self) -> dict[int, int]:
        tested = sorted(self._test)
        trained = [one for one in self.data.train if one not in self._test]
        return {**self._mixed(tested, 0), **self._mixed(trained, 1)}

    def _mixed(self, positions: Sequence[int], part: int) -> dict[int, int]:
        """Choose for each of `positions` another one, of another person."""
        persons = np.array([self.data.entries[one].person for one in positions], np.int64)
        if len(set(persons.tolist())) < 2:
            return {}
        generator = np.random.default_rng([self.seed, 17, part])
        found = {}
        for place, position in enumerate(positions):
            others = np.flatnonzero(persons != persons[place])
            found[position] = positions[int(others[generator.integers(len(others))])]
        return found

    def partner(self, position: int) -> int:
        """Return whose events a tracklet gets: a position; its own unless the kind is ``others``.

        Raises:
            InputError: there is no other person in its part.
        """
        if self.kind != OTHERS or not self._changes(position):
            return position
        if position not in self._partners:
            raise InputError(
                f"no other person whose events {self.data.entries[position].name} could have",
                where=str(self.data),
                hint="give two persons or more",
            )
        return self._partners[position]

    def _changes(self, position: int) -> bool:
        return self.training or position in self._test

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Return the tracklet with its events changed; `seed` is the data set's own."""
        tracklet = self.data.load(position, clip, seed=seed)
        if not self._changes(position):
            return tracklet
        if self.kind == OTHERS:
            other = self.data.load(self.partner(position), clip, seed=seed)
            return replace(tracklet, spikes=other.spikes)
        bins = len(tracklet.spikes) // len(tracklet.times_us)
        return replace(tracklet, spikes=CHANGES[self.kind](tracklet.spikes, bins))

    def __str__(self) -> str:
        parts = "everywhere" if self.training else "in query and gallery"
        said = "of other persons" if self.kind == OTHERS else self.kind
        return f"{self.data}; events {said} {parts}"

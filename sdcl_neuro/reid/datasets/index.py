"""What every data set offers: entries, a split into training, query and gallery, and loading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.network.arguments import public

from .clip import Clip

Part = Literal["train", "query", "gallery"]


class Labelled(Protocol):
    """Attributes that an entry of any data set has."""

    @property
    def name(self) -> str:
        """Unique in its data set."""

    @property
    def person(self) -> int:
        """Identity; 0 for a distractor that is no one's."""

    @property
    def camera(self) -> int:
        """Camera number."""


class DataSet(Protocol):
    """Tracklets by number, loaded on demand; nothing is held.

    Parts are positions in `entries`. A query may be in the gallery too, where ranking leaves it
    out by its person and camera.
    """

    @property
    def entries(self) -> Sequence[Labelled]:
        """Who is seen where, one for each tracklet."""

    @property
    def train(self) -> tuple[int, ...]:
        """Positions for training."""

    @property
    def query(self) -> tuple[int, ...]:
        """Positions that ask."""

    @property
    def gallery(self) -> tuple[int, ...]:
        """Positions that are searched."""

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Return the tracklet of an entry; with a seed, another random sample of its frames."""


@dataclass(frozen=True)
class Labels:
    """Persons and cameras of a part of a data set, int64 ``[N]`` each."""

    persons: NDArray[np.int64]
    cameras: NDArray[np.int64]


@public
def labels(data: DataSet, part: Part) -> Labels:
    """Return who is in a part, without loading it."""
    chosen = [data.entries[position] for position in getattr(data, part)]
    return Labels(
        np.array([entry.person for entry in chosen], dtype=np.int64),
        np.array([entry.camera for entry in chosen], dtype=np.int64),
    )


def tracklets(
    data: DataSet, part: Part, clip: Clip, *, seed: int | None = None
) -> Iterator[Tracklet]:
    """Load a part, one tracklet after another."""
    for position in getattr(data, part):
        yield data.load(position, clip, seed=seed)


def describe(data: DataSet) -> str:
    """Return one line: how many tracklets, persons and cameras in each part."""
    parts: list[str] = []
    names: tuple[Part, ...] = ("train", "query", "gallery")
    for part in names:
        found = labels(data, part)
        persons = len(set(found.persons.tolist()) - {0})
        cameras = len(set(found.cameras.tolist()))
        parts.append(f"{part} {len(found.persons):,} of {persons:,} persons, {cameras} cameras")
    notes: tuple[str, ...] = getattr(data, "notes", ())
    return "; ".join([*parts, *notes])

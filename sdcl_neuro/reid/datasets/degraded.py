"""A data set whose frames are made worse as they are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sdcl_neuro.events.tracklets import Tracklet

from .clip import Clip
from .degradations import degrade_tracklet
from .index import DataSet
from .wrapping import Around


@dataclass(frozen=True)
class Degraded(Around):
    """Another data set, degraded; see `index.DataSet` for what it offers.

    Attributes:
        data: the data set itself.
        kind, severity: see `degradations`.
        seed: a tracklet's name goes into it, so each has its own and keeps it.
        training: whether the training tracklets are degraded too.
    """

    data: DataSet
    kind: str
    severity: int
    seed: int = 0
    training: bool = False

    @cached_property
    def _spared(self) -> frozenset[int]:
        if self.training:
            return frozenset()
        return frozenset(self.data.train) - {*self.data.query, *self.data.gallery}

    def load(self, position: int, clip: Clip, *, seed: int | None = None) -> Tracklet:
        """Return the tracklet, its frames degraded; `seed` is the data set's own."""
        tracklet = self.data.load(position, clip, seed=seed)
        if position in self._spared:
            return tracklet
        return degrade_tracklet(tracklet, self.kind, self.severity, seed=self.seed)

    def __str__(self) -> str:
        parts = "all frames" if self.training else "query and gallery"
        return f"{self.data}; {parts} with {self.kind}, severity {self.severity}"

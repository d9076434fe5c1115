"""What data sets that stand around another one have in common."""

from __future__ import annotations

from collections.abc import Sequence

from .index import DataSet, Labelled


class Around:
    """The entries and parts of `data`; whoever derives from it says how they are loaded."""

    data: DataSet

    @property
    def entries(self) -> Sequence[Labelled]:
        """Entries of the wrapped data set."""
        return self.data.entries

    @property
    def train(self) -> tuple[int, ...]:
        """Positions for training."""
        return self.data.train

    @property
    def query(self) -> tuple[int, ...]:
        """Positions that ask."""
        return self.data.query

    @property
    def gallery(self) -> tuple[int, ...]:
        """Positions that are searched."""
        return self.data.gallery

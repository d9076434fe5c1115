"""What goes into a gallery and what comes out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.network.content import Result

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
LARGEST = 1e15
"""Largest value of an embedding: above it float32 squares may overflow."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Enrolment:
    """One tracklet to enrol.

    Attributes:
        embedding: ``[D]``, finite; stored as float32.
        label: who it is, as far as anyone knows.
        camera: which camera saw it.
        time_us: when, in microseconds, on whatever clock the gallery's user keeps.
        source: where it was cut from, for example a video's hash.
        key: unique in the gallery: a tracklet whose key is there already is not enrolled again.
        metadata: anything else, plain JSON values.
        crop: a picture of the person as the bytes of a JPEG or PNG file; stored only where it is
            given.
    """

    embedding: NDArray[np.floating[Any]]
    label: str | None = None
    camera: str | None = None
    time_us: int | None = None
    source: str | None = None
    key: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    crop: bytes | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry(Result):
    """One tracklet in a gallery, without its embedding; fields as `Enrolment`'s.

    Attributes:
        id: given at enrolment, never given twice.
        enrolled_us: when it was enrolled, in microseconds since 1970 (UTC); retention counts from
            here.
    """

    id: int
    label: str | None
    camera: str | None
    time_us: int | None
    source: str | None
    key: str | None
    metadata: Mapping[str, Any]
    enrolled_us: int

    @property
    def name(self) -> str:
        """The label, or the id where no one gave one."""
        return f"entry {self.id}" if self.label is None else self.label

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        parts = {"camera": self.camera, "time_us": self.time_us, "source": self.source}
        told = [f"{name} {value}" for name, value in parts.items() if value is not None]
        return ", ".join([f"{self.id}: {self.name}", *told])


@dataclass(frozen=True)
class Hit:
    """An entry found, and how far it is from the query: 1 - cosine, or Euclidean."""

    entry: Entry
    distance: float

    def __str__(self) -> str:
        return f"{self.entry.name} ({self.distance:.3f})"


@dataclass(frozen=True)
class Enrolled:
    """What an enrolment did; when it is returned, the rows are on disk.

    Attributes:
        ids: of each tracklet given, in order; of the older entry where its key was there already.
        added: how many are new.
    """

    ids: tuple[int, ...]
    added: int

    def __str__(self) -> str:
        known = len(self.ids) - self.added
        return f"{self.added} enrolled" + (f", {known} already there" if known else "")


@public_class
@dataclass(frozen=True, kw_only=True)
class Where:
    """Which entries count; all that is given must hold.

    An entry without a camera, time or source never meets a condition that asks for one, and is
    never left out by one that excludes some.

    Attributes:
        ids, labels, cameras, sources: only these.
        not_cameras, not_sources: all but these.
        since_us, until_us: from this time on, up to and including that one.
        enrolled_before_us: enrolled before this moment, microseconds since 1970 (UTC).
    """

    ids: Collection[int] | None = None
    labels: Collection[str] | None = None
    cameras: Collection[str] | None = None
    sources: Collection[str] | None = None
    not_cameras: Collection[str] = ()
    not_sources: Collection[str] = ()
    since_us: int | None = None
    until_us: int | None = None
    enrolled_before_us: int | None = None

    def __post_init__(self) -> None:
        names = ("labels", "cameras", "sources", "not_cameras", "not_sources")
        for name in names:
            if isinstance(getattr(self, name), str):  # a text is a collection of its letters
                hint = f"give {name}=[{getattr(self, name)!r}]"
                raise InputError(f"{name} is a text, not a list of texts", hint=hint)

    def sql(self, mark: str = "?") -> tuple[str, list[Any]]:
        """Return a condition for ``WHERE`` and its values; ``1 = 1`` where nothing is asked.

        Args:
            mark: stands for a value, as the database's driver spells it.
        """
        terms: list[str] = []
        values: list[Any] = []
        only: dict[str, Collection[Any] | None] = {
            "id": self.ids,
            "label": self.labels,
            "camera": self.cameras,
            "source": self.sources,
        }
        for column, wanted in only.items():
            if wanted is not None:
                terms.append(f"{column} IN ({_marks(wanted, mark)})" if wanted else "1 = 0")
                values += list(wanted)
        for column, unwanted in {"camera": self.not_cameras, "source": self.not_sources}.items():
            if unwanted:
                terms.append(f"({column} IS NULL OR {column} NOT IN ({_marks(unwanted, mark)}))")
                values += list(unwanted)
        for sign, limit in {">=": self.since_us, "<=": self.until_us}.items():
            if limit is not None:
                terms.append(f"time_us {sign} {mark}")
                values.append(limit)
        if self.enrolled_before_us is not None:
            terms.append(f"enrolled_us < {mark}")
            values.append(self.enrolled_before_us)
        return " AND ".join(terms) or "1 = 1", values


def _marks(values: Collection[Any], mark: str) -> str:
    return ", ".join([mark] * len(values))

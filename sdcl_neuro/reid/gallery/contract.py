"""What a store of galleries does, whichever database keeps the rows."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import kind_of, on_host

from .entries import LARGEST, Enrolled, Enrolment, Entry, Hit, Metric, Where

LARGEST_CROP = 4 << 20
"""Bytes of a stored picture; a crop of a person is some kilobytes."""
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # how JPEG and PNG files begin


@dataclass(frozen=True, eq=False)
class StoredRow:
    """One checked row to store; see `Enrolment` for the fields.

    Attributes:
        embedding: little-endian float32 ``[D]``.
        metadata: JSON text.
        enrolled_us: microseconds since 1970 (UTC).
    """

    embedding: NDArray[np.float32]
    label: str | None
    camera: str | None
    time_us: int | None
    source: str | None
    key: str | None
    metadata: str
    enrolled_us: int
    crop: bytes | None


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit: what was done to a gallery, by whom, and to how many entries.

    It holds no label, embedding or picture, so that it may outlive the person it was about.

    Attributes:
        time_us: microseconds since 1970 (UTC).
        user: name of the account that the process ran under.
        action: such as ``enrol``, ``search``, ``relabel``, ``forget``.
        entries: rows changed; for a search, its queries.
        detail: plain JSON values, such as ids.
    """

    time_us: int
    user: str
    action: str
    entries: int
    detail: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class GalleryStore(Protocol):
    """Rows of one gallery. What changes it has happened, durably, when the call returns.

    Attributes:
        address: as shown to people; holds no secret.
        model: what made the embeddings.
        dimension: D of an embedding.
        engine: what compares the vectors.
    """

    address: str
    model: str
    dimension: int
    engine: str

    def add(self, rows: Sequence[StoredRow]) -> Enrolled:
        """Add rows, all or none; a row whose key is there already is left out."""

    def remove(self, ids: Sequence[int], *, action: str = "remove") -> int:
        """Delete rows; return how many there were."""

    def relabel(self, ids: Sequence[int], label: str | None, *, action: str = "relabel") -> int:
        """Set the label of rows; return how many there were."""

    def count(self) -> int:
        """Return the number of rows."""

    def entries(self, where: Where) -> list[Entry]:
        """Return rows by id."""

    def crop(self, number: int) -> bytes | None:
        """Return a row's picture, if one was stored."""

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the embeddings of rows ``[n, D]``; an id that is not there is left out."""

    def nearest(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        metric: Metric,
        where: Where,
        approximate: bool,
    ) -> list[list[Hit]]:
        """Return the k nearest rows of each of ``[Q, D]``, nearest first, equally near by id."""

    def build_index(self) -> None:
        """Build an index for approximate searches.

        Raises:
            InputError: the store has none.
        """

    def retention(self) -> int | None:
        """Return how long rows are kept after enrolment, in microseconds; None without limit."""

    def set_retention(self, retain_us: int | None) -> None:
        """Set how long rows are kept."""

    def expire(self, moment_us: int) -> int:
        """Delete what is older than the retention allows; return how many rows."""

    def note(self, action: str, entries: int, detail: Mapping[str, Any]) -> None:
        """Write a line of the audit."""

    def audit(self, limit: int) -> list[AuditEntry]:
        """Return the last lines of the audit, oldest first."""

    def vacuum(self) -> None:
        """Rewrite the tables, so that nothing of a deleted row is left in them."""

    def clone(self, target: str) -> int | None:
        """Copy one moment's state with its ids; return how many rows, or None if it cannot."""

    def rows(self) -> Iterator[StoredRow]:
        """Yield every row by id, for a copy."""

    def receive(self, rows: Iterable[StoredRow], retain_us: int | None) -> int:
        """Take another gallery's rows into this empty one, all or none; return how many."""

    def close(self) -> None:
        """Release what is held."""


def checked_row(number: int, tracklet: Enrolment, dimension: int) -> StoredRow:
    """Check one tracklet to enrol.

    Raises:
        InputError: an embedding of another size or not finite, metadata that JSON cannot hold, a
            field of another type, a crop that is not a JPEG or PNG file or past `LARGEST_CROP`.
    """
    where = f"tracklet {number} to enrol"
    given: object = tracklet
    if not isinstance(given, Enrolment):
        hint = "give Enrolment(embedding=..., label=...)"
        raise InputError(f"expected an Enrolment, got {kind_of(given)}", where=where, hint=hint)
    vector = np.asarray(on_host(tracklet.embedding))
    if vector.shape != (dimension,) or not np.issubdtype(vector.dtype, np.floating):
        raise InputError(
            f"an embedding {vector.dtype} {vector.shape}",
            where=where,
            hint=f"give floats [{dimension}]",
        )
    with np.errstate(over="ignore"):  # past float32's range is refused, as infinity is
        stored = np.ascontiguousarray(vector, dtype="<f4")
    if not (np.abs(stored) <= LARGEST).all():
        raise InputError("an embedding that is not finite, or past 1e15", where=where)
    texts = (tracklet.label, tracklet.camera, tracklet.source, tracklet.key)
    whole = tracklet.time_us is None or isinstance(tracklet.time_us, int | np.integer)
    if not whole or not all(value is None or isinstance(value, str) for value in texts):
        hint = "label, camera, source and key are text, time_us is a whole number"
        raise InputError("a field of another type", where=where, hint=hint)
    if any(text is not None and not _plain(text) for text in texts):
        raise InputError("a text with half a character or a NUL", where=where)
    if tracklet.time_us is not None and not -(2**63) <= tracklet.time_us < 2**63:
        raise InputError("time_us is too large for 64 bits", where=where)
    label, camera, source, key = texts
    return StoredRow(
        embedding=stored,
        label=label,
        camera=camera,
        time_us=None if tracklet.time_us is None else int(tracklet.time_us),
        source=source,
        key=key,
        metadata=_json(tracklet.metadata, where),
        enrolled_us=now_us(),
        crop=_picture(tracklet.crop, where),
    )


def now_us() -> int:
    """Return the time of day in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


def user_name() -> str:
    """Return the name of the account that this process runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _plain(text: str) -> bool:
    """Return whether a text can be stored: no half of a surrogate pair, no NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _json(metadata: Mapping[str, Any], where: str) -> str:
    try:
        return json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"metadata that JSON cannot hold ({error})", where=where) from None


def _picture(crop: bytes | None, where: str) -> bytes | None:
    if crop is None:
        return None
    if not isinstance(crop, bytes) or not crop.startswith(_PICTURES) or len(crop) > LARGEST_CROP:
        hint = f"give the bytes of a JPEG or PNG file, at most {LARGEST_CROP >> 20} MiB"
        raise InputError("a crop that is not a picture", where=where, hint=hint)
    return crop

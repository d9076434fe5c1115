"""`Gallery`: enrol, search, say who is who, forget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.network.arguments import kind_of, need_path, public_class

from .checks import checked_ids, checked_label, checked_queries, microseconds
from .contract import AuditEntry, GalleryStore, checked_row, now_us
from .entries import Enrolled, Enrolment, Entry, Hit, Metric, Where
from .recall import Recall, index_recall
from .stores import open_store

_EVERYTHING = Where()
_UNNAMED = "entry "  # how `Entry.name` begins where there is no label


@public_class
class Gallery:
    """Embeddings with who, where and when, in one SQLite file or in PostgreSQL.

    Every call that changes it returns when the change is on disk; a process killed at any moment
    loses nothing that was returned and leaves no change half done. Several processes may use one
    gallery; each sees the others' changes at its next call. Not to be shared between threads.
    Every change and every search leaves a line in the gallery's audit.

    Args:
        address: a file, or ``postgresql://HOST/DATABASE[?gallery=NAME]``. Beside a file,
            ``FILE.cosine.faiss`` may appear, which can be deleted.
        model: says which model made the embeddings, for example the checkpoint's hash; None takes
            the gallery as it is (with ``create=False``).
        dimension: D of an embedding; None likewise.
        create: make the gallery if there is none.
        engine: what searches a file, ``faiss`` or ``numpy``, which answer alike; None takes FAISS
            where installed.

    Raises:
        InputError: no such gallery, or one of another model or dimension.
        EnvironmentFault: FAISS or a driver is asked for and not installed, or no database answers.
    """

    def __init__(
        self,
        address: Path | str,
        *,
        model: str | None = None,
        dimension: int | None = None,
        create: bool = True,
        engine: str | None = None,
    ) -> None:
        need_path(address, "Gallery", "give a file, or the address of a database")
        self._opened: GalleryStore | None = open_store(
            str(address), model=model, dimension=dimension, create=create, engine=engine
        )
        self.address, self.model = self._store.address, self._store.model
        self.dimension, self.engine = self._store.dimension, self._store.engine
        try:
            self.expire()
        except BaseException:
            self.close()
            raise

    @property
    def _store(self) -> GalleryStore:
        if self._opened is None:
            raise InputError(
                "the gallery is closed", where=self.address, hint="open it again with Gallery(...)"
            )
        return self._opened

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._store.count()

    def __str__(self) -> str:
        count = "closed" if self._opened is None else number_of(len(self), "entry")
        return f"{self.address}: {count}, {self.dimension} dimensions"

    def enrol(self, tracklets: Sequence[Enrolment]) -> Enrolled:
        """Add tracklets, all or none of them; those whose key is there already are left out.

        Raises:
            InputError: an embedding of another size or not finite, metadata that JSON cannot hold.
        """
        self.expire()
        rows = [checked_row(number, one, self.dimension) for number, one in enumerate(tracklets)]
        return self._store.add(rows)

    def remove(self, ids: Sequence[int]) -> int:
        """Remove entries; return how many there were. See `forget` for erasing them."""
        return self._store.remove(checked_ids(ids))

    def relabel(self, ids: Sequence[int], label: str | None) -> int:
        """Say who entries are, once it is known; return how many there were."""
        return self._store.relabel(checked_ids(ids), checked_label(label))

    def persons(self) -> dict[str, list[int]]:
        """Return the ids of each person's entries; an entry without a label is its own person."""
        found: dict[str, list[int]] = {}
        for entry in self.entries():
            found.setdefault(entry.name, []).append(entry.id)
        return found

    def merge(self, person: str, into: str) -> int:
        """Make two persons one: the entries of `person` become those of `into`.

        Args:
            person, into: labels, or ``entry N`` for one without a label; where `into` has no label
                either, its entry gets the label ``entry N``.

        Returns:
            How many entries changed their label.

        Raises:
            InputError: no such person, or the same one twice.
        """
        if person == into:
            raise InputError(f"{person!r} is the same person twice", where=self.address)
        moved, kept = self.ids_of(person), self.ids_of(into)
        if into.startswith(_UNNAMED):
            self._store.relabel(kept, into, action="merge")
        return self._store.relabel(moved, into, action="merge")

    def forget(self, *, person: str | None = None, older_than: timedelta | None = None) -> int:
        """Erase a person, or all that was enrolled too long ago, from rows, index and free pages.

        Args:
            person: a label, or ``entry N``.
            older_than: time since enrolment.

        Returns:
            How many entries were erased.

        Raises:
            InputError: no such person; neither or both arguments.
        """
        if (person is None) == (older_than is None):
            raise InputError("give a person or an age to forget", where=self.address)
        if person is not None:
            ids = self.ids_of(person)
        else:
            limit = now_us() - microseconds(older_than)
            ids = [entry.id for entry in self._store.entries(Where(enrolled_before_us=limit))]
        gone = self._store.remove(ids, action="forget")
        self._store.vacuum()
        return gone

    def ids_of(self, person: str) -> list[int]:
        """Return the ids of a person's entries, given a label or ``entry N``.

        Raises:
            InputError: no such person.
        """
        given: object = person
        if not isinstance(given, str):
            what = f"expected a person, got {kind_of(given)}"
            raise InputError(what, where=self.address, hint="give a label or 'entry N'")
        ids = [entry.id for entry in self._store.entries(Where(labels=[person]))]
        number = person.removeprefix(_UNNAMED)
        if not ids and person.startswith(_UNNAMED) and number.isdecimal() and len(number) < 19:
            found = self._store.entries(Where(ids=[int(number)]))
            ids = [one.id for one in found if one.label is None and one.name == person]
        if not ids:
            raise InputError(
                f"no person {person!r}",
                where=self.address,
                hint="sdcl-neuro gallery info lists the persons",
            )
        return ids

    def entries(self, where: Where = _EVERYTHING) -> list[Entry]:
        """Return all entries that meet a condition, by id."""
        self.expire()
        return self._store.entries(where)

    def crop(self, number: int) -> bytes | None:
        """Return the picture that was stored with an entry, JPEG or PNG; None without one."""
        self.expire()
        return self._store.crop(number)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the embeddings of entries ``[n, D]``.

        Raises:
            InputError: an entry that is not there.
        """
        self.expire()
        wanted = checked_ids(ids)
        found = self._store.embeddings(wanted)
        if len(found) != len(wanted):
            raise InputError(f"an entry of {wanted} is not there", where=self.address)
        return found

    @property
    def retention(self) -> timedelta | None:
        """How long an entry is kept after its enrolment; None without limit."""
        kept = self._store.retention()
        return None if kept is None else timedelta(microseconds=kept)

    @retention.setter
    def retention(self, kept: timedelta | None) -> None:
        self._store.set_retention(None if kept is None else microseconds(kept))
        self.expire()

    def expire(self) -> int:
        """Delete what is older than the retention allows; every other call does so first."""
        return self._store.expire(now_us())

    def audit(self, limit: int = 100) -> list[AuditEntry]:
        """Return the last lines of the audit, oldest first."""
        return self._store.audit(limit)

    def vacuum(self) -> None:
        """Rewrite the gallery, so that nothing of a removed entry is left in it."""
        self._store.vacuum()
        self._store.note("vacuum", 0, {})

    def copy(self, target: Path | str) -> None:
        """Copy to a new gallery in any store, whole or not at all.

        From file to file it is the copy of one moment, ids and audit included, while others may be
        enrolling; elsewhere ids are given again and the audit begins with the copy.

        Raises:
            InputError: `target` is there and holds entries, or is a file that is there.
        """
        from .copying import copy_gallery

        copied = copy_gallery(self._store, str(target))
        self._store.note("copy", copied, {})

    def search(
        self,
        queries: ArrayLike,
        *,
        k: int = 10,
        metric: Metric = "cosine",
        where: Where = _EVERYTHING,
        approximate: bool = False,
    ) -> list[list[Hit]]:
        """Return the k nearest entries of each query, nearest first, equally near ones by id.

        Exact: every entry is compared, the answer's distances are computed in float64, and all
        stores and engines give the same answer.

        Args:
            queries: ``[Q, D]``.
            k: how many; fewer come back where fewer meet the condition.
            metric: ``cosine`` (1 - cosine, a zero vector has 1 to all) or ``euclidean``.
            where: which entries count.
            approximate: let a store's HNSW index choose the candidates (`postgres.index`); cosine
                only. A file is always searched exactly.

        Raises:
            InputError: queries of another size or not finite, k below 1, another metric.
        """
        vectors = checked_queries(queries, k, metric, dimension=self.dimension)
        self.expire()
        hits = self._store.nearest(vectors, k, metric=metric, where=where, approximate=approximate)
        self._store.note("search", len(vectors), {"k": k})
        return hits

    def build_index(self, *, queries: int = 100, k: int = 10) -> Recall:
        """Build the store's index for approximate searches, and measure what it finds.

        Args:
            queries: entries that are searched for, both ways, evenly spread over the ids.
            k: nearest entries compared.

        Raises:
            InputError: a store without such an index.
        """
        self._store.build_index()
        ids = [entry.id for entry in self._store.entries(_EVERYTHING)]
        found = index_recall(self._store, ids[:: max(1, len(ids) // queries)][:queries], k=k)
        self._store.note("index", len(ids), {})
        return found

    def close(self) -> None:
        """Release the store; once is enough, twice does no harm."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

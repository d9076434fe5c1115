"""A gallery copied to another store, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path

from .contract import GalleryStore
from .stores import is_file, open_store


def copy_gallery(source: GalleryStore, target: str) -> int:
    """Copy every row and the retention; return how many rows.

    A file appears whole, by a rename; a database takes all rows in one transaction.

    Raises:
        InputError: a file that is there, or a gallery that holds entries or another model's.
    """
    if not is_file(target):
        return _copied(source, target)
    if Path(target).exists():
        # A journal beside it would be taken for the copy's.
        raise InputError("already exists", where=target, hint="name a new file")
    cloned = source.clone(target)
    if cloned is not None:
        return cloned
    with atomic_path(target) as temporary:
        return _copied(source, str(temporary))


def _copied(source: GalleryStore, target: str) -> int:
    store = open_store(
        target, model=source.model, dimension=source.dimension, create=True, engine=None
    )
    try:
        if store.count():
            raise InputError("holds entries already", where=target, hint="name a new gallery")
        return store.receive(source.rows(), source.retention())
    finally:
        store.close()

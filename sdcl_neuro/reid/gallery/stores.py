"""Where a gallery may be kept: one row for each kind of store."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from sdcl_neuro.errors import InputError
from sdcl_neuro.extras import require

from .contract import GalleryStore


@dataclass(frozen=True)
class StoreKind:
    """One kind of store.

    Attributes:
        name: as people call it.
        address: how an address looks, for help and errors.
        schemes: how its addresses begin; none for files.
        module: has ``open_store(address, *, model, dimension, create, engine)``.
        needs: modules of optional libraries (`sdcl_neuro.extras`).
        summary: one sentence.
    """

    name: str
    address: str
    schemes: tuple[str, ...]
    module: str
    needs: tuple[str, ...]
    summary: str


ROWS = (
    StoreKind(
        name="postgres",
        address="postgresql://HOST/DATABASE[?gallery=NAME]",
        schemes=("postgresql://", "postgres://"),
        module="postgres.store",
        needs=("psycopg",),
        summary="PostgreSQL with pgvector: many machines write and search at once.",
    ),
    StoreKind(
        name="sqlite",
        address="FILE",
        schemes=(),
        module="sqlite.embedded",
        needs=(),
        summary="one SQLite file, searched by FAISS or numpy in this process.",
    ),
)


def store_kind(address: str) -> StoreKind:
    """Return the kind of store that an address names.

    Raises:
        InputError: an address with a scheme that no store has.
    """
    for row in ROWS:
        if address.startswith(row.schemes):
            return row
    scheme, separator, _ = address.partition("://")
    if separator:
        raise InputError(
            f"no gallery store for {scheme}://",
            hint=f"give {' or '.join(row.address for row in ROWS)}",
        )
    return next(row for row in ROWS if not row.schemes)


def is_file(address: str) -> bool:
    """Return whether a gallery is a file on this machine."""
    return not store_kind(address).schemes


def open_store(
    address: str,
    *,
    model: str | None,
    dimension: int | None,
    create: bool,
    engine: str | None,
) -> GalleryStore:
    """Open a gallery's store.

    Args:
        address: a file, or an address of one of `ROWS`.
        model, dimension: of the embeddings; None accepts what is there.
        create: make the gallery if there is none; `model` and `dimension` are needed then.
        engine: what searches a file's vectors, see `engines`.

    Raises:
        InputError: no such gallery, or one of another model or dimension.
        EnvironmentFault: a library or the database is not there.
    """
    kind = store_kind(address)
    require(kind.needs, f"a gallery in {kind.name}")
    if create and (model is None or dimension is None):
        raise InputError(
            "a new gallery needs the model and dimension of its embeddings",
            where=address,
            hint="give model= and dimension=, or create=False for a gallery that exists",
        )
    module = import_module(f".{kind.module}", __package__)
    store: GalleryStore = module.open_store(
        address, model=model, dimension=dimension, create=create, engine=engine
    )
    return store

"""FAISS's index on disk: only a cache. The rows say what it must be, and it is checked by hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path
from sdcl_neuro.files.reading import read_file

from ..engines import FaissEngine, faiss_module
from ..entries import Metric
from .store import Cache


def index_path(gallery: Path, metric: Metric) -> Path:
    """Return the path of a gallery's index, next to the gallery."""
    return gallery.with_name(f"{gallery.name}.{metric}.faiss")


def read_index(gallery: Path, metric: Metric, cache: Cache, dimension: int) -> FaissEngine | None:
    """Return the index, or None if it is not there or not the very one that the rows describe.

    FAISS itself reads nothing of which the hash is not known; what it cannot read all the same,
    or what is of another kind or size, is made again from the rows.
    """
    path = index_path(gallery, metric)
    try:
        content = read_file(path, largest=path.stat().st_size) if path.exists() else b""
    except (OSError, InputError):
        return None
    if hashlib.sha256(content).hexdigest() != cache.sha256:
        return None
    faiss = faiss_module()
    kind = faiss.IndexFlatIP if metric == "cosine" else faiss.IndexFlatL2
    try:
        index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    except Exception:  # FAISS raises RuntimeError and more for what is damaged
        return None
    whole = isinstance(index, kind) and index.ntotal == cache.count and index.d == dimension
    return FaissEngine(index, metric) if whole else None


def write_index(gallery: Path, metric: Metric, engine: FaissEngine) -> str:
    """Write the index whole; its SHA-256."""
    content = faiss_module().serialize_index(engine.index)
    with atomic_path(index_path(gallery, metric)) as temporary:
        temporary.write_bytes(content.data)
    return hashlib.sha256(content.data).hexdigest()


def drop_index(gallery: Path, metric: Metric) -> None:
    """Delete the index, and with it the embeddings that it holds."""
    index_path(gallery, metric).unlink(missing_ok=True)

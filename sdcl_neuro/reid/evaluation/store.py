"""Embeddings on disk, a file for each batch, so that a killed extraction goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.files import atomic_path

KEY = "embeddings"


@dataclass(frozen=True)
class FeatureStore:
    """A folder of embeddings by key; `folder` None keeps nothing."""

    folder: Path | None = None

    def get(self, key: str, count: int) -> NDArray[np.float32] | None:
        """Return embeddings ``[count, D]``; None where there are none, or where the file is
        damaged.
        """
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        from safetensors.numpy import load_file

        try:
            found = load_file(path).get(KEY)
        except Exception:  # whatever safetensors trips over: it is computed again
            return None
        good = found is not None and found.ndim == 2 and len(found) == count
        return found if good and found is not None and np.isfinite(found).all() else None

    def put(self, key: str, embeddings: NDArray[np.float32]) -> None:
        """Keep embeddings; the file gets its name when it is whole."""
        path = self._path(key)
        if path is None:
            return
        from safetensors.numpy import save_file

        with atomic_path(path) as temporary:
            save_file({KEY: np.ascontiguousarray(embeddings)}, temporary)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / key[:2] / f"{key}.safetensors"

"""Embeddings and counts on disk, in a file for each batch or network, so that killed work goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.files import atomic_path

KEY = "embeddings"


@dataclass(frozen=True)
class FeatureStore:
    """A folder of arrays by key; `folder` None keeps nothing."""

    folder: Path | None = None

    def get(self, key: str, count: int) -> NDArray[np.float32] | None:
        """Return embeddings ``[count, D]``; None where there are none, or where the file is
        damaged.
        """
        found = (self.arrays(key) or {}).get(KEY)
        good = found is not None and found.ndim == 2 and len(found) == count
        return found if good and found is not None and np.isfinite(found).all() else None

    def put(self, key: str, embeddings: NDArray[np.float32]) -> None:
        """Keep embeddings; the file gets its name when it is whole."""
        self.put_arrays(key, {KEY: embeddings})

    def arrays(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return arrays by name; None where there are none, or where the file is damaged."""
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        from safetensors.numpy import load_file

        try:
            found: dict[str, NDArray[Any]] = load_file(path)
        except Exception:  # whatever safetensors trips over: it is computed again
            return None
        return found

    def put_arrays(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays by name; the file gets its name when it is whole."""
        path = self._path(key)
        if path is None:
            return
        from safetensors.numpy import save_file

        with atomic_path(path) as temporary:
            kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(kept, temporary)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / key[:2] / f"{key}.safetensors"

"""Events to a file of ours: one .npz, whole or not at all, without pickles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import atomic_path

from .array import Events


def write_events(path: Path | str, events: Events, *, compress: bool = True) -> None:
    """Write t (int64, us), x, y (uint16), p (uint8) and ``sensor`` (width, height) to an .npz.

    Raises:
        InputError: the name ends in something else than ``.npz``.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"events are written as .npz, not {path.suffix!r}", where=str(path))
    fields = {name: np.ascontiguousarray(events.array[name]) for name in ("t", "x", "y", "p")}
    fields["sensor"] = np.array([events.width, events.height], np.int64)
    save = np.savez_compressed if compress else np.savez
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        save(stream, allow_pickle=False, **fields)

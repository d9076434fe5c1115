"""What stands for a tracklet in a cache's key, without loading it.

A file on disk is its path, size and time of change; a generated tracklet the numbers it is made
of; one that is held, its values. Weights and networks go into keys by their content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sdcl_neuro.errors import InputError

from ..datasets import DataSet
from ..datasets.controls import Controlled

_PARTS = ("entries", "train", "query", "gallery")
CACHE_NOTE = "cache.json"
"""Says how a folder of simulated events was made; see `datasets.cache`."""


def digest_of(value: Any) -> str:
    """Return SHA-256 of plain values, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def data_signature(data: DataSet) -> Any:
    """Return all of a data set that changes what it loads, but its entries, as plain values."""
    return _plain(data, without=_PARTS)


def entry_signature(data: DataSet, position: int) -> Any:
    """Return one entry with all the files it is made of, as plain values."""
    partner = _partner(data, position)
    if partner != position:
        return [_own_signature(data, position), _own_signature(data, partner)]
    return _own_signature(data, position)


def _partner(data: Any, position: int) -> int:
    """Return whose events an entry has: its own, unless a control gives it another's."""
    while data is not None:
        if isinstance(data, Controlled):
            return data.partner(position)
        data = getattr(data, "data", None)
    return position


def _own_signature(data: DataSet, position: int) -> Any:
    entry = data.entries[position]
    paths = getattr(entry, "frame_paths", None)
    if paths is None:
        return _plain(entry)
    events = [entry.event_path(frame) for frame in range(len(entry.frames))]  # type: ignore[attr-defined]
    return [_plain(entry), *(_file(path) for path in [*paths(), *events] if path is not None)]


def module_sha256(*modules: nn.Module | None) -> str:
    """Return SHA-256 of all parameters and buffers, with their names."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items() if module is not None else ():
            array = value.detach().cpu().contiguous()
            digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
            digest.update(array.reshape(-1).view(torch.uint8).numpy().data)
        digest.update(b"\n")
    return digest.hexdigest()


def _plain(value: Any, *, without: Sequence[str] = ()) -> Any:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in without]
        parts = {name: _plain(getattr(value, name), without=without) for name in names}
        return {"type": type(value).__qualname__, **parts}
    if isinstance(value, Path):
        note = value / CACHE_NOTE
        return [str(value), _file(note)] if note.is_file() else _file(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one, without=without) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, without=without) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(
        f"a {type(value).__qualname__} in a data set has no signature",
        hint="evaluate without a cache of features",
    )


def _file(path: Path) -> list[Any]:
    try:
        found = path.stat()
    except OSError:
        return [str(path), None]
    # A folder's time changes with whatever is put into it, our own results for example.
    return [str(path)] if path.is_dir() else [str(path), found.st_size, found.st_mtime_ns]

"""Identify what a certificate is about, by hash: network, spikes, our sources, versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro import LOADED_AT, __version__
from sdcl_neuro.files import file_sha256

from .spec import FloatNetwork, IntNetwork

LIBRARIES = (
    *("torch", "snntorch", "numpy", "numba", "llvmlite", "scipy", "h5py", "nir", "nirtorch"),
    *("norse", "lava-nc", "lava-dl", "scikit-learn", "asteval", "networkx", "safetensors"),
    *("onnx", "onnxruntime", "sanafe", "triton"),
)
"""Distributions whose code may take part in reading, converting or running a network."""
PACKAGE = Path(__file__).parents[1]
_COMPILED = (".pyc", ".pyo", ".nbi", ".nbc")
_ARRAYS = ("weight", "bias", "recurrent_weight", "delay")


def versions(libraries: Iterable[str] = ()) -> dict[str, str | None]:
    """Return versions of all that may take part; None for what is not installed.

    ``sdcl-neuro-sources`` is a hash of our own code and data, so that a certificate made by other
    code is not taken for one of today. If files were written since this process loaded the package,
    it says so and names the moment, which no other process shares.

    Args:
        libraries: distributions to name besides `LIBRARIES`, such as those of another backend.
    """
    edited = f"edited after they were loaded at {LOADED_AT:.6f}" if edited_sources() else None
    found: dict[str, str | None] = {
        "sdcl-neuro": __version__,
        "sdcl-neuro-sources": edited or _own_sources(),
        "python": platform.python_version(),
    }
    return found | {name: version_of(name) for name in (*LIBRARIES, *libraries)}


@cache
def version_of(library: str) -> str | None:
    """Return version of an installed distribution, None without one; reading it takes half a ms."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def versions_of(*libraries: str) -> dict[str, str]:
    """Return versions of the distributions that took part in a run; ``unknown`` for a bare
    checkout.
    """
    return {name: version_of(name) or "unknown" for name in libraries}


def sources_sha256(root: Path = PACKAGE) -> str:
    """Hash the names and bytes of every file of the package.

    Links are followed, so that a checkout and what is installed from it have the same hash. Left
    out is what Python and numba compiled.

    Args:
        root: folder of the package, or of a copy.
    """
    digest = hashlib.sha256()
    for entry in sorted(source_hashes(root).items()):
        _add(digest, entry)
    return digest.hexdigest()


def source_hashes(root: Path = PACKAGE) -> dict[str, str]:
    """Return SHA-256 of every file that `sources_sha256` covers, by its name below the root."""
    return {name: file_sha256(path) for name, path in _source_files(root)}


def edited_sources(root: Path = PACKAGE, *, since: float = LOADED_AT) -> tuple[str, ...]:
    """Return names of the source files written after a moment, by default when this process loaded
    them.

    The process may be running what these files held before, so that a hash of them does not
    describe what it computes.
    """
    return tuple(sorted(n for n, path in _source_files(root) if path.stat().st_mtime > since))


@cache
def _own_sources() -> str:
    return sources_sha256()[:16]


def network_sha256(*networks: FloatNetwork | IntNetwork | None) -> str:
    """Return a hash of all that changes arithmetic: geometry, constants, weights; not of names or
    meta.
    """
    digest = hashlib.sha256()
    for net in networks:
        bits = getattr(net, "message_bits", None)
        _add(digest, [type(net).__name__, list(net.input_shape) if net else None, bits])
        for layer in net.layers if net is not None else ():
            geometry = layer.convolution
            _add(
                digest,
                [
                    layer.kind,
                    layer.in_shape,
                    layer.out_shape,
                    asdict(layer.neuron),
                    None if geometry is None else asdict(geometry),
                ],
            )
            for name in _ARRAYS:
                _add_array(digest, getattr(layer, name, None))
    return digest.hexdigest()


def path_sha256(path: Path) -> str:
    """Return a hash of a file, or of all files of a folder with their names."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        _add(digest, [file.relative_to(path).as_posix(), file_sha256(file)])
    return digest.hexdigest()


def array_sha256(array: NDArray[Any]) -> str:
    """Return a hash of an array's shape, type and values."""
    digest = hashlib.sha256()
    _add_array(digest, array)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, sort_keys=True).encode() + b"\n")


def _add_array(digest: Any, array: NDArray[Any] | None) -> None:
    _add(digest, None if array is None else [str(array.dtype), array.shape])
    if array is not None:
        digest.update(np.ascontiguousarray(array).data)


def _source_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield name below the root, and path, of every file that is not compiled; links followed
    once.
    """
    seen = set()
    for folder, below, files in os.walk(root, followlinks=True):
        place = Path(folder)
        below[:] = [name for name in below if name != "__pycache__"]
        if place.resolve() in seen:
            below.clear()
            continue
        seen.add(place.resolve())
        for name in files:
            if not name.endswith(_COMPILED):
                yield (place / name).relative_to(root).as_posix(), place / name

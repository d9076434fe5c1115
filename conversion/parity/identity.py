"""What a certificate speaks of, by hash: network, spikes, versions."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...atomic import file_sha256
from ...spec import FloatNetwork, IntNetwork

_LIBRARIES = ("torch", "snntorch", "numpy", "lava-nc", "lava-dl", "norse", "nir", "nirtorch")
_ARRAYS = ("weight", "bias", "recurrent_weight", "delay")


def versions() -> dict[str, str | None]:
    """Versions of all that may take part; None for what is not installed.

    ``sdcl-neuro-sources`` is a hash of our own code, so that a certificate made by other code is
    not taken for one of today.
    """
    found: dict[str, str | None] = {
        "sdcl-neuro": __version__,
        "sdcl-neuro-sources": _sources(),
        "python": platform.python_version(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def network_sha256(*networks: FloatNetwork | IntNetwork | None) -> str:
    """A hash of all that changes arithmetic: geometry, constants, weights; not of names or meta."""
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
    """A hash of a file, or of all files of a folder with their names."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        _add(digest, [file.relative_to(path).as_posix(), file_sha256(file)])
    return digest.hexdigest()


def array_sha256(array: NDArray[Any]) -> str:
    """A hash of an array's shape, type and values."""
    digest = hashlib.sha256()
    _add_array(digest, array)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, sort_keys=True).encode() + b"\n")


def _add_array(digest: Any, array: NDArray[Any] | None) -> None:
    _add(digest, None if array is None else [str(array.dtype), array.shape])
    if array is not None:
        digest.update(np.ascontiguousarray(array).data)


@cache
def _sources() -> str:
    """A short hash of this package's code, all but the command line, demonstration and data."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    package = Path(__file__).parents[2]
    for folder, pattern in ((package, "*.py"), (package / "engine", "*.py"), (root, "**/*.py")):
        for file in sorted(folder.glob(pattern)):
            _add(digest, [file.name, file_sha256(file)])
    return digest.hexdigest()[:16]

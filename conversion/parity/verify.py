"""Prove backends equal on a network, spike for spike, and keep the certificate.

Exact pairs: every exact backend of the table against ``loihi``. Float pairs: every float backend
against ``snntorch``, equal but for neurons within rounding of the threshold. Float against integers
is a figure of agreement, never a verdict; so is everything in float on a ``.net``, whose float
network is only what its integers mean.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json
from sdcl_neuro.network.identity import array_sha256, network_sha256, path_sha256, versions
from sdcl_neuro.network.spike_file import check_spikes

from ..backends import run as backends_module
from ..backends.table import BACKENDS, BASE
from ..model import Model, as_model
from .certificate import SCHEMA, Certificate, PairKind
from .compare import PairRuns, compare

__all__ = ["BASE", "Certificate", "RandomInput", "verify"]

Spikes = NDArray[np.uint8]
Cache = Path | str | Literal[False] | None

FLOAT_BASE = "snntorch"
"""What other float backends are compared with: the module as trained."""


@dataclass(frozen=True)
class RandomInput:
    """Independent random input spikes.

    Attributes:
        steps, samples: T and B.
        rate: probability of a spike per input and step.
        seed: of numpy's default generator.
    """

    steps: int = 16
    samples: int = 1
    rate: float = 0.1
    seed: int = 0

    def draw(self, input_shape: Sequence[int]) -> Spikes:
        """uint8 ``[T, B, *input_shape]``."""
        if self.steps < 1 or self.samples < 1:
            raise InputError(
                f"{self.steps} steps of {self.samples} samples", mend="give at least 1"
            )
        if not 0 <= self.rate <= 1:
            raise InputError(f"the rate {self.rate} is no probability", mend="give it in [0, 1]")
        shape = (self.steps, self.samples, *input_shape)
        chosen = np.random.default_rng(self.seed).random(shape, dtype=np.float32) < self.rate
        return chosen.astype(np.uint8)

    def __str__(self) -> str:
        return f"random, rate {self.rate:g}, seed {self.seed}"


def verify(
    thing: Any,
    *,
    spikes: object = None,
    against: Iterable[str] = ("lava",),
    layers: Sequence[int] | None = None,
    cache: Cache = None,
) -> Certificate:
    """Run a network on several backends and compare every spike.

    Args:
        thing: a model, a network, a module (with `spikes` as an array), or the path of one.
        spikes: uint8 ``[T, B, *input_shape]``; a `RandomInput`; None draws its defaults.
        against: names of `conversion.backends.table.BACKENDS` to compare.
        layers: indices of the layers to compare; None compares all.
        cache: folder of certificates; None is the user's cache folder; False keeps none.

    Returns:
        The certificate; ``exit_code`` is 1 if a verdict does not hold.

    Raises:
        InputError: an unknown backend, or spikes or a network that cannot be used.
        EnvironmentFault: a backend is not installed, or failed.
    """
    wanted = _wanted(against)
    given = spikes if spikes is not None else RandomInput()
    random = isinstance(given, RandomInput)
    model = as_model(thing, sample=None if random else np.asarray(given))
    if isinstance(given, RandomInput):
        values, source = given.draw(model.input_shape), str(given)
    else:
        values, source = check_spikes(given), "given"
    pairs = [_pair(name, model) for name in wanted]
    if any(BASE in (one, two) for one, two, _ in pairs):
        model.need_integer()
    certified = _identity(model)
    about = {
        "sha256": array_sha256(values),
        "shape": list(values.shape),
        "total": int(values.sum(dtype=np.int64)),
        "source": source,
    }
    computed = {name for one, two, _ in pairs for name in (one, two)}
    libraries = [name for row in computed for name in BACKENDS[row].libraries]
    used, place = versions(sorted(libraries)), None
    if cache is not False:
        named = [sorted(set(layers)) if layers is not None else None, pairs, used, SCHEMA]
        key = [certified["network_sha256"], certified["sha256"], about["sha256"], named]
        place = _folder(cache) / f"{_digest(key)}.json"
        found = _read(place)
        if found is not None:
            return found
    runs = PairRuns(model, values, layers=layers, run=backends_module.run)
    results = tuple(compare(runs, one, two, kind) for one, two, kind in pairs)
    certificate = Certificate(certified, about, used, results)
    if place is not None:
        # A certificate that cannot be kept, on a full or read-only disk, is still one.
        with suppress(OSError):
            write_json(place, certificate.to_json())
    return certificate


def _wanted(against: Iterable[str]) -> list[str]:
    names = [against] if isinstance(against, str) else list(against)
    wanted = list(dict.fromkeys(names))
    allowed = [name for name in BACKENDS if name != BASE]
    for name in wanted:
        if name not in allowed:
            what = f"{BASE} is what others are compared with" if name == BASE else (
                f"unknown backend {name!r}"
            )  # fmt: skip
            raise InputError(what, where="against", mend=f"use {', '.join(allowed)}")
    if not wanted:
        raise InputError("no backend to compare with", where="against", mend=", ".join(allowed))
    return wanted


def _pair(name: str, model: Model) -> tuple[str, str, PairKind]:
    """What a backend is compared with, and what the outcome is worth."""
    if BACKENDS[name].arithmetic == "exact":
        return BASE, name, "exact"
    if name != FLOAT_BASE and model.floating is not None:
        return FLOAT_BASE, name, "float"
    return BASE, name, "agreement"


def _identity(model: Model) -> dict[str, Any]:
    return {
        "name": None if model.path is None else model.path.name,
        "sha256": None if model.path is None else path_sha256(model.path),
        "network_sha256": network_sha256(model.floating, model.integer),
    }


def _folder(cache: Path | str | None) -> Path:
    if cache is not None:
        return Path(cache)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sdcl_neuro" / "certificates"


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _read(place: Path) -> Certificate | None:
    """A kept certificate; None if there is none, or it is damaged."""
    try:
        return Certificate.from_json(json.loads(place.read_text("utf-8"))).as_cached()
    except (OSError, ValueError, InputError):
        return None

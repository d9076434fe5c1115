"""Prove backends equal on a network, spike for spike, and keep the certificate.

Exact pairs: every exact backend of the table, and spikes ``recorded`` elsewhere, against ``loihi``.
Float pairs: every float backend against ``snntorch``, equal but for neurons within rounding of the
threshold. Float against integers is a figure of agreement, never a verdict; so is everything in
float on a ``.net``, whose float network is only what its integers mean.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files import write_json
from sdcl_neuro.network.arguments import need_path, public
from sdcl_neuro.network.identity import array_sha256, network_sha256, path_sha256, versions
from sdcl_neuro.network.notes import SOURCE_CHECKS
from sdcl_neuro.network.random_input import RandomInput
from sdcl_neuro.network.spike_checks import check_given
from sdcl_neuro.network.spike_file import SpikesLike

from ..backends import run as backends_module
from ..backends.table import BACKENDS, BASE
from ..model import Model, ModelLike
from ..model_reading import as_model
from .certificate import Certificate, PairKind
from .compare import PairRuns, compare
from .first_link import first_links
from .graphs import joined_inputs
from .recorded import NAME as RECORDED
from .recorded import RecordedSpikes, Source, place, read_recording
from .recorded_graph import recorded_runs
from .unchecked import assumed_before, not_checked_after, not_checked_before

__all__ = ["BASE", "Certificate", "RandomInput", "verify"]

Spikes = NDArray[np.uint8]
Cache: TypeAlias = Path | str | bool | None
Pair = tuple[str, str, PairKind]

FLOAT_BASE = "snntorch"
"""What other float backends are compared with: the module as trained."""


@public
def verify(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike] | RandomInput | None = None,
    *,
    against: Iterable[str] | None = None,
    layers: Sequence[int] | None = None,
    cache: Cache = None,
    recorded: Source | None = None,
    recorded_shift: int | Sequence[int] | None = None,
    dt: float | None = None,
    writer: str | None = None,
) -> Certificate:
    """Run a network on several backends and compare every spike.

    Args:
        model: a model, a network, a module (with `spikes` as an array), or the path of one.
        spikes: uint8 ``[T, B, *input_shape]``, along a line ``[T, B, C, L]``; of a graph with
            several inputs ``{name: spikes}``; a `RandomInput`; None takes the input that
            `recorded` holds, or draws the defaults of `RandomInput` where nothing was recorded.
        against: names of `conversion.backends.table.BACKENDS` to compare; None is ``lava``, or none
            where `recorded` is given.
        layers: indices of the layers to compare; None compares all.
        cache: folder of certificates; None and True are the user's cache folder; False keeps none.
        recorded: spikes recorded elsewhere on the same input, which our own run is compared with:
            a file with ``layer_0``, ``layer_1``, ...; a record; layer index to array.
        recorded_shift: steps by which they come late, of all layers or of each recorded one; None
            finds it and says so.
        dt, writer: step and writer of a ``.nir``; see `conversion.from_nir`.

    Returns:
        The certificate; ``exit_code`` is 1 if a verdict does not hold, ``complete`` is False if
        anything is listed in ``not_checked``.

    Raises:
        InputError: an unknown backend, or spikes or a network that cannot be used.
        EnvironmentFault: a backend is not installed, or failed.

    Examples:
        >>> from sdcl_neuro import verify
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> certificate = verify(net, random_spikes(net, 0), against=["snntorch-int"], cache=False)
        >>> certificate.holds, certificate.exit_code
        (True, 0)
    """
    if dt is not None or writer is not None:
        model = as_model(model, dt=dt, writer=writer)
    recording = _recording(recorded, recorded_shift)
    wanted = _wanted(("lava",) if against is None and recording is None else against or ())
    if not wanted and recording is None:
        raise InputError("no backend to compare with", where="against", hint=", ".join(_others()))
    found, values, source = _inputs(model, spikes, recording)
    pairs = [_pair(name, found) for name in wanted]
    if recording is not None or any(BASE in (one, two) for one, two, _ in pairs):
        found.need_integer()
    computed = {name for one, two, _ in pairs for name in (one, two)}
    libraries = sorted({name for row in computed for name in BACKENDS[row].libraries})
    runs = PairRuns(found, values, layers=layers, run=backends_module.run)
    started = Certificate(
        _identity(found),
        {
            "sha256": array_sha256(values),
            "shape": list(values.shape),
            "total": int(values.sum(dtype=np.int64)),
            "source": source,
        },
        versions(libraries) | _programs(computed),
        (),
        recorded=None if recording is None else recording.to_json(),
        not_checked=not_checked_before(found, runs),
        assumed=assumed_before(found),
    )
    digest = _digest(started, runs, pairs)
    place = None if cache is False else certificates_folder(cache) / f"{digest}.json"
    kept = None if place is None else _read(place)
    if kept is not None:
        return kept
    certificate = _compared(started, runs, pairs, recording, dt=dt, writer=writer)
    if place is not None:
        # A certificate that cannot be kept, on a full or read-only disk, is still one.
        with suppress(OSError):
            write_json(place, certificate.to_json())
    return certificate


def _recording(recorded: Source | None, shift: int | Sequence[int] | None) -> RecordedSpikes | None:
    if recorded is not None:
        return read_recording(recorded, shift)
    if shift is not None:
        what = "a recorded shift without recorded spikes"
        raise InputError(what, where="recorded_shift", hint="give recorded, too")
    return None


def _inputs(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike] | RandomInput | None,
    recording: RecordedSpikes | None,
) -> tuple[Model, Spikes, str]:
    """Return the model, its input and where that came from."""
    given = spikes
    if given is None and recording is not None:
        given = recording.given
        if given is None:
            what = "holds no input ('spikes'), and without it there is nothing to compare with"
            hint = "give the input that it was recorded on as spikes (--spikes IN)"
            raise InputError(what, where=recording.where, hint=hint)
    if given is None:
        given = RandomInput()
    if isinstance(given, RandomInput):
        found = as_model(model)
        return found, given.draw(found.input_shape), str(given)
    if isinstance(given, Mapping):
        found = as_model(model, sample=given)
        return found, joined_inputs(found, given), "given"
    # Along a line the module takes [T, B, C, L], and what is compared has a height of one.
    sample = check_given(given)
    values = sample[:, :, :, None] if sample.ndim == 4 else sample
    known = None if recording is None or spikes is None else recording.given
    if recording is not None and known is not None and not np.array_equal(values, known):
        what = "was recorded on another input than the spikes given"
        raise InputError(what, where=recording.where, hint="leave the spikes out")
    source = "given" if spikes is not None else "as recorded"
    return as_model(model, sample=sample), values, source


def _compared(
    started: Certificate,
    runs: PairRuns,
    pairs: list[Pair],
    recording: RecordedSpikes | None,
    *,
    dt: float | None,
    writer: str | None,
) -> Certificate:
    """Return the certificate with the outcome of every comparison."""
    results, missing = first_links(runs.model, runs.spikes, dt=dt, writer=writer)
    not_checked, assumed = [*missing, *started.not_checked], list(started.assumed)
    results += [compare(runs, one, two, kind) for one, two, kind in pairs]
    if recording is not None:
        beside = recorded_runs(runs, recording)
        placed = place(
            recording, beside.record(BASE), beside.layers, names=beside.names, shapes=beside.shapes
        )
        beside.keep(placed.record)
        outcome = compare(beside, BASE, RECORDED, "exact", windows=placed.windows)
        results.append(placed.name_shifts(outcome))
        not_checked += placed.not_checked
        assumed += placed.assumed
    not_checked += not_checked_after(results)
    return replace(
        started,
        pairs=tuple(results),
        not_checked=tuple(dict.fromkeys(not_checked)),
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _programs(backends: Iterable[str]) -> dict[str, str]:
    """Return versions of the programs outside of Python that compute."""
    found: dict[str, str] = {}
    for name in sorted(backends):
        found |= BACKENDS[name].program_versions()
    return found


def _wanted(against: Iterable[str]) -> list[str]:
    names = [against] if isinstance(against, str) else list(against)
    wanted = list(dict.fromkeys(names))
    allowed = _others()
    for name in wanted:
        if name not in allowed:
            what = f"{BASE} is what others are compared with" if name == BASE else (
                f"unknown backend {name!r}"
            )  # fmt: skip
            raise InputError(what, where="against", hint=f"use {', '.join(allowed)}")
    return wanted


def _others() -> list[str]:
    return [name for name in BACKENDS if name != BASE]


def _pair(name: str, model: Model) -> tuple[str, str, PairKind]:
    """Return what a backend is compared with, and what the outcome is worth."""
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
        "step": None if model.step is None else model.step.to_json(),
    }


def certificates_folder(cache: Path | str | bool | None = None) -> Path:
    """Return the folder of certificates: the one given, or the user's cache folder."""
    if cache is not None and not isinstance(cache, bool):
        return need_path(cache, "verify", "cache is a folder, or False")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sdcl_neuro" / "certificates"


def _digest(started: Certificate, runs: PairRuns, pairs: list[Pair]) -> str:
    """Return a name for a certificate: a hash of all that it follows from."""
    known = runs.model.integer or runs.model.floating or runs.model.graph
    checks = None if known is None else known.meta.get(SOURCE_CHECKS)
    key = [started.to_json(), runs.layers, pairs, checks]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _read(place: Path) -> Certificate | None:
    """Return a kept certificate; None if there is none, or it is damaged."""
    try:
        return Certificate.from_json(json.loads(place.read_text("utf-8"))).as_cached()
    except (OSError, ValueError, InputError):
        return None

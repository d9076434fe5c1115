"""MATLAB files: SDCL's five vectors per frame interval, and ST-MNIST's spike trains."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.matlab import check_matlab

from ..columns import MAX_EVENTS, Columns, Options, check_lengths

# SDCL's variables (Cao et al., CVPR 2023, published code), each 1 x N; coordinates from 1.
SDCL_FIELDS = {
    "t": "section_event_timestamp",
    "x": "section_event_x",
    "y": "section_event_y",
    "p": "section_event_polarity",
}
# ST-MNIST (See et al., arXiv:2005.04319): 100 taxels of a 10 x 10 grid, then times in seconds.
TAXELS, TAXEL_SIDE = 100, 10
SECOND_US = 1e6

Loader = Callable[[str], NDArray[Any]]


def read(path: Path, options: Options, part_events: int) -> Iterator[Columns]:
    """Yield a level 5 .mat file whole: SDCL's or ST-MNIST's, by its variables."""
    import scipy.io

    check_matlab(path)
    try:
        shapes = {name: tuple(shape) for name, shape, _ in scipy.io.whosmat(path)}

        def load(name: str) -> NDArray[Any]:
            return np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])

        yield variables(shapes, load)
    except InputError:
        raise
    # SciPy raises whatever its parser trips over: KeyError, OverflowError, zlib.error and more.
    except Exception as error:
        raise InputError(f"a damaged .mat file ({_brief(error)})", hint="copy it again") from None


def is_sdcl(names: Collection[str]) -> bool:
    """Return whether SDCL's variables, or some of them, are among `names`."""
    return bool(set(SDCL_FIELDS.values()) & set(names))


def variables(shapes: Mapping[str, tuple[int, ...]], load: Loader) -> Columns:
    """Return the events of SDCL's or ST-MNIST's variables; `load` reads one by its name."""
    if "spiketrain" in shapes:
        return _stmnist(shapes["spiketrain"], load)
    missing = sorted(set(SDCL_FIELDS.values()) - set(shapes))
    if missing:
        raise InputError(
            f"variables {sorted(shapes)[:8]}, without {missing}",
            hint="give SDCL's or ST-MNIST's .mat files",
        )
    return _sdcl(shapes, load)


def _sdcl(shapes: Mapping[str, tuple[int, ...]], load: Loader) -> Columns:
    """Return times as they are: SDCL's ``start_timestamp`` is not added, it lies within the same
    clock.
    """
    check_lengths({name: _elements(shapes[variable]) for name, variable in SDCL_FIELDS.items()})
    fields = {}
    for name, variable in SDCL_FIELDS.items():
        shape = shapes[variable]
        count = _elements(shape)
        if count > MAX_EVENTS or (count != max(shape, default=0) and count):
            raise InputError(f"{variable} has shape {shape}", hint="give vectors, 1 x N")
        fields[name] = load(variable).reshape(-1)
        if fields[name].dtype.kind not in "iuf":
            raise InputError(f"{variable} is {fields[name].dtype}", hint="give numbers")
    for name in "xy":
        # As floats or wide integers, so that a coordinate of 0 becomes -1: outside the sensor.
        kind = np.float64 if fields[name].dtype.kind == "f" else np.int64
        fields[name] = fields[name].astype(kind) - 1
    t, x, y, p = (fields[name] for name in "txyp")
    return Columns(t, x, y, p, None, "sdcl-mat", unit_us=None)


def _stmnist(shape: tuple[int, ...], load: Loader) -> Columns:
    if len(shape) != 2 or shape[0] != TAXELS + 1 or _elements(shape) > MAX_EVENTS * 8:
        raise InputError(f"spiketrain has shape {shape}", hint=f"give {TAXELS + 1} x N")
    train = load("spiketrain")
    if train.dtype.kind not in "iuf":
        raise InputError(f"spiketrain is {train.dtype}", hint="give numbers")
    # By column, so that events come in order of time.
    column, taxel = np.nonzero(train[:TAXELS].T)
    polarity = train[taxel, column]
    return Columns(
        train[TAXELS].astype(np.float64)[column],
        taxel % TAXEL_SIDE,
        taxel // TAXEL_SIDE,
        np.where(polarity == -1, 0, polarity),
        (TAXEL_SIDE, TAXEL_SIDE),
        "stmnist-mat",
        unit_us=SECOND_US,
    )


def _elements(shape: tuple[int, ...]) -> int:
    return int(np.prod([int(n) for n in shape], dtype=object)) if shape else 1


def _brief(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]

"""What an evaluation runs: conditions of the frames, event branches at settings, tracklets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.errors import InputError

from ..datasets import Clip, DataSet, tracklets
from ..datasets.degraded import Degraded
from ..datasets.index import Part
from .feature_sources import FeatureSource, event_arm, unspiking_arm, with_integers
from .setting import Setting
from .trained import Trained

DataSource = DataSet | Callable[[Clip], DataSet]
CLEAN = "clean"
CALIBRATION = 32
"""Tracklets on which a float branch's integers are calibrated."""


@dataclass(frozen=True)
class Condition:
    """How the frames of query and gallery are: clean, or degraded as `datasets.degrade` does."""

    kind: str = CLEAN
    severity: int = 0
    seed: int = 0

    def of(self, data: DataSet) -> DataSet:
        """Return the data set under this condition."""
        if self.kind == CLEAN:
            return data
        return Degraded(data, self.kind, self.severity, seed=self.seed)

    def __str__(self) -> str:
        return self.kind if self.kind == CLEAN else f"{self.kind}:{self.severity}"


class OpenedData:
    """Data sets by number of bins: one may be built for one shape of tracklets.

    Raises:
        InputError: no query or no gallery.
    """

    def __init__(self, trained: Trained, data: DataSource) -> None:
        self._clip, self._data = trained.clip, data
        self._opened: dict[int, DataSet] = {}
        self.base = self(trained.clip.bins)
        for part in ("query", "gallery"):
            if not getattr(self.base, part):
                raise InputError(
                    f"no tracklets in the {part}", where=str(self.base), hint="give some"
                )

    def __call__(self, bins: int) -> DataSet:
        """Return the data set for tracklets of so many bins a frame."""
        if bins not in self._opened:
            clip, data = replace(self._clip, bins=bins), self._data
            self._opened[bins] = data(clip) if callable(data) else data
        return self._opened[bins]


def arms_to_run(
    trained: Trained,
    data: DataSet,
    backends: Sequence[str],
    settings: Sequence[Setting],
    folder: Path,
    device: str,
) -> tuple[list[FeatureSource], list[str]]:
    """Return all sources of event features, the reference first, and notes on them."""
    alone = unspiking_arm(trained.checkpoint.model)
    if alone is not None:
        if backends or any(not setting.trained for setting in settings):
            raise InputError(
                "a model without spikes has no event branch to run or vary",
                where=str(trained.folder),
                hint="leave out --backend and --sweep",
            )
        return [alone], []
    model = trained.events
    assert model is not None  # only models without spikes have none
    chosen = tuple(backends) or (("snntorch",) if model.integer is None else ("loihi",))
    notes = []
    if any(find_backend(name).arithmetic == "exact" for name in chosen):
        part: Part = "train" if data.train else "gallery"
        shown = islice(tracklets(data, part, trained.clip), CALIBRATION)
        model, note = with_integers(model, shown)
        notes += [f"{note} of {part}"] if note else []
    arms = []
    for setting in settings:
        for name in chosen:
            floats = find_backend(name).arithmetic == "float"
            if floats and replace(setting, bits=Setting().bits) != setting:
                continue  # float weights have no bits
            arms.append(event_arm(model, name, setting, folder=folder, device=device))
    return arms, notes + [arm.note for arm in arms if arm.note and arm.setting.trained]


def by_bins(trained: Trained, arms: Sequence[FeatureSource]) -> dict[int, list[FeatureSource]]:
    """Return the sources that take tracklets of the same number of bins."""
    found: dict[int, list[FeatureSource]] = {}
    for arm in arms:
        found.setdefault(arm.setting.bins or trained.clip.bins, []).append(arm)
    return found


def places(data: DataSet) -> tuple[tuple[int, ...], dict[int, int]]:
    """Return positions to embed, each once though it be query and gallery, and where each comes."""
    positions = tuple(dict.fromkeys((*data.query, *data.gallery)))
    return positions, {position: place for place, position in enumerate(positions)}

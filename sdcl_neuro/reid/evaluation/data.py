"""Which data set a model is judged on: that of its training, or another by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sdcl_neuro.errors import InputError

from ..configuration import Configuration, build_data, list_configurations, load_configuration
from ..configuration.data_tables import DataTable, Degradation
from ..datasets import Clip, DataSet
from ..datasets.table import KINDS
from .trained import Trained

_ANY = "generated-small"
"""Gives whatever a data set without a configuration of its own does not say."""


@dataclass(frozen=True)
class Chosen:
    """A configuration to take data and figures from.

    Attributes:
        configuration: its model and training are not looked at.
        root: of the data set.
    """

    configuration: Configuration
    root: Path | None

    def open(self, clip: Clip) -> DataSet:
        """Return the data set for tracklets of one shape."""
        return build_data(replace(self.configuration, clip=clip), self.root)

    def undegraded(self) -> Callable[[Clip], DataSet]:
        """Return `open` without the configuration's own degradation, for those of a command."""
        clean = replace(self.configuration.data, degradation=Degradation())
        return Chosen(replace(self.configuration, data=clean), self.root).open


def choose_data(
    trained: Trained,
    *,
    name: str | None = None,
    root: Path | None = None,
    query: Path | None = None,
    gallery: Path | None = None,
    overrides: Sequence[str] = (),
) -> Chosen:
    """Find the configuration of the data.

    Args:
        trained: whose own configuration is taken if `name` is left out.
        name: of `datasets.table.KINDS`, of a packaged configuration, or the path of a ``.toml``.
        root: of the data set.
        query, gallery: lists of windows, of Event-ReId.
        overrides: ``KEY=VALUE`` on top.

    Raises:
        InputError: nothing says which data; lists for another data set; faults.
    """
    source: str | Path | None = name if name is not None else trained.configuration
    if source is None:
        raise InputError(
            "nothing says on which data",
            where=str(trained.folder),
            hint=f"give --data, one of {', '.join(KINDS)}, or the folder of a training run",
        )
    extra = list(overrides)
    own = isinstance(source, Path)
    if name in KINDS and name not in list_configurations():
        source = _ANY
        extra.insert(0, f"data.kind={name}")
    configuration = load_configuration(source, extra)
    table = _with_lists(configuration.data, query, gallery)
    if not own and table.kind == "mot":
        table = _as_trained(table, trained, overrides)
    return Chosen(replace(configuration, data=table), root)


def _with_lists(table: DataTable, query: Path | None, gallery: Path | None) -> DataTable:
    if query is None and gallery is None:
        return table
    if table.kind != "event-reid" or query is None or gallery is None:
        raise InputError(
            "lists of windows",
            where="--query-list and --gallery-list",
            hint="give both, for event-reid only",
        )
    lists = replace(
        table.event_reid, query=str(query.resolve()), gallery=str(gallery.resolve()), train=""
    )
    return replace(table, event_reid=lists)


def _as_trained(table: DataTable, trained: Trained, overrides: Sequence[str]) -> DataTable:
    """Return a video cut and simulated as the model's training tracklets were, where no one says
    else.
    """
    said = {override.partition("=")[0].strip() for override in overrides}
    clip, mot = trained.checkpoint.clip, table.mot
    if "data.mot.stride" not in said:
        mot = replace(mot, stride=clip.stride)
    if "data.mot.sensor_scale" not in said:
        mot = replace(mot, sensor_scale=clip.sensor_scale)
    simulator = table.simulator
    if clip.simulator is not None and not any(key.startswith("data.simulator") for key in said):
        simulator = clip.simulator
    return replace(table, mot=mot, simulator=simulator)

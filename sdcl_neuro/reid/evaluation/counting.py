"""Counts of what event branches in integers do on some tracklets, kept as embeddings are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.hybrid.runtime.hybrid import merge_records
from sdcl_neuro.jobs import Shard
from sdcl_neuro.network.activity import layer_activity
from sdcl_neuro.network.identity import network_sha256, versions
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork

from ..datasets import Clip, DataSet
from .extraction import Extraction
from .feature_sources import FeatureSource
from .planning import OpenedData, by_bins
from .signature import data_signature, digest_of, entry_signature
from .trained import Trained

COUNTED = 32
"""Tracklets of the gallery, evenly spread, whose spikes are counted."""
_NEEDED = ("spikes_in", "spikes_out", "synops")
_FOLLOWS = "updates"  # of the steps
_STEPS = "steps"
Arrays = dict[str, NDArray[np.int64]]


def fill_counts(
    trained: Trained,
    opened: OpenedData,
    arms: Sequence[FeatureSource],
    how: Extraction,
    part: Shard,
) -> None:
    """Count a part of what `deployments` would need, into the store."""
    pieces = [
        (bins, sha, network)
        for bins, group in by_bins(trained, arms).items()
        for sha, network in integer_networks(group).items()
    ]
    for bins, own in groupby(part.run_of(pieces), key=lambda piece: piece[0]):
        networks = {sha: network for _, sha, network in own}
        counted(opened(bins), networks, replace(trained.clip, bins=bins), how)


def integer_networks(arms: Sequence[FeatureSource]) -> dict[str, IntNetwork]:
    """Return the networks in integers by their hash, each once."""
    return {network_sha256(arm.network): arm.network for arm in arms if arm.network is not None}


def counted(
    data: DataSet, networks: Mapping[str, IntNetwork], clip: Clip, how: Extraction
) -> dict[str, Record]:
    """Return counts by the network's hash, from the store where they are known."""
    positions = data.gallery[:: max(1, len(data.gallery) // COUNTED)][:COUNTED]
    keys: dict[str, str] = {}
    if how.store.folder is not None:
        entries = [entry_signature(data, position) for position in positions]
        common = ["counts", data_signature(data), asdict(clip), entries, versions()]
        keys = {sha: digest_of([*common, sha]) for sha in networks}
    found: dict[str, Arrays] = {}
    for sha, key in keys.items():
        stored = how.store.arrays(key)
        if stored is not None and _whole(stored, networks[sha], len(positions)):
            found[sha] = stored
    missing = {sha: network for sha, network in networks.items() if sha not in found}
    for sha, record in _run(data, positions, missing, clip, how.batch).items():
        found[sha] = _arrays(record)
        if sha in keys:
            how.store.put_arrays(keys[sha], found[sha])
    return {sha: _record(network, found[sha]) for sha, network in networks.items()}


def _run(
    data: DataSet,
    positions: Sequence[int],
    networks: Mapping[str, IntNetwork],
    clip: Clip,
    batch: int,
) -> dict[str, Record]:
    records: dict[str, list[Record]] = {sha: [] for sha in networks}
    for start in range(0, len(positions) if networks else 0, batch):
        shown = [data.load(position, clip).spikes for position in positions[start : start + batch]]
        spikes = np.stack(shown, axis=1)
        for sha, network in networks.items():
            records[sha].append(run_network(network, spikes, layers=()))
    return {sha: merge_records(parts) for sha, parts in records.items()}


def _arrays(record: Record) -> Arrays:
    found = {_STEPS: np.array([record.steps], np.int64)}
    for index, layer in enumerate(record.activity):
        for name, values in layer.counts().items():
            if values is not None and name != _FOLLOWS:
                found[f"{index}.{name}"] = values
    return found


def _whole(arrays: Arrays, network: IntNetwork, count: int) -> bool:
    """Return whether all is there that a record needs."""
    names = [f"{index}.{name}" for index in range(len(network.layers)) for name in _NEEDED]
    steps = arrays.get(_STEPS)
    shapes = {array.shape for name, array in arrays.items() if name != _STEPS}
    return (
        steps is not None
        and steps.shape == (1,)
        and {*names} <= {*arrays}
        and (shapes == {(count,)})
    )


def _record(network: IntNetwork, arrays: Arrays) -> Record:
    """Return the record of a run whose counts were kept; the same whether they were or not."""
    steps = int(arrays[_STEPS][0])
    activity = tuple(
        layer_activity(layer, steps=steps, **_of_layer(arrays, index))
        for index, layer in enumerate(network.layers)
    )
    samples = len(activity[0].spikes_in)
    return Record("loihi", steps, samples, tuple(network.input_shape), {}, activity)


def _of_layer(arrays: Arrays, index: int) -> dict[str, Any]:
    start = f"{index}."
    return {
        name.removeprefix(start): values
        for name, values in arrays.items()
        if name.startswith(start)
    }

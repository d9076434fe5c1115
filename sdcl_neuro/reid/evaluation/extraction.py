"""Embeddings of a data set's tracklets, batch by batch, by one process or several.

Batches are cut alike however many processes there are, each process takes every so many-th of
them, and all get all embeddings in the data set's order: a shared extraction gives the numbers of
a single one (with as many threads a process).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from sdcl_neuro.devices import device_or_default, moved
from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.composition import kind_of
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.model import Sdcl, event_counts
from sdcl_neuro.network.identity import versions

from ..datasets import Clip, DataSet
from ..training.distributed import ALONE, Group
from .feature_sources import FeatureSource
from .signature import data_signature, digest_of, entry_signature, module_sha256
from .store import FeatureStore

Embeddings = NDArray[np.float32]
_NOTHING = FeatureStore()


@dataclass(frozen=True)
class Extraction:
    """How embeddings are computed.

    Attributes:
        device: of the dense side, as torch names it; None takes a GPU where there is one.
        batch: tracklets at a time.
        store: where embeddings are kept.
        group: the processes that share the work.
        on_batch: called with the number of tracklets that this process has just done.
    """

    device: str | None = None
    batch: int = 16
    store: FeatureStore = _NOTHING
    group: Group = ALONE
    on_batch: Callable[[int], None] = lambda count: None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batches of {self.batch} tracklets", hint="give at least 1")


def extract(
    model: Sdcl,
    data: DataSet,
    positions: Sequence[int],
    *,
    clip: Clip,
    arms: Sequence[FeatureSource],
    how: Extraction | None = None,
) -> dict[str, Embeddings]:
    """Embed tracklets, with the event branch once on each of `arms`.

    A tracklet is loaded once and its frame maps are computed once for all arms; only two batches
    of tracklets are in memory at a time.

    Args:
        model: its own event branch is not used.
        data: the tracklets.
        positions: of the tracklets in the data set, at least one.
        clip: their shape.
        arms: where the event features come from, see `event_arm`; labels unique.
        how: see `Extraction`.

    Returns:
        By the arm's label, float32 ``[N, D]`` in the order of `positions`, as the bridge gives
        them: not of unit length.

    Raises:
        InputError: no tracklets, tracklets that do not fit the model, an unknown device.
    """
    how = how or Extraction()
    if not positions:
        raise InputError(
            "no tracklets to embed", where=str(data), hint="give a query and a gallery"
        )
    work = _Work(model, data, clip, tuple(arms), how)
    shards = _shards(positions, how)
    mine = range(how.group.rank, len(shards), how.group.size)
    found = dict(zip(mine, work.run([shards[k] for k in mine]), strict=True))
    return {arm.label: _joined(found, arm.label, shards, how.group) for arm in arms}


def fill_store(
    model: Sdcl,
    data: DataSet,
    positions: Sequence[int],
    *,
    clip: Clip,
    arms: Sequence[FeatureSource],
    how: Extraction,
) -> None:
    """Embed this process's share of the batches of `extract` into the store, and return nothing.

    Args:
        model, data, positions, clip, arms: as for `extract`, whose batches these are.
        how: with a store that keeps something; its group says which share, and need not be one
            whose processes know of each other.
    """
    shards = _shards(positions, how)
    mine = shards[how.group.rank :: how.group.size]
    for _ in _Work(model, data, clip, tuple(arms), how).run(mine):
        pass


def _shards(positions: Sequence[int], how: Extraction) -> list[tuple[int, ...]]:
    """Return the batches, cut alike however many processes there are."""
    return [tuple(positions[k : k + how.batch]) for k in range(0, len(positions), how.batch)]


class _Work:
    """One process' part, with the next batch loading while one is computed."""

    def __init__(
        self,
        model: Sdcl,
        data: DataSet,
        clip: Clip,
        arms: tuple[FeatureSource, ...],
        how: Extraction,
    ) -> None:
        self.device = device_or_default(how.device)
        self.model, self.data, self.clip = model.to(self.device).eval(), data, clip
        self.arms, self.how = arms, how
        self.common = "" if how.store.folder is None else self._common()

    def run(self, shards: Sequence[Sequence[int]]) -> Iterator[dict[str, Embeddings]]:
        with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
            ahead = [self._begin(pool, shard) for shard in shards[:1]]
            for number, shard in enumerate(shards):
                keys, known, loading = ahead.pop()
                ahead += [self._begin(pool, one) for one in shards[number + 1 : number + 2]]
                if loading is not None:
                    known = {**known, **self._embed(loading.result(), known)}
                    for name in known.keys() & keys.keys():
                        self.how.store.put(keys[name], known[name])
                self.how.on_batch(len(shard))
                yield known

    def _begin(
        self, pool: ThreadPoolExecutor, shard: Sequence[int]
    ) -> tuple[dict[str, str], dict[str, Embeddings], Future[list[Tracklet]] | None]:
        """Return keys of what the store lacks, what it has, and the tracklets if any are needed."""
        missing, known = {}, {}
        if self.common:
            entries = [entry_signature(self.data, position) for position in shard]
            for arm in self.arms:
                key = digest_of([self.common, arm.digest, entries])
                stored = self.how.store.get(key, len(shard))
                if stored is None:
                    missing[arm.label] = key
                else:
                    known[arm.label] = stored
        if len(known) == len(self.arms):
            return missing, known, None
        return missing, known, pool.submit(self._load, shard)

    def _load(self, shard: Sequence[int]) -> list[Tracklet]:
        return [self.data.load(position, self.clip) for position in shard]

    def _embed(
        self, tracklets: list[Tracklet], known: dict[str, Embeddings]
    ) -> dict[str, Embeddings]:
        model, count = self.model, self.clip.frames
        with torch.inference_mode():
            maps = counts = None
            spikes = np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
            if model.bridge.config.uses_frames:
                frames = np.concatenate([tracklet.frames for tracklet in tracklets])
                pixels = normalise(frames, self.device)
                maps = model.frame_maps(pixels.unflatten(0, (len(tracklets), -1)))
            if model.bridge.config.uses_events:
                counts = moved(event_counts(spikes, frames=count), self.device)
            found = {}
            for arm in self.arms:
                if arm.label not in known:
                    features = None
                    if arm.features is not None:
                        features = moved(arm.features(spikes, count), self.device)
                    fused = model.fuse(maps, features, counts).embedding
                    found[arm.label] = fused.float().cpu().numpy()
        return found

    def _common(self) -> str:
        """Return what all keys share: data set, tracklets' shape, dense weights, device,
        versions.
        """
        model = self.model
        dense = (model.frame_branch, model.bridge)
        parts: list[Any] = [data_signature(self.data), asdict(self.clip), module_sha256(*dense)]
        config = model.bridge.config.to_dict()
        return digest_of([*parts, config, kind_of(model), self.device.type, versions()])


def _joined(
    found: dict[int, dict[str, Embeddings]],
    name: str,
    shards: Sequence[Sequence[int]],
    group: Group,
) -> Embeddings:
    """Return all batches of an arm, in order; of other processes, sent by whoever computed them."""
    if group.size == 1:
        return np.concatenate([found[number][name] for number in range(len(shards))])
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    # The first batch is always the first process's, so that one knows how long an embedding is.
    width = torch.tensor([found[0][name].shape[1] if group.leads else 0], device=device)
    distributed.broadcast(width, 0)
    parts = []
    for number, shard in enumerate(shards):
        part: Tensor = torch.empty((len(shard), int(width)), device=device)
        if number in found:
            part = torch.from_numpy(found[number][name]).to(device)
        distributed.broadcast(part, number % group.size)
        parts.append(part.cpu().numpy())
    return np.concatenate(parts)

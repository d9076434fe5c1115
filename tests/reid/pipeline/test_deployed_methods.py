"""Every video network with events, deployed: `infer` and `live` give what the model gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdcl_neuro import profile
from sdcl_neuro.conversion.event_side import event_backend, load_hybrid
from sdcl_neuro.events import SimulatorConfig
from sdcl_neuro.events.tracklets import Video, plan_chunks, read_mot
from sdcl_neuro.events.tracklets.cut import cut_plan
from sdcl_neuro.hybrid.composition import EVERY_KIND
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.live import LiveSettings
from sdcl_neuro.hybrid.runtime import infer
from sdcl_neuro.hybrid.sdcl_checkpoint import ClipFormat, save_sdcl
from sdcl_neuro.reid.configuration import build_model, load_configuration
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.pipeline.live_stream import watch
from sdcl_neuro.snn.event_branch import EventBranch

CLIP = ClipFormat(frames=2, bins=2, size=(64, 32), simulator=SimulatorConfig())
FEW = ("grl", "sinet", "stmn-sdcl")
"""A memory through the clip, modules inside the network, a stand-in."""
CHOOSES = ("mgh",)
"""Which nodes are nearest is a choice: two as near within rounding change places."""


def saved(kind: str, folder: Path) -> Path:
    configuration = load_configuration(
        "generated-table",
        [
            f"model={kind.removesuffix('-sdcl')}",
            *(["variant=sdcl"] if kind.endswith("-sdcl") else []),
            *([] if kind == "sdcl" else ["bridge.fusion=none"]),
            *("bridge.channels=16", "clip.frames=2", "clip.bins=2", "event_branch.channels=[4, 8]"),
        ],
    )
    torch.manual_seed(3)
    model = build_model(configuration, 0)
    branch = model.event_branch
    assert isinstance(branch, EventBranch)
    branch.calibrate_rates((torch.rand(4, 4, 2, *CLIP.size) < 0.05).float(), rate=0.15)
    branch.prepare_quantization()
    model.train()
    with torch.no_grad():  # batch norms that have seen something
        model(torch.randn(4, 2, 3, 256, 128), (torch.rand(4, 4, 2, 64, 32) < 0.05).float())
    return save_sdcl(folder, model, clip=CLIP, frame_branch="small")


def assert_alike(kind: str, found: Any, own: Any) -> None:
    """Compare embeddings ``[N, D]`` of unit length, up to rounding."""
    same = np.abs(found - own).max(1) <= 2e-5
    if kind in CHOOSES:
        assert same.mean() > 0.8
        assert (found * own).sum(1).min() > 0.9999
    else:
        assert same.all(), np.abs(found - own).max()


def check(kind: str, material: Any, folder: Path) -> None:
    model = saved(kind, folder / "model")
    loaded, events = load_hybrid(model)
    plan = plan_chunks(read_mot(material.tracks), frames=CLIP.frames)
    tracklets = cut_plan(
        Video(material.video), plan, SimulatorConfig(), bins=CLIP.bins, size=CLIP.size
    )
    found = infer(loaded.model, tracklets, event_backend(events, "loihi"), batch=2)
    with torch.no_grad():
        frames = torch.stack([normalise(one.frames) for one in tracklets])
        spikes = torch.from_numpy(np.stack([one.spikes for one in tracklets], axis=1))
        own = torch.nn.functional.normalize(loaded.model(frames, spikes).embedding).numpy()
    assert_alike(kind, found.embeddings, own)
    priced = profile(events.need_integer(), record=found.record, hw=["loihi2"])
    assert sum(layer.spikes_out for layer in priced.layers) > 0
    rows: dict[tuple[int, int], np.ndarray] = {}
    watch(
        model,
        LiveSource(str(material.video), str(material.tracks), speed=0),
        settings=LiveSettings(mode="throughput", policy="block", batch=2),
        on_seen=lambda seen, row: rows.update({(seen.track, seen.first_frame): row.copy()}),
    )
    by_key = {(one.person, int(one.indices[0]) + 1): own[k] for k, one in enumerate(tracklets)}
    # A stream has no window that overlaps the one before it; a file's last one may.
    assert len(rows) == 13
    assert_alike(kind, np.stack([*rows.values()]), np.stack([by_key[key] for key in rows]))


@pytest.mark.parametrize("kind", FEW)
def test_some_methods_run_where_sdcl_runs(kind: str, material: Any, tmp_path: Path) -> None:
    check(kind, material, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_method_runs_where_sdcl_runs(kind: str, material: Any, tmp_path: Path) -> None:
    check(kind, material, tmp_path)

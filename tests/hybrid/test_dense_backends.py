"""Frame branch and bridge made ready together, against the model as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.bridge.rows_bridge import RowsBridge
from sdcl_neuro.hybrid.dense_backends import DENSE_BACKENDS, bound_to, decided, made_ready
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.runtime import DenseSide

FRAMES, BINS = 4, 2
LEAST = {"folded": 0.99999, "bf16": 0.998, "onnx": 0.99999, "onnx-int8": 0.95}
"""Least cosine of the embedding with the eager one's; ``compiled`` is ``bf16`` by a compiler."""


@pytest.fixture(scope="module")
def tracklets() -> list[Tracklet]:
    rng = np.random.default_rng(0)
    shape = (FRAMES * BINS, 2, 64, 32)
    return [
        Tracklet(
            name=f"t{n}",
            person=n,
            camera=0,
            frames=rng.integers(0, 256, (FRAMES, 256, 128, 3), dtype=np.uint8),
            spikes=(rng.random(shape) < 0.05).astype(np.uint8),
            times_us=np.arange(1, FRAMES + 1) * 40_000,
            boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
        )
        for n in range(4)
    ]


@pytest.fixture(scope="module")
def model() -> Sdcl:
    torch.manual_seed(0)
    branch = make_frame_branch("small")
    config = BridgeConfig(
        frames=FRAMES, frame_channels=branch.channels, map_size=(8, 4), event_size=(16, 8)
    )
    made = Sdcl(branch, None, bridge=Bridge(config))
    with torch.no_grad():  # batch norms that are worth folding
        made.fuse(made.frame_maps(torch.randn(4, FRAMES, 3, 256, 128)), *_events(4))
    return made.eval()


def _events(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    features = (torch.rand(batch, FRAMES, 16, 16, 8) < 0.1).float()
    return features, (torch.rand(batch, FRAMES, 64, 32) < 0.1).float()


@pytest.mark.parametrize("kind", LEAST)
def test_embeddings_are_those_of_the_model(
    model: Sdcl, tracklets: list[Tracklet], kind: str
) -> None:
    torch.manual_seed(1)
    frames, events = torch.randn(3, FRAMES, 3, 256, 128), _events(3)
    if kind == "onnx-int8":
        pytest.importorskip("onnxruntime")
    elif kind == "onnx":
        pytest.importorskip("onnxscript")
    ready = made_ready(model, kind, tracklets=tracklets)
    assert isinstance(ready.bridge, RowsBridge)
    with torch.inference_mode():
        wanted = model.fuse(model.frame_maps(frames), *events).embedding
        found = ready.fuse(ready.frame_maps(frames), *events).embedding
    assert functional.cosine_similarity(found, wanted).min() > LEAST[kind]


def test_what_is_decided_where_nothing_is_named(model: Sdcl) -> None:
    assert decided(None, model, "cpu") == "folded"
    assert decided("eager", model, "cpu") == "eager"
    assert made_ready(model, "eager") is model
    assert set(LEAST) | {"eager", "compiled"} == set(DENSE_BACKENDS)
    with pytest.raises(InputError, match="unknown dense backend 'fast'"):
        decided("fast", model, None)
    with pytest.raises(InputError, match="unknown dense backend 'fast'"):
        made_ready(model, "fast")


class Clips(nn.Module):
    """A frame network whose frames see each other."""

    takes_clips = True

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


def test_frames_that_see_each_other(model: Sdcl) -> None:
    clips = Sdcl(Clips(), None, bridge=model.bridge)
    assert decided(None, clips, "cpu") == "eager"
    with pytest.raises(InputError, match="takes frames one by one"):
        made_ready(clips, "folded")


def test_a_model_without_frames_is_made_ready_for_a_cpu(model: Sdcl) -> None:
    torch.manual_seed(2)
    config = BridgeConfig(frames=FRAMES, inputs="e", fusion="none")
    alone = Sdcl(None, None, bridge=Bridge(config)).eval()
    ready = made_ready(alone, "folded")
    events = _events(2)
    with torch.inference_mode():
        wanted = alone.fuse(None, *events).embedding
        torch.testing.assert_close(
            ready.fuse(None, *events).embedding, wanted, rtol=1e-4, atol=1e-4
        )
    place = bound_to(ready)
    assert place is not None
    assert place[0].type == DenseSide(ready).device.type == "cpu"
    assert bound_to(alone) is None

"""Hybrid inference: equal to the CPU's, at most three waits and a few launches a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from device import PretendedGpu
from plugin import other_conftest

from sdcl_neuro import cuda_graphs
from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.event_side import event_backend
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.runtime import infer
from sdcl_neuro.reid.pipeline.session import hold_session
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

tiny = other_conftest("reid/training")
FRAMES, BINS, BATCH, COUNT = 2, 2, 2, 8
LAUNCHES = {"eager": 480, "recorded": 5}
"""Kernels a batch: counted op by op, and besides two graphs the inputs and a copy of the result."""


@pytest.fixture(scope="module")
def tracklets() -> list[Tracklet]:
    rng = np.random.default_rng(3)
    return [
        Tracklet(
            name=f"t{n}", person=n // 2, camera=0,
            frames=rng.integers(0, 256, (FRAMES, 256, 128, 3), dtype=np.uint8),
            spikes=(rng.random((FRAMES * BINS, 2, 64, 32)) < 0.05 + 0.01 * n).astype(np.uint8),
            times_us=np.arange(1, FRAMES + 1) * 1000,
            boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
        )
        for n in range(COUNT)
    ]  # fmt: skip


def parts(tracklets: list[Tracklet], name: str = "little", **options: object) -> tuple[Sdcl, Model]:
    """A model, and its event branch for the chip."""
    spikes = torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()
    torch.manual_seed(0)
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes, rate=0.1)
    branch.prepare_quantization()
    frames = tiny.Little() if name == "little" else make_frame_branch(name)
    shape = {"channels": 16, "frame_channels": frames.channels, "frames": FRAMES}
    bridge = Bridge(BridgeConfig(**shape, heads=2, points=2, **options))
    model = Sdcl(frames, branch, bridge=bridge).eval()
    return model, as_model(from_snntorch(branch, spikes))


def embedded(model: Sdcl, chip: Model, tracklets: list[Tracklet], device: str) -> np.ndarray:
    return infer(
        model, tracklets, event_backend(chip, "loihi"), device=device, batch=BATCH
    ).embeddings


def test_equal_with_and_without_recordings(
    tracklets: list[Tracklet], outside: type[PretendedGpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, chip = parts(tracklets)
    wanted = embedded(model, chip, tracklets, "cpu")
    with outside() as gpu:
        monkeypatch.setenv(cuda_graphs.VARIABLE, "off")
        embedded(model, chip, tracklets[:BATCH], "cuda")  # weights and tables are sent once
        gpu.reset()
        found = embedded(model, chip, tracklets, "cuda")
        batches = COUNT // BATCH
        launches, waits = sum(gpu.launches.values()), sum(gpu.waits.values())
        assert "graph" not in gpu.launches
        assert launches <= LAUNCHES["eager"] * batches, gpu.places.most_common(20)
        assert waits <= 3, gpu.waits  # the clock's beginning, and the embeddings
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        monkeypatch.setenv(cuda_graphs.VARIABLE, "on")
        gpu.reset()
        again = embedded(model, chip, tracklets, "cuda")
        assert gpu.launches["graph"] == 2 * (batches - cuda_graphs.WARM_UP)
        assert sum(gpu.waits.values()) <= 4, gpu.waits  # and the comparison of the first replay
        np.testing.assert_allclose(again, wanted, atol=1e-6)
        assert not any("pageable" in name for name in gpu.copies), gpu.copies


def test_a_replayed_batch_is_a_handful_of_launches(
    tracklets: list[Tracklet], gpu: PretendedGpu
) -> None:
    from sdcl_neuro.hybrid.runtime import DenseSide, EventWorker

    model, chip = parts(tracklets)
    dense = DenseSide(model, "cuda")
    ledger = dense.new_ledger()
    with torch.inference_mode(), EventWorker(event_backend(chip, "loihi"), ledger) as worker:
        for number in range(0, COUNT, BATCH):
            batch = tracklets[number : number + BATCH]
            record = worker.submit(batch)
            record.result()
            gpu.reset()
            dense.embed(batch, record, ledger)
    assert gpu.launches["graph"] == 2
    assert sum(gpu.launches.values()) <= 2 + LAUNCHES["recorded"], gpu.launches
    assert not gpu.waits
    stages = {stage.name: stage.calls for stage in ledger.stages}
    assert stages["frame branch"] == stages["bridge"] == COUNT // BATCH


def test_a_model_that_waits_goes_on_without_a_recording(
    tracklets: list[Tracklet], gpu: PretendedGpu
) -> None:
    model, chip = parts(tracklets)
    wanted = embedded(model, chip, tracklets, "cuda")
    branch = model.frame_branch
    assert branch is not None
    branch.register_forward_hook(lambda module, given, made: made * float(made.detach().sum() > -1))
    with pytest.warns(UserWarning, match="cannot be recorded as a CUDA graph .*capturing"):
        found = embedded(model, chip, tracklets, "cuda")
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_recording_that_differs_is_not_used(tracklets: list[Tracklet], gpu: PretendedGpu) -> None:
    model, chip = parts(tracklets)
    calls = [0]

    def counted(module: object, given: object, made: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return made + calls[0]  # a constant of the recording

    assert model.frame_branch is not None
    model.frame_branch.register_forward_hook(counted)
    with pytest.warns(UserWarning, match="gives something else as a CUDA graph"):
        embedded(model, chip, tracklets, "cuda")
    assert calls[0] == COUNT // BATCH + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"inputs": "v", "fusion": "none"}, {"inputs": "e", "fusion": "none"}, {"gate": True}],
)
def test_sides_and_the_gate(
    options: dict[str, object], tracklets: list[Tracklet], outside: type[PretendedGpu]
) -> None:
    model, chip = parts(tracklets, **options)
    wanted = embedded(model, chip, tracklets, "cpu")
    with outside() as gpu:
        found = embedded(model, chip, tracklets, "cuda")
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert gpu.launches["graph"]


@pytest.mark.slow
def test_the_second_gpu(tracklets: list[Tracklet], outside: type[PretendedGpu]) -> None:
    model, chip = parts(tracklets)
    wanted = embedded(model, chip, tracklets, "cpu")
    with outside(2):
        np.testing.assert_allclose(embedded(model, chip, tracklets, "cuda:1"), wanted, atol=1e-6)


@pytest.mark.slow
def test_dense_backends(tracklets: list[Tracklet], outside: type[PretendedGpu]) -> None:
    """Of a GPU's, ``bf16``; ``compiled`` needs the real compiler."""
    with outside() as gpu:
        model, chip = parts(tracklets)
        eager = embedded(model, chip, tracklets, "cuda")
        gpu.reset()
        session = hold_session(
            model, chip, tracklets, device="cuda", dense_backend="bf16", batch=BATCH
        )
        assert sum(gpu.waits.values()) <= 6, gpu.waits
    assert (session.result.embeddings * eager).sum(1).min() > 0.99

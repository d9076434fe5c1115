"""Hybrid inference: both branches at once, the module's own results, and clean ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sdcl_neuro.conversion import from_snntorch
from sdcl_neuro.conversion.event_side import event_backend
from sdcl_neuro.conversion.model import Model
from sdcl_neuro.conversion.model_reading import as_model
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.hybrid.bridge import Bridge, BridgeConfig
from sdcl_neuro.hybrid.frame_branch import make_frame_branch, normalise
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.runtime import infer, merge_records
from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

FRAMES, BINS = 2, 3
CONFIG = BridgeConfig(channels=16, frames=FRAMES, heads=2, points=2)


@pytest.fixture(scope="module")
def tracklets() -> list[Tracklet]:
    rng = np.random.default_rng(3)
    return [
        Tracklet(
            name=f"t{n}",
            person=n // 2,
            camera=0,
            frames=rng.integers(0, 256, (FRAMES, 256, 128, 3), dtype=np.uint8),
            spikes=(rng.random((FRAMES * BINS, 2, 64, 32)) < 0.05 + 0.02 * n).astype(np.uint8),
            times_us=np.arange(1, FRAMES + 1) * 1000,
            boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
        )
        for n in range(5)
    ]


@pytest.fixture(scope="module")
def model(tracklets: list[Tracklet]) -> Sdcl:
    torch.manual_seed(0)
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(_spikes(tracklets), rate=0.1)
    branch.prepare_quantization()
    return Sdcl(make_frame_branch("osnet_x0_25"), branch, bridge=Bridge(CONFIG)).eval()


@pytest.fixture(scope="module")
def chip(model: Sdcl, tracklets: list[Tracklet]) -> Model:
    return as_model(from_snntorch(model.event_branch, _spikes(tracklets)))


def _spikes(tracklets: list[Tracklet]) -> torch.Tensor:
    return torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()


class Meeting(torch.nn.Module):
    """A frame branch that goes on only when the event branch is under way too."""

    def __init__(self) -> None:
        super().__init__()
        self.barrier = threading.Barrier(2, timeout=60)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        self.barrier.wait()
        time.sleep(0.02)
        return torch.zeros(len(frames), 128, 16, 8)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("event-branch")]


@pytest.mark.parametrize("name", ["loihi", "snntorch-int"])
def test_equal_to_the_modules_forward_in_integers(
    name: str, model: Sdcl, chip: Model, tracklets: list[Tracklet]
) -> None:
    frames = torch.stack([normalise(tracklet.frames) for tracklet in tracklets])
    with torch.no_grad():
        expected = model(frames, _spikes(tracklets)).embedding
    expected = torch.nn.functional.normalize(expected).numpy()
    result = infer(model, tracklets, event_backend(chip, name), device="cpu", batch=2)
    assert result.names == tuple(tracklet.name for tracklet in tracklets)
    assert np.abs(result.embeddings - expected).max() < 1e-5
    # Embeddings of an untrained network lie close together: the order must still be theirs.
    assert np.abs(result.embeddings[0] - expected[1:]).max(1).min() > 1e-4


def test_the_batch_size_changes_nothing(
    model: Sdcl, chip: Model, tracklets: list[Tracklet]
) -> None:
    backend = event_backend(chip, "loihi")
    results = [
        infer(model, tracklets, backend, device="cpu", batch=batch) for batch in (1, 2, 5, 64)
    ]
    for one in results[1:]:
        assert np.abs(one.embeddings - results[0].embeddings).max() < 1e-5
        for layer, first in zip(one.record.activity, results[0].record.activity, strict=True):
            for count in ("spikes_in", "spikes_out", "synops", "updates"):
                assert np.array_equal(getattr(layer, count), getattr(first, count))
    assert results[0].record.samples == len(tracklets)
    assert results[0].record.spikes == {}


def test_another_order_gives_the_same_embeddings_in_that_order(
    model: Sdcl, chip: Model, tracklets: list[Tracklet]
) -> None:
    backend = event_backend(chip, "loihi")
    plain = infer(model, tracklets, backend, device="cpu", batch=2)
    turned = infer(model, tracklets[::-1], backend, device="cpu", batch=2)
    assert np.abs(turned.embeddings[::-1] - plain.embeddings).max() < 1e-5
    sent = [record.activity[0].spikes_out for record in (plain.record, turned.record)]
    assert np.array_equal(sent[0], sent[1][::-1])


def test_the_branches_run_at_the_same_time(chip: Model, tracklets: list[Tracklet]) -> None:
    backend = event_backend(chip, "loihi")

    meeting = Meeting()

    def meet(spikes: NDArray[np.uint8]) -> Record:
        meeting.barrier.wait()
        time.sleep(0.02)
        return backend(spikes)

    model = Sdcl(meeting, None, bridge=Bridge(CONFIG))
    done: list[int] = []
    result = infer(model, tracklets, meet, device="cpu", batch=2, on_batch=done.append)
    assert done == [2, 2, 1]
    spans = result.ledger.spans
    events, frames = (
        [span for span in spans if span.name == name] for name in ("event branch", "frame branch")
    )
    assert len(events) == len(frames) == 3
    assert {span.thread for span in events}.isdisjoint(span.thread for span in frames)
    for event, frame in zip(events, frames, strict=True):
        assert min(event.end_s, frame.end_s) - max(event.start_s, frame.start_s) > 0
    # One batch ahead, no more: batch n + 2 is not begun before batch n is fused.
    bridges = [span for span in spans if span.name == "bridge"]
    assert events[2].start_s > bridges[0].start_s
    assert threads() == []


def test_a_failing_backend_ends_it_at_once(model: Sdcl, tracklets: list[Tracklet]) -> None:
    calls = []

    def broken(spikes: NDArray[np.uint8]) -> Record:
        calls.append(spikes.shape[1])
        raise EnvironmentFault("the board is on fire", where="loihi2hw")

    done: list[int] = []
    with pytest.raises(EnvironmentFault, match="on fire"):
        infer(model, tracklets, broken, device="cpu", batch=1, on_batch=done.append)
    assert calls == [1]  # the batch ahead never began
    assert done == []
    assert threads() == []


def test_a_failing_frame_branch_leaves_no_thread(chip: Model, tracklets: list[Tracklet]) -> None:
    class Broken(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            raise MemoryError("no room for frames")

    calls = []

    def backend(spikes: NDArray[np.uint8]) -> Record:
        calls.append(spikes.shape[1])
        time.sleep(0.1)
        return event_backend(chip, "loihi")(spikes)

    with pytest.raises(MemoryError, match="no room"):
        infer(Sdcl(Broken(), None, bridge=Bridge(CONFIG)), tracklets, backend, batch=1)
    assert calls == [1]
    assert threads() == []


def test_an_interruption_reaches_the_backend(tracklets: list[Tracklet]) -> None:
    """Signals go to the main thread; a backend with a child process must hear of them too."""
    heard = []

    class Interrupted(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            time.sleep(0.1)
            raise KeyboardInterrupt

    def endless(spikes: NDArray[np.uint8]) -> Record:
        try:
            for _ in range(3000):
                time.sleep(0.01)
        except KeyboardInterrupt:
            heard.append("cleaned up")
            raise
        raise AssertionError("was not interrupted")

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        infer(Sdcl(Interrupted(), None, bridge=Bridge(CONFIG)), tracklets, endless, device="cpu")
    assert heard == ["cleaned up"]
    assert threads() == []
    assert time.monotonic() - started < 20


def test_a_bridge_without_frames_needs_no_frame_branch(
    chip: Model, tracklets: list[Tracklet]
) -> None:
    config = replace(CONFIG, inputs="e", fusion="none")
    model = Sdcl(None, None, bridge=Bridge(config))
    result = infer(model, tracklets, event_backend(chip, "loihi"), device="cpu")
    assert result.embeddings.shape == (5, 16)
    assert "frame branch" not in [stage.name for stage in result.ledger.stages]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_says_what_the_cpu_says(model: Sdcl, chip: Model, tracklets: list[Tracklet]) -> None:
    backend = event_backend(chip, "loihi")
    there = infer(model, tracklets, backend, device="cuda", batch=2).embeddings
    here = infer(model, tracklets, backend, device="cpu", batch=2).embeddings
    assert (here * there).sum(1).min() > 0.999  # a GPU may multiply in TF32


def test_what_cannot_be_inferred_is_refused(
    model: Sdcl, chip: Model, tracklets: list[Tracklet]
) -> None:
    backend = event_backend(chip, "loihi")
    with pytest.raises(InputError, match="no tracklets"):
        infer(model, [], backend)
    short = replace(tracklets[1], spikes=tracklets[1].spikes[:FRAMES])
    with pytest.raises(InputError, match="2 different shapes"):
        infer(model, [tracklets[0], short], backend)
    with pytest.raises(InputError, match="at least 1"):
        infer(model, tracklets, backend, batch=0)
    with pytest.raises(InputError, match="unknown device 'abacus'"):
        infer(model, tracklets, backend, device="abacus")
    with pytest.raises(EnvironmentFault, match="no GPU"):
        infer(model, tracklets, backend, device="cuda:63")


def _record(samples: int, *, elapsed_s: float | None, saturations: bool) -> Record:
    counts = np.arange(samples, dtype=np.int64) + samples
    layer = LayerActivity(
        "conv1", "conv", 4, 9, counts, counts + 1, counts + 2, counts + 3,
        counts if saturations else None,
    )  # fmt: skip
    spikes = {0: np.zeros((1, samples, 4), np.uint8)}
    return Record("loihi", 7, samples, (4,), spikes, (layer,), elapsed_s)


def test_records_merge_side_by_side() -> None:
    parts = [_record(n, elapsed_s=0.5, saturations=True) for n in (2, 3)]
    merged = merge_records(parts)
    assert (merged.samples, merged.steps, merged.elapsed_s) == (5, 7, 1.0)
    assert merged.spikes == {}
    (layer,) = merged.activity
    assert layer.neurons == 4
    assert layer.spikes_in.tolist() == [2, 3, 3, 4, 5]
    assert layer.updates.tolist() == [5, 6, 6, 7, 8]
    assert layer.saturations is not None
    assert layer.saturations.tolist() == [2, 3, 3, 4, 5]
    assert layer.wraps is None


def test_what_one_part_does_not_know_the_whole_does_not_know() -> None:
    merged = merge_records(
        [
            _record(1, elapsed_s=None, saturations=True),
            _record(1, elapsed_s=1.0, saturations=False),
        ]
    )
    assert merged.elapsed_s is None
    assert merged.activity[0].saturations is None
    bare = [replace(_record(n, elapsed_s=1.0, saturations=True), activity=()) for n in (1, 2)]
    assert merge_records(bare).activity == ()


def test_the_ledger_counts_what_the_engine_counts(
    model: Sdcl, chip: Model, tracklets: list[Tracklet]
) -> None:
    result = infer(model, tracklets, event_backend(chip, "loihi"), device="cpu", batch=2)
    stacked = np.stack([tracklet.spikes for tracklet in tracklets], axis=1)
    whole = run_network(chip.need_integer(), stacked)
    entries = {
        (entry.group, entry.name): entry.low
        for entry in result.ledger.entries
        if entry.tag == "emulated"
    }
    for layer in whole.activity:
        group = f"activity of {layer.name}"
        assert entries[group, "spikes out"] == layer.spikes_out.sum() > 0
        assert entries[group, "synaptic operations"] == layer.synops.sum() > 0

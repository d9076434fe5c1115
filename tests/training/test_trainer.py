"""Training on a tiny generated set: it repeats, learns, and trains in the chip's own integers."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from sdcl_neuro.bridge import Bridge, BridgeConfig
from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.data import Tracklet
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import InputError
from sdcl_neuro.event_branch import COMPACT, EventBranch
from sdcl_neuro.frame_branch import normalise
from sdcl_neuro.model import Sdcl
from sdcl_neuro.training import trainer
from sdcl_neuro.training.trainer import Settings, Stage, train

FRAMES, BINS, PERSONS = 2, 2, 3
CONFIG = BridgeConfig(
    channels=16, frame_channels=8, frames=FRAMES, identities=PERSONS, heads=2, points=2
)
SETTINGS = Settings(persons=PERSONS, tracklets=2, seed=4)


class Little(torch.nn.Module):
    """A frame branch small enough for a test, with running statistics like the big ones."""

    channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        pooled = torch.nn.functional.avg_pool2d(frames, 16)
        return torch.relu(self.norm(self.convolution(pooled)))


def tracklet(person: int, index: int) -> Tracklet:
    """A colour and a band of activity that tell the person, under noise."""
    rng = np.random.default_rng([person, index])
    frames = rng.integers(0, 80, (FRAMES, 256, 128, 3), dtype=np.uint8)
    frames[:, :, :, person] += 120
    rate = np.full((64, 32), 0.02)
    rate[20 * person : 20 * person + 20] = 0.4
    spikes = rng.random((FRAMES * BINS, 2, 64, 32)) < rate
    return Tracklet(
        name=f"p{person}-{index}",
        person=10 * person,
        camera=0,
        frames=frames,
        spikes=spikes.astype(np.uint8),
        times_us=np.arange(1, FRAMES + 1) * 1000,
        boxes=np.tile(np.array([0, 0, 10, 20]), (FRAMES, 1)),
    )


@pytest.fixture(scope="module")
def lessons() -> list[Tracklet]:
    return [tracklet(person, index) for person in range(PERSONS) for index in range(3)]


def spikes_of(tracklets: list[Tracklet]) -> torch.Tensor:
    return torch.from_numpy(np.stack([t.spikes for t in tracklets], axis=1)).float()


def fresh(lessons: list[Tracklet], config: BridgeConfig = CONFIG) -> Sdcl:
    torch.manual_seed(2)
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes_of(lessons), rate=0.1)
    return Sdcl(Little() if config.uses_frames else None, branch, bridge=Bridge(config))


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def changed(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    now = module.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, now[name])}


STAGES = (Stage("float", steps=3, learning_rate=3e-3), Stage("int", steps=3, learning_rate=1e-3))


def test_the_same_seed_gives_the_same_result(lessons: list[Tracklet]) -> None:
    models = [fresh(lessons) for _ in range(3)]
    seeds = (SETTINGS, SETTINGS, replace(SETTINGS, seed=5))
    logs = []
    for model, settings in zip(models, seeds, strict=True):
        torch.rand(7)  # whatever was drawn before does not matter
        logs.append(train(model, lessons, STAGES, settings=settings))
    assert logs[0] == logs[1]
    assert changed(state(models[0]), models[1]) == set()
    assert logs[0] != logs[2]


def test_the_loss_falls_in_float_and_in_integers(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    seen = []
    log = train(
        model,
        lessons,
        [Stage("float", steps=20, learning_rate=3e-3), Stage("int", steps=10, learning_rate=1e-3)],
        settings=SETTINGS,
        on_step=seen.append,
    )
    assert seen == log
    assert [(step.mode, step.step) for step in log] == [
        *(("float", n) for n in range(20)),
        *(("int", n) for n in range(10)),
    ]
    losses = np.array([step.loss for step in log])
    assert losses[15:20].mean() < 0.6 * losses[:3].mean()
    assert losses[-5:].mean() < 0.6 * losses[:3].mean()
    assert np.mean([step.accuracy for step in log[-5:]]) > 0.9
    assert all(0 < rate < 1 for step in log for rate in step.rates)
    assert not model.training
    assert not any(module.training for module in model.modules())


def test_the_integer_stage_trains_in_the_chips_integers(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    branch = model.event_branch
    assert branch.scales == (0, 0)
    before = state(branch)
    train(model, lessons, [Stage("int", steps=3, learning_rate=3e-3)], settings=SETTINGS)
    assert branch.mode == "int"
    assert min(branch.scales) > 0
    assert {"synapses.0.weight", "synapses.1.weight"} <= changed(before, branch)
    spikes = spikes_of(lessons)
    chip = quantize(from_snntorch(branch, spikes))
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    with torch.no_grad():
        layers = branch(spikes)
    for index, layer in enumerate(layers):
        assert layer.sum() > 1000
        assert np.array_equal(layer.numpy().astype(np.uint8), record.spikes[index])


def test_scales_are_chosen_once(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    train(model, lessons, [Stage("int", steps=1)], settings=SETTINGS)
    scales = model.event_branch.scales
    train(model, lessons, [Stage("int", steps=2, learning_rate=1e-2)], settings=SETTINGS)
    assert model.event_branch.scales == scales


def test_a_frozen_frame_branch_does_not_change(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    frames, bridge = state(model.frame_branch), state(model.bridge)
    train(model, lessons, STAGES, settings=SETTINGS)
    assert changed(frames, model.frame_branch) == set()
    assert all(parameter.grad is None for parameter in model.frame_branch.parameters())
    assert changed(bridge, model.bridge)


def test_a_learning_frame_branch_changes_weights_and_statistics(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    frames = state(model.frame_branch)
    train(model, lessons, [Stage("float", steps=1, learns_frames=True)], settings=SETTINGS)
    assert changed(frames, model.frame_branch) == set(frames)
    # A frozen stage behind it sees the branch as it is now, not as it was.
    now = state(model.frame_branch)
    data = trainer._Tracklets(model, lessons)
    model.frame_branch.eval()
    data.freeze_frames()
    index = np.array([4])
    with torch.no_grad():
        expected = model.frame_branch(normalise(lessons[4].frames))
    assert torch.allclose(data.batch(index, mirrored=False)[0][0], expected, atol=1e-5)
    assert changed(now, model.frame_branch) == set()


@pytest.mark.parametrize("frozen", [True, False])
def test_frames_and_spikes_are_mirrored_together(lessons: list[Tracklet], frozen: bool) -> None:
    """A mirrored batch is the batch of mirrored tracklets."""
    model = fresh(lessons).eval()
    turned = [
        replace(
            lesson,
            frames=np.ascontiguousarray(lesson.frames[:, :, ::-1]),
            spikes=np.ascontiguousarray(lesson.spikes[..., ::-1]),
        )
        for lesson in lessons
    ]
    data, expected = (trainer._Tracklets(model, each) for each in (lessons, turned))
    if frozen:
        data.freeze_frames()
    index = np.array([0, 5, 7])
    with torch.no_grad():
        found = data.batch(index, mirrored=True)
        wanted = expected.batch(index, mirrored=False)
        plain = data.batch(index, mirrored=False)
    assert torch.allclose(found[0], wanted[0], atol=1e-6)
    assert torch.equal(found[1], wanted[1])
    assert torch.equal(found[2], wanted[2])
    assert not torch.equal(found[1], plain[1])
    assert not torch.allclose(found[0], plain[0], atol=1e-3)


def test_batches_are_mirrored_about_half_the_time(
    lessons: list[Tracklet], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = []
    original = trainer._Tracklets.batch

    def spy(self, index, *, mirrored: bool):
        flags.append(mirrored)
        return original(self, index, mirrored=mirrored)

    monkeypatch.setattr(trainer._Tracklets, "batch", spy)
    train(fresh(lessons), lessons, [Stage("float", steps=12)], settings=SETTINGS)
    assert 2 <= sum(flags) <= 10


def test_a_bridge_without_frames_trains_on_events_alone(lessons: list[Tracklet]) -> None:
    model = fresh(lessons, replace(CONFIG, inputs="e", fusion="none"))
    before = state(model.event_branch)
    log = train(model, lessons, [Stage("float", steps=12, learning_rate=3e-3)], settings=SETTINGS)
    assert log[-1].loss < log[0].loss
    assert changed(before, model.event_branch)


def test_what_cannot_be_trained_is_refused(lessons: list[Tracklet]) -> None:
    model = fresh(lessons)
    before = state(model)
    stages = [Stage("float", steps=1)]
    with pytest.raises(InputError, match="no tracklets"):
        train(model, [], stages)
    stranger = replace(lessons[0], person=99)
    with pytest.raises(InputError, match=r"4 persons for 3 classes.*identities=4"):
        train(model, [*lessons, stranger], stages)
    short = replace(lessons[0], spikes=lessons[0].spikes[:FRAMES])
    with pytest.raises(InputError, match="2 different shapes"):
        train(model, [*lessons, short], stages)
    with pytest.raises(InputError, match="batches of 4 persons"):
        train(model, lessons, stages, settings=Settings(persons=4))
    with pytest.raises(InputError, match="no event branch"):
        train(Sdcl(Little(), None, bridge=Bridge(CONFIG)), lessons, stages)
    assert changed(before, model) == set()

"""Training: the CPU's weights, few launches and waits, resumed to the same bits, validated."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from device import PretendedGpu
from plugin import KERNELS, other_conftest

from sdcl_neuro import cuda_graphs
from sdcl_neuro.hybrid.bridge import BridgeConfig, PstaBridge
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.reid.training import Settings, Stage, TrainingStep, train
from sdcl_neuro.snn.event_branch import COMPACT, EventBranch

LAUNCHES, WAITS = 300, 4
"""Of a step of the tiny model, once it is recorded."""
tiny = other_conftest("reid/training")
Tiny = tiny.Tiny
HELD = Tiny.held([tiny.tracklet(person, n) for person in range(tiny.PERSONS) for n in range(3)])
SETTINGS: Settings = replace(
    Tiny.settings,
    device="cuda",
    precision="float32",
    float_stage=Stage(steps=4, learning_rate=3e-3, learns_frames=True),
    int_stage=Stage(steps=4, learning_rate=1e-3, learns_frames=False),
)
CPU = replace(SETTINGS, device="cpu")


def close_steps(found: list[TrainingStep], wanted: list[TrainingStep]) -> None:
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert one.loss == pytest.approx(two.loss, rel=2e-2)
        assert one.mode == two.mode


def bits(model: Sdcl) -> dict[str, torch.Tensor]:
    return {name: value.cpu() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def wanted() -> list[TrainingStep]:
    return train(Tiny.model(), HELD, Tiny.clip, CPU)


def test_steps_are_few_launches_and_waits(
    wanted: list[TrainingStep], outside: type[PretendedGpu]
) -> None:
    counts: list[tuple[str, int, Counter[str]]] = []
    with outside() as gpu:

        def look(step: TrainingStep) -> None:
            counts.append((step.mode, sum(gpu.launches.values()), gpu.waits))
            gpu.reset()

        found = train(Tiny.model(), HELD, Tiny.clip, SETTINGS, on_step=look)
    close_steps(found, wanted)
    assert wanted[0].loss == pytest.approx(found[0].loss, rel=1e-5)
    for _, launches, waits in (counts[3], counts[7]):
        assert launches <= (LAUNCHES if KERNELS else 2 * LAUNCHES)
        assert sum(waits.values()) <= WAITS, waits
    # Once recorded, and but for the first steps and the recording itself.
    assert max(sum(waits.values()) for _, _, waits in counts[1:]) <= 16, counts
    assert [mode for mode, _, _ in counts] == ["float"] * 4 + ["int"] * 4


@pytest.mark.slow
def test_a_recorded_step_is_the_step(
    outside: type[PretendedGpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same operations on the same numbers: to the last bit."""
    found = {}
    for switch in ("off", "on"):
        monkeypatch.setenv(cuda_graphs.VARIABLE, switch)
        model = Tiny.model()
        with outside() as gpu:
            train(model, HELD, Tiny.clip, SETTINGS)
            found[switch] = bits(model)
            assert bool(gpu.launches["graph"]) == (switch == "on")
    for name, value in found["off"].items():
        torch.testing.assert_close(found["on"][name], value, rtol=0, atol=0, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2, 6])
def test_resumes_to_the_same_bits(limit: int, tmp_path: Path, gpu: PretendedGpu) -> None:
    whole = Tiny.model()
    train(whole, HELD, Tiny.clip, SETTINGS, folder=tmp_path / "whole")

    def interrupt(step: TrainingStep) -> None:
        if step.step + 1 == limit:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Tiny.model(), HELD, Tiny.clip, SETTINGS, folder=tmp_path / "cut", on_step=interrupt)
    again = Tiny.model()
    left = train(again, HELD, Tiny.clip, SETTINGS, folder=tmp_path / "cut")
    assert len(left) == 8 - limit
    found = bits(again)
    for name, value in bits(whole).items():
        assert torch.equal(found[name], value), name
    log = (tmp_path / "cut" / "log.csv").read_text()
    assert log == (tmp_path / "whole" / "log.csv").read_text()


@pytest.mark.slow
def test_bfloat16_of_the_dense_side(wanted: list[TrainingStep], gpu: PretendedGpu) -> None:
    found = train(Tiny.model(), HELD, Tiny.clip, replace(SETTINGS, precision="auto"))
    for one, two in zip(found, wanted, strict=True):
        assert one.loss == pytest.approx(two.loss, rel=0.1)
    assert gpu.launches["graph"]


@pytest.mark.slow
def test_validation(gpu: PretendedGpu) -> None:
    held = Tiny.held([tiny.tracklet(person, n) for person in range(5) for n in range(4)])
    config = replace(Tiny.config, identities=3)
    settings = replace(SETTINGS, validate_every=2, validation_persons=2, int_stage=Stage(steps=0))
    found = train(Tiny.model(config), held, Tiny.clip, settings)
    alone = train(Tiny.model(config), held, Tiny.clip, replace(settings, device="cpu"))
    seen = [step.validation for step in found]
    assert [one is None for one in seen] == [True, False, True, False]
    assert seen[1] == pytest.approx(alone[1].validation, abs=0.05)


@pytest.mark.slow
def test_other_bridges(gpu: PretendedGpu) -> None:
    config = BridgeConfig(channels=64, frame_channels=8, frames=2, identities=3, inputs="v+e")

    def model() -> Sdcl:
        torch.manual_seed(0)
        return Sdcl(tiny.Little(), EventBranch(COMPACT), bridge=PstaBridge(config))

    settings = replace(SETTINGS, int_stage=Stage(steps=0))
    found = train(model(), HELD, Tiny.clip, settings)
    close_steps(found, train(model(), HELD, Tiny.clip, replace(settings, device="cpu")))


@pytest.mark.parametrize("recompute", [None, 2])
@pytest.mark.parametrize("mode", ["float", "int"])
def test_the_event_branch_alone(mode: str, recompute: int | None, gpu: PretendedGpu) -> None:
    torch.manual_seed(0)
    spikes = (torch.rand(6, 2, 2, 64, 32) < 0.1).float()
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes, rate=0.1)
    branch.recompute_steps = recompute
    if mode == "int":
        branch.prepare_quantization()
    twin = copy.deepcopy(branch).to("cuda")
    own, other = branch(spikes)[-1], twin(spikes.to("cuda"))[-1]
    assert torch.equal(other.detach().cpu(), own.detach())
    own.sum().backward()
    other.sum().backward()
    for one, two in zip(branch.parameters(), twin.parameters(), strict=True):
        if one.grad is not None:
            assert two.grad is not None
            torch.testing.assert_close(two.grad.cpu(), one.grad, rtol=1e-3, atol=1e-4)
    twin.calibrate_rates(spikes.to("cuda"), rate=0.1)


@pytest.fixture
def tf32() -> Iterator[PretendedGpu]:
    with PretendedGpu(tf32=True) as found:
        yield found


@pytest.mark.parametrize("mode", ["float", "int"])
def test_tf32_changes_no_spike(mode: str, tf32: PretendedGpu) -> None:
    torch.manual_seed(0)
    spikes = (torch.rand(6, 2, 2, 64, 32) < 0.1).float()
    branch = EventBranch(COMPACT)
    branch.calibrate_rates(spikes, rate=0.1)
    if mode == "int":
        branch.prepare_quantization()
    twin = copy.deepcopy(branch).to("cuda")
    with torch.no_grad():
        for one, two in zip(branch(spikes), twin(spikes.to("cuda")), strict=True):
            assert torch.equal(two.cpu(), one)

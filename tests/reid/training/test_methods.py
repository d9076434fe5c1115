"""Every video network and input: trains, resumes to the same bits, saves, loads, converts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdcl_neuro import verify
from sdcl_neuro.errors import InputError
from sdcl_neuro.hybrid.composition import EVERY_KIND, kind_of
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.hybrid.sdcl_checkpoint import load_sdcl, save_sdcl
from sdcl_neuro.reid.configuration import build_model, clip_format, load_configuration
from sdcl_neuro.reid.datasets import Clip, TrackletsInMemory
from sdcl_neuro.reid.training import Settings, Stage, train
from sdcl_neuro.reid.training.objective import Objective
from sdcl_neuro.reid.training.validation import validate
from sdcl_neuro.snn.event_branch import EventBranch

INPUTS = ("v", "e", "v+e")
EVERY = [(kind, inputs) for kind in EVERY_KIND for inputs in INPUTS]
# A state of its own in its losses, modules inside the network, voxels: what differs most.
FEW = [("grl", "v+e"), ("sinet", "v"), ("osnet", "e"), ("ctl-sdcl", "v+e")]


class Interrupted(Exception):
    """Stands for a killed process."""


def configured(kind: str, inputs: str):
    fusion = [] if kind == "sdcl" and inputs == "v+e" else ["bridge.fusion=none"]
    return load_configuration(
        "generated-small",
        [
            f"model={kind.removesuffix('-sdcl')}",
            *(["variant=sdcl"] if kind.endswith("-sdcl") else []),
            f"bridge.inputs={inputs}",
            *fusion,
            "bridge.channels=16",
            "bridge.heads=2",
            "bridge.points=2",
            "clip.frames=2",
            "clip.bins=2",
            "event_branch.channels=[4, 16]",
        ],
    )


def model_of(configuration: Any, identities: int) -> Sdcl:
    torch.manual_seed(5)
    return build_model(configuration, identities)


def settings(tiny: Any, steps: int) -> Settings:
    floats, ints = steps * 3 // 5, steps - steps * 3 // 5
    stages = tiny.with_stages(
        Stage(steps=floats, learning_rate=1e-3), Stage(steps=ints, learning_rate=1e-4)
    )
    return replace(stages, checkpoint_every=2)


def round_trip(
    kind: str, inputs: str, tiny: Any, lessons: TrackletsInMemory, folder: Path, steps: int
) -> None:
    configuration = configured(kind, inputs)
    clip = configuration.clip
    assert clip == Clip(2, 2, (64, 32))
    identities = len({one.person for one in lessons.entries})
    whole = model_of(configuration, identities)
    before = tiny.state(whole)
    how = settings(tiny, steps)
    log = train(whole, lessons, clip, how)
    assert len(log) == steps
    assert all(np.isfinite(step.loss) for step in log)
    assert len(tiny.changed(before, whole)) > 5

    resumed, broken = model_of(configuration, identities), model_of(configuration, identities)

    def kill(step: Any) -> None:
        if step.step == steps - 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(broken, lessons, clip, how, folder=folder / "run", on_step=kill)
    rest = train(resumed, lessons, clip, how, folder=folder / "run")
    assert 0 < len(rest) < steps
    assert tiny.changed(tiny.state(whole), resumed) == set()  # tables of classes among them

    mean_ap, _ = validate(Objective(whole, how), lessons, clip, tuple(range(len(lessons.entries))))
    assert 0 < mean_ap <= 1
    saved = save_sdcl(
        folder / "model", whole, clip=clip_format(configuration), frame_branch=name_of(whole, kind)
    )
    loaded = load_sdcl(saved).model
    assert kind_of(loaded) == kind
    frames, spikes = given(lessons)
    with torch.no_grad():
        sides = (
            frames if whole.bridge.config.uses_frames else None,
            spikes if whole.bridge.config.uses_events else None,
        )
        expected, found = whole(*sides).embedding, loaded(*sides).embedding
    assert torch.equal(expected, found)
    if isinstance(whole.event_branch, EventBranch):
        given_spikes, against = spikes.numpy().astype(np.uint8), ["snntorch-int"]
        certificate = verify(saved, spikes=given_spikes, against=against, cache=False)
        assert certificate.holds
        exact = [pair for pair in certificate.pairs if pair.kind == "exact"]
        assert exact
        assert all(max(layer.spikes) > 0 for pair in exact for layer in pair.layers)


def name_of(model: Sdcl, kind: str) -> str | None:
    return None if kind == "sdcl" and model.frame_branch is None else "small"


def given(lessons: TrackletsInMemory) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = lessons.entries[:3]
    frames = np.stack([one.frames for one in chosen]).astype(np.float32) / 255
    spikes = np.stack([one.spikes for one in chosen], axis=1).astype(np.float32)
    return torch.from_numpy(frames).movedim(-1, 2), torch.from_numpy(spikes)


@pytest.mark.parametrize(("kind", "inputs"), FEW)
def test_some_methods(
    kind: str, inputs: str, tiny: Any, lessons: TrackletsInMemory, tmp_path: Path
) -> None:
    round_trip(kind, inputs, tiny, lessons, tmp_path, steps=8)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "inputs"), EVERY)
def test_every_method(
    kind: str, inputs: str, tiny: Any, lessons: TrackletsInMemory, tmp_path: Path
) -> None:
    round_trip(kind, inputs, tiny, lessons, tmp_path, steps=20)


def wrong() -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("model=tclnet", "clip.frames=3"), "TCLNet cannot take clips of 3 frames"
    yield ("model=sinet", "clip.frames=6"), "SINet cannot take clips of 6 frames"
    yield ("model=mgh", "variant=sdcl"), "mgh has no stand-in"
    yield ("model=mgh", "frame_branch.name=osnet_x0_25"), "use resnet50 or small"


@pytest.mark.parametrize(("overrides", "message"), list(wrong()))
def test_a_configuration_says_what_a_method_cannot_take(
    overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_configuration("generated-small", [*overrides, "bridge.inputs=v"])

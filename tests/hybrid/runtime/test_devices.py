"""Copies to a device, and every backend's answer to a device that is not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sdcl_neuro import run
from sdcl_neuro.devices import moved, wait_for
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.hybrid.frame_branch import normalise
from sdcl_neuro.hybrid.frame_branch.images import _statistics
from sdcl_neuro.testing import random_network, random_spikes


def test_frames_go_where_they_are_told() -> None:
    frames = np.zeros((1, 256, 128, 3), np.uint8)
    assert normalise(frames, torch.device("meta")).is_meta
    assert normalise(frames, torch.device("cpu")).equal(normalise(frames))


def test_statistics_are_no_child_of_inference_mode() -> None:
    """They are kept, and may be needed where gradients flow."""
    _statistics.cache_clear()
    with torch.inference_mode():
        normalise(np.zeros((1, 256, 128, 3), np.uint8))
    assert not any(values.is_inference() for values in _statistics(torch.device("cpu")))


def test_a_copy_to_where_it_is_already_costs_nothing() -> None:
    tensor = torch.zeros(3)
    assert moved(tensor, torch.device("cpu")) is tensor
    wait_for(torch.device("cpu"))


def test_a_gpu_gets_pinned_memory_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what is asked of torch."""
    asked: list[object] = []
    pinned = torch.zeros(3)

    def to(self: torch.Tensor, *where: object, **how: object) -> torch.Tensor:
        asked.append((self is pinned, where, how))
        return self

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned)
    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.cuda, "synchronize", asked.append)
    device = torch.device("cuda:1")
    moved(torch.ones(3), device)
    wait_for(device)
    assert asked == [(True, (device,), {"non_blocking": True}), device]


@pytest.mark.parametrize("backend", ["loihi", "snntorch", "snntorch-int", "norse"])
def test_a_device_that_is_not_there(backend: str) -> None:
    if backend == "norse":
        pytest.importorskip("norse")
    net = random_network(1, kind="dense", layers=1)
    spikes = random_spikes(net, steps=2, samples=1, seed=1)
    for device, kind in (
        ("abacus", InputError),
        ("meta", InputError),
        ("cuda:63", EnvironmentFault),
    ):
        with pytest.raises(kind, match=device):
            run(net, spikes, backend=backend, device=device)

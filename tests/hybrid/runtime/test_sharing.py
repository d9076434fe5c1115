"""Threads of the dense side: as many as gain something on a batch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sdcl_neuro.hybrid.runtime import sharing
from sdcl_neuro.hybrid.runtime.sharing import share_out
from sdcl_neuro.processors import threads

OSNET = 200_000
"""Parameters of OSNet x0.25."""


@pytest.mark.parametrize(
    ("usable", "parameters", "tracklets", "dense", "events"),
    [
        (2, OSNET, 1, 1, 1),
        (2, OSNET, 8, 1, 1),
        (2, OSNET, 32, 2, 1),
        (16, OSNET, 1, 1, 15),
        (16, OSNET, 8, 16, 1),
        (2, 24_000_000, 1, 2, 1),
        (1, OSNET, 32, 1, 1),
    ],
)
def test_a_batch_gets_threads_that_gain(
    usable: int,
    parameters: int,
    tracklets: int,
    dense: int,
    events: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_settled", None)
    monkeypatch.setattr(threads.load, "sample", lambda: None)
    for place in (sharing, threads):
        monkeypatch.setattr(place, "usable", lambda: usable)
    weight = torch.nn.Parameter(torch.empty(parameters, device="meta"))
    model: Any = SimpleNamespace(frame_branch=torch.nn.ParameterList([weight]))
    shares = share_out(model, torch.device("cpu"), frames=4 * tracklets)
    assert (shares.dense.count, shares.events) == (dense, events)

"""A small soak, its resumption, and that it sees a difference; the long one is ``make soak``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import soak


def test_a_soak_finds_nothing_and_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "soak.json"
    first = soak.soak(20_000, state)
    assert first["mismatches"] == 0
    assert first["spikes"] >= 20_000
    more = soak.soak(first["spikes"] + 1, state)
    assert more["networks"] == first["networks"] + 1 == more["next"]
    assert json.loads(state.read_text()) == more
    # Done: nothing more is run.
    assert soak.soak(20_000, state) == more


def test_a_wrong_engine_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = soak.run_network

    def wrong(net: Any, spikes: Any) -> Any:
        record = real(net, spikes)
        last = max(record.spikes)
        record.spikes[last] = np.ascontiguousarray(record.spikes[last]).copy()
        record.spikes[last].reshape(-1)[7] ^= 1
        return record

    monkeypatch.setattr(soak, "run_network", wrong)
    assert soak.soak(1, tmp_path / "s.json")["mismatches"] == 1


def test_what_is_drawn_covers_what_may_go_wrong() -> None:
    nets = [soak.drawn(seed)[0] for seed in range(120)]
    layers = [layer for net in nets for layer in net.layers]
    convolutions = [layer.convolution for layer in layers if layer.convolution is not None]
    assert any(one.groups > 1 for one in convolutions)
    assert any(max(one.dilation) > 1 for one in convolutions)
    assert any(layer.delay is not None and layer.delay.max() > 6 for layer in layers)
    assert any(layer.recurrent_weight is not None for layer in layers)
    assert {net.message_bits for net in nets} == {0, 1, 3, 8}

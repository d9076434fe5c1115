"""One network that can be counted by hand, and its profile.

A 3x3 convolution on 3x3 pixels (49 synapses) and a dense layer of two neurons (18). A spike at the
centre in step 0 fires all nine neurons, one at a corner in step 2 four; both times both neurons of
the dense layer fire. So: 2 spikes in, 13 between, 4 out; 9 + 4 and 13 * 2 synaptic operations.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sdcl_neuro.network.record import LayerActivity, Record
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.profiling import Profile, profile


def hand_network(names: tuple[str, str] = ("conv", "head")) -> IntNetwork:
    neuron = IntNeuron(current_decay=4096, voltage_decay=4095, threshold=10)
    conv = IntLayer(
        name=names[0],
        kind="conv",
        weight=np.full((1, 1, 3, 3), 64, dtype=np.int32),
        neuron=neuron,
        in_shape=(1, 3, 3),
        out_shape=(1, 3, 3),
        convolution=Convolution(padding=(1, 1)),
    )
    dense = IntLayer(
        name=names[1],
        kind="dense",
        weight=np.full((2, 9), 64, dtype=np.int32),
        neuron=neuron,
        in_shape=(1, 3, 3),
        out_shape=(2,),
    )
    return IntNetwork((1, 3, 3), (conv, dense))


def hand_spikes() -> NDArray[np.uint8]:
    spikes = np.zeros((4, 1, 1, 3, 3), dtype=np.uint8)
    spikes[0, 0, 0, 1, 1] = spikes[2, 0, 0, 0, 0] = 1
    return spikes


def hand_record(names: tuple[str, str] = ("conv", "head"), *, factor: int = 1) -> Record:
    def counts(value: int) -> NDArray[np.int64]:
        return np.array([value], dtype=np.int64)

    conv = LayerActivity(
        name=names[0], kind="conv", neurons=9, synapses=49,
        spikes_in=counts(2 * factor), spikes_out=counts(13 * factor),
        synops=counts(13 * factor), updates=counts(36),
    )  # fmt: skip
    dense = LayerActivity(
        name=names[1], kind="dense", neurons=2, synapses=18,
        spikes_in=counts(13 * factor), spikes_out=counts(4 * factor),
        synops=counts(26 * factor), updates=counts(8),
    )  # fmt: skip
    return Record("loihi", 4, 1, (1, 3, 3), {}, (conv, dense), elapsed_s=0.25)


@pytest.fixture
def hand_profile() -> Profile:
    record = replace(hand_record(), versions={"sdcl-neuro": "0"})
    return profile(hand_network(), record=record)


@pytest.fixture
def make_net() -> object:
    return hand_network


@pytest.fixture
def make_record() -> object:
    return hand_record


@pytest.fixture
def spikes() -> NDArray[np.uint8]:
    return hand_spikes()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a stored one; SDCL_NEURO_OVERWRITE=1 stores it (look at it)."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if os.environ.get("SDCL_NEURO_OVERWRITE") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} changed; see the fixture 'golden'"

    return check

"""Networks and results compare by content, hash, and come through copies and pickles unchanged."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from snntorch import Leaky
from torch import nn

from sdcl_neuro import Record, conversion, hardware, profile, run, verify
from sdcl_neuro.network.content import Result
from sdcl_neuro.testing import random_network, random_spikes

CHIP = random_network(3, kind="dense")
SPIKES = random_spikes(CHIP, 0)


def skipping() -> conversion.FloatGraph:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.a, self.b = (
                Leaky(0.9, init_hidden=True, reset_mechanism="zero") for _ in range(2)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sent = self.a(self.first(x))
            return self.b(self.second(sent) + self.first(x))

    graph = conversion.from_snntorch(Skip(), np.ones((3, 1, 4), np.uint8))
    assert isinstance(graph, conversion.FloatGraph)
    return graph


MADE: dict[str, Callable[[], object]] = {
    "a network": lambda: CHIP,
    "a graph": skipping,
    "a record": lambda: run(CHIP, SPIKES),
    "counts of a layer": lambda: run(CHIP, SPIKES).activity[0],
    "a certificate": lambda: verify(CHIP, SPIKES, against=["snntorch-int"], cache=False),
    "a profile": lambda: profile(CHIP, SPIKES),
    "a chip": lambda: hardware.load_profile("loihi1"),
    "a placement": lambda: hardware.fit(CHIP, "loihi1"),
}


@pytest.mark.parametrize("name", MADE)
def test_equal_hashed_copied_and_pickled(name: str) -> None:
    one, again = MADE[name](), MADE[name]()
    others = [again, copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    for other in others:
        assert one == other
        assert hash(one) == hash(other)
    assert one != 3
    assert len({one, *others}) == 1


def test_a_spike_more_is_another_record() -> None:
    record = run(CHIP, SPIKES)
    spikes = {index: values.copy() for index, values in record.spikes.items()}
    spikes[0][0, 0, 0] ^= 1
    assert record != replace(record, spikes=spikes)
    assert record != replace(record, spikes={0: record.spikes[0]})
    assert record == replace(record, elapsed_s=1.0)


def test_numbers_of_numpy_are_numbers() -> None:
    record = Record("loihi", 1, 1, (2,), {}, readout_units={0: np.float64(2.0)})
    plain = replace(record, readout_units={0: 2.0})
    assert isinstance(record, Result)
    assert record == plain
    assert hash(record) == hash(plain)
    assert record != replace(record, readouts={0: np.zeros(2)})
    assert replace(record, readouts={0: np.zeros(2)}) != replace(record, readouts={0: np.zeros(3)})

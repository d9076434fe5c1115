"""One certificate of a network against every target at once, or one refusal that says why.

The figures that came out when these were last run are in docs/verify.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

from sdcl_neuro import conversion
from sdcl_neuro.cli import main
from sdcl_neuro.conversion import to_netx
from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.errors import EnvironmentFault
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import write_spikes

from .conftest import NETWORKS

AGAINST = ("lava", "sanafe", "onnx", "c", "verilog")
ZERO = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}


class _Residual(nn.Module):
    """Two convolutions with a skip past the second, and a dense layer that spikes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.lif1 = nn.Conv2d(2, 6, 3, padding=1), snn.Leaky(0.8, threshold=0.3, **ZERO)
        self.conv2, self.lif2 = nn.Conv2d(6, 6, 3, padding=1), snn.Leaky(0.9, threshold=0.3, **ZERO)
        self.head, self.out = nn.Linear(6 * 12 * 12, 10), snn.Leaky(0.9, threshold=0.3, **ZERO)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.lif1(self.conv1(x))
        return self.out(self.head((one + self.lif2(self.conv2(one))).flatten(1)))


def _residual() -> IntNetwork:
    torch.manual_seed(0)
    spikes = (np.random.default_rng(0).random((8, 2, 2, 12, 12)) < 0.3).astype(np.uint8)
    graph = conversion.from_snntorch(_Residual(), torch.from_numpy(spikes).float())
    return conversion.quantize(graph, calibration=spikes)


def _slow() -> IntNetwork:
    """The recurrent network with biases, and with currents that take steps to decay."""
    net = NETWORKS["recurrent"]()
    layers = (
        replace(
            layer,
            neuron=replace(layer.neuron, current_decay=1500),
            bias=np.arange(layer.neurons, dtype=np.int32) % 7 * 2,
        )
        for layer in net.layers
    )
    return replace(net, layers=tuple(layers))


SLOW = "recurrent, slower currents, biases"
MADE: dict[str, Callable[[], IntNetwork]] = {**NETWORKS, SLOW: _slow, "residual": _residual}
STEPS = {"paper": 4}
REFUSED = {SLOW: "a current that decays by 1500 / 4096", "delayed": "axonal delays"}
"""What SANA-FE's neuron does not hold."""


def _installed(name: str) -> bool:
    try:
        find_backend(name).require()
    except EnvironmentFault:
        return False
    return True


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.filterwarnings("ignore::sdcl_neuro.conversion.quantisation.effect.QuantizationWarning")
@pytest.mark.parametrize("name", MADE)
def test_a_network_on_every_target(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    against = [target for target in AGAINST if _installed(target)]
    if missing := [target for target in AGAINST if target not in against]:
        print(f"{name}: not installed: {', '.join(missing)}")
    net = MADE[name]()
    to_netx(net, tmp_path / "m.net")
    shape = (STEPS.get(name, 8), 1, *net.input_shape)
    spikes = (np.random.default_rng(1).random(shape) < 0.1).astype(np.uint8)
    write_spikes(tmp_path / "in.npz", spikes)
    model, given, out = (str(tmp_path / one) for one in ("m.net", "in.npz", "c.json"))
    command = ["verify", model, "--spikes", given, "--json", out, "--no-cache", "--quiet"]
    if name in REFUSED and "sanafe" in against:
        assert main([*command, "--against", ",".join(against)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1
        assert said[0].count("sanafe") == 1
        assert REFUSED[name] in said[0]
        assert not Path(out).exists()
        against.remove("sanafe")
    assert main([*command, "--against", ",".join(against)]) == 0
    pairs = json.loads(Path(out).read_text())["pairs"]
    for pair in pairs:
        layers = pair["layers"]
        compared = sum(layer.get("compared", 0) for layer in layers)
        wrong = sum(layer["mismatches"] for layer in layers)
        print(f"{name}: {' '.join(pair['backends'])}: {wrong} of {compared:,} neuron steps")
        assert wrong == 0
        assert any(any(layer["spikes"]) for layer in layers)

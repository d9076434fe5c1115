"""Modules of the libraries that write NIR, by writer and name."""

from __future__ import annotations

import torch
from torch import nn

from helpers.nir_peers import dense, quietly


def _full(value, count=8):
    return torch.full((count,), float(value))


def _snntorch():
    import snntorch as snn

    zero = {"init_hidden": True, "output": True, "reset_mechanism": "zero"}
    at_once = {**zero, "reset_delay": False}
    return {
        "Leaky": dense(snn.Leaky(_full(0.8), threshold=_full(0.7), **zero)),
        "Leaky, beta 1": dense(snn.Leaky(_full(1.0), threshold=_full(0.7), **zero)),
        "Leaky, thresholds differ": dense(
            snn.Leaky(_full(0.8), threshold=torch.linspace(0.4, 0.9, 8), **zero)
        ),
        "Synaptic": dense(snn.Synaptic(_full(0.6), _full(0.8), threshold=_full(0.7), **at_once)),
        "RLeaky": dense(snn.RLeaky(0.8, linear_features=8, **at_once)),
        "RLeaky, one to one": dense(snn.RLeaky(0.8, all_to_all=False, V=_full(0.3), **at_once)),
    }


def _norse():
    with quietly():
        import norse.torch as nt
        from norse.torch.functional.lif import LIFParameters
        from norse.torch.functional.lif_box import LIFBoxParameters

    def sequence(cell, gain):
        plain = dense(nn.Identity(), gain=gain)
        return nt.SequentialState(plain[0], cell)

    each = torch.as_tensor
    return {
        "LIFBoxCell": sequence(nt.LIFBoxCell(), 20.0),
        "LIFBoxCell, tau": sequence(nt.LIFBoxCell(LIFBoxParameters(each(120.0))), 20.0),
        "LIFCell": sequence(nt.LIFCell(LIFParameters(each(300.0), each(150.0))), 3.0),
        "IAFCell": sequence(nt.IAFCell(), 3.0),
    }


def _spikingjelly():
    from spikingjelly.activation_based import layer, neuron

    def with_layer(cell, gain=3.0):
        return dense(cell, gain=gain, linear=layer.Linear)

    return {
        "LIFNode": with_layer(neuron.LIFNode(tau=20.0, v_threshold=0.1)),
        "LIFNode, input whole": with_layer(neuron.LIFNode(tau=3.0, decay_input=False)),
        "LIFNode, resets to -.5": with_layer(
            neuron.LIFNode(tau=3.0, v_reset=-0.5, decay_input=False)
        ),
        "ParametricLIFNode": with_layer(neuron.ParametricLIFNode(init_tau=4.0), 8.0),
        "IFNode": with_layer(neuron.IFNode()),
        "IFNode, resets to .2": with_layer(neuron.IFNode(v_reset=0.2)),
        "CUBALIFNode": with_layer(neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75)),
        "CUBALIFNode, resets to .2": with_layer(
            neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_reset=0.2)
        ),
    }


def _sinabs(*, norm_input=True):
    import sinabs.activation
    import sinabs.layers as sl

    single = {"spike_fn": sinabs.activation.SingleSpike, "batch_size": 3}
    single["reset_fn"] = sinabs.activation.MembraneReset()
    leaky = {**single, "norm_input": norm_input}
    gain = 9.0 if norm_input else 3.0
    return {
        "LIFSqueeze": dense(sl.LIFSqueeze(tau_mem=torch.tensor(6.0), **leaky), gain=gain),
        "LIFSqueeze, tau 1": dense(sl.LIFSqueeze(tau_mem=torch.tensor(1.0), **leaky), gain=5.0),
        "IAFSqueeze": dense(sl.IAFSqueeze(**single)),
    }


MODULES = {
    "snntorch": _snntorch,
    "norse": _norse,
    "spikingjelly": _spikingjelly,
    "sinabs": _sinabs,
    "sinabs-unnormed": lambda: _sinabs(norm_input=False),
}
CASES = {
    "snntorch": [
        "Leaky",
        "Leaky, beta 1",
        "Leaky, thresholds differ",
        "Synaptic",
        "RLeaky",
        "RLeaky, one to one",
    ],
    "norse": ["LIFBoxCell", "LIFBoxCell, tau", "LIFCell", "IAFCell"],
    "spikingjelly": [
        "LIFNode",
        "LIFNode, input whole",
        "LIFNode, resets to -.5",
        "ParametricLIFNode",
        "IFNode",
        "IFNode, resets to .2",
        "CUBALIFNode",
        "CUBALIFNode, resets to .2",
    ],
    "sinabs": ["LIFSqueeze", "LIFSqueeze, tau 1", "IAFSqueeze"],
    "sinabs-unnormed": ["LIFSqueeze", "LIFSqueeze, tau 1", "IAFSqueeze"],
}

"""Other libraries run for comparison: their own modules, their exporters, their importers.

Each function imports its library when it is called; `missing` says which are not installed.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.util import find_spec

import nir
import numpy as np
import torch
from torch import nn

MODULES = {"snntorch": "snntorch", "norse": "norse", "spikingjelly": "spikingjelly"}
MODULES |= {"sinabs": "sinabs"}


def missing(library: str) -> bool:
    return find_spec(MODULES[library]) is None


@contextlib.contextmanager
def quietly():
    """Libraries print and warn of what they deprecate themselves."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def drive(shape, *, seed=0, steps=40, samples=3, rate=0.3):
    draw = np.random.default_rng(seed).random((steps, samples, *shape))
    return (draw < rate).astype(np.uint8)


def dense(neurons, *, inputs=10, outputs=8, gain=3.0, seed=1, linear=nn.Linear):
    """A Linear, strong enough for spikes, and what stands after it."""
    torch.manual_seed(seed)
    module = nn.Sequential(linear(inputs, outputs, bias=False), neurons)
    module[0].weight.data = module[0].weight.data * gain + 0.05 * gain / 3
    return module


def _spikes(outputs):
    return np.stack([each.detach().numpy() for each in outputs]).astype(np.uint8)


# Their own runs: spikes of the last layer, [T, B, ...], from a clean state.


def run_snntorch(module, spikes):
    import snntorch as snn

    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    with torch.no_grad():
        outputs = [module(torch.from_numpy(frame).float()) for frame in spikes]
    return _spikes([out[0] if isinstance(out, tuple) else out for out in outputs])


def run_norse(module, spikes):
    state, outputs = None, []
    with torch.no_grad():
        for frame in spikes:
            out, state = module(torch.from_numpy(frame).float(), state)
            outputs.append(out)
    return _spikes(outputs)


def run_spikingjelly(module, spikes):
    from spikingjelly.activation_based import functional

    functional.reset_net(module)
    with torch.no_grad():
        outputs = _spikes([module(torch.from_numpy(frame).float()) for frame in spikes])
    functional.reset_net(module)
    return outputs


def run_sinabs(module, spikes):
    steps, samples = spikes.shape[:2]
    flat = torch.from_numpy(spikes.swapaxes(0, 1).reshape(-1, *spikes.shape[2:]).copy()).float()
    with torch.no_grad():
        out = module(flat)
    out = (out[0] if isinstance(out, tuple) else out).numpy()
    for child in module.modules():
        if hasattr(child, "reset_states"):
            child.reset_states()
    return out.reshape(samples, steps, *out.shape[1:]).swapaxes(0, 1).astype(np.uint8)


RUN = {
    "snntorch": run_snntorch,
    "norse": run_norse,
    "spikingjelly": run_spikingjelly,
    "sinabs": run_sinabs,
}


# Their exporters: a module's graph, for spikes of this shape.


def export(library, module, shape):
    with quietly():
        if library == "snntorch":
            from snntorch.export_nir import export_to_nir

            return export_to_nir(module, torch.zeros(1, *shape), ignore_dims=[0])
        if library == "norse":
            from norse.torch.utils.export_nir import to_nir

            return to_nir(module, torch.zeros(1, *shape))
        if library == "spikingjelly":
            from spikingjelly.activation_based.nir_exchange import export_to_nir

            return export_to_nir(module, torch.zeros(1, *shape))
        import sinabs.nir

        return sinabs.nir.to_nir(module, torch.zeros(6, *shape))


# Their importers: spikes of the last layer of a file that they read.


def read_and_run(library, path, spikes):
    with quietly():
        graph = nir.read(path, type_check=False)
        if library == "snntorch":
            from snntorch.import_nir import import_from_nir

            return run_norse(_stateful(import_from_nir(graph)), spikes)
        if library == "norse":
            from norse.torch.utils.import_nir import from_nir

            return run_norse(from_nir(graph, ignore_warnings=True), spikes)
        if library == "spikingjelly":
            from spikingjelly.activation_based.nir_exchange import import_from_nir

            return run_norse(import_from_nir(graph), spikes)
        return run_sinabs(_sinabs(graph, spikes.shape[1]), spikes)


def _stateful(module):
    """snnTorch's importer gives a module that returns its state or not."""

    def call(frame, state):
        out = module(frame, state)
        return out if isinstance(out, tuple) else (out, None)

    return call


def _sinabs(graph, samples):
    """As the form's own words say: single spikes, reset to zero, no lower bound."""
    import sinabs.activation
    import sinabs.layers
    import sinabs.nir

    module = sinabs.nir.from_nir(graph, batch_size=samples)
    for child in module.modules():
        if isinstance(child, sinabs.layers.IAFSqueeze | sinabs.layers.LIFSqueeze):
            child.min_v_mem = None
            child.spike_fn = sinabs.activation.SingleSpike
            child.reset_fn = sinabs.activation.MembraneReset()
    return module

"""Neurons of snnTorch and SpikingJelly as populations and read-outs of a graph."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn

from ...lowering.approximate import Approximation
from ...lowering.closing import recurrent_matrix
from ...lowering.graph.nodes import Node, PopulationNode, ReadoutNode
from ...lowering.graph.shapes import Misfit
from ...lowering.populations import Unsupported
from .arrays import Array, double
from .neurons import READOUTS, read_neuron
from .resets import named_reset

Maker = Callable[[str, tuple[str, ...]], Node]


def population_maker(
    module: Any, shape: tuple[int, ...], alone: tuple[int, ...], *, approximate: bool = False
) -> tuple[Maker, Approximation | None]:
    """Return a neuron of snnTorch as a node, and how its reset differs from the chip's; decays may
    differ.

    Args:
        module: the neuron.
        shape: of what it receives in the graph.
        alone: of what it receives in a step, without the batch.
        approximate: whether its reset may be another than the chip's.
    """
    if type(module) in READOUTS:
        return _silent(module), None
    if type(module) in (snn.Leaky, snn.Synaptic) and named_reset(module).kind == "none":
        return _silent(module), None
    plain, decays = _with_one_decay(module)
    try:
        read = read_neuron(plain, shape=alone, running=module, approximate=approximate)
        if read.sends != 1:
            hint = "use graded_spikes_factor=1 and scale the next weights"
            raise Unsupported([("graded spikes in a graph", hint)])
        matrix, drive = recurrent_matrix(read.recurrence, shape)
    except Unsupported as unsupported:
        raise Misfit(
            "; ".join(what for what, *_ in unsupported.reasons),
            "; ".join(dict.fromkeys(hint for _, hint, _ in unsupported.reasons)),
        ) from None
    beta = decays.get("beta", np.asarray(read.beta))
    alpha = decays.get("alpha", np.asarray(read.alpha))
    threshold = np.asarray(read.threshold)
    if drive is not None and alpha.any():
        raise Misfit("a recurrence with a bias, and a current", "use bias=False in its recurrence")
    make: Maker = lambda name, inputs: PopulationNode(  # noqa: E731
        name,
        inputs,
        beta=spread(beta, shape),
        alpha=spread(alpha, shape),
        threshold=spread(threshold, shape),
        recurrent=matrix,
        drive=None if drive is None else drive.reshape(shape),
        scale=read.scale,
    )
    return make, read.departure


def _with_one_decay(module: Any) -> tuple[nn.Module, dict[str, Array]]:
    """Return a copy whose decays are single numbers, and the decays themselves where they are
    not.
    """
    plain = copy.copy(module)
    plain._buffers, plain._parameters = dict(module._buffers), dict(module._parameters)
    decays = {}
    for name in ("beta", "alpha"):
        value = getattr(module, name, None)
        if not isinstance(value, Tensor) or value.numel() == 1:
            continue
        if not bool(torch.isfinite(value).all()):
            raise Misfit(f"{name} is not finite", "train it again")
        decays[name] = double(value.detach().clamp(0, 1))
        for store in (plain._buffers, plain._parameters):
            if name in store:
                store[name] = value.detach().reshape(-1)[:1].clone()
    return plain, decays


def spread(values: Array, shape: tuple[int, ...]) -> Array:
    """Return a parameter against a node's shape: along a line it has no height yet."""
    if len(shape) == 3 and values.ndim == 2 and shape[1] == 1:
        values = values[:, None]
    if values.ndim == 1 and values.size > 1 and len(shape) == 3 and values.size == shape[2]:
        return values  # torch broadcasts against the last axis
    return values if values.size > 1 else values.reshape(())


def _silent(module: Any) -> Maker:
    """Return a neuron that never resets, of which the membrane is read."""
    decays = readout_decays(module)
    scale = float(getattr(module, "scale", 0.0))
    stored = scale if scale > 0 else None
    return lambda name, inputs: ReadoutNode(
        name, inputs, beta=decays["beta"], alpha=decays["alpha"], scale=stored
    )


def readout_decays(module: Any) -> dict[str, float]:
    """Return beta and alpha of a read-out, one number each."""
    decays = {"beta": 0.0, "alpha": 0.0}
    for name in ("beta", "alpha"):
        value = getattr(module, name, None)
        if value is None:
            continue
        each = value.detach().reshape(-1).clamp(0, 1).double()
        if bool((each != each[0]).any()):
            raise Misfit(f"a read-out whose {name} differs", f"give it one {name}")
        decays[name] = float(each[0])
    if decays["alpha"] >= 1:
        raise Misfit("a read-out whose current never decays", "use alpha below 1")
    return decays


def spikingjelly_maker(module: Any) -> Maker:
    """Return ``v += (x - v) / tau`` or ``v = v (1 - 1 / tau) + x``; it fires at the threshold,
    too.
    """
    kind = type(module).__name__
    if kind not in ("LIFNode", "IFNode", "ParametricLIFNode"):
        raise Misfit(f"{kind} has no equivalent on the chip", "use LIFNode or IFNode")
    if module.v_reset is None:
        raise Misfit("resets by subtraction; the chip to zero", "use v_reset=0.")
    if float(module.v_reset) != 0:
        raise Misfit(f"resets to {module.v_reset:g}", "use v_reset=0.")
    beta, gain = 1.0, 1.0
    if kind == "LIFNode":
        beta = 1.0 - 1.0 / float(module.tau)
        gain = 1.0 / float(module.tau) if module.decay_input else 1.0
    elif kind == "ParametricLIFNode":
        share = float(module.w.detach().sigmoid())
        beta, gain = 1.0 - share, share if module.decay_input else 1.0
    # A membrane that only reaches the threshold fires there, and on the chip has to exceed it.
    threshold = float(np.nextafter(np.float32(module.v_threshold), np.float32(0))) / gain
    return lambda name, inputs: PopulationNode(
        name, inputs, beta=np.asarray(beta), threshold=np.asarray(threshold)
    )

"""Populations and read-outs of a graph in NIR's words; gains stand in r, neuron by neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.network.spec import Shape

from ...lowering.graph.nodes import PopulationNode, ReadoutNode
from ...lowering.graph.shapes import Misfit
from .forms import ENDLESS
from .matrices import affine
from .writing import Writing

Array = NDArray[Any]


def _rates(beta: Array, shape: Shape) -> Array:
    """Return what a step takes off each membrane, 1 - beta, never nothing."""
    rates: Array = np.maximum(1 - np.broadcast_to(beta, shape), 1 / ENDLESS)
    return rates


def population(node: PopulationNode, w: Writing) -> list[str]:
    """Return neurons, and a matrix from them to them where they are recurrent."""
    import nir

    shape, dt = w.shapes[node.name], w.dt

    def each(values: Any) -> Array:
        return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32)

    rate, common = _rates(node.beta, shape), {"v_threshold": each(node.threshold)}
    common["v_reset"] = each(0.0)
    endless = rate <= 1 / ENDLESS
    drive = np.zeros(()) if node.drive is None else node.drive
    if endless.any() and drive.any():
        raise Misfit("a constant input to neurons that never leak", "use beta below 1")
    if node.alpha.any():
        if endless.any():
            what = "an integrator (beta 1) behind a synaptic current, which NIR does not have"
            raise Misfit(what, "use beta below 1, or alpha 0")
        made = nir.CubaLIF(
            tau_syn=each(dt / (1 - node.alpha)),
            tau_mem=each(dt / rate),
            r=each(1 / rate),
            v_leak=each(drive / rate),
            w_in=each(1 / (1 - node.alpha)),
            **common,
        )
    elif endless.all():
        made = nir.IF(r=each(1 / dt), **common)
    else:
        made = nir.LIF(tau=each(dt / rate), r=each(1 / rate), v_leak=each(drive / rate), **common)
    w.put(node.name, made, w.read(node))
    if node.recurrent is not None and node.recurrent.any():
        if len(shape) != 1:
            raise Misfit("a recurrence of neurons (C, H, W), which NIR cannot say", "flatten them")
        back = w.put(f"{node.name}.recurrent", affine(node.recurrent), [node.name])
        w.edges.append((back, node.name))
    return [node.name]


def readout(node: ReadoutNode, w: Writing) -> list[str]:
    """Return a membrane that nothing resets."""
    import nir

    shape, dt = w.shapes[node.name], w.dt

    def each(value: float) -> Array:
        return np.full(shape, value, np.float32)

    rate = max(1 - node.beta, 1 / ENDLESS)
    common = {"r": each(1 / rate), "v_leak": each(0.0)}
    made = nir.LI(tau=each(dt / rate), **common)
    if node.alpha:
        made = nir.CubaLI(
            tau_syn=each(dt / (1 - node.alpha)),
            tau_mem=each(dt / rate),
            w_in=each(1 / (1 - node.alpha)),
            **common,
        )
    return [w.put(node.name, made, w.read(node))]

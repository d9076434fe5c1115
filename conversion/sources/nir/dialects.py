"""A writer's constants put into NIR's own words, which forward Euler steps::

    LIF      v[t] = v[t-1] + dt / tau (v_leak - v[t-1] + r x[t])
    CubaLIF  i[t] = i[t-1] + dt / tau_syn (w_in x[t] - i[t-1]), and v as above with i for x

A decay ``k`` per step is ``tau = dt / (1 - k)``; an input that counts ``g`` is ``r = g tau / dt``,
so that one that counts whole before the decay, ``g = k``, is ``r = tau / dt - 1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw

from sdcl_neuro.errors import InputError, spelled

from ..layers.table import layer_of_node
from .inline import StoredNode
from .writers import OWN_WORDS, WRITERS, Gain, Writer

Array = NDArray[np.float64]


def row_of(writer: str | None) -> Writer:
    """Return a writer's row; NIR's own words for None.

    Raises:
        InputError: there is no such writer.
    """
    name = OWN_WORDS if writer is None else writer
    if name not in WRITERS:
        what = f"unknown writer {name!r}"
        raise InputError(what, where=spelled(python="writer", command="--writer"), hint=names())
    return WRITERS[name]


def names() -> str:
    """Name all writers, for hints."""
    return f"use one of {', '.join(WRITERS)}"


def as_known(node: StoredNode) -> StoredNode:
    """Return a node of an added layer as the node of NIR that it equals; any other as it is."""
    added = layer_of_node(node.type)
    if added is None:
        return node
    kind, fields = added.as_node(node.fields)
    return StoredNode(node.name, kind, fields)


def translate(node: StoredNode, row: Writer, dt: float) -> StoredNode:
    """Return a population's node with its constants in NIR's own words, in float64.

    Args:
        node: any node; all but LIF and CubaLIF come back as they are.
        row: who wrote it.
        dt: length of one step in seconds.
    """
    if node.type not in ("LIF", "CubaLIF"):
        return node
    fields = dict(node.fields)
    if node.type == "LIF":
        _rewrite(fields, "tau", "r", row.gain, row=row, dt=dt)
    else:
        _rewrite(fields, "tau_mem", "r", row.gain, row=row, dt=dt)
        _rewrite(fields, "tau_syn", "w_in", row.current_gain, row=row, dt=dt)
    return StoredNode(node.name, node.type, fields)


def _rewrite(
    fields: dict[str, Any], time: str, factor: str, gain: Gain, *, row: Writer, dt: float
) -> None:
    """Rewrite a time constant and the factor of its input; what is as NIR has it stays as it is."""
    stored = _numbers(fields, time)
    if stored is None:
        return
    tau = stored
    if (row.tau, row.decay) != ("seconds", "euler"):
        tau = fields[time] = _tau(stored, row, dt)
    if gain != "stored":
        fields[factor] = tau / dt - (1.0 if gain == "before decay" else 0.0)


def _tau(stored: Array, row: Writer, dt: float) -> Array:
    """Return the time constant that Euler needs for the decay that is meant."""
    with np.errstate(all="ignore"):
        tau = stored
        if row.tau == "steps":
            tau = stored * dt
        elif row.tau == "seconds times the step":
            tau = stored / dt
        if row.decay == "exponential":
            # Below a step nothing is kept: exp(-dt / 0) is zero, so that tau is dt.
            tau = np.where(tau > 0, dt / -np.expm1(-dt / tau), tau)
    return tau


def step_in_r(nodes: list[StoredNode]) -> Array:
    """Return the steps that Rockpool's ``r = tau exp(-dt / tau) / dt`` holds, one a neuron.

    With ``x = dt / tau`` it is ``x exp(x) = 1 / r``, Lambert's W. Empty without a population.
    """
    found: list[Array] = []
    for node in nodes:
        tau, r = _numbers(node.fields, "tau_mem"), _numbers(node.fields, "r")
        if node.type == "CubaLIF" and tau is not None and r is not None and tau.shape == r.shape:
            with np.errstate(all="ignore"):
                found.append((tau * lambertw(1.0 / r).real).reshape(-1))
    return np.concatenate(found) if found else np.zeros(0)


def _numbers(fields: Mapping[str, Any], key: str) -> Array | None:
    """Return a field as float64; None where it holds no numbers."""
    value = np.asarray(fields.get(key))
    return value.astype(np.float64) if value.dtype.kind in "biuf" and value.size else None

"""The numbers in a NIR node, checked: a population's constants and a synapse's weights.

NIR's neurons are differential equations; a time step ``dt`` makes them (forward Euler, as Norse
1.1.0 and snnTorch 1.0.0 both step them)::

    LIF      v[t] = (1 - dt/tau) v[t-1] + (dt/tau) r x[t]            beta = 1 - dt/tau
    IF       v[t] = v[t-1] + dt r x[t]                               beta = 1
    CubaLIF  i[t] = (1 - dt/tau_syn) i[t-1] + (dt/tau_syn) w_in x[t] alpha = 1 - dt/tau_syn
             v[t] = (1 - dt/tau_mem) v[t-1] + (dt/tau_mem) r i[t]

What stands before x or i is the population's *gain*; multiplied into the weights before it, the
neuron of `spec.FloatNeuron` is left. It makes no difference whether a writer put 1 / (1 - beta)
into the weights (Norse ignores r) or into r and w_in (snnTorch): the product is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import Refusal
from sdcl_neuro.network.spec import Convolution, Pair

from .inline import Node

Array = NDArray[Any]
Refuse = Callable[[Refusal], None]

DEFAULT_DT = 1e-3
"""Norse's step, taken where a file states none (norse 1.1.0, ``from_nir``)."""
SNNTORCH_DT = 1e-4
"""snnTorch's step, fixed in its exporter and not stored (snntorch 1.0.0, ``export_nir.py``)."""
_NEAR_ONE = 4 * float(np.finfo(np.float32).eps)
_AGAIN = "export the network again"
_RESET_MEND = (
    "use a reset to zero, or convert with approximate=True and calibration data; "
    "reset by subtraction cannot be lowered"
)


@dataclass(frozen=True)
class Neurons:
    """A population's constants per step.

    Attributes:
        beta, alpha: as in `spec.FloatNeuron`.
        threshold: as stored, one or one for each neuron.
        gain: what the weights before the population have to be multiplied by.
        leak: ``v_leak`` as stored, a constant drive of ``(1 - beta) v_leak`` per step.
        shapes: of the constants that are stored for each neuron.
        reset: ``v_reset``, what a spike sets the membrane to.
    """

    beta: float
    alpha: float
    threshold: Array
    gain: float
    leak: Array
    shapes: tuple[tuple[int, ...], ...]
    reset: float = 0.0


@dataclass(frozen=True)
class Synapse:
    """A synapse's values as stored: weight, bias or None, geometry of a convolution or None."""

    weight: Array
    bias: Array | None
    convolution: Convolution | None


def numbers(node: Node, key: str, refuse: Refuse) -> Array | None:
    """A field as a finite array, or None after refusing it."""
    value = node.fields.get(key)
    if value is None:
        refuse(Refusal(node.where, f"{key} is missing", _AGAIN))
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.size:
        refuse(Refusal(node.where, f"{key} holds no numbers", _AGAIN))
        return None
    if not np.isfinite(array).all():
        bad = "not-a-number" if np.isnan(array).any() else "infinite values"
        refuse(Refusal(node.where, f"{key} holds {bad}", "train the network again"))
        return None
    return array


def step_of_snntorch(nodes: list[Node]) -> bool:
    """Whether all populations say r = tau / 1e-4, as snnTorch's exporter writes it."""
    leaky = [node for node in nodes if node.type in ("LIF", "CubaLIF")]
    for node in leaky:
        ignored: list[Refusal] = []
        r = numbers(node, "r", ignored.append)
        tau = numbers(node, "tau" if node.type == "LIF" else "tau_mem", ignored.append)
        if r is None or tau is None or r.shape != tau.shape:
            return False
        if not np.allclose(r.astype(np.float64) * SNNTORCH_DT, tau, rtol=1e-5, atol=0):
            return False
    return bool(leaky)


def read_neurons(
    node: Node, dt: float, refuse: Refuse, *, any_reset: bool = False
) -> Neurons | None:
    """A population's constants for a step of `dt` seconds, or None after refusing the node."""
    reader = _Uniform(node, dt, refuse)
    threshold, resistance = numbers(node, "v_threshold", refuse), reader.value("r")
    reset = 0.0 if node.fields.get("v_reset") is None else reader.value("v_reset")
    if reset and not any_reset:
        refuse(Refusal(node.where, "v_reset is not zero", _RESET_MEND))
    leak: Array | None = np.zeros(())
    if node.type == "IF":
        beta, alpha = 1.0, 0.0
        # Norse, Sinabs and SpikingJelly take each input whole and write r = 1.
        gain = 1.0 if resistance == 1 else resistance * dt
    elif node.type == "LIF":
        beta, alpha = reader.kept("tau"), 0.0
        gain = reader.gain("tau", resistance)
        leak = numbers(node, "v_leak", refuse)
    else:
        beta, alpha = reader.kept("tau_mem"), reader.kept("tau_syn")
        weight = reader.value("w_in") if "w_in" in node.fields else 1.0
        gain = reader.gain("tau_mem", resistance) * reader.gain("tau_syn", weight)
        leak = numbers(node, "v_leak", refuse)
    if reader.failed or leak is None or threshold is None:
        return None
    if alpha >= 1:
        refuse(Refusal(node.where, "tau_syn is too long for the step", "shorten it"))
        return None
    if not gain > 0:
        refuse(Refusal(node.where, f"the gain r dt / tau is {gain:g}", "give a positive r"))
        return None
    gain = 1.0 if abs(gain - 1) <= _NEAR_ONE else gain
    shapes = (*reader.shapes, threshold.shape, leak.shape)
    return Neurons(beta, alpha, threshold, gain, leak, shapes, reset)


class _Uniform:
    """Reads constants that must be the same for all neurons of a population."""

    def __init__(self, node: Node, dt: float, refuse: Refuse) -> None:
        self.node, self.dt, self.failed = node, dt, False
        self.shapes: list[tuple[int, ...]] = []
        self._refuse = refuse

    def refuse(self, what: str, mend: str) -> None:
        self.failed = True
        self._refuse(Refusal(self.node.where, what, mend))

    def value(self, key: str) -> float:
        """One constant; 1 after a refusal, so that reading goes on to the next fault."""
        array = numbers(self.node, key, self._refuse)
        if array is None:
            self.failed = True
            return 1.0
        if array.min() != array.max():
            what = f"{key} differs between neurons, from {array.min():g} to {array.max():g}"
            self.refuse(what, f"give the whole population one {key}")
            return 1.0
        self.shapes.append(array.shape)
        return float(array.reshape(-1)[0])

    def rate(self, key: str) -> float:
        """dt / tau, in (0, 1]."""
        tau = self.value(key)
        # tau = dt, rounded to float32, may fall short of dt by a rounding.
        if not tau >= self.dt * (1 - _NEAR_ONE):
            what = f"{key} of {tau:g} s is shorter than the step of {self.dt:g} s"
            self.refuse(what, "give the step the file was written for, from_nir(path, dt=...)")
            return 1.0
        return min(1.0, self.dt / tau)

    def kept(self, key: str) -> float:
        """1 - dt / tau."""
        return 1.0 - self.rate(key)

    def gain(self, key: str, factor: float) -> float:
        """factor dt / tau."""
        return 1.0 if self.failed else factor * self.rate(key)


def read_synapse(node: Node, refuse: Refuse) -> Synapse | None:
    """A synapse's weights and geometry, or None after refusing the node."""
    weight = numbers(node, "weight", refuse)
    bias = numbers(node, "bias", refuse) if node.fields.get("bias") is not None else None
    if weight is None or (bias is None and node.fields.get("bias") is not None):
        return None
    rank = 4 if node.type == "Conv2d" else 2
    if weight.ndim != rank:
        what = f"weight has the shape {list(weight.shape)}, not rank {rank}"
        refuse(Refusal(node.where, what, _AGAIN))
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        what = f"bias has the shape {list(bias.shape)}, not [{weight.shape[0]}]"
        refuse(Refusal(node.where, what, _AGAIN))
        return None
    if bias is not None and not bias.any():
        bias = None
    if node.type != "Conv2d":
        return Synapse(weight, bias, None)
    convolution = _geometry(node, weight, refuse)
    return None if convolution is None else Synapse(weight, bias, convolution)


def _geometry(node: Node, weight: Array, refuse: Refuse) -> Convolution | None:
    """Stride, padding, dilation and groups of a convolution."""
    stride = pair(node, "stride", 1, refuse)
    dilation = pair(node, "dilation", 1, refuse)
    groups = pair(node, "groups", 1, refuse)
    if stride is None or dilation is None or groups is None:
        return None
    if weight.shape[0] % groups[0]:
        what = f"{weight.shape[0]} output channels do not divide into {groups[0]} groups"
        refuse(Refusal(node.where, what, _AGAIN))
        return None
    text = node.fields.get("padding")
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    text = text if isinstance(text, str) else None
    padding: Pair | None = (0, 0)
    if text == "same":
        full = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        if stride != (1, 1) or any(total % 2 for total in full):
            what = "padding 'same' is not symmetric here"
            refuse(Refusal(node.where, what, "give the padding in numbers"))
            return None
        padding = (full[0] // 2, full[1] // 2)
    elif text != "valid":
        padding = pair(node, "padding", 0, refuse)
    return None if padding is None else Convolution(stride, padding, dilation, groups[0])


def pair(node: Node, key: str, least: int, refuse: Refuse) -> Pair | None:
    """One or two whole numbers as a pair."""
    value = node.fields.get(key)
    array = np.asarray(value if value is not None else 1 - least)
    if array.dtype.kind not in "iu" or array.size not in (1, 2) or array.min() < least:
        refuse(Refusal(node.where, f"{key} is {value!r}, not whole from {least} up", _AGAIN))
        return None
    rows, columns = np.broadcast_to(array.reshape(-1), 2)
    return int(rows), int(columns)

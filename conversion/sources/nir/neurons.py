"""A population's constants for one step.

NIR's neurons are differential equations; a step ``dt`` makes them (forward Euler)::

    LIF      v[t] = (1 - dt/tau) v[t-1] + (dt/tau) (r x[t] + v_leak)     beta = 1 - dt/tau
    IF       v[t] = v[t-1] + dt r x[t]                                   beta = 1
    CubaLIF  i[t] = (1 - dt/tau_syn) i[t-1] + (dt/tau_syn) w_in x[t]     alpha = 1 - dt/tau_syn
             v[t] = (1 - dt/tau_mem) v[t-1] + (dt/tau_mem) (r i[t] + v_leak)

What stands before x or i is the population's *gain*; multiplied into the weights before it, the
neuron of `spec.FloatNeuron` is left. It makes no difference whether a writer put 1 / (1 - beta)
into the weights or into r and w_in: the product is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np

from sdcl_neuro.errors import Refusal, spelled

from .inline import StoredNode
from .values import Array, Refuse, numbers

_NEAR_ONE = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Neurons:
    """A population's constants per step.

    Attributes:
        beta, alpha: as in `spec.FloatNeuron`.
        threshold: as stored, one or one for each neuron.
        gain: what the weights before the population have to be multiplied by.
        leak: ``v_leak``, a constant drive of ``(1 - beta) v_leak`` per step.
        reset: ``v_reset``, what a spike sets the membrane to.
        shapes: of the constants that are stored for each neuron.
    """

    beta: float
    alpha: float
    threshold: Array
    gain: float
    leak: Array
    reset: Array
    shapes: tuple[tuple[int, ...], ...]


def read_neurons(
    node: StoredNode, dt: float, refuse: Refuse, *, whole: bool = False
) -> Neurons | None:
    """Read a population's constants, or refuse the node, with every reason, and return None.

    Args:
        node: LIF, IF or CubaLIF, in NIR's own words.
        dt: length of one step in seconds.
        refuse: takes what is wrong.
        whole: whether an integrate-and-fire neuron takes its input whole, whatever its r.
    """
    reader = _Uniform(node, dt, refuse)
    threshold, resistance = numbers(node, "v_threshold", refuse), reader.value("r", infinite=True)
    reset: Array | None = np.zeros(())
    if node.fields.get("v_reset") is not None:
        reset = numbers(node, "v_reset", refuse)
    leak: Array | None = np.zeros(())
    beta, alpha = 1.0, 0.0
    if node.type == "IF":
        # Norse, Sinabs and Spyx take each input whole and write r = 1.
        gain = 1.0 if whole or resistance == 1 else resistance * dt
    elif node.type == "LIF":
        beta = reader.kept("tau")
        gain = reader.gain("tau", resistance)
        leak = numbers(node, "v_leak", refuse)
    else:
        beta, alpha = reader.kept("tau_mem"), reader.kept("tau_syn")
        weight = reader.value("w_in", infinite=True) if "w_in" in node.fields else 1.0
        gain = reader.gain("tau_mem", resistance) * reader.gain("tau_syn", weight)
        leak = numbers(node, "v_leak", refuse)
    if alpha >= 1 and not reader.failed:
        reader.refuse("tau_syn is too long for the step: its current never decays", "shorten it")
    if not reader.failed and not (0 < gain < inf or (gain == 0 and reader.endless)):
        what = f"the gain of its input, r dt / tau, is {gain:g}"
        reader.refuse(what, "give a positive, finite r")
    if reader.failed or leak is None or threshold is None or reset is None:
        return None
    gain = 1.0 if abs(gain - 1) <= _NEAR_ONE else gain
    shapes = (*reader.shapes, threshold.shape, leak.shape, reset.shape)
    return Neurons(beta, alpha, threshold, gain, leak, reset, shapes)


class _Uniform:
    """Reads constants that must be the same for all neurons of a population.

    Attributes:
        failed: whether anything was refused.
        endless: whether a time constant is infinite.
        shapes: of all that was read.
    """

    def __init__(self, node: StoredNode, dt: float, refuse: Refuse) -> None:
        self.node, self.dt, self.failed, self.endless = node, dt, False, False
        self.shapes: list[tuple[int, ...]] = []
        self._known: dict[str, float] = {}
        self._refuse = refuse

    def refuse(self, what: str, hint: str, *, of_chains: bool = False) -> None:
        """Refuse the node and go on to the next fault."""
        self.failed = True
        self._refuse(Refusal(self.node.where, what, hint, of_chains=of_chains))

    def value(self, key: str, *, infinite: bool = False) -> float:
        """Read one constant; not-a-number after a refusal, and reading goes on."""
        if key not in self._known:
            self._known[key] = self._read(key, infinite=infinite)
        return self._known[key]

    def _read(self, key: str, *, infinite: bool) -> float:
        array = numbers(self.node, key, self._refuse, infinite=infinite)
        if array is None:
            self.failed = True
            return nan
        if array.min() != array.max():
            what = f"{key} differs between neurons, from {array.min():g} to {array.max():g}"
            self.refuse(what, f"give the whole population one {key}", of_chains=True)
            return nan
        self.shapes.append(array.shape)
        return float(array.reshape(-1)[0])

    def rate(self, key: str) -> float:
        """Return dt / tau, in [0, 1]; zero where tau is infinite."""
        known = f"rate of {key}"
        if known not in self._known:
            self._known[known] = self._rate(key)
        return self._known[known]

    def _rate(self, key: str) -> float:
        tau = self.value(key, infinite=True)
        if isnan(tau):
            return 1.0
        if tau == inf:
            self.endless = True
            return 0.0
        # tau = dt, rounded to float32, may fall short of dt by a rounding.
        if not tau >= self.dt * (1 - _NEAR_ONE):
            what = f"{key} of {tau:g} s is shorter than the step of {self.dt:g} s"
            self.refuse(what, _step_hint())
            return 1.0
        rate = self.dt / tau
        return 1.0 if rate >= 1 - _NEAR_ONE else rate

    def kept(self, key: str) -> float:
        """Return 1 - dt / tau."""
        return 1.0 - self.rate(key)

    def gain(self, key: str, factor: float) -> float:
        """Return factor dt / tau; one where both are infinite, as in r = tau / dt."""
        rate = self.rate(key)
        if factor == inf:
            return 1.0 if rate == 0 else inf
        return factor * rate


def _step_hint() -> str:
    return spelled(
        python="give the step that the file was written for, dt=SECONDS or writer=NAME",
        command="give the step that the file was written for, --dt SECONDS or --writer NAME",
    )

"""What each NIR node does in one step, by its equation; float64, ``[B, *shape]`` in and out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.errors import InputError

from .inline import StoredNode
from .writers import Writer

POPULATIONS = ("LIF", "IF", "CubaLIF")


@dataclass(frozen=True)
class Context:
    """What a step of any node depends on.

    Attributes:
        dt: its length in seconds.
        whole: whether integrate-and-fire neurons take their input whole.
        row: who wrote the graph.
    """

    dt: float
    whole: bool
    row: Writer


class ReferenceUnit:
    """A node without a state."""

    margin: Tensor

    def __init__(self, node: StoredNode, context: Context) -> None:
        self.node, self.context = node, context
        self._numbers: dict[str, Tensor] = {}

    def number(self, key: str, default: float = 0.0) -> Tensor:
        """Return a field in float64."""
        if key not in self._numbers:
            value = self.node.fields.get(key)
            plain = np.array(default if value is None else value, np.float64)
            self._numbers[key] = torch.as_tensor(plain)
        return self._numbers[key]

    def pair(self, key: str, default: int) -> tuple[int, int]:
        """Return a field as two whole numbers."""
        value = np.asarray(self.node.fields.get(key, default)).reshape(-1)
        rows, columns = np.broadcast_to(value, 2)
        return int(rows), int(columns)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        return x


class Dense(ReferenceUnit):
    """W x + b."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        return x @ self.number("weight").T + self.number("bias")


class Conv2d(ReferenceUnit):
    """A convolution, torch's own, padding in words included."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        text = self.node.fields.get("padding")
        text = text.decode() if isinstance(text, bytes) else text
        groups = self.pair("groups", 1)[0]
        weight, bias = self.number("weight"), self.number("bias")
        return functional.conv2d(
            x,
            weight,
            bias if bias.ndim else None,
            self.pair("stride", 1),
            text if isinstance(text, str) else self.pair("padding", 0),
            self.pair("dilation", 1),
            groups,
        )


class Conv1d(ReferenceUnit):
    """A convolution along a line, torch's own."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        numbers = [
            self.pair(key, default)[0]
            for key, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
        ]
        bias = self.number("bias")
        return functional.conv1d(x, self.number("weight"), bias if bias.ndim else None, *numbers)


class Pool2d(ReferenceUnit):
    """A sum or an average over windows, zeros beyond the border counted."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        kernel = self.pair("kernel_size", 1)
        mean = functional.avg_pool2d(x, kernel, self.pair("stride", 1), self.pair("padding", 0))
        return mean if self.node.type == "AvgPool2d" else mean * (kernel[0] * kernel[1])


class Flatten(ReferenceUnit):
    """All axes of a sample in one."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        return x.flatten(1)


class Scale(ReferenceUnit):
    """S x."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        return x * self.number("scale", 1.0)


class ReferencePopulation(ReferenceUnit):
    """Neurons: an equation for the membrane, a threshold, a reset."""

    def __init__(self, node: StoredNode, context: Context) -> None:
        super().__init__(node, context)
        self.v: Tensor | None = None
        self.i: Tensor = torch.zeros((), dtype=torch.float64)
        self.threshold, self.reset = self.number("v_threshold"), self.number("v_reset")

    def __call__(self, x: Tensor) -> Tensor:
        """Return the node's output of this step."""
        shape = torch.broadcast_shapes(x.shape[1:], self.threshold.shape)
        if self.v is None:
            self.v = self._start().expand(x.shape[0], *shape)
        v = self.integrate(self.v, x)
        self.margin = v - self.threshold
        row = self.context.row
        fired = (self.margin >= 0 if row.inclusive else self.margin > 0).double()
        if row.reset == "subtracts":
            if row.several:
                fired = fired * torch.floor(v / self.threshold)
            self.v = v - fired * self.threshold
        else:
            self.v = torch.where(fired > 0, self.reset.expand_as(v), v)
        return fired

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Integrate and fire: v' = r x, or x whole where r stands for that."""
        r = self.number("r", 1.0)
        gain = torch.ones_like(r) if self.context.whole else torch.where(r == 1, r, r * self.dt)
        return v + gain * x

    @property
    def dt(self) -> float:
        """Length of a step in seconds."""
        return self.context.dt

    def towards(self, state: Tensor, rest: Tensor, x: Tensor, keys: tuple[str, str]) -> Tensor:
        """Return one step of ``tau state' = rest - state + factor x``."""
        tau, factor = self.number(keys[0], 1.0), self.number(keys[1], 1.0)
        rate = self.dt / tau
        # Both infinite is the limit of factor = tau / dt: an integrator of whole inputs.
        gain = torch.where(torch.isinf(tau) & torch.isinf(factor), 1.0, factor * rate)
        return state + rate * (rest - state) + gain * x

    def _start(self) -> Tensor:
        leak, reset = self.number("v_leak"), self.reset
        start = self.context.row.start
        if start == "v_reset" or (start == "rest" and bool((leak == reset).all())):
            return reset
        return leak if start == "v_leak" else torch.zeros((), dtype=torch.float64)


class Leaky(ReferencePopulation):
    """LIF: tau v' = v_leak - v + r x."""

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane before its reset."""
        return self.towards(v, self.number("v_leak"), x, ("tau", "r"))


class Current(ReferencePopulation):
    """CubaLIF: tau_syn i' = w_in x - i, tau_mem v' = v_leak - v + r i."""

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane before its reset."""
        nothing = torch.zeros((), dtype=torch.float64)
        self.i = self.towards(self.i, nothing, x, ("tau_syn", "w_in"))
        return self.towards(v, self.number("v_leak"), self.i, ("tau_mem", "r"))


class Integrator(ReferencePopulation):
    """LI: a leaky neuron that does not fire; what it sends is its membrane."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the membrane after this step."""
        if self.v is None:
            self.v = self._start().expand(x.shape)
        self.v = self.integrate(self.v, x)
        return self.v

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane after its input."""
        return self.towards(v, self.number("v_leak"), x, ("tau", "r"))


class CurrentIntegrator(Integrator):
    """CubaLI: the same, fed by a synaptic current."""

    def integrate(self, v: Tensor, x: Tensor) -> Tensor:
        """Return the membrane after its input."""
        nothing = torch.zeros((), dtype=torch.float64)
        self.i = self.towards(self.i, nothing, x, ("tau_syn", "w_in"))
        return self.towards(v, self.number("v_leak"), self.i, ("tau_mem", "r"))


UNITS: dict[str, Callable[[StoredNode, Context], ReferenceUnit]] = {
    "Input": ReferenceUnit,
    "Output": ReferenceUnit,
    "Linear": Dense,
    "Affine": Dense,
    "Conv1d": Conv1d,
    "Conv2d": Conv2d,
    "SumPool2d": Pool2d,
    "AvgPool2d": Pool2d,
    "Flatten": Flatten,
    "Scale": Scale,
    "IF": ReferencePopulation,
    "LIF": Leaky,
    "CubaLIF": Current,
    "LI": Integrator,
    "CubaLI": CurrentIntegrator,
}
"""By NIR's type; a further node is one class and one row."""


def make_unit(node: StoredNode, context: Context) -> ReferenceUnit:
    """Return what runs a node.

    Raises:
        InputError: it is of a type without an equation here.
    """
    if node.type not in UNITS:
        what = f"{node.type} is not run by the float64 reference"
        raise InputError(what, where=node.where, hint=f"use {', '.join(UNITS)}")
    return UNITS[node.type](node, context)

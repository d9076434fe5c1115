"""One ``layer/<i>`` group of a netx file, turned into an `IntLayer` with every fault named.

Keys and defaults are those of lava-dl 0.6.0 `netx/hdf5.py`; what that file ignores in silence
although the network was trained with it is refused here.
"""

from __future__ import annotations

from math import prod
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.errors import Refusal, spelled
from sdcl_neuro.files.hdf5_guard import Guard
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNeuron, Kind, Pair, Shape

from . import input_neurons
from .constraints import KINDS, MAX_ELEMENTS, not_whole

Integers = NDArray[np.int32]
SPIKING = ("CUBA", "LOIHI")
MAX_AXES = 8
"""Sizes of a shape that are looked at; a damaged file may claim a million."""
REMEDY = {
    "pool": "fold a sum pool into the convolution after it",
    "average": "read the spikes out instead",
    "concat": "make the network a chain",
}


class LayerReader:
    """Reads one layer; faults gather in `refusals`, so that one answer names them all.

    Attributes:
        kind: the layer's type, as the file has it.
        where: how answers call the layer.
        refusals: what is wrong so far.
        out_shape: torch's order; None if it is unknown.
    """

    def __init__(self, guard: Guard, group: h5py.Group | None, index: int) -> None:
        if group is None:
            raise guard.error(f"/layer/{index} is missing")
        self._guard, self._group = guard, group
        kind = guard.text(group, "type")
        if kind is None:
            raise guard.error(f"{group.name} has no type")
        self.kind = kind
        self.where = f"layer {index} ({self.kind})"
        self.refusals: list[Refusal] = []
        self.out_shape: Shape | None = None

    def input_shape(self, *, first_layer: bool) -> Shape | None:
        """Return the shape that an input layer declares, or None."""
        if not first_layer:
            self._refuse("an input layer after others", "move it to the front")
        return self._shape()

    def input_neurons(self, name: str, shape: Shape | None) -> IntLayer | None:
        """Return an input layer's population, driven through its bias; None if it has none.

        Args:
            name: its name.
            shape: that the layer declares.
        """
        if self._guard.group(self._group, "neuron") is None:
            return None
        neuron = self._neuron()
        weight = self._optional("weight", input_neurons.DEFAULT_WEIGHT)
        bias = self._optional("bias", input_neurons.DEFAULT_BIAS)
        if neuron is None or weight is None or bias is None or shape is None:
            return None
        if len(shape) == 1 and shape[0] > input_neurons.MAX_MATRIX:
            self._refuse(
                f"{shape[0]} input neurons in a row, beyond {input_neurons.MAX_MATRIX}",
                "give them the shape (C, H, W), or read on after them with skip_input",
            )
            return None
        return input_neurons.input_layer(name, shape, weight=weight, bias=bias, neuron=neuron)

    def _optional(self, key: str, default: int) -> int | None:
        """Return one integer of the layer, or the default where the file has none."""
        return self._scalar(self._group, key) if key in self._group else default

    def layer(self, name: str, before: Shape | None, *, flat: bool) -> IntLayer | None:
        """Return the layer as described, or None if it cannot be put into words.

        Args:
            name: its name.
            before: the shape it reads, if that is known.
            flat: whether a flatten stands in between.
        """
        self.out_shape = self._shape()
        if self.kind not in KINDS:
            hint = REMEDY.get(self.kind, f"use {', '.join(KINDS)}")
            self._refuse(f"layers of type {self.kind!r} do not run in netx", hint)
            return None
        neuron = self._neuron()
        weight = self._integers("weight")
        bias = self._integers("bias") if "bias" in self._group else None
        if weight is None or self.out_shape is None:
            return None
        if self.kind == "conv":
            if flat:
                self._refuse("a flatten before a convolution", "remove it")
            return self._convolution(name, before, weight, bias, neuron)
        if before is not None and len(before) != 1 and not flat:
            self._refuse(f"reads {before} without a flatten before it", "put a flatten there")
        return self._dense(name, before, weight, bias, neuron)

    def _convolution(
        self, name: str, before: Shape | None, weight: Integers, bias: Any, neuron: Any
    ) -> IntLayer | None:
        geometry = self._geometry()
        if self._has_delay():
            self._refuse("a delay on a convolution, which netx ignores", "remove it")
        if before is None:
            self._refuse(
                "its input shape is unknown",
                spelled(
                    python="give input_shape=(C, H, W), or spikes",
                    command="give --input-shape C,H,W, or --spikes to the verbs that take them",
                ),
            )
        while weight.ndim > 4 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        if geometry is None or neuron is None or before is None or self.out_shape is None:
            return None
        return IntLayer(name, "conv", weight, neuron, before, self.out_shape, bias, geometry)

    def _dense(
        self, name: str, before: Shape | None, weight: Integers, bias: Any, neuron: Any
    ) -> IntLayer | None:
        self.out_shape = out = (prod(self.out_shape or ()),)
        weight = self._matrix(weight)
        recurrent = self._integers("weight_rec") if self.kind == "dense_rec" else None
        if self.kind == "dense_rec" and recurrent is None:
            return None
        if recurrent is not None:
            recurrent = self._matrix(recurrent)
        # Without an input layer, the inputs of a first dense layer are known by its weights alone.
        in_shape = before or (weight.shape[-1:] if weight.ndim == 2 else (1,))
        if bias is not None and bias.size == 1:
            bias = np.full(out, bias.reshape(())[()], np.int32)
        delay = self._delay(weight) if self._has_delay() else None
        if neuron is None:
            return None
        kind = cast(Kind, self.kind)
        return IntLayer(name, kind, weight, neuron, in_shape, out, bias, None, recurrent, delay)

    def _matrix(self, weight: Integers) -> Integers:
        """Return a matrix; netx reads flat weights row by row."""
        rows = prod(self.out_shape or (1,))
        if weight.ndim == 1 and rows and weight.size % rows == 0:
            return weight.reshape(rows, -1)
        while weight.ndim > 2 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        return weight

    def _has_delay(self) -> bool:
        return "delay" in self._group

    def _delay(self, weight: Integers) -> Integers | None:
        """Return delays of each synapse, as netx spreads them; None if it cannot."""
        delay = self._integers("delay")
        if delay is None or weight.ndim != 2:
            return None
        if delay.ndim == 0:
            return np.full(weight.shape, delay[()], np.int32)
        if delay.ndim == 1 and delay.size in weight.shape:
            # netx looks at the rows first: as many delays as neurons belong to the neurons.
            column = delay.reshape(-1, 1) if delay.size == weight.shape[0] else delay
            return np.broadcast_to(column, weight.shape).astype(np.int32)
        return delay

    def _geometry(self) -> Convolution | None:
        pairs: list[Pair] = []
        for key, default in (("stride", None), ("padding", None), ("dilation", None)):
            values = self._integers(key)
            if values is None or values.size not in (1, 2):
                if values is not None:
                    self._refuse(f"{key} of shape {values.shape}", "give one number or a pair")
                return default
            first, last = (int(n) for n in (values.flat[0], values.flat[-1]))
            pairs.append((first, last))
        groups = self._scalar(self._group, "groups")
        if groups is None:
            return None
        return Convolution(pairs[0], pairs[1], pairs[2], groups)

    def _neuron(self) -> IntNeuron | None:
        group = self._guard.group(self._group, "neuron")
        if group is None:
            # netx would run a dense layer as an integrator of 18 bits, beyond Loihi's fields.
            self._refuse("no neuron", "give it CUBA neurons")
            return None
        kind = self._guard.text(group, "type")
        if kind not in SPIKING:
            self._refuse(f"neurons of type {kind!r}", "use CUBA (current-based LIF) neurons")
            return None
        self._ignored(group)
        values = [self._scalar(group, key) for key in ("iDecay", "vDecay", "vThMant")]
        current, voltage, threshold = values
        if current is None or voltage is None or threshold is None:
            return None
        return IntNeuron(current, voltage, threshold)

    def _ignored(self, group: h5py.Group) -> None:
        """Refuse what the training knew and netx would silently leave out."""
        harmless = {"refDelay": 1, "gradedSpike": 0, "weight_exp": 0, "wgtExp": 0}
        for key, value in harmless.items():
            found = self._guard.array(group, key)
            if found is not None and (found != value).any():
                shown = np.array2string(found, threshold=MAX_AXES, separator=", ")
                self._refuse(f"{key} {shown}, which netx ignores", f"set it to {value}")
        if "messageBits" in group:
            self._refuse("messageBits, which netx cannot read", "remove it: outputs are binary")

    def _scalar(self, group: h5py.Group, key: str) -> int | None:
        """Return one integer; slayer writes some as arrays of one. A vector of equal ones is
        refused.
        """
        values = self._integers(key, group)
        if values is None:
            return None
        if values.size != 1:
            same = "unequal" if (values != values.flat[0]).any() else "several"
            self._refuse(f"{same} values of {key} in one layer", "give one for the whole layer")
            return None
        return int(values.reshape(()))

    def _shape(self) -> Shape | None:
        values = self._integers("shape")
        if values is None:
            return None
        if values.size > MAX_AXES:
            self._refuse(f"a shape of {values.size:,} sizes", "give (C, H, W) or (N,)")
            return None
        shape = tuple(int(n) for n in values.reshape(-1))
        while len(shape) > 1 and len(shape) != 3 and shape[-1] == 1:
            shape = shape[:-1]
        if not shape or min(shape) < 1 or prod(shape) > MAX_ELEMENTS:
            self._refuse(f"shape {shape}", f"give positive sizes, at most {MAX_ELEMENTS} in all")
            return None
        return shape

    def _integers(self, key: str, group: h5py.Group | None = None) -> Integers | None:
        """Return the integers under `key`, float-typed ones included; None, and a refusal,
        otherwise.
        """
        values = self._guard.array(self._group if group is None else group, key)
        if values is None:
            self._refuse(f"no {key}", "write the file again")
            return None
        reason = not_whole(values) if values.size else "empty"
        if reason:
            self._refuse(f"{key}: {reason}", "give integers")
            return None
        return values.astype(np.int32)

    def _refuse(self, what: str, hint: str) -> None:
        self.refusals.append(Refusal(self.where, what, hint))

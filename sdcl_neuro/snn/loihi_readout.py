"""snnTorch's neurons that never reset, as read-outs that compute Loihi's integers when told to.

On the chip such a population has the threshold 2^17 - 1, which only a membrane at the limit of its
24 bits exceeds; what counts is the membrane, which is handed out in the model's own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    THRESHOLD_MAX,
    current_decay,
    voltage_decay,
)
from sdcl_neuro.network.spec import IntNeuron

from .chip_bases import ChipLeaky, ChipSynaptic
from .chip_neuron import ChipNeuron
from .chip_ops import STATE_MAX, UNIT, decay, register, straight_through

KEPT_LEAST = 1 / DECAY_UNITY
"""Least that a membrane keeps from step to step: vDecay ends at 4095."""


class Readout(ChipNeuron):
    """What both read-outs share: integer membranes between the steps, handed out in float units."""

    def integer_neuron(self) -> IntNeuron:
        """Return the chip's parameters; the threshold is the largest that there is."""
        self._expect_scale()
        alpha = getattr(self, "alpha", None)
        kept = 0.0 if alpha is None else _first(alpha)
        beta = max(_first(self.beta), KEPT_LEAST)
        return IntNeuron(current_decay(kept), voltage_decay(beta), THRESHOLD_MAX)

    @property
    def unit(self) -> float:
        """Integers of a membrane per unit of the model's."""
        return float(self.scale) * UNIT

    def _integers(self, values: Tensor) -> Tensor:
        """Return a membrane or current in the model's unit as the integer that it stands for."""
        exact = (values.detach().double() * self.unit).round().to(values.dtype)
        return straight_through(exact, values * self.unit)

    def _from_integers(self, values: Tensor) -> Tensor:
        exact = (values.detach().double() / self.unit).to(values.dtype)
        return straight_through(exact, values / self.unit)

    def _membrane(self, drive: Tensor, mem: Tensor, neuron: IntNeuron) -> tuple[Tensor, Tensor]:
        """Return spikes, which a chip sends at the limit only, and the new membrane, both in
        float.
        """
        kept = decay(self._integers(mem), self.beta, DECAY_UNITY - neuron.voltage_decay)
        state = register(kept + drive).clamp(-STATE_MAX, STATE_MAX)
        membrane = self._from_integers(state)
        return self.spike_grad(membrane - self.threshold), membrane

    def _float_states(self) -> int:
        raise NotImplementedError


class LoihiReadout(Readout, ChipLeaky):
    """A ``snn.Leaky(reset_mechanism="none")``: in float as snnTorch has it, or in integers.

    Args:
        beta: membrane decay per step, one number for the population.
        threshold: of the spikes that snnTorch gives besides; the chip sends none.
        mode, scale: as for `LoihiLeaky`.
        options: passed on to ``snn.Leaky``.
    """

    resets: ClassVar[Mapping[str, Any]] = {"reset_mechanism": "none"}

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """Return one step, with snnTorch's signature and return values."""
        if self.mode == "float":
            return super().forward(input_, mem)
        neuron = self.integer_neuron()
        before = self.mem if mem is None else mem
        before = before if before.shape == input_.shape else torch.zeros_like(input_)
        drive = self._current_step(self._sums(input_, neuron), before, neuron)
        spikes, self.mem = self._membrane(drive, before, neuron)
        return spikes if self.init_hidden and not self.output else (spikes, self.mem)


class LoihiSynapticReadout(Readout, ChipSynaptic):
    """A ``snn.Synaptic(reset_mechanism="none")``; see `LoihiReadout`."""

    resets: ClassVar[Mapping[str, Any]] = {"reset_mechanism": "none"}

    def forward(self, input_: Tensor, syn: Tensor | None = None, mem: Tensor | None = None) -> Any:
        """Return one step, with snnTorch's signature and return values."""
        if self.mode == "float":
            return super().forward(input_, syn, mem)
        neuron = self.integer_neuron()
        before = self.mem if mem is None else mem
        before = before if before.shape == input_.shape else torch.zeros_like(input_)
        current = self.syn if syn is None else syn
        current = current if current.shape == input_.shape else torch.zeros_like(input_)
        drive = self._current_step(self._sums(input_, neuron), self._integers(current), neuron)
        spikes, self.mem = self._membrane(drive, before, neuron)
        self.syn = self._from_integers(drive)
        if self.init_hidden and not self.output:
            return spikes
        return spikes, self.syn, self.mem


def _first(values: Tensor) -> float:
    return float(values.detach().reshape(-1)[0].clamp(0, 1))

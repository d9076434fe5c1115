"""snnTorch's leaky neuron that computes, when told to, Loihi's exact integers as it trains.

The integers are those of lava-nc's ``PyLifModelBitAcc`` with an instantaneous current, under the
names of `fixed_point`: the membrane ``v`` has 24 bits and carries 6 fractional bits, so a
synaptic sum ``a`` and a bias ``b`` enter as ``64 a`` and ``64 b``::

    v' = clip(sgn(v) ((|v| (4096 - vDecay)) >> 12) + wrap(64 a) + 64 b, +-(2^23 - 1))
    s  = v' > 64 vth,   v = 0 where s

They are held in float32. Everything is exact there: a sum of integer weights below 2^24 is, a
multiple of 64 of it is, and a sum that leaves +-2^24 is clipped whichever way it is rounded. Only
the product ``|v| (4096 - vDecay)`` has up to 35 bits, and is taken in float64.
"""

from __future__ import annotations

from typing import Any, Literal

import snntorch as snn
import torch
from torch import Tensor

from .chip_ops import STATE_MAX, UNIT, decay, straight_round, straight_through, wrap_current
from .errors import InputError
from .fixed_point import (
    DECAY_UNITY,
    STATE_LIMIT,
    THRESHOLD_MAX,
    quantize_threshold,
    voltage_decay,
)
from .spec import IntNeuron

Mode = Literal["float", "int"]


class LoihiLeaky(snn.Leaky):
    """A ``snn.Leaky`` with reset to zero: in float as snnTorch has it, or in Loihi's integers.

    Args:
        beta: membrane decay per step, one number for the population.
        threshold: one number for the population, in units of the float weights.
        mode: ``float`` is exactly ``snn.Leaky``; ``int`` needs a `scale`.
        scale: integer weight per unit of float weight; 0 until it is chosen. A buffer, so it
            is saved with the weights.
        options: passed on to ``snn.Leaky`` (``spike_grad``, ``learn_beta``,
            ``learn_threshold``, ``reset_delay``, ``init_hidden``, ``output``).

    In ``int`` mode the membrane handed out and in is the chip's own 24-bit integer, and the
    surrogate sees (membrane - threshold) / threshold. `spike_grad` must be a step in its forward
    pass, as all deterministic ones of snnTorch are.

    Raises:
        InputError: for a decay or threshold that is not one number.
    """

    scale: Tensor
    mem: Tensor
    init_hidden: bool

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        mode: Mode = "float",
        scale: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(beta, threshold, reset_mechanism="zero", **options)
        if not self.init_hidden:
            # snnTorch keeps every neuron in a class-wide list for `reset_hidden`: without a
            # hidden state that list would only keep discarded networks alive.
            snn.SpikingNeuron.instances.pop()
        for name, value in (("beta", self.beta), ("threshold", self.threshold)):
            if value.numel() != 1:
                raise InputError(
                    f"{name} has {value.numel()} values where the chip has one per population",
                    where="LoihiLeaky",
                    mend=f"give one {name} for the layer",
                )
        self.register_buffer("scale", torch.tensor(float(scale), dtype=torch.float64))
        self.mode: Mode = mode

    def integer_neuron(self) -> IntNeuron:
        """The chip's parameters of this population at the present `scale`.

        Raises:
            InputError: if the scale is not chosen, or a parameter does not fit the chip.
        """
        scale = float(self.scale)
        if not scale > 0:
            raise InputError(
                "no weight scale is chosen, so there are no chip integers yet",
                where="LoihiLeaky",
                mend="call prepare_quantization(calibration) first",
            )
        leak = int(voltage_decay(float(self.beta.detach().clamp(0, 1))))
        threshold = int(quantize_threshold(float(self.threshold.detach()), scale))
        if not 0 <= leak < DECAY_UNITY or not 0 <= threshold <= THRESHOLD_MAX:
            raise InputError(
                f"vDecay {leak} (0 to {DECAY_UNITY - 1}) or threshold {threshold} "
                f"(0 to {THRESHOLD_MAX}) does not fit the chip",
                where="LoihiLeaky",
                mend="choose the scale again, or a beta of at least 1/4096",
            )
        return IntNeuron(current_decay=DECAY_UNITY, voltage_decay=leak, threshold=threshold)

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """One step, with snnTorch's signature and return values.

        Args:
            input_: ``[B, ...]`` in units of the float weights, bias included. In ``int`` mode it
                is multiplied by `scale` and rounded, which gives the chip's sum where the
                weights are the chip's integers divided by `scale`.
            mem: the membrane, unless the state is hidden.
        """
        if self.mode == "float":
            return super().forward(input_, mem)
        if self.init_hidden and mem is not None:
            raise TypeError("`mem` cannot be given where `init_hidden=True`")
        neuron = self.integer_neuron()
        state = self.mem if mem is None else mem
        if state.shape != input_.shape:
            state = torch.zeros_like(input_)
        sums = straight_round(input_ * float(self.scale))
        spikes, state = self._step(wrap_current(sums * UNIT), state, neuron)
        # Kept for `init_hidden`, as snn.Leaky keeps it.
        self.mem = state if self.reset_delay else state * (1 - spikes.detach())
        return spikes if self.init_hidden and not self.output else (spikes, self.mem)

    def sequence(self, sums: Tensor, bias: Tensor | None = None) -> Tensor:
        """All steps from a clean state: ``[T, B, ...]`` to spikes of the same shape.

        Args:
            sums: what the synapse delivers; in ``int`` mode integer sums of integer weights.
            bias: added to the membrane each step, broadcast to one step; in ``int`` mode an
                integer.
        """
        if self.mode == "float":
            return self._float_sequence(sums if bias is None else sums + bias)
        neuron = self.integer_neuron()
        drive = sums * UNIT
        if bool(sums.detach().abs().amax() * UNIT >= STATE_LIMIT):
            drive = wrap_current(drive)
        if bias is not None:
            drive = drive + bias * UNIT
        state = torch.zeros_like(drive[0])
        spikes = []
        for step in drive.unbind(0):
            spike, state = self._step(step, state, neuron)
            spikes.append(spike)
        return torch.stack(spikes)

    def _float_sequence(self, currents: Tensor) -> Tensor:
        state = torch.zeros_like(currents[0])
        spikes = []
        hidden, self.init_hidden = self.init_hidden, False
        try:
            for current in currents.unbind(0):
                spike, state = super().forward(current, state)
                spikes.append(spike)
        finally:
            self.init_hidden = hidden
        self.mem = state.detach()[:0]  # a whole sequence leaves no state behind
        return torch.stack(spikes)

    def _step(self, drive: Tensor, state: Tensor, neuron: IntNeuron) -> tuple[Tensor, Tensor]:
        """Spikes and membrane (before its reset, as snn.Leaky's delayed reset hands it on)."""
        keep = DECAY_UNITY - neuron.voltage_decay
        limit = neuron.threshold * UNIT
        # The reset is detached, as in snn.Leaky.
        state = state.masked_fill(state.detach() > limit, 0.0)
        membrane = (decay(state, self.beta, keep) + drive).clamp(-STATE_MAX, STATE_MAX)
        threshold: Tensor | float = limit
        if self.threshold.requires_grad:
            path = self.threshold * (float(self.scale) * UNIT)
            threshold = straight_through(torch.full_like(path, limit), path)
        distance = (membrane - threshold) / max(limit, UNIT)
        return self.spike_grad(distance), membrane

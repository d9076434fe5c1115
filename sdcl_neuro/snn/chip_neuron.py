"""What the chip-exact neurons of snnTorch share: their integers, and running whole sequences.

The integers are those of lava-nc's ``PyLifModelBitAcc``, under the names of `fixed_point`: states
carry 6 fractional bits, so a synaptic sum ``a`` and a bias ``b`` enter as ``64 a`` and ``64 b``::

    u' = wrap(toward_zero(u (4096 - iDecay) / 4096) + 64 a)
    v' = clip(toward_zero(v (4096 - vDecay) / 4096) + u' + 64 b, +-(2^23 - 1))
    s  = v' > 64 vth,   v = 0 where s

They are held in the float type of what comes in, float32 in training. With an instantaneous
current everything is exact there: a sum of integer weights below 2^24 is, a multiple of 64 of it
is, and a sum that leaves +-2^24 is clipped whichever way it is rounded. Only the products with
(4096 - decay) have more bits, and are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import snntorch as snn
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import host_value
from sdcl_neuro.errors import InputError
from sdcl_neuro.network.arguments import need_number
from sdcl_neuro.network.fixed_point import (
    DECAY_UNITY,
    STATE_LIMIT,
    THRESHOLD_MAX,
    current_decay,
    quantize_threshold,
    voltage_decay,
)
from sdcl_neuro.network.spec import IntNeuron

from .chip_ops import (
    STATE_MAX,
    UNIT,
    decay,
    register,
    straight_round,
    straight_through,
    wrap_current,
)

if TYPE_CHECKING:
    from .bptt.leak import Leak, Wanted

Mode = Literal["float", "int"]


@dataclass(frozen=True)
class Spread:
    """Integers of a population whose numbers differ from channel to channel.

    Attributes:
        current_decay, voltage_decay: iDecay and vDecay, each one number or broadcast to a step.
        threshold: of all neurons.
        common: the float threshold that is; where a neuron has another, its weights are multiplied
            accordingly.
    """

    current_decay: int | Tensor
    voltage_decay: int | Tensor
    threshold: int
    common: float


def _clamped(decay: float) -> float:
    """Return a decay within 0 and 1."""
    return min(max(decay, 0.0), 1.0)


class Circuit(Protocol):
    """The rest of a graph, as one of its populations meets it in ``int`` mode."""

    def numbers(self) -> Spread:
        """Return the population's integers."""
        ...

    def sums(self) -> Tensor:
        """Return what the chip's synapses deliver in this step, biases included, ``[B, ...]``."""
        ...

    def sent(self, spikes: Tensor) -> None:
        """Take note of what the population sends in this step."""
        ...


class ChipNeuron:
    """Mixin in front of a snnTorch neuron that resets to zero.

    Attributes:
        mode: ``float`` computes as snnTorch does; ``int`` in the chip's integers.
        scale: float64 buffer, integer weight per unit of float weight; 0 until it is chosen.
        circuit: of a graph that trains in integers; None where the synapse alone delivers.
    """

    circuit: Circuit | None = None
    mode: Mode
    scale: Tensor
    alpha: Tensor
    beta: Tensor
    threshold: Tensor
    init_hidden: bool
    output: bool
    spike_grad: Callable[[Tensor], Tensor]
    reset_mechanism_val: Tensor
    register_buffer: Callable[..., None]

    @staticmethod
    def _numbers_given(**constants: object) -> None:
        """Raise InputError for a constant that is neither a number nor a tensor."""
        for name, value in constants.items():
            if not isinstance(value, Tensor):
                need_number(value, name, "give one number, or a tensor of one a channel")

    def _become_chip(self, *, mode: Mode, scale: float, single: bool = True) -> None:
        """Finish construction; raise InputError for a parameter that has to be one number."""
        if not self.init_hidden:
            # snnTorch keeps every neuron in a class-wide list for `reset_hidden`: without a
            # hidden state that list would only keep discarded networks alive.
            snn.SpikingNeuron.instances.pop()
        for name in ("alpha", "beta", "threshold"):
            value = getattr(self, name, None)
            if single and value is not None and value.numel() != 1:
                raise InputError(
                    f"{name} has {value.numel()} values where the chip has one per population",
                    where=type(self).__name__,
                    hint=f"give one {name} for the layer",
                )
        self.register_buffer("scale", torch.tensor(float(scale), dtype=torch.float64))
        self.mode = mode

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        """Load a state_dict, and go on resetting as before, whatever neuron it was saved from."""
        before = self.reset_mechanism_val.clone()
        super()._load_from_state_dict(*arguments, **named)  # type: ignore[misc]
        self.reset_mechanism_val.copy_(before)

    def integer_neuron(self) -> IntNeuron:
        """Return the chip's parameters of this population at the present `scale`.

        Raises:
            InputError: if the scale is not chosen, or the threshold does not fit the chip.
        """
        scale = self._expect_scale()
        if not self.uniform:
            raise InputError(
                "its decays or thresholds differ between channels, so that a graph has to place it",
                where=type(self).__name__,
                hint="call prepare_quantization first, on the whole module",
            )
        threshold = quantize_threshold(host_value(self.threshold), scale)
        if not 0 <= threshold <= THRESHOLD_MAX:
            raise InputError(
                f"threshold {threshold} is not in 0 to {THRESHOLD_MAX}",
                where=type(self).__name__,
                hint="choose the scale again",
            )
        alpha = getattr(self, "alpha", None)
        kept = 0.0 if alpha is None else _clamped(host_value(alpha))
        return IntNeuron(
            current_decay=current_decay(kept),
            voltage_decay=voltage_decay(_clamped(host_value(self.beta))),
            threshold=threshold,
        )

    def _expect_scale(self) -> float:
        scale = host_value(self.scale)
        if not scale > 0:
            raise InputError(
                "no weight scale is chosen, so its chip integers are not fixed yet",
                where=type(self).__name__,
                hint="call prepare_quantization first",
            )
        return scale

    @property
    def uniform(self) -> bool:
        """Return whether decays and threshold are one number each."""
        named = (getattr(self, name, None) for name in ("alpha", "beta", "threshold"))
        return all(value is None or value.numel() == 1 for value in named)

    def _numbers(self) -> IntNeuron | Spread:
        """Return the population's integers, from the graph where it is a part of one."""
        return self.integer_neuron() if self.circuit is None else self.circuit.numbers()

    def _sums(self, input_: Tensor, neuron: IntNeuron | Spread) -> Tensor:
        """Return integer sums ``[B, ...]`` with the gradient of `input_`, in units of the float
        weights.

        They are `input_` scaled and rounded; in a graph, what its synapses deliver on the chip.
        """
        scale = self.scale.to(input_)
        if self.circuit is None:
            return straight_round(input_ * host_value(self.scale))
        if isinstance(neuron, Spread) and self.threshold.numel() > 1:
            scale = scale * neuron.common / self.threshold
        return straight_through(self.circuit.sums().reshape(input_.shape), input_ * scale)

    def _told(self, spikes: Tensor) -> Tensor:
        """Return the same spikes, of which the graph takes note."""
        if self.circuit is not None:
            self.circuit.sent(spikes.detach())
        return spikes

    def sequence(
        self, sums: Tensor, bias: Tensor | None = None, *, recurrent: Tensor | None = None
    ) -> Tensor:
        """Run all steps from a clean state: ``[T, B, ...]`` to spikes of the same shape.

        Args:
            sums: what the synapse delivers; in ``int`` mode integer sums of integer weights.
            bias: added to the membrane each step, broadcast to one step; in ``int`` mode an
                integer.
            recurrent: integer weights ``[N, N]`` from last step's spikes, in ``int`` mode.
        """
        if recurrent is None and (population := self.leak(sums)) is not None:
            return self._scan(sums, bias, *population)
        return self.step_by_step(sums, bias, recurrent=recurrent)

    def step_by_step(
        self, sums: Tensor, bias: Tensor | None = None, *, recurrent: Tensor | None = None
    ) -> Tensor:
        """Return the same as `sequence`, by torch's own operations, one step after another."""
        if self.mode == "float":
            return self._float_sequence(sums if bias is None else sums + bias)
        neuron = self.integer_neuron()
        offset = 0.0 if bias is None else bias * UNIT
        if neuron.current_decay == DECAY_UNITY and recurrent is None:
            return self._instantaneous(register(sums * UNIT), offset, neuron)
        current = state = spike = torch.zeros_like(sums[0])
        spikes = []
        for step in sums.unbind(0):
            if recurrent is not None:
                step = step + functional.linear(spike, recurrent)
            current = self._current_step(step, current, neuron)
            spike, state = self._membrane_step(current + offset, state, neuron)
            spikes.append(spike)
        return torch.stack(spikes)

    def leak(self, sums: Tensor) -> tuple[Leak, Wanted] | None:
        """Return what `bptt` computes this population by, for an input like `sums`; None if it
        cannot.
        """
        return None

    def _scan(self, sums: Tensor, bias: Tensor | None, leak: Leak, wanted: Wanted) -> Tensor:
        from .bptt.scan import scan

        offset = bias if bias is None or self.mode == "float" else bias * UNIT
        if self.mode == "float" and offset is not None:
            sums, offset = sums + offset, None
        return scan(sums, self.beta, self.threshold, offset, leak, wanted)

    def _instantaneous(self, drive: Tensor, offset: Tensor | float, neuron: IntNeuron) -> Tensor:
        if bool(drive.detach().abs().amax() >= STATE_LIMIT):
            drive = wrap_current(drive)
        state = torch.zeros_like(drive[0])
        spikes = []
        for step in (drive + offset if torch.is_tensor(offset) else drive).unbind(0):
            spike, state = self._membrane_step(step, state, neuron)
            spikes.append(spike)
        return torch.stack(spikes)

    def _current_step(self, sums: Tensor, current: Tensor, neuron: IntNeuron | Spread) -> Tensor:
        if isinstance(neuron.current_decay, int) and neuron.current_decay == DECAY_UNITY:
            return wrap_current(register(sums * UNIT))
        kept = decay(current, self.alpha, DECAY_UNITY - neuron.current_decay)
        return wrap_current(register(kept + register(sums * UNIT)))

    def _membrane_step(
        self, drive: Tensor, state: Tensor, neuron: IntNeuron | Spread
    ) -> tuple[Tensor, Tensor]:
        """Return spikes and membrane; a spike resets when the next step begins, as in snn.Leaky."""
        limit = neuron.threshold * UNIT
        # The reset is detached, as in snn.Leaky.
        state = state.masked_fill(state.detach() > limit, 0.0)
        kept = decay(state, self.beta, DECAY_UNITY - neuron.voltage_decay)
        membrane = register(kept + drive).clamp(-STATE_MAX, STATE_MAX)
        threshold: Tensor | float = limit
        if self.threshold.requires_grad and self.threshold.numel() == 1:
            path = self.threshold * (host_value(self.scale) * UNIT)
            threshold = straight_through(torch.full_like(path, limit), path)
        spikes = self.spike_grad((membrane - threshold) / max(limit, UNIT))
        return spikes.to(membrane.dtype), membrane

    def _float_sequence(self, currents: Tensor) -> Tensor:
        """Return snnTorch's own forward, step by step, with visible states."""
        hidden, output = self.init_hidden, self.output
        self.init_hidden, self.output = False, True
        states = tuple(torch.zeros_like(currents[0]) for _ in range(self._float_states()))
        spikes = []
        try:
            for current in currents.unbind(0):
                result = self._float_step(current, *states)
                # Leaky and Synaptic hand on what follows the spikes, RLeaky the spikes too.
                states = tuple(result[-len(states) :])
                spikes.append(result[0])
        finally:
            self.init_hidden, self.output = hidden, output
        return torch.stack(spikes)

    def _float_states(self) -> int:
        raise NotImplementedError

    def _float_step(self, current: Tensor, *states: Tensor) -> Any:
        raise NotImplementedError

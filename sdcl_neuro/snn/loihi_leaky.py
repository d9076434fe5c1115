"""snnTorch's neurons that compute, when told to, Loihi's exact integers as they train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import snntorch as snn
import torch
from torch import Tensor
from torch.nn import functional

from sdcl_neuro.devices import host_value

from .chip_bases import ChipLeaky, ChipSynaptic
from .chip_neuron import ChipNeuron, Mode
from .chip_ops import chip_weight

if TYPE_CHECKING:
    from .bptt.leak import Leak, Wanted

__all__ = ["LoihiLeaky", "LoihiRLeaky", "LoihiSynaptic", "Mode"]


class LoihiLeaky(ChipLeaky):
    """A ``snn.Leaky`` with reset to zero: in float as snnTorch has it, or in Loihi's integers.

    Args:
        beta: membrane decay per step, one number, or one a channel (``[C, 1, 1]``, ``[N]``).
        threshold: likewise, in units of the float weights. Several numbers train in integers only
            as part of a graph, which `prepare_quantization` places.
        mode: ``float`` is exactly ``snn.Leaky``; ``int`` needs a `scale`.
        scale: integer weight per unit of float weight; 0 until it is chosen. A buffer, so it
            is saved with the weights.
        options: passed on to ``snn.Leaky`` (``spike_grad``, ``learn_beta``,
            ``learn_threshold``, ``reset_delay``, ``init_hidden``, ``output``).

    In ``int`` mode the membrane handed out and in is the chip's own 24-bit integer, and the
    surrogate sees (membrane - threshold) / threshold. `spike_grad` must be a step in its forward
    pass, as all deterministic ones of snnTorch are.

    Raises:
        InputError: integers are asked for before a scale is chosen.
    """

    resets: ClassVar[Mapping[str, Any]] = {"reset_mechanism": "zero"}

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """Return one step, with snnTorch's signature and return values.

        Args:
            input_: ``[B, ...]`` in units of the float weights, bias included. In ``int`` mode it
                is multiplied by `scale` and rounded, which gives the chip's sum where the
                weights are the chip's integers divided by `scale`.
            mem: the membrane, unless the state is hidden.
        """
        if self.mode == "float":
            return super().forward(input_, mem)
        _refuse_visible(self, mem)
        neuron = self._numbers()
        state = _state(self.mem if mem is None else mem, input_)
        current = self._current_step(self._sums(input_, neuron), state, neuron)
        spikes, state = self._membrane_step(current, state, neuron)
        spikes = self._told(spikes)
        self.mem = state if self.reset_delay else state * (1 - spikes.detach())
        return spikes if self.init_hidden and not self.output else (spikes, self.mem)

    def leak(self, sums: Tensor) -> tuple[Leak, Wanted] | None:
        """Return what `bptt` computes this population by; None for options that it does not
        know.
        """
        from .bptt.leak import float_leak, int_leak

        plain = not (self.inhibition or self.state_quant or self.graded_spikes_factor.requires_grad)
        if (
            not plain
            or not self.uniform
            or not self.reset_delay
            or host_value(self.graded_spikes_factor) != 1
        ):
            return None
        if self.mode == "float":
            return float_leak(self.beta, self.threshold, self.spike_grad, sums)
        neuron = self.integer_neuron()
        return int_leak(neuron, host_value(self.scale), self.spike_grad, sums)

    def _float_states(self) -> int:
        return 1

    def _float_step(self, current: Tensor, *states: Tensor) -> Any:
        return snn.Leaky.forward(self, current, *states)


class LoihiSynaptic(ChipSynaptic):
    """A ``snn.Synaptic``, reset to zero at once, in float or in Loihi's integers.

    Arguments as for `LoihiLeaky`, with ``alpha``, the current's decay, before them. An immediate
    reset (``reset_delay=False``) is fixed: with snnTorch's default, the reset of the next step
    swallows that step's input, which no chip does.
    """

    resets: ClassVar[Mapping[str, Any]] = {"reset_mechanism": "zero", "reset_delay": False}

    def forward(self, input_: Tensor, syn: Tensor | None = None, mem: Tensor | None = None) -> Any:
        """Return one step, with snnTorch's signature and return values; see `LoihiLeaky.forward`.

        In ``int`` mode `input_` holds no bias, which would pass through the current's decay.
        """
        if self.mode == "float":
            return super().forward(input_, syn, mem)
        _refuse_visible(self, syn, mem)
        neuron = self._numbers()
        state = _state(self.mem if mem is None else mem, input_)
        current = _state(self.syn if syn is None else syn, input_)
        self.syn = self._current_step(self._sums(input_, neuron), current, neuron)
        spikes, state = self._membrane_step(self.syn, state, neuron)
        spikes = self._told(spikes)
        self.mem = state * (1 - spikes.detach())
        if self.init_hidden and not self.output:
            return spikes
        return spikes, self.syn, self.mem

    def _float_states(self) -> int:
        return 2

    def _float_step(self, current: Tensor, *states: Tensor) -> Any:
        return snn.Synaptic.forward(self, current, *states)


class LoihiRLeaky(ChipNeuron, snn.RLeaky):
    """A ``snn.RLeaky``, reset to zero at once, in float or in Loihi's integers.

    Arguments as for `LoihiLeaky`; the recurrence is a dense matrix (``linear_features``), scaled
    and rounded as the layer's other weights are. Its bias enters with the input's.
    """

    spk: Tensor
    mem: Tensor

    def __init__(
        self,
        beta: float | Tensor,
        threshold: float | Tensor = 1.0,
        *,
        linear_features: int,
        mode: Mode = "float",
        scale: float = 0.0,
        **options: Any,
    ) -> None:
        self._numbers_given(beta=beta, threshold=threshold)
        super().__init__(
            beta,
            linear_features=linear_features,
            threshold=threshold,
            reset_mechanism="zero",
            reset_delay=False,
            **options,
        )
        self._become_chip(mode=mode, scale=scale)

    def forward(self, input_: Tensor, spk: Tensor | None = None, mem: Tensor | None = None) -> Any:
        """Return one step, with snnTorch's signature and return values; see
        `LoihiLeaky.forward`.
        """
        if self.mode == "float":
            return super().forward(input_, spk, mem)
        _refuse_visible(self, spk, mem)
        neuron = self._numbers()
        state = _state(self.mem if mem is None else mem, input_)
        fired = _state(self.spk if spk is None else spk, input_)
        scale = host_value(self.scale)
        sums = self._sums(input_ + self.recurrent.bias, neuron)
        sums = sums + functional.linear(fired, chip_weight(self.recurrent.weight, scale))
        spikes, state = self._membrane_step(self._current_step(sums, state, neuron), state, neuron)
        self.spk = self._told(spikes)
        self.mem = state * (1 - self.spk.detach())
        return self.spk if self.init_hidden and not self.output else (self.spk, self.mem)

    def _float_states(self) -> int:
        return 2

    def _float_step(self, current: Tensor, *states: Tensor) -> Any:
        return snn.RLeaky.forward(self, current, *states)


def _state(state: Tensor, input_: Tensor) -> Tensor:
    """Return the state handed in, or a clean one where the batch has another shape."""
    return state if state.shape == input_.shape else torch.zeros_like(input_)


def _refuse_visible(neuron: ChipNeuron, *states: Tensor | None) -> None:
    if neuron.init_hidden and any(state is not None for state in states):
        raise TypeError("a state cannot be given where `init_hidden=True`")
